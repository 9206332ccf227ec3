//! What a simulated provider is like, and what can go wrong with it.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::engine::Price;
use crate::units::{Tokens, seconds};

/// What a provider is like.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name, for people.
    pub name: String,
    /// What it serves.
    pub models: Vec<SimModel>,
    /// The wait for the first token, load and prompt aside.
    pub first_token: Spread,
    /// Added to the first token's wait per prompt token.
    pub per_prompt_token: Duration,
    /// Added to the first token's wait per request in flight.
    pub load: Duration,
    /// The wait for every further token.
    pub per_token: Spread,
    /// How long answers are.
    pub output_tokens: Length,
    /// The one key that is accepted; `None` accepts anything.
    pub api_key: Option<String>,
    /// What is allowed.
    pub quota: Option<Quota>,
}

impl Default for Profile {
    /// Serves `model` at once, ten tokens at a time, for nothing.
    fn default() -> Self {
        Self {
            name: "simulated".to_owned(),
            models: vec![SimModel { id: "model".to_owned(), price: Price::default() }],
            first_token: Spread::exactly(Duration::ZERO),
            per_prompt_token: Duration::ZERO,
            load: Duration::ZERO,
            per_token: Spread::exactly(Duration::ZERO),
            output_tokens: Length { median: 10.0, sigma: 0.0 },
            api_key: None,
            quota: None,
        }
    }
}

/// A model of a simulated provider.
#[derive(Clone, Debug)]
pub struct SimModel {
    /// Its name.
    pub id: String,
    /// What the provider bills for it.
    pub price: Price,
}

/// A lognormal delay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Half of the delays are shorter.
    pub median: Duration,
    /// Standard deviation of the logarithm; 0 for a constant.
    pub sigma: f64,
}

impl Spread {
    /// Always the same delay.
    pub const fn exactly(median: Duration) -> Self {
        Self { median, sigma: 0.0 }
    }

    /// Draws a delay.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        seconds(self.median.as_secs_f64() * factor(self.sigma, rng))
    }

    /// The expected delay.
    pub fn mean(&self) -> Duration {
        seconds(self.median.as_secs_f64() * (self.sigma * self.sigma / 2.0).exp())
    }
}

/// A lognormal number of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Length {
    /// Half of the answers are shorter.
    pub median: f64,
    /// Standard deviation of the logarithm; 0 for a constant.
    pub sigma: f64,
}

impl Length {
    /// Draws a length of at least one token.
    pub fn draw(&self, rng: &mut impl Rng) -> Tokens {
        Tokens::from_estimate(self.median * factor(self.sigma, rng)).max(Tokens(1))
    }
}

/// exp(sigma × a standard normal draw), by Box and Muller.
fn factor(sigma: f64, rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    let angle = std::f64::consts::TAU * rng.random::<f64>();
    (sigma * radius * angle.cos()).exp()
}

/// What a provider allows, over sliding windows of a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests per minute.
    pub rpm: Option<u64>,
    /// Tokens per minute; a request counts with its prompt and the output it asks for.
    pub tpm: Option<u64>,
    /// Requests at a time.
    pub concurrency: Option<u32>,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Connections are dropped as soon as they are made.
    Refuse,
    /// Every request gets this status.
    Status {
        /// The status.
        status: u16,
        /// The body; an OpenAI-shaped error by default.
        body: Option<String>,
        /// A `Retry-After` header.
        retry_after: Option<Duration>,
    },
    /// Everything takes this many times as long.
    Slow {
        /// How many.
        factor: f64,
    },
    /// Nothing ever comes.
    HangBeforeHead,
    /// Nothing comes after the reply's head.
    HangBeforeFirstToken,
    /// The connection breaks after the reply's head.
    CutBeforeContent,
    /// The connection breaks after this many tokens.
    CutAfter {
        /// How many.
        tokens: usize,
    },
    /// A stream begins with an error event.
    ErrorEventFirst,
    /// An error event comes after this many tokens.
    ErrorEventAfter {
        /// How many.
        tokens: usize,
    },
    /// The reply is a 200 with an error in it.
    ErrorIn200,
    /// The reply is a 200 with half a JSON document in it.
    GarbageJson,
    /// A stream begins with comments.
    KeepAlives {
        /// How many.
        count: usize,
        /// The wait before each.
        every: Duration,
    },
}
