//! What the run has shown, as the page that is shipped.

use std::fmt::Write as _;
use std::fs;

use crate::checks::Outcome;
use crate::files::project;
use crate::stage::Provider;

const PAGE: &str = "docs/providers.md";
/// Columns in which nothing to try does not mean that there is nothing.
const CLAIMED: [&str; 2] = ["errors", "quota headers"];

const HEAD: &str = "# Providers

What is known to work with each provider of the catalogue. This page is written by a test (`cargo test --test providers`),
in which the daemon talks to a strict simulation of each provider: it takes the key, the path and the parameters that
the provider takes, refuses the others in the provider's words, and answers, streams, counts and fails in its shapes, as
its documentation and public reports have them. No real account is behind it.

* ✓: the test has passed, for every model of the catalogue that can do it; with *errors*, the number of different ones that
  were told apart
* unproved: so says the catalogue, and no test has shown it
* –: no model of the catalogue can do it
* sends none: by its documentation, or by what others saw; refusals show where its ceilings are

";

/// Holds the page against what was found; with `FAREGATE_BLESS=1` writes it.
pub(crate) fn hold(found: &[(&Provider, Vec<(&'static str, Outcome)>)]) {
    let page = page(found);
    let path = project(PAGE);
    if std::env::var_os("FAREGATE_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let shipped = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        shipped == page,
        "{PAGE} is not what was found: `FAREGATE_BLESS=1 cargo test --test providers` writes it anew"
    );
}

fn page(found: &[(&Provider, Vec<(&'static str, Outcome)>)]) -> String {
    let columns: Vec<_> =
        found.first().into_iter().flat_map(|(_, outcomes)| outcomes).map(|(column, _)| *column).collect();
    let mut text = format!("{HEAD}| provider | {} |\n|---|{}\n", columns.join(" | "), "---|".repeat(columns.len()));
    for (provider, outcomes) in found {
        let cells: Vec<_> = outcomes.iter().map(|(column, outcome)| cell(provider, column, outcome)).collect();
        writeln!(text, "| {} | {} |", provider.facts.name, cells.join(" | ")).unwrap();
    }
    text += "\nWhat nobody has confirmed of what the catalogue says (`faregate check` names it for those in use):\n\n";
    for (provider, _) in found {
        let unverified = provider.unverified();
        if !unverified.is_empty() {
            writeln!(text, "* {}: {}", provider.facts.name, unverified.join("; ")).unwrap();
        }
    }
    text
}

fn cell(provider: &Provider, column: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Holds if column == "errors" => format!("✓ {}", provider.facts.errors.len()),
        Outcome::Holds => "✓".to_owned(),
        Outcome::Fails(_) => "fails".to_owned(),
        Outcome::Untold => "sends none".to_owned(),
        Outcome::Lacking if CLAIMED.contains(&column) => "unproved".to_owned(),
        Outcome::Lacking => "–".to_owned(),
    }
}
