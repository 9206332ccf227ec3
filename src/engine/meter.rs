//! One limit's use: our own count in a sliding window against what was configured or learned, and the provider's count.

use std::time::Duration;

use super::features::Load;
use super::ledger::LimitKind;
use super::quota::{Fit, QuotaReading};
use super::shadow::Unit;
use super::told::{Account, Told};
use super::window::Window;
use crate::units::{Timestamp, Tokens, count_to_f64};

/// What is left of a day's quota is meant to last this long.
const DAY_HORIZON: Duration = Duration::from_hours(6);

/// How much more than what is left a quota may yield until its reset, where its limit is known.
const RENEWED_MEANWHILE: f64 = 4.0;

/// Use against one limit.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    kind: LimitKind,
    window: Window,
    /// Units set aside, ever.
    set_aside: u64,
    told: Option<Account>,
}

impl Meter {
    pub(super) fn new(kind: LimitKind) -> Self {
        let window = if kind.is_daily() {
            Window::new(96, Duration::from_mins(15))
        } else {
            Window::new(60, Duration::from_secs(1))
        };
        Self { kind, window, set_aside: 0, told: None }
    }

    pub(super) const fn kind(&self) -> LimitKind {
        self.kind
    }

    /// Units that a request needs.
    pub(super) fn need(&self, load: Load) -> u64 {
        match self.kind.unit() {
            Some(Unit::Tokens) => load.total().0,
            Some(Unit::InputTokens) => load.input.0,
            Some(Unit::OutputTokens) => load.output.0,
            Some(Unit::Requests | Unit::Money) | None => 1,
        }
    }

    /// Units that have been set aside, ever.
    pub(super) const fn set_aside(&self) -> u64 {
        self.set_aside
    }

    /// Units that were used in the window.
    pub(super) fn used(&self, now: Timestamp) -> u64 {
        self.window.used(now)
    }

    /// What is left for a request, where no more than `limit` is allowed.
    pub(super) fn read(&self, limit: Option<u64>, load: Load, now: Timestamp) -> QuotaReading {
        let (kind, need) = (self.kind, Tokens(self.need(load)));
        let own = limit.map(|limit| QuotaReading::of_window(kind, limit, &self.window, need, now));
        let told = self.told(now).map(|told| QuotaReading::of_told(kind, told, need));
        own.into_iter().chain(told).fold(QuotaReading::unlimited(), QuotaReading::merge)
    }

    /// Units a second that may be used, for as long as they last: a minute's quota is renewed as fast as it is used, of a
    /// day's no more than a quarter of a day should see the end, and what a provider says is left has to last until its
    /// reset. `None` where nothing limits.
    pub(super) fn per_second(&self, limit: Option<u64>, now: Timestamp) -> Option<f64> {
        let told = self.told(now);
        let limit = limit.or_else(|| told.and_then(|told| told.limit)).map(|limit| {
            if self.kind.is_daily() {
                count_to_f64(limit.saturating_sub(self.used(now))) / DAY_HORIZON.as_secs_f64()
            } else {
                count_to_f64(limit) / 60.0
            }
        });
        let told = told.and_then(|told| told.per_second(now));
        match (limit, told) {
            // A reset is when all is whole again; some of it comes back before.
            (Some(limit), Some(told)) => Some(limit.min(RENEWED_MEANWHILE * told)),
            (one, other) => one.or(other),
        }
    }

    /// Sets units aside; returns how many have been, ever.
    pub(super) fn reserve(&mut self, units: u64, now: Timestamp) -> u64 {
        self.window.add(units, now);
        self.set_aside = self.set_aside.saturating_add(units);
        if let Some(told) = &mut self.told {
            told.reserve(units);
        }
        self.set_aside
    }

    /// What was set aside at `at`, when `position` had been set aside ever, was in fact `used`.
    pub(super) fn settle(&mut self, position: u64, (reserved, used): (u64, u64), at: Timestamp, now: Timestamp) {
        self.window.correct(reserved, used, at, now);
        if let Some(told) = &mut self.told {
            told.settle(position, reserved, used);
        }
    }

    /// What the reply to the call says that was the last to be set aside when `position` units had been.
    pub(super) fn learn(&mut self, told: &Told, position: u64, now: Timestamp) {
        let Some(account) = Account::new(told, position, self.set_aside, now) else { return };
        if self.told.is_none_or(|known| account.replaces(&known, now)) {
            self.told = Some(account);
        }
    }

    /// What the provider told is not believed any longer.
    pub(super) const fn forget_told(&mut self) {
        self.told = None;
    }

    fn told(&self, now: Timestamp) -> Option<&Account> {
        self.told.as_ref().filter(|told| now < told.until)
    }
}

impl QuotaReading {
    /// What is left as the provider told it.
    fn of_told(kind: LimitKind, told: &Account, need: Tokens) -> Self {
        let left = told.left();
        // A request larger than the whole limit may go when nothing else counts against it, as with limits of our own.
        let whole = told.limit.is_some_and(|limit| left >= limit);
        let fit = if need.0 <= left || whole { Fit::Now } else { Fit::Later { limit: kind, until: told.until } };
        let spare = match kind.unit() {
            Some(unit) if unit.counts_answers() && !whole => Tokens(left.saturating_sub(need.0)),
            Some(_) | None => Tokens(u64::MAX),
        };
        Self::unlimited().with(kind, left, told.limit.unwrap_or(left), fit, spare)
    }
}
