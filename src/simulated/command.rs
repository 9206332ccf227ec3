//! A simulated provider in a process of its own, for tests with real clients.

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;

use super::profile::{Fault, Length, Profile, Quota, SimModel, Spread};
use super::provider::Provider;
use crate::engine::Price;

/// What the provider is like.
#[derive(Debug, Args)]
pub struct MockArgs {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Its name.
    #[arg(long, default_value = "mock")]
    name: String,
    /// What it serves.
    #[arg(long, value_delimiter = ',', default_value = "model")]
    models: Vec<String>,
    /// The one key that it accepts; none accepts anything.
    #[arg(long)]
    key: Option<String>,
    /// Median wait for the first token, in milliseconds.
    #[arg(long, default_value_t = 20)]
    first_token_ms: u64,
    /// Wait for every further token, in milliseconds.
    #[arg(long, default_value_t = 2)]
    per_token_ms: u64,
    /// Tokens of an answer, unless the client wants fewer.
    #[arg(long, default_value_t = 20.0)]
    output_tokens: f64,
    /// Requests per minute that it allows.
    #[arg(long)]
    rpm: Option<u64>,
    /// Tokens per minute that it allows.
    #[arg(long)]
    tpm: Option<u64>,
    /// What goes wrong: refuse, hang, cut-first, error-first, error-in-200, garbage, status:CODE, cut-after:TOKENS,
    /// error-after:TOKENS, slow:FACTOR.
    #[arg(long)]
    fault: Option<String>,
    /// Repeats its draws.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Serves until the process is ended. Says where on standard output.
pub fn run(args: MockArgs) -> anyhow::Result<()> {
    let listen = args.listen;
    let fault = args.fault.as_deref().map(parse_fault).transpose()?;
    let seed = args.seed;
    let provider = Provider::new(profile(args), seed);
    provider.set_fault(fault);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    runtime.block_on(async {
        let listening = provider.listen(listen).await.with_context(|| format!("cannot listen on {listen}"))?;
        let mut stdout = std::io::stdout();
        writeln!(stdout, "listening on {}", listening.addr)?;
        stdout.flush()?;
        std::future::pending::<anyhow::Result<()>>().await
    })
}

fn profile(args: MockArgs) -> Profile {
    let limited = args.rpm.is_some() || args.tpm.is_some();
    Profile {
        name: args.name,
        models: args.models.into_iter().map(|id| SimModel { id, price: Price::default() }).collect(),
        first_token: Spread::exactly(Duration::from_millis(args.first_token_ms)),
        per_token: Spread::exactly(Duration::from_millis(args.per_token_ms)),
        output_tokens: Length { median: args.output_tokens, sigma: 0.0 },
        api_key: args.key,
        quota: limited.then_some(Quota { rpm: args.rpm, tpm: args.tpm, concurrency: None }),
        ..Profile::default()
    }
}

fn parse_fault(text: &str) -> anyhow::Result<Fault> {
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    Ok(match kind {
        "refuse" => Fault::Refuse,
        "hang" => Fault::HangBeforeHead,
        "cut-first" => Fault::CutBeforeContent,
        "error-first" => Fault::ErrorEventFirst,
        "error-in-200" => Fault::ErrorIn200,
        "garbage" => Fault::GarbageJson,
        "status" => {
            Fault::Status { status: value.parse().context("--fault status:CODE")?, body: None, retry_after: None }
        }
        "cut-after" => Fault::CutAfter { tokens: value.parse().context("--fault cut-after:TOKENS")? },
        "error-after" => Fault::ErrorEventAfter { tokens: value.parse().context("--fault error-after:TOKENS")? },
        "slow" => Fault::Slow { factor: value.parse().context("--fault slow:FACTOR")? },
        _ => bail!("unknown fault '{text}'; see --help"),
    })
}
