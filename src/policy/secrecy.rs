//! Which bytes of a file are secret, decided before anything else looks at the file.
//!
//! A key belongs behind `env:` or `file:`, but people paste them where they should not: under `literal:`, without any
//! prefix, under a misspelt field, in a URL, in a file that does not even parse. Too much is hidden rather than too
//! little: a masked model name costs a reader a look into the file, a printed key costs an account.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Whether the parser understood the whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// It did, so the tree tells where the secrets are.
    Whole,
    /// It did not, so lines are judged by their looks too.
    Broken,
}

/// The byte ranges of `text` that must never be shown.
pub(crate) fn hidden(text: &str, tree: &DeTable<'_>, syntax: Syntax) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    walk(tree, Inside::Elsewhere, &mut ranges);
    after_marker(text, "literal:", |c| !matches!(c, '"' | '\'' | '\n'), &mut ranges);
    after_marker(text, "sk-", |c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'), &mut ranges);
    user_info(text, &mut ranges);
    match syntax {
        Syntax::Whole => {}
        Syntax::Broken => suspicious_lines(text, &mut ranges),
    }
    ranges
}

/// Whether `text` is a reference to a secret rather than a secret.
fn is_reference(text: &str) -> bool {
    text.strip_prefix("env:").is_some_and(is_variable) || text.starts_with("file:")
}

/// Whether `name` can be the name of an environment variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    word && name.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

/// Fields of ours whose names look like a key's: names of variables, times, fields of requests, a folder. What is inside
/// of a key is hidden by whatever name.
const HARMLESS: [&str; 4] = ["key_variables", "target_first_token", "first_token", "keep"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A value that is or may be a key.
    Key,
    /// Anything else.
    Elsewhere,
}

fn walk(table: &DeTable<'_>, inside: Inside, ranges: &mut Vec<Range<usize>>) {
    for (name, value) in table {
        let harmless = matches!(name.get_ref().as_ref(), "name" | "account" | "models" | "routes" | "group");
        // An upstream may be called "monkey"; a table is judged by its own fields unless it is a key itself.
        let telling = names_a_secret(name.get_ref())
            && (!value.get_ref().is_table() || matches!(name.get_ref().as_ref(), "key" | "keys"));
        let sensitive = !harmless && (inside == Inside::Key || telling);
        let here = if sensitive { Inside::Key } else { Inside::Elsewhere };
        walk_value(value.get_ref(), &value.span(), here, ranges);
    }
}

fn walk_value(value: &DeValue<'_>, span: &Range<usize>, inside: Inside, ranges: &mut Vec<Range<usize>>) {
    match value {
        DeValue::String(text) if inside == Inside::Key && !is_reference(text) => {
            ranges.push(span.start.saturating_add(1)..span.end.saturating_sub(1));
        }
        DeValue::Integer(_) if inside == Inside::Key => ranges.push(span.clone()),
        DeValue::Array(items) => {
            for item in items {
                walk_value(item.get_ref(), &item.span(), inside, ranges);
            }
        }
        DeValue::Table(table) => walk(table, inside, ranges),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {}
    }
}

fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `max_tokens` counts tokens, and is no `_token`.
    let telling = ["key", "kye", "kee", "secret", "password", "credential"].iter().any(|part| name.contains(part));
    (telling || name == "token" || name.ends_with("_token")) && !HARMLESS.contains(&name.as_str())
}

fn after_marker(text: &str, marker: &str, belongs: impl Fn(char) -> bool, ranges: &mut Vec<Range<usize>>) {
    const SHORTEST: usize = 3;
    for (at, _) in text.match_indices(marker) {
        let inside_word = text.get(..at).and_then(|s| s.chars().next_back()).is_some_and(char::is_alphanumeric);
        let start = at + marker.len();
        let rest = text.get(start..).unwrap_or_default();
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        if !inside_word && length >= SHORTEST {
            ranges.push(start..start + length);
        }
    }
}

/// `https://user:password@host/?key=…`: everything between the slashes and the `@`, and everything after the `?`.
fn user_info(text: &str, ranges: &mut Vec<Range<usize>>) {
    for (at, marker) in text.match_indices("://") {
        let start = at + marker.len();
        let rest = text.get(start..).unwrap_or_default();
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'')).unwrap_or(rest.len());
        if let Some(length) = rest.get(..end).and_then(|authority| authority.rfind('@')) {
            ranges.push(start..start + length);
        }
        let url_end = rest.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(rest.len());
        if let Some(query) = rest.get(..url_end).and_then(|url| url.find('?')) {
            ranges.push(start + query + 1..start + url_end);
        }
    }
}

/// In a file that does not parse: quoted texts on lines that speak of keys, or that begin with a quote (an array over
/// several lines).
fn suspicious_lines(text: &str, ranges: &mut Vec<Range<usize>>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        let speaks = ["key", "token", "secret", "password"].iter().any(|word| lower.contains(word));
        if speaks || line.trim_start().starts_with(['"', '\'']) {
            quoted(line, start, ranges);
        }
        start += line.len();
    }
}

fn quoted(line: &str, start: usize, ranges: &mut Vec<Range<usize>>) {
    let mut at = 0;
    while let Some(rest) = line.get(at..) {
        let Some(open) = rest.find(['"', '\'']) else { return };
        let body_start = at + open + 1;
        let body = line.get(body_start..).unwrap_or_default();
        let quote = if rest.get(open..).is_some_and(|s| s.starts_with('"')) { '"' } else { '\'' };
        let length = body.find([quote, '\n']).unwrap_or(body.len());
        if !body.get(..length).is_some_and(is_reference) {
            ranges.push(start + body_start..start + body_start + length);
        }
        at = body_start + length + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::source::SourceFile;

    fn shown(text: &str) -> String {
        let (tree, errors) = DeTable::parse_recoverable(text);
        let syntax = if errors.is_empty() { Syntax::Whole } else { Syntax::Broken };
        let file = SourceFile::new("f", text, &hidden(text, tree.get_ref(), syntax));
        let mut lines = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            lines.push(file.line_at(&(at..at)).text.to_owned());
            at += line.len();
        }
        lines.join("\n")
    }

    #[test]
    fn keys_are_hidden_however_they_are_misplaced() {
        for text in [
            "keys = [\"abcSECRETabc\"]",
            "keys = [\"literal:SECRET\"]",
            "keys = [{ name = \"a\", kee = \"SECRET\" }]",
            "kyes = [\n  \"SECRET\",\n]",
            "api_key = \"SECRET\"",
            "keys = [{ name = \"a\", keep = \"SECRET\" }]",
            "keys = { first_token = \"SECRET\" }",
            "access_token = \"SECRET\"",
            "keys = [\"SECRET\"]\nkeys = [\"SECRET\"]",
            "[upstreams.a]\nkeys = [\"SECRET\"]\n[upstreams.a]\nadmin_token = \"SECRET\"",
            "admin_token = \"SECRET\"",
            "base_url = \"https://me:SECRET@host/v1\"",
            "base_url = \"https://host/v1?key=SECRET\"",
            "listen = \"sk-SECRETSECRET\"",
            "keys = [\"env:sk-SECRET.\"]",
            "keys = [\"SECRET",
            "keys = [\n\"SECRET\",\n  = broken",
            "keys = ['SECRET' ]]",
            "[upstreams]\nkey = \"\"\"SECRET\"\"\"",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("SECRET"), "{shown}");
            assert_eq!(shown.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn references_and_other_values_stay_readable() {
        let text =
            "keys = [\"env:OPENAI_API_KEY\", { name = \"trial\", key = \"file:/run/key\", models = [\"glm-*\"] }]";
        assert_eq!(shown(text), text);
        let text = "target_first_token = \"2\"\ntimeouts = { first_token = \"1x\" }\nquirks = [{ keep = \"seed\" }]\n[prices]\nkeep = \"dir\"";
        assert_eq!(shown(text), text);
        let text = "models = [\"task-master\"]\nmax_tokens = \"5\"\n[upstreams.monkey]\nprovider = \"zhipu\"";
        assert_eq!(shown(text), text);
    }
}
