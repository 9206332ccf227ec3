//! The catalogue of providers held against what is known of them: the real binary talks to strict simulated providers,
//! which refuse what the real ones refuse and answer in their shapes.
//!
//! `docs/providers.md` is the outcome; `FAREGATE_BLESS=1` writes it anew.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it needs by failing"
)]

#[path = "../support/daemon.rs"]
mod daemon;
#[path = "../support/files.rs"]
mod files;
#[path = "../support/tools.rs"]
mod tools;

mod answer;
mod asks;
mod billing;
mod checks;
mod client;
mod facts;
mod frames;
mod rule;
mod stage;
mod stream;
mod strict;
mod wire;

use std::thread;

use stage::Stage;

#[test]
fn every_provider_serves_as_the_catalogue_says() {
    let stage = Stage::new();
    let failures: Vec<String> = thread::scope(|scope| {
        let runs: Vec<_> =
            stage.providers.iter().map(|provider| scope.spawn(|| checks::all(&stage, provider))).collect();
        let found = runs.into_iter().map(|run| run.join().unwrap());
        let failed = |(column, outcome)| match outcome {
            checks::Outcome::Fails(why) => Some(format!("{column}: {why}")),
            checks::Outcome::Holds | checks::Outcome::Lacking => None,
        };
        found.flatten().filter_map(failed).collect()
    });
    let complaints: Vec<_> = stage.providers.iter().flat_map(|provider| provider.strict.complaints()).collect();
    assert!(
        failures.is_empty() && complaints.is_empty(),
        "{}\n{}\n{}",
        failures.join("\n"),
        complaints.join("\n"),
        stage.log()
    );
}
