//! Secrets: from where they are said to be to what they are. No message here ever holds one.

use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::Secret;
use crate::policy::raw::keys::KeySource;
use crate::policy::source::At;

use super::Context;

/// The secret that `source` stands for.
pub(super) fn resolve(source: &At<KeySource>, context: &Context<'_>) -> Option<Secret> {
    use secrecy::ExposeSecret;
    let refuse = |message: String, hint: &str| {
        context.report.push(Diagnostic::error(&source.place, message).hint(hint));
    };
    let text = match &source.value {
        KeySource::Env(name) => {
            let Some(text) = context.inputs.variable(name) else {
                refuse(format!("the variable `{name}` is not set"), "set it in the environment of the process");
                return None;
            };
            text
        }
        KeySource::File(path) => match context.inputs.read(&context.folder.join(path)) {
            Ok(text) => text,
            Err(error) => {
                refuse(format!("`{path}` cannot be read: {error}"), "paths are relative to this file");
                return None;
            }
        },
        KeySource::Literal(secret) => {
            let hint = "write \"env:NAME\" or \"file:PATH\", and keep secrets out of configuration files";
            context.report.push(Diagnostic::warning(&source.place, "a secret stands in this file").hint(hint));
            secret.0.expose_secret().to_owned()
        }
    };
    let text = text.trim();
    let what = describe(&source.value);
    if text.is_empty() {
        refuse(format!("{what} is empty"), "put the key there, or remove the entry");
        return None;
    }
    if !text.chars().all(|c| c.is_ascii_graphic()) {
        refuse(format!("{what} does not hold a key"), "a key is one line of visible ASCII characters without spaces");
        return None;
    }
    Some(Secret(text.to_owned().into()))
}

/// The name that a key has when it is given none: its variable's or its file's, never its secret.
pub(super) fn usual_name(source: &KeySource) -> Option<String> {
    match source {
        KeySource::Env(name) => Some(name.clone()),
        KeySource::File(path) => std::path::Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()),
        KeySource::Literal(_) => None,
    }
}

fn describe(source: &KeySource) -> String {
    match source {
        KeySource::Env(name) => format!("the variable `{name}`"),
        KeySource::File(path) => format!("`{path}`"),
        KeySource::Literal(_) => "this text".to_owned(),
    }
}
