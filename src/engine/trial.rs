//! How often an endpoint that seems worse is tried, for it may be better by now.
//!
//! What is not used is not heard of. A slow spell ends, a circuit can close, and nobody would know: so it is asked now
//! and then, as often as it pays. If spells end at a rate `h`, trying costs `c` more each time and a recovery would save
//! `g` dollars a second, then asking every `d` seconds costs `c/d` for trials and `h g d/2` for noticing late, which is
//! least at `d = sqrt(2c / (h g))`. No coin is tossed, and nothing is tried that could not save anything.

use std::time::Duration;

use crate::units::{Timestamp, seconds};

/// Spells that end in a second.
const HAZARD: f64 = 0.05;
/// Never more often than this, in seconds …
const SOONEST: f64 = 0.25;
/// … and a pace slower than this is no trial but a rumour.
const LATEST: f64 = 600.0;

/// How often to try, and with which requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    pub(super) pace: Duration,
    /// What to try.
    pub(super) offer: Offer,
}

/// A request that makes a cheap trial.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Offer {
    /// Tokens at most, prompt and answer: short ones teach as much as long ones.
    pub(super) tokens: f64,
    /// Dollars that it is expected to cost more than at the best.
    pub(super) cost: f64,
}

/// What there is to gain and to lose by trying.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prospect {
    /// Dollars a second, if it were as it usually is.
    pub(super) gain: f64,
    /// Dollars that a request costs more there, as it seems, on average.
    pub(super) cost: f64,
    /// Tokens of a request, on average.
    pub(super) tokens: f64,
}

impl Trial {
    /// The pace that costs least, within a budget in dollars a second.
    pub(super) fn of(prospect: Prospect, budget: f64) -> Option<Self> {
        let Prospect { gain, cost, tokens } = prospect;
        if gain <= 0.0 || budget <= 0.0 {
            return None;
        }
        let best = (2.0 * cost.max(0.0) / (HAZARD * gain)).sqrt();
        let pace = best.max(cost / budget).max(SOONEST);
        (pace <= LATEST).then(|| Self { pace: seconds(pace), offer: Offer { tokens, cost } })
    }

    /// Whether it is time again.
    pub(super) fn is_due(&self, last_sent: Timestamp, now: Timestamp) -> bool {
        now >= last_sent + self.pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_save_anything_is_not_tried() {
        assert_eq!(Trial::of(Prospect { gain: 0.0, cost: 0.001, tokens: 1.0 }, 1.0), None);
        assert_eq!(Trial::of(Prospect { gain: 1.0, cost: 0.001, tokens: 1.0 }, 0.0), None);
    }

    #[test]
    fn dear_trials_are_rarer_and_great_savings_make_them_frequent() {
        let pace = |gain, cost| Trial::of(Prospect { gain, cost, tokens: 1.0 }, 1.0).unwrap().pace;
        assert!(pace(0.01, 0.004) > pace(0.01, 0.001));
        assert!(pace(0.02, 0.001) < pace(0.01, 0.001));
        assert_eq!(pace(0.01, 0.002), Duration::from_secs_f64(8.0_f64.sqrt()));
    }

    #[test]
    fn trials_keep_within_their_budget() {
        let trial = Trial::of(Prospect { gain: 1.0, cost: 0.01, tokens: 1.0 }, 0.001).unwrap();
        assert_eq!(trial.pace, Duration::from_secs(10));
    }
}
