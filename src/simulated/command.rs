//! `faregate mock-provider`: a simulated provider in a process of its own, for tests with real SDKs. Prints where it
//! listens, in one line, and serves until it is killed.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use crate::engine::Price;
use crate::simulated::{Lognormal, ParseFaultError, Profile, Provider, Quota, Schedule, Spell, parse_duration};
use crate::units::{PricePerMtok, Tokens, round_to_u64};

/// What the provider is like.
#[derive(Args, Clone, Debug)]
pub struct MockArgs {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Its name, which is part of the ids of its answers.
    #[arg(long, default_value = "mock")]
    pub name: String,
    /// The models it serves.
    #[arg(long, value_delimiter = ',', default_value = "mock-model")]
    pub models: Vec<String>,
    /// The key that clients must present; any will do if this is not given.
    #[arg(long)]
    pub key: Option<String>,
    /// The median time to the first token.
    #[arg(long, default_value = "50ms", value_parser = duration)]
    pub first_token: Duration,
    /// The time from one token to the next.
    #[arg(long, default_value = "2ms", value_parser = duration)]
    pub per_token: Duration,
    /// The sigma of the logarithm of all times and lengths; 0 makes them all equal.
    #[arg(long, default_value_t = 0.0)]
    pub spread: f64,
    /// The median length of an answer, in tokens.
    #[arg(long, default_value_t = 40)]
    pub output_tokens: u64,
    /// The price of a million input tokens, in dollars.
    #[arg(long, default_value_t = 1.0)]
    pub input_price: f64,
    /// The price of a million output tokens, in dollars.
    #[arg(long, default_value_t = 4.0)]
    pub output_price: f64,
    /// Requests a minute.
    #[arg(long)]
    pub rpm: Option<u64>,
    /// Tokens a minute.
    #[arg(long)]
    pub tpm: Option<u64>,
    /// Requests at a time.
    #[arg(long)]
    pub concurrency: Option<u64>,
    /// A fault, as `NAME[:VALUE][%PROBABILITY][@FROM-UNTIL]`, such as `status:503%0.1@10s-20s`; may be given repeatedly.
    #[arg(long = "fault", value_name = "FAULT", value_parser = spell)]
    pub faults: Vec<Spell>,
    /// What all randomness follows from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// Serves until the future is dropped; `out` gets the one line.
pub async fn run_command(args: MockArgs, out: &mut impl Write) -> io::Result<()> {
    let listen = args.listen;
    let seed = args.seed;
    let schedule = Schedule { spells: args.faults.clone(), ..Schedule::default() };
    let provider = Provider::scheduled(args.into_profile(), schedule, seed);
    let listening = provider.listen(listen).await?;
    writeln!(out, "listening on {}", listening.addr)?;
    out.flush()?;
    std::future::pending().await
}

impl MockArgs {
    fn into_profile(self) -> Profile {
        let micro_dollars = |dollars: f64| PricePerMtok(round_to_u64(dollars * 1e6));
        let price = Price::new(micro_dollars(self.input_price), micro_dollars(self.output_price));
        let profile = Profile {
            name: self.name,
            first_token: Lognormal { median: self.first_token, sigma: self.spread },
            time_per_token: self.per_token,
            pace_sigma: self.spread,
            output_tokens: Lognormal { median: Tokens(self.output_tokens), sigma: self.spread },
            api_key: self.key,
            quota: Quota { rpm: self.rpm, tpm: self.tpm, concurrency: self.concurrency },
            ..Profile::default()
        };
        self.models.iter().fold(profile, |profile, model| profile.with_model(model, price.clone()))
    }
}

fn duration(text: &str) -> Result<Duration, ParseFaultError> {
    parse_duration(text)
}

fn spell(text: &str) -> Result<Spell, ParseFaultError> {
    text.parse()
}
