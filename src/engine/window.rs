//! A sliding sum: how much was used in the last minute, day, or ten seconds.
//!
//! A counter per clock minute lets two minutes' worth through around each edge. This one counts in slices and lets a
//! slice go only when all of it is older than the window, by a slice more than that: what we send now may arrive late,
//! and the provider counts arrivals. It holds under providers with sliding and with fixed windows.

use std::time::Duration;

use crate::units::Timestamp;

/// Amounts by time.
#[derive(Clone, Debug)]
pub(super) struct Window {
    slice: Duration,
    amounts: Box<[u64]>,
    newest: u64,
    sum: u64,
}

impl Window {
    /// A window of `slices` times `slice`.
    pub(super) fn new(slices: usize, slice: Duration) -> Self {
        Self { slice, amounts: vec![0; slices + 2].into(), newest: 0, sum: 0 }
    }

    /// Counts `amount` at `now`.
    pub(super) fn add(&mut self, amount: u64, now: Timestamp) {
        self.advance(now);
        let newest = self.newest;
        if let Some(held) = self.amount_mut(newest) {
            *held = held.saturating_add(amount);
            self.sum = self.sum.saturating_add(amount);
        }
    }

    /// Replaces `amount`, counted at `at`, by `actual`. What has left the window stays out.
    pub(super) fn correct(&mut self, amount: u64, actual: u64, at: Timestamp, now: Timestamp) {
        self.advance(now);
        let slice = self.slice_of(at);
        if let Some(held) = self.amount_mut(slice) {
            let before = *held;
            *held = before.saturating_sub(amount).saturating_add(actual);
            let after = *held;
            self.sum = self.sum.saturating_sub(before).saturating_add(after);
        }
    }

    /// What is in the window at `now`.
    pub(super) fn used(&self, now: Timestamp) -> u64 {
        let expired: u64 = self.expired(now).map(|slice| self.amount(slice)).sum();
        self.sum.saturating_sub(expired)
    }

    /// When no more than `amount` will be left of what is in it now.
    pub(super) fn down_to(&self, amount: u64, now: Timestamp) -> Timestamp {
        let mut left = self.used(now);
        let mut when = now;
        for slice in self.oldest(self.newest.max(self.slice_of(now)))..=self.newest {
            if left <= amount {
                break;
            }
            left = left.saturating_sub(self.amount(slice));
            when = self.leaves_at(slice);
        }
        when
    }

    fn advance(&mut self, now: Timestamp) {
        for slice in self.expired(now) {
            self.sum = self.sum.saturating_sub(self.amount(slice));
            if let Some(held) = self.amount_mut(slice) {
                *held = 0;
            }
        }
        self.newest = self.newest.max(self.slice_of(now));
    }

    /// The slices that are held and will not be at `now`.
    fn expired(&self, now: Timestamp) -> std::ops::Range<u64> {
        let until = self.oldest(self.slice_of(now));
        self.oldest(self.newest)..until.min(self.newest + 1)
    }

    fn oldest(&self, newest: u64) -> u64 {
        (newest + 1).saturating_sub(self.span())
    }

    fn leaves_at(&self, slice: u64) -> Timestamp {
        let slices = u32::try_from(slice.saturating_add(self.span())).unwrap_or(u32::MAX);
        Timestamp::START + self.slice.saturating_mul(slices)
    }

    fn span(&self) -> u64 {
        crate::units::len_to_u64(self.amounts.len())
    }

    fn slice_of(&self, at: Timestamp) -> u64 {
        u64::try_from(at.since_start().as_nanos() / self.slice.as_nanos()).unwrap_or(u64::MAX)
    }

    fn offset(&self, slice: u64) -> usize {
        usize::try_from(slice % self.span()).unwrap_or(0)
    }

    fn amount(&self, slice: u64) -> u64 {
        self.amounts.get(self.offset(slice)).copied().unwrap_or(0)
    }

    /// The slice's place, if it is still held.
    fn amount_mut(&mut self, slice: u64) -> Option<&mut u64> {
        let held = (self.oldest(self.newest)..=self.newest).contains(&slice);
        let offset = self.offset(slice);
        if held { self.amounts.get_mut(offset) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::START + Duration::from_secs_f64(seconds)
    }

    fn minute() -> Window {
        Window::new(60, Duration::from_secs(1))
    }

    #[test]
    fn what_was_used_counts_for_a_whole_window_wherever_it_began() {
        for begin in [0.0, 0.5, 59.9, 1_000.3] {
            let mut window = minute();
            window.add(5, at(begin));
            assert_eq!(window.used(at(begin + 60.0)), 5, "{begin}");
            assert_eq!(window.used(at(begin + 62.0)), 0, "{begin}");
        }
    }

    #[test]
    fn it_says_when_there_will_be_room() {
        let mut window = minute();
        for second in 0..10 {
            window.add(1, at(f64::from(second)));
        }
        let now = at(20.0);
        let when = window.down_to(7, now);
        assert!(window.used(when) <= 7 && window.used(when - Duration::from_millis(1)) > 7, "{when:?}");
        assert_eq!(window.down_to(10, now), now);
        let empty = window.down_to(0, now);
        assert!(window.used(empty) == 0 && window.used(empty - Duration::from_millis(1)) == 1);
    }

    #[test]
    fn a_correction_lands_where_the_amount_was_counted() {
        let mut window = minute();
        window.add(100, at(0.0));
        window.add(7, at(30.0));
        window.correct(100, 40, at(0.0), at(30.0));
        assert_eq!(window.used(at(30.0)), 47);
        assert_eq!(window.used(at(62.5)), 7);
        window.correct(40, 400, at(0.0), at(62.5));
        assert_eq!(window.used(at(62.5)), 7);
    }

    #[test]
    fn a_long_silence_empties_it() {
        let mut window = minute();
        window.add(3, at(1.0));
        window.add(4, at(1e6));
        assert_eq!(window.used(at(1e6)), 4);
    }
}
