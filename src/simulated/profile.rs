//! What a simulated provider is like when nothing is wrong: what it sells, how fast it is, and what it allows.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::engine::Price;
use crate::simulated::Quota;
use crate::units::{PicoUsd, Share, Tokens, seconds};

/// A lognormal quantity: positive, skewed to the right, as delays and lengths are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lognormal<T> {
    /// Half of the draws are below this.
    pub median: T,
    /// The standard deviation of the logarithm; 0 gives the median each time.
    pub sigma: f64,
}

impl<T> Lognormal<T> {
    /// Always `value`.
    pub const fn fixed(value: T) -> Self {
        Self { median: value, sigma: 0.0 }
    }
}

impl Lognormal<Duration> {
    /// A random delay.
    pub fn draw(&self, rng: &mut impl Rng) -> Duration {
        seconds(self.median.as_secs_f64() * lognormal_factor(self.sigma, rng))
    }
}

impl Lognormal<Tokens> {
    /// A random length of at least one token.
    pub fn draw(&self, rng: &mut impl Rng) -> Tokens {
        Tokens::from_estimate(self.median.as_f64() * lognormal_factor(self.sigma, rng)).max(Tokens(1))
    }
}

/// A model on sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimModel {
    /// Its name.
    pub id: String,
    /// What the provider bills for it, by its own books.
    pub price: Price,
}

/// What a simulated provider is like.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// Its name: in ids of requests and answers, so that a test can see who answered.
    pub name: String,
    /// What it sells; any other model is unknown to it.
    pub models: Vec<SimModel>,
    /// From the request to the first token, on an idle provider and an empty prompt.
    pub first_token: Lognormal<Duration>,
    /// Added to the first token's delay for each prompt token.
    pub per_prompt_token: Duration,
    /// Added to the first token's delay for each other request in flight.
    pub per_request_in_flight: Duration,
    /// From one token to the next.
    pub time_per_token: Duration,
    /// How unequal answers are in that: the sigma of a lognormal factor, drawn once an answer.
    pub pace_sigma: f64,
    /// How long answers are, if nothing cuts them short.
    pub output_tokens: Lognormal<Tokens>,
    /// The share of each prompt that is said to have come from the prompt cache.
    pub cached: Share,
    /// The key that clients must present.
    pub api_key: Option<String>,
    /// What is refused with 429.
    pub quota: Quota,
    /// What its client has paid in advance; when that is spent, requests are refused with 402.
    pub wallet: Option<PicoUsd>,
}

impl Default for Profile {
    /// Fast, free, unlimited and without models: 50 ms to the first token, 2 ms a token, 20 tokens, no randomness.
    fn default() -> Self {
        Self {
            name: "sim".to_owned(),
            models: Vec::new(),
            first_token: Lognormal::fixed(Duration::from_millis(50)),
            per_prompt_token: Duration::ZERO,
            per_request_in_flight: Duration::ZERO,
            time_per_token: Duration::from_millis(2),
            pace_sigma: 0.0,
            output_tokens: Lognormal::fixed(Tokens(20)),
            cached: Share(0.0),
            api_key: None,
            quota: Quota::default(),
            wallet: None,
        }
    }
}

impl Profile {
    /// The default profile under a name of its own.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same, selling one more model.
    #[must_use]
    pub fn with_model(mut self, id: &str, price: Price) -> Self {
        self.models.push(SimModel { id: id.to_owned(), price });
        self
    }
}

/// A draw from a lognormal distribution with median 1. A sigma of 0 uses no randomness, so that profiles without
/// spread stay in step whatever else they draw.
pub(super) fn lognormal_factor(sigma: f64, rng: &mut impl Rng) -> f64 {
    if sigma > 0.0 { (sigma * standard_normal(rng)).exp() } else { 1.0 }
}

/// By Box and Muller; `1 - u` keeps the logarithm's argument above zero.
fn standard_normal(rng: &mut impl Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::seeded;

    #[test]
    fn half_of_the_draws_are_below_the_median_and_their_logarithm_spreads_by_sigma() {
        let length = Lognormal { median: Duration::from_secs(1), sigma: 0.5 };
        let mut rng = seeded(7);
        let logs: Vec<f64> = (0..4_000).map(|_| length.draw(&mut rng).as_secs_f64().ln()).collect();

        let below = logs.iter().filter(|log| **log < 0.0).count();
        let variance = logs.iter().map(|log| log * log).sum::<f64>() / 4_000.0;

        assert!((1_900..2_100).contains(&below), "{below} of 4000 below the median");
        assert!((variance.sqrt() - 0.5).abs() < 0.03, "sigma {}", variance.sqrt());
    }

    #[test]
    fn without_spread_every_draw_is_the_median_and_no_randomness_is_used() {
        let (mut used, mut untouched) = (seeded(1), seeded(1));
        assert_eq!(Lognormal::fixed(Tokens(9)).draw(&mut used), Tokens(9));
        assert_eq!(used.random::<u64>(), untouched.random::<u64>());
    }
}
