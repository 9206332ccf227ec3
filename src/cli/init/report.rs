//! What is said when it is done: what was written, what was not taken over, and what comes next. No key is ever in it.

use std::path::Path;

use super::draft::{Draft, Key, printable};
use super::layout::Layout;
use super::remarks::listed;
use super::texts::Texts;
use super::toml_text::put;

/// What was not taken over, one per line.
pub(super) fn remarks(draft: &Draft) -> String {
    let lines = draft.remarks.lines();
    if lines.is_empty() {
        return String::new();
    }
    let lines = lines.iter().map(|remark| format!("  * {remark}\n"));
    format!("{}\n{}", draft.heading(), lines.collect::<String>())
}

/// The whole report, for standard error.
pub(super) fn report(
    draft: &Draft,
    layout: &Layout,
    texts: &Texts,
    output: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> String {
    let mut text = remarks(draft);
    if !text.is_empty() {
        text.push('\n');
    }
    text += &if output == Path::new("-") { printed(draft, texts) } else { written(layout, texts, output) };
    text += &missing(draft, layout, env);
    text += &next(layout, output);
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn printed(draft: &Draft, texts: &Texts) -> String {
    let mut text = String::new();
    if texts.policy.is_some() {
        text += "two files were printed: save the second part as policy.toml beside the first\n";
    }
    if keys(draft).any(|key| matches!(key, Key::Plain(_))) {
        text += "keys that stand in the imported file are not printed: put each into the variable that stands for it\n";
    }
    text
}

/// What has to be set before it can start.
fn missing(draft: &Draft, layout: &Layout, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    if keys(draft).any(|key| matches!(key, Key::Absent(_))) {
        text +=
            "the file has no keys (the server's API leaves them out): put each into the variable that stands for it\n";
    }
    let unset = layout.variables.iter().filter(|name| env(name).is_none_or(|value| value.trim().is_empty()));
    let unset = unset.map(String::as_str).collect::<Vec<_>>();
    if !unset.is_empty() {
        put!(text, "not set yet, and needed before it starts: {}", listed(&unset));
    }
    text
}

fn keys(draft: &Draft) -> impl Iterator<Item = &Key> {
    draft.deployments.iter().map(|one| &one.key).chain(draft.tenants.iter().map(|one| &one.key))
}

fn written(layout: &Layout, texts: &Texts, output: &Path) -> String {
    let mut text = String::new();
    let beside = |name: &str| output.with_file_name(name).display().to_string();
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    put!(text, "wrote {} ({})", output.display(), count(layout.upstreams.len(), "upstream"));
    if texts.policy.is_some() {
        put!(text, "wrote {} ({})", beside("policy.toml"), count(layout.routes.len(), "route"));
    }
    if !layout.files.is_empty() {
        let (keys, folder) = (count(layout.files.len(), "key"), beside("keys"));
        put!(
            text,
            "wrote {folder}/ ({keys} that stood in the file; only you can read them, keep them out of version control)"
        );
    }
    text
}

fn next(layout: &Layout, output: &Path) -> String {
    let file = if output == Path::new("-") { Path::new("faregate.toml") } else { output }.display();
    let key = layout
        .tenants
        .first()
        .map_or_else(|| "\"unused\"".to_owned(), |(name, _)| format!("the key of the tenant `{name}`"));
    format!(
        "\nnext:\n  faregate check {file} --resolve\n  faregate serve -c {file}\n\
         and two lines change in the application:\n  base_url = \"http://127.0.0.1:3273/v1\"\n  api_key  = {key}\n"
    )
}
