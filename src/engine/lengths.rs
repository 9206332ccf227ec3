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
const PRIOR_WEIGHT: f64 = 16.0;
/// Tokens of an answer of which nothing is known.
const PRIOR_OUTPUT: f64 = 150.0;

/// Decayed output lengths.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths {
    weight: f64,
    sum: f64,
    at: Timestamp,
}

/// What is known more generally.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Typical {
    /// The mean so far.
    mean: f64,
    /// The same, while it is young shrunk to a constant.
    expected: f64,
}

impl Typical {
    /// What to expect of one of whose answers `own` are known. Only how it differs is scaled by what is expected: one
    /// that has given all the answers so far differs from nobody, nor does a newcomer.
    pub(super) fn at(self, own: &Lengths) -> f64 {
        self.expected * own.shrunk_to(self.mean) / self.mean
    }
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

    /// What is typical of all of these.
    pub(super) fn typical(&self) -> Typical {
        let mean = if self.weight > 0.0 { (self.sum / self.weight).max(1.0) } else { PRIOR_OUTPUT };
        Typical { mean, expected: self.shrunk_to(PRIOR_OUTPUT) }
    }

    fn shrunk_to(&self, prior: f64) -> f64 {
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
        let expected = |lengths: &Lengths| lengths.typical().at(&Lengths::default());
        let mut lengths = Lengths::default();
        assert!((expected(&lengths) - PRIOR_OUTPUT).abs() < 1e-9);
        lengths.observe(Tokens(1_150), Timestamp::START);
        assert!((expected(&lengths) - 3_550.0 / 17.0).abs() < 1e-9);
        for _ in 0..200 {
            lengths.observe(Tokens(1_150), Timestamp::START);
        }
        assert!(expected(&lengths) > 1_000.0);
        let later = Timestamp::START + Duration::from_hours(3);
        assert!((expected(&lengths.read(later)) - PRIOR_OUTPUT).abs() < 1.0);
    }

    #[test]
    fn one_that_gave_all_the_answers_so_far_is_expected_to_be_as_brief_as_a_newcomer() {
        let mut own = Lengths::default();
        for _ in 0..20 {
            own.observe(Tokens(10), Timestamp::START);
        }
        let typical = own.typical();
        assert!((typical.at(&own) - typical.at(&Lengths::default())).abs() < 1e-9);
    }

    #[test]
    fn one_that_talks_more_than_others_is_expected_to() {
        let (mut all, mut own) = (Lengths::default(), Lengths::default());
        for _ in 0..50 {
            own.observe(Tokens(300), Timestamp::START);
            all.observe(Tokens(300), Timestamp::START);
            all.observe(Tokens(100), Timestamp::START);
        }
        assert!(all.typical().at(&own) > 250.0);
    }
}
