//! How long answers are: a decayed mean, shrunk to what is known more generally.
//!
//! An endpoint's few samples lean on its route's many, and a route's first ones on a constant; a mean that jumps with
//! the first answer would reorder endpoints by luck.

use super::latency::fade;
use crate::units::{Timestamp, Tokens};

/// Seconds in which a length fades to 1/e. Lengths follow the clients, who change slowly.
const MEMORY: f64 = 600.0;
const MAX_WEIGHT: f64 = 100.0;
/// What the more general mean counts as, in samples.
const PRIOR_WEIGHT: f64 = 4.0;
/// Tokens of an answer of which nothing is known.
pub(super) const PRIOR_OUTPUT: f64 = 150.0;

/// Decayed output lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths {
    weight: f64,
    sum: f64,
    at: Timestamp,
}

impl Lengths {
    /// One more answer.
    pub(super) fn observe(&mut self, output: Tokens, now: Timestamp) {
        let room = if self.weight > MAX_WEIGHT - 1.0 { (MAX_WEIGHT - 1.0) / self.weight } else { 1.0 };
        self.scale(fade(now.since(self.at), MEMORY).min(room));
        self.at = self.at.max(now);
        self.weight += 1.0;
        self.sum += output.as_f64();
    }

    /// As of `now`.
    pub(super) fn read(mut self, now: Timestamp) -> Self {
        self.scale(fade(now.since(self.at), MEMORY));
        self
    }

    /// The mean, shrunk to `prior`.
    pub(super) fn shrunk_to(&self, prior: f64) -> f64 {
        (self.sum + PRIOR_WEIGHT * prior) / (self.weight + PRIOR_WEIGHT)
    }

    fn scale(&mut self, share: f64) {
        self.weight *= share;
        self.sum *= share;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn few_lengths_lean_on_the_prior_and_many_do_not() {
        let mut lengths = Lengths::default();
        assert!((lengths.shrunk_to(PRIOR_OUTPUT) - PRIOR_OUTPUT).abs() < 1e-9);
        lengths.observe(Tokens(1_150), Timestamp::START);
        assert!((lengths.shrunk_to(PRIOR_OUTPUT) - 350.0).abs() < 1e-9);
        for _ in 0..200 {
            lengths.observe(Tokens(1_150), Timestamp::START);
        }
        assert!(lengths.shrunk_to(PRIOR_OUTPUT) > 1_100.0);
        let later = Timestamp::START + Duration::from_hours(3);
        assert!((lengths.read(later).shrunk_to(PRIOR_OUTPUT) - PRIOR_OUTPUT).abs() < 1.0);
    }
}
