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
#[path = "../support/sdks.rs"]
mod sdks;
#[path = "../support/tools.rs"]
mod tools;

mod answer;
mod asks;
mod billing;
mod checks;
mod client;
mod errors;
mod facts;
mod frames;
mod rule;
mod sdk;
mod stage;
mod stream;
mod strict;
mod table;
mod wire;

use std::thread;

use stage::Stage;

#[test]
fn every_provider_serves_as_the_catalogue_says() {
    let stage = Stage::new();
    let found: Vec<_> = thread::scope(|scope| {
        let stage = &stage;
        let run = |provider| (provider, scope.spawn(move || checks::all(stage, provider)));
        let runs: Vec<_> = stage.providers.iter().map(run).collect();
        runs.into_iter().map(|(provider, run)| (provider, run.join().unwrap())).collect()
    });
    let failed = |(column, outcome): &(&str, checks::Outcome)| match outcome {
        checks::Outcome::Fails(why) => Some(format!("{column}: {why}")),
        checks::Outcome::Holds | checks::Outcome::Lacking | checks::Outcome::Untold => None,
    };
    let mut failures: Vec<_> = found.iter().flat_map(|(_, outcomes)| outcomes).filter_map(failed).collect();
    failures.extend(stage.providers.iter().flat_map(|provider| provider.strict.complaints()));
    assert!(failures.is_empty(), "{}\n{}", failures.join("\n"), stage.log());
    table::hold(&found);
}
