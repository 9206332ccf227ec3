//! How often an endpoint fails, before the first token and after it, and what a failure costs in time.
//!
//! The two are kept apart: before the first token another endpoint can answer instead, after it the client has seen
//! the break. A rate limit is no failure, or a busy quota would look like a broken endpoint.

use std::time::Duration;

use super::latency::{fade, room};
use crate::units::Timestamp;

/// Seconds in which an outcome fades to 1/e.
const MEMORY: f64 = 45.0;
/// The most outcomes that are believed at once.
const MAX_TRIES: f64 = 30.0;
/// A success rate of 99 %, worth five tries.
const PRIOR: (f64, f64) = (4.95, 5.0);
/// Answers without a cut that are assumed.
const PRIOR_UNCUT: f64 = 20.0;
/// Seconds that a failure is assumed to take.
const PRIOR_FAILURE_TIME: f64 = 0.3;

/// Decayed counts of how calls ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reliability {
    successes: f64,
    failures: f64,
    failure_time: f64,
    billed_failures: f64,
    cuts: f64,
    at: Timestamp,
}

/// The estimates at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReliabilityReading {
    /// The chance of a first token.
    pub(super) success: f64,
    /// The chance of a cut after it.
    pub(super) cut: f64,
    /// Mean seconds until a failure shows.
    pub(super) failure_time: f64,
    /// The share of failures whose prompt may have been billed.
    pub(super) billed: f64,
}

/// Whether a failed call may be on the bill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Billed {
    /// It may.
    Perhaps,
    /// It is not.
    No,
}

impl ReliabilityReading {
    /// With odds of a failure of one at most.
    pub(super) fn asked_once(self) -> Self {
        Self { success: self.success.max(0.5), ..self }
    }

    /// As if nothing had failed.
    pub(super) fn hopeful(self) -> Self {
        Self { success: self.success.max(PRIOR.0 / PRIOR.1), cut: 0.0, ..self }
    }
}

impl Reliability {
    /// A whole answer.
    pub(super) fn answered(&mut self, now: Timestamp) {
        self.fade_to(now);
        self.successes += 1.0;
    }

    /// An answer that broke off.
    pub(super) fn cut(&mut self, now: Timestamp) {
        self.fade_to(now);
        self.successes += 1.0;
        self.cuts += 1.0;
    }

    /// A failure before the first token.
    pub(super) fn failed(&mut self, after: Duration, billed: Billed, now: Timestamp) {
        self.fade_to(now);
        self.failures += 1.0;
        self.failure_time += after.as_secs_f64();
        self.billed_failures += match billed {
            Billed::Perhaps => 1.0,
            Billed::No => 0.0,
        };
    }

    /// The estimates as of `now`.
    pub(super) fn read(&self, now: Timestamp) -> ReliabilityReading {
        let mut faded = *self;
        faded.scale(fade(now.since(self.at), MEMORY));
        let tries = faded.successes + faded.failures;
        ReliabilityReading {
            success: (faded.successes + PRIOR.0) / (tries + PRIOR.1),
            cut: faded.cuts / (faded.successes + PRIOR_UNCUT),
            failure_time: (faded.failure_time + PRIOR_FAILURE_TIME) / (faded.failures + 1.0),
            billed: faded.billed_failures / (faded.failures + 1.0),
        }
    }

    fn fade_to(&mut self, now: Timestamp) {
        let tries = self.successes + self.failures;
        self.scale(fade(now.since(self.at), MEMORY).min(room(tries, MAX_TRIES)));
        self.at = self.at.max(now);
    }

    fn scale(&mut self, share: f64) {
        let Self { successes, failures, failure_time, billed_failures, cuts, at: _ } = self;
        for sum in [successes, failures, failure_time, billed_failures, cuts] {
            *sum *= share;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_lower_the_success_rate_and_time_restores_it() {
        let mut reliability = Reliability::default();
        for _ in 0..5 {
            reliability.failed(Duration::from_secs(2), Billed::Perhaps, Timestamp::START);
        }
        let (now, later) =
            (reliability.read(Timestamp::START), reliability.read(Timestamp::START + Duration::from_mins(5)));
        assert!(now.success < 0.5 && later.success > 0.98, "{now:?} {later:?}");
        assert!(now.failure_time > 1.5, "{now:?}");
    }

    #[test]
    fn a_cut_is_no_failure_to_begin() {
        let mut reliability = Reliability::default();
        for _ in 0..10 {
            reliability.cut(Timestamp::START);
        }
        let reading = reliability.read(Timestamp::START);
        assert!(reading.success > 0.99, "{reading:?}");
        assert!((reading.cut - 10.0 / 30.0).abs() < 1e-9, "{reading:?}");
    }
}
