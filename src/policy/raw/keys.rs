//! Keys as written: where they come from, never what they are (but for `literal:`, which is wrapped at once).

use crate::dialect::glob::Glob;
use crate::policy::fields::Fields;
use crate::policy::model::Secret;
use crate::policy::read::{Node, word};
use crate::policy::secrecy::is_variable;
use crate::policy::source::At;

/// Where a secret comes from.
#[derive(Clone, Debug)]
pub(crate) enum KeySource {
    /// An environment variable.
    Env(String),
    /// A file, relative to the configuration.
    File(String),
    /// The configuration itself.
    Literal(Secret),
}

/// One key of an upstream.
#[derive(Debug)]
pub(crate) struct Key {
    /// Its given name.
    pub(crate) name: Option<At<String>>,
    /// Where it comes from.
    pub(crate) source: At<KeySource>,
    /// Which models it may call; all if not set.
    pub(crate) models: Option<Vec<Glob>>,
    /// Whose quota it uses; its own if not set.
    pub(crate) account: Option<String>,
}

/// `"env:NAME"`, `"file:PATH"`, `"literal:KEY"`. What stands there is never repeated: it may be a key without prefix.
pub(crate) fn source(node: &Node<'_>) -> Option<KeySource> {
    const FORMS: &str = "write \"env:NAME\" or \"file:PATH\" (or \"literal:KEY\", which keeps the secret in the file)";
    let text = node.text()?;
    let (prefix, rest) = text.split_once(':').unwrap_or(("", ""));
    let source = match prefix {
        "env" if is_variable(rest) => KeySource::Env(rest.to_owned()),
        "env" => {
            node.error("what follows `env:` is not the name of a variable", Some(FORMS.to_owned()));
            return None;
        }
        "file" if !rest.is_empty() => KeySource::File(rest.to_owned()),
        "literal" if !rest.is_empty() => KeySource::Literal(Secret(rest.to_owned().into())),
        "file" | "literal" => {
            node.error(format!("nothing follows `{prefix}:`"), Some(FORMS.to_owned()));
            return None;
        }
        _ => {
            node.error("a key must say where it comes from", Some(FORMS.to_owned()));
            return None;
        }
    };
    Some(source)
}

/// A key as a text or as a table.
pub(crate) fn key(node: &Node<'_>) -> Option<Key> {
    if node.is_text() {
        let source = source(node)?;
        return Some(Key { name: None, source: node.at(source), models: None, account: None });
    }
    if !node.is_table() {
        let hint = "write \"env:NAME\" or { name = \"…\", key = \"env:NAME\" }";
        node.error("expected a key: a text in quotes, or a table", Some(hint.to_owned()));
        return None;
    }
    node.fields(table)?
}

fn table(fields: &Fields<'_>) -> Option<Key> {
    let name = fields.at("name", key_name);
    let source = fields.need("key", source);
    let models = fields.get("models", |node| node.list(|item| word(item).map(|text| Glob::new(&text))));
    let account = fields.get("account", key_name);
    Some(Key { name, source: source?, models, account })
}

fn key_name(node: &Node<'_>) -> Option<String> {
    let name = word(node)?;
    if name.contains(|c: char| c.is_whitespace() || c == '#') {
        node.error("a key's name has no spaces and no `#`", None);
        return None;
    }
    Some(name)
}
