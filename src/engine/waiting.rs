//! Streams that wait for their first token: silence is evidence before any clock has run out.
//!
//! An endpoint that has slowed down tenfold says nothing for a while, and each request that is sent to it meanwhile
//! will wait as long. Answers come roughly in the order of requests, so that the oldest that still waits was sent after
//! the one that was answered last: two numbers tell how long the silence is, and no list is kept.

use super::features::Mode;
use super::latency::LatencyReading;
use crate::units::Timestamp;

/// What has taken so long will take about as long again.
const MORE_TO_COME: f64 = 2.0;

/// Streams that have no token yet.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Waiting {
    count: u32,
    /// When the oldest of them was sent, or earlier.
    since: Timestamp,
}

impl Waiting {
    /// A call went out. A plain answer is silent until it is whole, which says nothing.
    pub(super) fn sent(&mut self, mode: Mode, now: Timestamp) {
        match mode {
            Mode::Stream => {
                if self.count == 0 {
                    self.since = now;
                }
                self.count += 1;
            }
            Mode::Plain | Mode::Embedding => {}
        }
    }

    /// The one that was sent then has its token, or will have none.
    pub(super) fn over(&mut self, mode: Mode, sent: Timestamp) {
        match mode {
            Mode::Stream => {
                self.count = self.count.saturating_sub(1);
                self.since = self.since.max(sent);
            }
            Mode::Plain | Mode::Embedding => {}
        }
    }

    /// `reading` with what the silence says: those that are overdue count as samples that take at least this long.
    pub(super) fn seen_in(self, reading: LatencyReading, now: Timestamp) -> LatencyReading {
        let age = now.since(self.since).as_secs_f64();
        if self.count == 0 || age <= reading.mean || reading.weight <= 0.0 {
            return reading;
        }
        let overdue = f64::from(self.count) * (1.0 - reading.mean / age);
        let mean = (reading.weight * reading.mean + overdue * MORE_TO_COME * age) / (reading.weight + overdue);
        LatencyReading { mean, ..reading }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::START + Duration::from_secs_f64(seconds)
    }

    fn known() -> LatencyReading {
        LatencyReading { weight: 16.0, mean: 0.5, ..LatencyReading::default() }
    }

    #[test]
    fn one_that_takes_its_time_is_no_news_and_many_are() {
        let mut waiting = Waiting::default();
        waiting.sent(Mode::Stream, at(0.0));
        assert!(waiting.seen_in(known(), at(2.0)).mean < 0.7);
        for step in 0..30 {
            waiting.sent(Mode::Stream, at(0.05 * f64::from(step)));
        }
        assert!(waiting.seen_in(known(), at(2.0)).mean > 1.2);
    }

    #[test]
    fn answers_that_keep_coming_are_no_silence() {
        let mut waiting = Waiting::default();
        for step in 0..40 {
            let now = 0.1 * f64::from(step);
            waiting.sent(Mode::Stream, at(now));
            if step >= 5 {
                waiting.over(Mode::Stream, at(now - 0.5));
            }
        }
        assert!((waiting.seen_in(known(), at(4.0)).mean - 0.5).abs() < 0.05);
    }

    #[test]
    fn plain_answers_are_silent_by_nature() {
        let mut waiting = Waiting::default();
        waiting.sent(Mode::Plain, at(0.0));
        assert!((waiting.seen_in(known(), at(60.0)).mean - 0.5).abs() < 1e-9);
    }
}
