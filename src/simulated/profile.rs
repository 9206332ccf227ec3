//! How a simulated provider behaves when nothing is wrong with it: all of it is drawn, nothing of it is measured.
//!
//! Times and lengths are lognormal because real ones are: a median says what is usual, sigma how long the tail is. A
//! sigma of zero makes every draw the median, which is what a test wants.

use std::f64::consts::TAU;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::engine::Price;
use crate::units::{PricePerMtok, Tokens};

/// A provider: its models, its speed, its limits.
#[derive(Clone, Debug)]
pub struct Profile {
    /// What it calls itself: `owned_by` of its models, and the name in its logs.
    pub name: String,
    /// What it offers; a request for any other model is a 404.
    pub models: Vec<SimModel>,
    /// From the request to the first token, of an empty prompt at an idle provider.
    pub first_token: Spread,
    /// Added to the first token for each token of the prompt.
    pub per_prompt_token: Duration,
    /// Between two tokens.
    pub per_token: Spread,
    /// How many tokens an uncapped answer has.
    pub output_tokens: Length,
    /// Added to the first token for each other request in flight.
    pub load: Duration,
    /// The bearer token it wants; `None`: any, or none at all.
    pub api_key: Option<String>,
    /// What it allows per minute and at a time.
    pub quota: Option<Quota>,
}

/// A model on offer.
#[derive(Clone, Debug, Default)]
pub struct SimModel {
    /// The name in requests.
    pub id: String,
    /// What it charges.
    pub price: Price,
}

/// A lognormal time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Half of all draws are shorter.
    pub median: Duration,
    /// The standard deviation of the logarithm; 0: always the median.
    pub sigma: f64,
}

/// A lognormal number of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Length {
    /// Half of all draws are shorter.
    pub median: f64,
    /// The standard deviation of the logarithm; 0: always the median.
    pub sigma: f64,
}

/// What a provider allows; `None`: no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests in any 60 seconds.
    pub rpm: Option<u64>,
    /// Tokens in any 60 seconds.
    pub tpm: Option<u64>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
}

impl Default for Profile {
    fn default() -> Self {
        let price = Price { input: PricePerMtok(1_000_000), output: PricePerMtok(4_000_000), ..Price::default() };
        Self {
            name: "simulated".to_owned(),
            models: vec![SimModel { id: "sim-1".to_owned(), price }],
            first_token: Spread { median: Duration::from_millis(50), sigma: 0.0 },
            per_prompt_token: Duration::ZERO,
            per_token: Spread { median: Duration::from_millis(2), sigma: 0.0 },
            output_tokens: Length { median: 40.0, sigma: 0.0 },
            load: Duration::ZERO,
            api_key: None,
            quota: None,
        }
    }
}

impl SimModel {
    /// A model that charges nothing.
    pub fn free(id: impl Into<String>) -> Self {
        Self { id: id.into(), price: Price::default() }
    }
}

impl Spread {
    /// Always the same delay.
    pub const fn exactly(median: Duration) -> Self {
        Self { median, sigma: 0.0 }
    }

    /// One draw.
    pub fn draw(self, rng: &mut StdRng) -> Duration {
        let seconds = self.median.as_secs_f64() * lognormal(self.sigma, rng);
        // A tail beyond what a duration holds, or a sigma that is no number, is no reason to panic.
        Duration::try_from_secs_f64(seconds).unwrap_or(self.median)
    }
}

impl Length {
    /// One draw, at least one token: a provider that answers nothing is a fault, not a length.
    pub fn draw(self, rng: &mut StdRng) -> Tokens {
        Tokens::from_estimate(self.median * lognormal(self.sigma, rng)).max(Tokens(1))
    }
}

/// A factor with median 1.
fn lognormal(sigma: f64, rng: &mut StdRng) -> f64 {
    (sigma * standard_normal(rng)).exp()
}

/// Box–Muller. Always takes two numbers from the generator, so that one draw more or less never shifts the others.
fn standard_normal(rng: &mut impl Rng) -> f64 {
    // (0, 1] rather than [0, 1): the logarithm of zero is infinite.
    let radius = 1.0 - rng.random::<f64>();
    let angle = rng.random::<f64>();
    (-2.0 * radius.ln()).sqrt() * (TAU * angle).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::seeded;

    #[test]
    fn without_sigma_every_draw_is_the_median() {
        let spread = Spread { median: Duration::from_millis(50), sigma: 0.0 };
        assert_eq!(spread.draw(&mut seeded(1)), Duration::from_millis(50));
    }

    #[test]
    fn half_of_the_draws_are_below_the_median_and_the_mean_is_above_it() {
        let mut rng = seeded(7);
        let length = Length { median: 1_000.0, sigma: 0.5 };
        let draws: Vec<f64> = (0..4_000).map(|_| length.draw(&mut rng).as_f64()).collect();
        let below = draws.iter().filter(|draw| **draw < 1_000.0).count();
        assert!((1_900..2_100).contains(&below), "{below} below the median");
        // The mean of a lognormal is median * exp(sigma² / 2) = 1133.
        let mean = draws.iter().sum::<f64>() / 4_000.0;
        assert!((1_095.0..1_175.0).contains(&mean), "mean {mean}");
    }

    #[test]
    fn an_answer_has_at_least_one_token() {
        assert_eq!(Length { median: 0.0, sigma: 0.0 }.draw(&mut seeded(1)), Tokens(1));
    }
}
