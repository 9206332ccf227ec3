//! A simulated provider as a process: one line on standard output says where it listens, and then it serves until it
//! is killed. What it has counted is at `GET /stats`.

use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;

use super::{Fault, Length, Profile, Provider, Quota, SimModel, Spread};

/// How a simulated provider behaves.
#[derive(clap::Args, Debug)]
pub struct MockArgs {
    /// The address to listen on; port 0: one that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// What it calls itself
    #[arg(long, default_value = "simulated")]
    pub name: String,
    /// The models it offers
    #[arg(long, value_name = "ID,ID", value_delimiter = ',', default_value = "sim-1")]
    pub models: Vec<String>,
    /// The API key it wants; none: any
    #[arg(long)]
    pub key: Option<String>,
    /// The time to the first token, such as 50ms or 1.5s
    #[arg(long, value_name = "TIME", default_value = "50ms", value_parser = time)]
    pub first_token: Duration,
    /// The time between two tokens
    #[arg(long, value_name = "TIME", default_value = "2ms", value_parser = time)]
    pub per_token: Duration,
    /// How many tokens an answer has
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub output_tokens: u32,
    /// Requests per minute
    #[arg(long, value_name = "N")]
    pub rpm: Option<u64>,
    /// Tokens per minute
    #[arg(long, value_name = "N")]
    pub tpm: Option<u64>,
    /// What goes wrong with every request: refuse, status:CODE, slow:FACTOR, hang, hang-before-token, cut, cut-after:N,
    /// error-first, error-after:N, error-in-200, garbage or keep-alives:N:MILLISECONDS
    #[arg(long, value_name = "KIND")]
    pub fault: Option<Fault>,
    /// What all draws are seeded with
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Why a time cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a time such as 50ms or 1.5s, not {0:?}")]
struct TimeError(String);

/// Serves until the process is killed.
pub fn run_command(args: MockArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("no async runtime")?;
    runtime.block_on(serve(args))
}

async fn serve(args: MockArgs) -> anyhow::Result<()> {
    let (addr, fault, seed) = (args.listen, args.fault.clone(), args.seed);
    let provider = Provider::new(profile(args), seed);
    provider.set_fault(fault);
    let listening = provider.listen(addr).await.with_context(|| format!("cannot listen on {addr}"))?;
    announce(listening.addr).context("cannot say where it listens")?;
    std::future::pending().await
}

/// One line, flushed: a script that waits for it may read a pipe.
fn announce(addr: SocketAddr) -> std::io::Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "listening on {addr}")?;
    out.flush()
}

fn profile(args: MockArgs) -> Profile {
    let usual = Profile::default();
    let price = usual.models.into_iter().next().unwrap_or_default().price;
    let limited = args.rpm.is_some() || args.tpm.is_some();
    Profile {
        name: args.name,
        models: args.models.into_iter().map(|id| SimModel { id, price: price.clone() }).collect(),
        first_token: Spread { median: args.first_token, sigma: 0.0 },
        per_token: Spread { median: args.per_token, sigma: 0.0 },
        output_tokens: Length { median: f64::from(args.output_tokens), sigma: 0.0 },
        api_key: args.key,
        quota: limited.then_some(Quota { rpm: args.rpm, tpm: args.tpm, concurrency: None }),
        per_prompt_token: usual.per_prompt_token,
        load: usual.load,
    }
}

fn time(text: &str) -> Result<Duration, TimeError> {
    let error = || TimeError(text.to_owned());
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').ok_or_else(error)?, 1.0),
    };
    let number: f64 = number.parse().map_err(|_| error())?;
    Duration::try_from_secs_f64(number * unit).map_err(|_| error())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: MockArgs,
    }

    #[test]
    fn the_command_line_makes_a_profile() {
        let line = Line::try_parse_from(["mock", "--models", "a,b", "--first-token", "1.5s", "--rpm", "3"]).unwrap();
        let profile = profile(line.args);
        assert_eq!(profile.models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(profile.first_token.median, Duration::from_millis(1_500));
        assert_eq!(profile.quota, Some(Quota { rpm: Some(3), tpm: None, concurrency: None }));
    }

    #[test]
    fn a_time_without_a_unit_is_refused() {
        assert_eq!(time("50"), Err(TimeError("50".to_owned())));
        assert_eq!(time("-1s"), Err(TimeError("-1s".to_owned())));
        assert_eq!(time("2ms"), Ok(Duration::from_millis(2)));
    }

    #[test]
    fn a_fault_is_read_from_the_command_line() {
        let line = Line::try_parse_from(["mock", "--fault", "cut-after:5"]).unwrap();
        assert_eq!(line.args.fault, Some(Fault::CutAfter { tokens: 5 }));
        assert!(Line::try_parse_from(["mock", "--fault", "explode"]).is_err());
    }
}
