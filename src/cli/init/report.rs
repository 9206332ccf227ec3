//! What is said when it is done: what was written, what was not taken over, and what comes next. No key is ever in it.

use std::path::Path;

use crate::policy::Diagnostic;

use super::draft::{Draft, Key, printable};
use super::layout::Layout;
use super::remarks::listed;
use super::texts::{KEYS, POLICY, Proof, Serving, Texts};
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

/// What was made, and what loading it has shown.
pub(super) struct Made<'a> {
    pub(super) draft: &'a Draft,
    pub(super) layout: &'a Layout,
    pub(super) texts: &'a Texts,
    pub(super) proof: &'a Proof,
}

/// The whole report, for standard error.
pub(super) fn report(made: &Made<'_>, output: &Path, env: &dyn Fn(&str) -> Option<String>) -> String {
    let Made { draft, layout, texts, proof } = *made;
    let mut text = remarks(draft);
    if !text.is_empty() {
        text.push('\n');
    }
    text += &if output == Path::new("-") { printed(draft, texts) } else { written(layout, texts, output) };
    text += &missing(draft, layout, env);
    text += &warnings(&proof.warnings);
    text += &match proof.serves {
        Serving::Something => next(layout, output),
        Serving::Nothing => nothing_yet(layout, output),
    };
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
    match absent(draft) {
        Absent::Nobody => {}
        Absent::All => {
            text += "the file has no keys (the server's API leaves them out): put each into the variable that stands \
                     for it\n";
        }
        Absent::Some(names) => {
            put!(
                text,
                "no key stands in the file for {}: put each into the variable that stands for it",
                listed(&names)
            );
        }
    }
    let unset = layout.variables.iter().filter(|name| env(name).is_none_or(|value| value.trim().is_empty()));
    let unset = unset.map(String::as_str).collect::<Vec<_>>();
    if !unset.is_empty() {
        put!(text, "not set yet, and needed before it starts: {}", listed(&unset));
    }
    text
}

/// Whose keys do not stand in the file.
enum Absent<'d> {
    Nobody,
    /// Those of all that need one.
    All,
    /// These ones'.
    Some(Vec<&'d str>),
}

fn absent(draft: &Draft) -> Absent<'_> {
    let is_absent = |key: &Key| matches!(key, Key::Absent(..));
    if !keys(draft).any(is_absent) {
        return Absent::Nobody;
    }
    if keys(draft).all(|key| is_absent(key) || *key == Key::None) {
        return Absent::All;
    }
    let lacking = draft.deployments.iter().filter(|one| is_absent(&one.key));
    let mut names = lacking.filter_map(|one| one.label.as_deref()).collect::<Vec<_>>();
    // Those of one channel follow each other.
    names.dedup();
    Absent::Some(names)
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
        let routes = Some(layout.routes.len()).filter(|routes| *routes > 0);
        let routes = routes.map(|routes| format!(" ({})", count(routes, "route"))).unwrap_or_default();
        put!(text, "wrote {}{routes}", beside(POLICY));
    }
    if !layout.files.is_empty() {
        let (keys, folder) = (count(layout.files.len(), "key"), beside(KEYS));
        put!(
            text,
            "wrote {folder}/ ({keys} that stood in the file; only you can read them, keep them out of version control)"
        );
    }
    text
}

/// What `check` will say, the first few.
fn warnings(all: &[Diagnostic]) -> String {
    const SHOWN: usize = 10;
    let mut text = String::new();
    if !all.is_empty() {
        text += "\n`faregate check` warns:\n";
    }
    for one in all.iter().take(SHOWN) {
        let place = one.location.as_ref().map(|at| format!("{}:{}: ", at.file, at.line)).unwrap_or_default();
        let hint = one.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        put!(text, "  * {place}{}{hint}", one.message);
    }
    if all.len() > SHOWN {
        put!(text, "  and {} more", all.len() - SHOWN);
    }
    text
}

/// Instead of what comes next: nothing can be asked of it.
fn nothing_yet(layout: &Layout, output: &Path) -> String {
    let names = layout.upstreams.iter().map(|one| one.name.as_str()).collect::<Vec<_>>();
    let example = names.first().copied().unwrap_or("NAME");
    format!(
        "\nit serves NOTHING yet: no model is known of {}, and every request would be refused\n\
         write the models that you use into {}, as many as you like:\n  \
         [upstreams.{example}.models.\"the name that is sent there\"]\n  \
         price = {{ input = \"… USD\", output = \"… USD\" }}  # per million tokens\n\
         then `faregate check {} --resolve` shows what it serves\n",
        listed(&names),
        file(output).display(),
        file(output).display(),
    )
}

fn file(output: &Path) -> &Path {
    if output == Path::new("-") { Path::new("faregate.toml") } else { output }
}

fn next(layout: &Layout, output: &Path) -> String {
    let file = file(output).display();
    let key = layout
        .tenants
        .first()
        .map_or_else(|| "\"unused\"".to_owned(), |(name, _)| format!("the key of the tenant `{name}`"));
    format!(
        "\nnext:\n  faregate check {file} --resolve\n  faregate serve -c {file}\n\
         and two lines change in the application:\n  base_url = \"http://127.0.0.1:3273/v1\"\n  api_key  = {key}\n"
    )
}
