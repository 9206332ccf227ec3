//! What a provider tells of a quota in its replies, and what its refusals teach where it tells nothing.
//!
//! A provider's own count is the truth as of the call that brought it: what was set aside since then comes off it, and
//! it never adds to what a configuration allows. Where no header and no configuration says anything, a refusal shows
//! where the ceiling is: it is lowered at once and raised by a request a minute (additive increase, multiplicative
//! decrease; Chiu and Jain 1989), and forgotten when refusals have stopped.

use std::time::Duration;

use super::ledger::LimitKind;
use crate::units::{Timestamp, count_to_f64, round_to_u64};

/// Nothing is believed for longer without being told again: a header may be wrong, and a window may be bought out of.
const LONGEST_BELIEVED: Duration = Duration::from_hours(1);
/// A header that says no reset is believed for this long.
const MINUTE_BELIEVED: Duration = Duration::from_mins(1);
/// The same for a day's quota.
const DAY_BELIEVED: Duration = Duration::from_hours(1);
/// Fewer requests in a minute say nothing of a limit on them.
const LEAST_TELLING: u64 = 20;
/// A first refusal sets the ceiling at this share of what the last minute took …
const FIRST_CUT: f64 = 0.85;
/// … and each later one at this share of the ceiling.
const LATER_CUT: f64 = 0.7;
/// Requests a minute that a quiet minute adds.
const RAISE: f64 = 1.0;
/// Without a refusal for this long the ceiling is forgotten.
const FORGET: Duration = Duration::from_mins(10);

/// One quota as a provider told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which.
    pub kind: LimitKind,
    /// How much a window holds.
    pub limit: Option<u64>,
    /// How much of it was left.
    pub remaining: Option<u64>,
    /// Time until it is whole again.
    pub reset: Option<Duration>,
}

/// A provider's count, less what was set aside since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Account {
    pub(super) limit: Option<u64>,
    remaining: u64,
    /// What had been set aside when the call went out that brought the count, ever.
    from: u64,
    /// What has been set aside since.
    spent: u64,
    /// Until then it holds.
    pub(super) until: Timestamp,
    /// When it is whole again, if the provider said so.
    whole_at: Option<Timestamp>,
}

impl Account {
    /// What `told` says, brought by a call after which `from` units had been set aside, of `set_aside` by now.
    pub(super) fn new(told: &Told, from: u64, set_aside: u64, now: Timestamp) -> Option<Self> {
        let believed = if told.kind.is_daily() { DAY_BELIEVED } else { MINUTE_BELIEVED };
        Some(Self {
            limit: told.limit,
            remaining: told.remaining?,
            from,
            spent: set_aside.saturating_sub(from),
            until: now + told.reset.unwrap_or(believed).min(LONGEST_BELIEVED),
            whole_at: told.reset.map(|reset| now + reset),
        })
    }

    /// Whether it was brought by a later call than `other`, which still holds.
    pub(super) fn replaces(&self, other: &Self, now: Timestamp) -> bool {
        self.from >= other.from || now >= other.until
    }

    /// What is left of it.
    pub(super) const fn left(&self) -> u64 {
        self.remaining.saturating_sub(self.spent)
    }

    /// Units more were set aside.
    pub(super) const fn reserve(&mut self, units: u64) {
        self.spent = self.spent.saturating_add(units);
    }

    /// What was set aside when `at` units had been, was in fact `used`.
    pub(super) const fn settle(&mut self, at: u64, reserved: u64, used: u64) {
        if at > self.from {
            self.spent = self.spent.saturating_sub(reserved).saturating_add(used);
        }
    }

    /// Units a second that may be used until it is whole again, if it says when that is.
    pub(super) fn per_second(&self, now: Timestamp) -> Option<f64> {
        self.whole_at.map(|whole| count_to_f64(self.left()) / now.until(whole).as_secs_f64().max(1.0))
    }
}

/// The most requests a minute that are taken, as refusals have shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ceiling {
    per_minute: f64,
    since: Timestamp,
}

impl Ceiling {
    /// After a refusal of a call sent at `sent`, when `taken` requests went out in the last minute.
    pub(super) fn lowered(known: Option<Self>, taken: u64, sent: Timestamp, now: Timestamp) -> Option<Self> {
        Some(match known.filter(|ceiling| now.since(ceiling.since) < FORGET) {
            // Sent before the ceiling was lowered: it repeats what is known.
            Some(ceiling) if sent < ceiling.since => ceiling,
            Some(ceiling) => Self { per_minute: (LATER_CUT * ceiling.at(now)).max(1.0), since: now },
            // Of so few it was not the number that was too much.
            None if taken < LEAST_TELLING => return None,
            None => Self { per_minute: FIRST_CUT * count_to_f64(taken), since: now },
        })
    }

    /// Requests a minute now; `None` once forgotten.
    pub(super) fn limit(&self, now: Timestamp) -> Option<u64> {
        (now.since(self.since) < FORGET).then(|| round_to_u64(self.at(now)).max(1))
    }

    fn at(&self, now: Timestamp) -> f64 {
        self.per_minute + RAISE * (now.since(self.since).as_secs_f64() / 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::at;

    fn told(remaining: u64, reset: u64) -> Told {
        Told {
            kind: LimitKind::RequestsPerMinute,
            limit: Some(100),
            remaining: Some(remaining),
            reset: Some(Duration::from_secs(reset)),
        }
    }

    #[test]
    fn what_went_out_after_the_call_that_brought_the_count_comes_off_it() {
        let account = Account::new(&told(10, 30), 5, 8, at(1.0)).unwrap();
        assert_eq!(account.left(), 7);
    }

    #[test]
    fn a_reset_that_is_far_off_paces_and_is_asked_for_again_before() {
        let account = Account::new(&told(3_600, 36_000), 0, 0, at(0.0)).unwrap();
        assert_eq!(account.until, at(3_600.0));
        assert!((account.per_second(at(0.0)).unwrap() - 0.1).abs() < 1e-9);
    }

    #[test]
    fn an_older_count_does_not_replace_a_newer_one_that_still_holds() {
        let (older, newer) =
            (Account::new(&told(9, 30), 5, 9, at(2.0)).unwrap(), Account::new(&told(4, 30), 8, 9, at(1.0)).unwrap());
        assert!(!older.replaces(&newer, at(2.0)) && older.replaces(&newer, at(31.0)));
    }

    #[test]
    fn what_was_set_aside_before_the_count_is_in_it_already() {
        let mut account = Account::new(&told(10, 30), 5, 5, at(0.0)).unwrap();
        account.settle(5, 100, 0);
        assert_eq!(account.left(), 10);
        account.reserve(4);
        account.settle(9, 4, 1);
        assert_eq!(account.left(), 9);
    }

    #[test]
    fn a_ceiling_falls_at_once_rises_slowly_and_is_forgotten() {
        assert!(Ceiling::lowered(None, 5, at(0.0), at(0.1)).is_none(), "five in a minute are not too many");
        let first = Ceiling::lowered(None, 100, at(0.0), at(0.1)).unwrap();
        assert_eq!(first.limit(at(0.1)), Some(85));
        let repeated = Ceiling::lowered(Some(first), 100, at(0.0), at(0.2)).unwrap();
        assert_eq!(repeated.limit(at(0.2)), Some(85), "one burst is one refusal");
        let second = Ceiling::lowered(Some(first), 85, at(60.0), at(60.1)).unwrap();
        assert_eq!(second.limit(at(60.1)), Some(60));
        assert_eq!(second.limit(at(360.1)), Some(65));
        assert_eq!(second.limit(at(661.0)), None);
    }
}
