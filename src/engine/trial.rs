//! How often an endpoint that seems worse is tried, for it may be better by now.
//!
//! What is not used is not heard of. A slow spell ends, a circuit can close, and nobody would know: so it is asked now
//! and then, as often as it pays. If spells end at a rate `h`, trying costs `c` more each time and a recovery would save
//! `g` dollars a second, then asking every `d` seconds costs `c/d` for trials and `h g d/2` for noticing late, which is
//! least at `d = sqrt(2c / (h g))`. No coin is tossed, and nothing is tried that could not save anything.

use std::time::Duration;

use super::demand::Sample;
use crate::units::{Timestamp, seconds};

/// Spells that end in a second.
const HAZARD: f64 = 0.05;
/// Never more often than this, in seconds …
const SOONEST: f64 = 0.25;
/// … and a pace slower than this is no trial but a rumour.
const LATEST: f64 = 600.0;

/// A request of this share of the mean length is short enough for a trial.
const SHORT: f64 = 0.6;
/// What an endpoint costs now is told by the requests of so long.
const RECENT: Duration = Duration::from_secs(5);

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

/// What there is to gain and to lose by trying, over the last requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prospect {
    /// Dollars that would have been saved, were it as it usually is.
    gain: f64,
    /// Dollars that may be spent on trying.
    budget: f64,
    /// A request of no more tokens makes a cheap trial.
    short: f64,
    /// When the last request came.
    newest: Timestamp,
    /// Dollars that short requests of late would have cost more there, and how many they are.
    extra: (f64, f64),
}

impl Prospect {
    /// Nothing seen yet of `samples`.
    pub(super) fn over<'a>(samples: impl Iterator<Item = &'a Sample>) -> Self {
        let (mut sum, mut count, mut newest) = (0.0, 0.0, Timestamp::START);
        for sample in samples {
            sum += sample.tokens();
            count += 1.0;
            newest = newest.max(sample.at);
        }
        Self { short: SHORT * sum / f64::max(count, 1.0), newest, ..Self::default() }
    }

    /// A request that cost `best` and would have cost this much there, as it usually is and as it seems now.
    pub(super) fn see(&mut self, sample: &Sample, best: f64, hopeful: f64, once: f64) {
        self.gain += sample.stands_for * (best - hopeful).max(0.0);
        self.budget += sample.stands_for * sample.exploration * best;
        if self.newest.since(sample.at) <= RECENT && sample.tokens() <= self.short {
            self.extra.0 += (once - best).max(0.0);
            self.extra.1 += 1.0;
        }
    }
}

impl Trial {
    /// The pace that costs least within the budget, where the requests came within `span` seconds.
    pub(super) fn of(prospect: Prospect, span: f64) -> Option<Self> {
        let Prospect { gain, budget, short, extra: (extra, count), .. } = prospect;
        if gain <= 0.0 || budget <= 0.0 || count <= 0.0 {
            return None;
        }
        let cost = extra / count;
        let best = (2.0 * cost / (HAZARD * gain / span)).sqrt();
        let pace = best.max(cost * span / budget).max(SOONEST);
        (pace <= LATEST).then(|| Self { pace: seconds(pace), offer: Offer { tokens: short, cost } })
    }

    /// Whether it is time again.
    pub(super) fn is_due(&self, last_sent: Timestamp, now: Timestamp) -> bool {
        now >= last_sent + self.pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prospect(gain: f64, cost: f64, budget: f64) -> Prospect {
        Prospect { gain, budget, short: 100.0, extra: (cost, 1.0), ..Prospect::default() }
    }

    #[test]
    fn what_cannot_save_anything_is_not_tried() {
        assert_eq!(Trial::of(prospect(0.0, 0.001, 1.0), 1.0), None);
        assert_eq!(Trial::of(prospect(1.0, 0.001, 0.0), 1.0), None);
    }

    #[test]
    fn dear_trials_are_rarer_and_great_savings_make_them_frequent() {
        let pace = |gain, cost| Trial::of(prospect(gain, cost, 1.0), 1.0).unwrap().pace;
        assert!(pace(0.01, 0.004) > pace(0.01, 0.001));
        assert!(pace(0.02, 0.001) < pace(0.01, 0.001));
        assert_eq!(pace(0.01, 0.002), Duration::from_secs_f64(8.0_f64.sqrt()));
    }

    #[test]
    fn trials_keep_within_their_budget() {
        let trial = Trial::of(prospect(1.0, 0.01, 0.001), 1.0).unwrap();
        assert_eq!(trial.pace, Duration::from_secs(10));
    }
}
