//! What the clients saw, added up.

use std::collections::BTreeMap;

use crate::cli::demo::client::{Failure, Seen};
use crate::cli::demo::latency::Latencies;

/// What the clients saw, all requests together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// Attempts beyond the first.
    pub(super) failovers: u64,
    pub(super) first_token: Latencies,
    /// How many failed, by reason.
    pub(super) failures: BTreeMap<Failure, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, seen: Seen) {
        self.requests += 1;
        self.failovers += seen.attempts.saturating_sub(1);
        match (seen.failure, seen.first_token) {
            (Some(failure), _) => *self.failures.entry(failure).or_default() += 1,
            (None, Some(time)) => self.first_token.add(time),
            (None, None) => {}
        }
    }

    pub(super) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn attempts_beyond_the_first_are_failovers_and_failures_are_kept_by_reason() {
        let seen = |attempts, failure| Seen { first_token: Some(Duration::from_millis(5)), attempts, failure };
        let mut tally = Tally::default();
        for (attempts, failure) in [(1, None), (3, None), (0, Some(Failure::Status(503))), (2, Some(Failure::NoAnswer))]
        {
            tally.add(seen(attempts, failure));
        }
        assert_eq!((tally.requests, tally.failovers, tally.failed()), (4, 3, 2));
        assert_eq!(tally.failures[&Failure::Status(503)], 1);
        assert_eq!(tally.first_token.mean(), Some(Duration::from_millis(5)), "of answers only");
    }
}
