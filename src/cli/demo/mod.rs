//! `faregate demo`: five simulated providers, the real daemon and traffic, in one process, without keys or network.
//!
//! Everything that is shown is measured from outside: the table from the daemon's admin plane, failures and times by
//! clients on its data plane, the bill from the providers' own books. Nothing of the router is simulated.

mod board;
mod client;
mod daemon;
mod files;
mod latency;
mod market;
mod replay;
mod screen;
mod stage;
mod summary;
mod tally;
mod traffic;

use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

pub use self::screen::Watched;
use self::stage::Stage;

/// What to show.
#[derive(Args, Clone, Debug)]
pub struct DemoArgs {
    /// How long the traffic lasts, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Requests a second.
    #[arg(long, default_value_t = 20.0, value_parser = rate)]
    pub rps: f64,
    /// What the traffic and the providers' chances follow from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// A policy file, or builtin:NAME; its routes are replaced by one over the simulated providers.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,
    /// Keep serving after the summary, until interrupted.
    #[arg(long)]
    pub hold: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate| (0.1..=1_000.0).contains(rate));
    rate.ok_or_else(|| "a rate is between 0.1 and 1000 requests a second".to_owned())
}

/// Runs the demonstration. Failures that clients see are shown, not returned: they are a result, not an error.
pub fn run(args: &DemoArgs, out: impl Write, watched: Watched) -> anyhow::Result<()> {
    let policy = policy(args.policy.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("starting a runtime")?;
    runtime.block_on(async {
        let stage = Stage::set(args, &policy, screen::Screen::new(out, watched)).await?;
        stage.perform().await
    })
}

fn policy(named: Option<&str>) -> anyhow::Result<String> {
    let Some(named) = named else { return Ok(files::OBJECTIVE.to_owned()) };
    match named.strip_prefix("builtin:") {
        Some(name) => daemon::builtin_policy(name)
            .map(ToOwned::to_owned)
            .with_context(|| format!("no policy is built in under the name {name:?}")),
        None => std::fs::read_to_string(named).with_context(|| format!("reading the policy {named}")),
    }
}

/// How long the demonstration's traffic lasts.
fn length(args: &DemoArgs) -> Duration {
    Duration::from_secs(args.seconds)
}
