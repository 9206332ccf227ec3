//! Secrets: from where they are said to be to what they are. No message here ever holds one.

use secrecy::ExposeSecret;

use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::Secret;
use crate::policy::raw::keys::KeySource;
use crate::policy::source::At;

use super::Context;

/// The secret that `source` stands for.
pub(super) fn resolve(source: &At<KeySource>, context: &Context<'_>) -> Option<Secret> {
    let text = read(source, context)?;
    let text = text.trim();
    let what = describe(&source.value);
    let refuse = |message: String, hint: &str| {
        context.report.push(Diagnostic::error(&source.place, message).hint(hint));
    };
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

fn read(source: &At<KeySource>, context: &Context<'_>) -> Option<String> {
    let refuse = |message: String, hint: &str| {
        context.report.push(Diagnostic::error(&source.place, message).hint(hint));
    };
    match &source.value {
        KeySource::Env(name) => {
            let text = context.inputs.variable(name);
            if text.is_none() {
                refuse(
                    format!("the variable `{name}` is not set"),
                    "set it in the environment of the process, or take out who needs it",
                );
            }
            text
        }
        KeySource::File(path) => {
            let missing =
                |error| refuse(format!("`{path}` cannot be read: {error}"), "paths are relative to this file");
            context.inputs.read(&context.folder.join(path)).map_err(missing).ok()
        }
        KeySource::Literal(secret) => {
            let hint = "write \"env:NAME\" or \"file:PATH\", and keep secrets out of configuration files";
            context.report.push(Diagnostic::warning(&source.place, "a secret stands in this file").hint(hint));
            Some(secret.0.expose_secret().to_owned())
        }
    }
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
