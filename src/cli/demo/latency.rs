//! A handful of measured times, with the two figures that are told of them.

use std::time::Duration;

use crate::units::{count_to_f64, len_to_f64, round_to_u64};

/// Times, in any order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Latencies {
    times: Vec<Duration>,
}

impl Latencies {
    pub(super) fn add(&mut self, time: Duration) {
        self.times.push(time);
    }

    /// Their mean, if there are any.
    pub(super) fn mean(&self) -> Option<Duration> {
        let sum: Duration = self.times.iter().sum();
        (!self.times.is_empty()).then(|| sum.div_f64(len_to_f64(self.times.len())))
    }

    /// The time that 95 % of them do not exceed, if there are any.
    pub(super) fn p95(&self) -> Option<Duration> {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let rank = round_to_u64((0.95 * len_to_f64(sorted.len())).ceil());
        sorted.get(usize::try_from(rank).ok()?.checked_sub(1)?).copied()
    }
}

/// A time for a table: `350 ms`, or `-` if there is none.
pub(super) fn millis(time: Option<Duration>) -> String {
    let whole = |time: Duration| u64::try_from(time.as_millis()).map_or(f64::INFINITY, count_to_f64);
    time.map_or_else(|| "-".to_owned(), |time| format!("{:.0} ms", whole(time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_p95_of_twenty_times_is_the_nineteenth() {
        let mut times = Latencies::default();
        for millis in (1..=20).rev() {
            times.add(Duration::from_millis(millis));
        }
        assert_eq!(times.p95(), Some(Duration::from_millis(19)));
        assert_eq!(times.mean(), Some(Duration::from_micros(10_500)));
    }

    #[test]
    fn nothing_measured_has_no_figures() {
        assert_eq!((Latencies::default().mean(), Latencies::default().p95()), (None, None));
        assert_eq!(millis(None), "-");
        assert_eq!(millis(Some(Duration::from_micros(350_400))), "350 ms");
    }
}
