//! Free tiers and prepaid packs: what is left, set aside before a call and settled after it, as quota is.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::engine::{Free, Left, Supply, Toll, Unit};
use crate::units::{PicoUsd, Timestamp, Tokens, count_to_f64};

/// Without a known end, what is left is meant to last a month.
const HORIZON: f64 = 30.0 * 86_400.0;

/// One allowance in one of its periods.
#[derive(Debug)]
pub struct AllowanceCell {
    unit: Unit,
    size: u64,
    left: Mutex<u64>,
    worth: AtomicU64,
}

/// Units of an allowance set aside for a call.
#[derive(Debug)]
pub struct Grant(u64);

impl AllowanceCell {
    /// `used` of `size` units are gone.
    pub fn new(unit: Unit, size: u64, used: u64) -> Self {
        Self { unit, size, left: Mutex::new(size.saturating_sub(used)), worth: AtomicU64::new(0) }
    }

    /// What the decision needs to know.
    pub fn read(&self) -> Free {
        let left = *self.left.lock();
        let worth = f64::from_bits(self.worth.load(Ordering::Relaxed));
        let toll = Toll::default().with(self.unit, worth);
        let left = match self.unit {
            Unit::Requests => Left::Requests(left),
            Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => Left::Tokens(Tokens(left)),
            Unit::Money => Left::Money(PicoUsd(left).as_dollars()),
        };
        Free { left, toll }
    }

    /// Sets aside what a request of `tokens`, at list price `bill`, needs; `None` if it is not all there.
    pub fn take(&self, tokens: Tokens, bill: PicoUsd) -> Option<Grant> {
        let need = self.need(tokens, bill);
        let mut left = self.left.lock();
        *left = left.checked_sub(need)?;
        Some(Grant(need))
    }

    /// Replaces what was set aside by what was used, at list price `bill`; returns the share of it that was covered.
    pub fn settle(&self, grant: &Grant, used: Tokens, bill: PicoUsd) -> Covered {
        let used = if used == Tokens::ZERO { 0 } else { self.need(used, bill) };
        let mut left = self.left.lock();
        let there = left.saturating_add(grant.0);
        let covered = used.min(there);
        *left = there - covered;
        Covered { covered, used }
    }

    /// What is left, as a share of all.
    pub fn ratio(&self) -> f64 {
        count_to_f64(*self.left.lock()) / count_to_f64(self.size.max(1))
    }

    /// What may be used a second until it ends.
    pub fn supply(&self, ends: Option<Timestamp>, now: Timestamp) -> Supply {
        let left = *self.left.lock();
        let span = ends.map_or(HORIZON, |ends| now.until(ends).as_secs_f64()).max(1.0);
        // The engine counts money in dollars.
        let unit = if self.unit == Unit::Money { 1e-12 } else { 1.0 };
        Supply { unit: self.unit, per_second: unit * count_to_f64(left) / span, taken: self.size.saturating_sub(left) }
    }

    /// Notes what a unit is worth elsewhere or later.
    pub fn price(&self, worth: f64) {
        self.worth.store(worth.to_bits(), Ordering::Relaxed);
    }

    fn need(&self, tokens: Tokens, bill: PicoUsd) -> u64 {
        match self.unit {
            Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => tokens.0,
            Unit::Requests => 1,
            Unit::Money => bill.0,
        }
    }
}

/// How much of what was used an allowance paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Covered {
    covered: u64,
    used: u64,
}

impl Covered {
    /// What is left of `bill`.
    pub fn rest_of(self, bill: PicoUsd) -> PicoUsd {
        if self.used == 0 {
            return bill;
        }
        let beyond = u128::from(self.used - self.covered);
        let rest = u128::from(bill.0) * beyond / u128::from(self.used);
        PicoUsd(u64::try_from(rest).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_covered_is_not_billed_and_what_goes_beyond_is() {
        let cell = AllowanceCell::new(Unit::Tokens, 1_000, 400);
        let grant = cell.take(Tokens(500), PicoUsd(500)).unwrap();
        assert!(cell.take(Tokens(101), PicoUsd::ZERO).is_none(), "it is set aside");
        assert_eq!(cell.settle(&grant, Tokens(800), PicoUsd(800)).rest_of(PicoUsd(800)), PicoUsd(200));
        assert!(cell.ratio().abs() < 1e-9);
    }

    #[test]
    fn what_never_went_out_is_given_back() {
        let cell = AllowanceCell::new(Unit::Requests, 2, 0);
        let grant = cell.take(Tokens(10), PicoUsd::ZERO).unwrap();
        cell.settle(&grant, Tokens::ZERO, PicoUsd::ZERO);
        assert!((cell.ratio() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn prepaid_money_pays_at_list_price_and_what_goes_beyond_is_billed() {
        let cell = AllowanceCell::new(Unit::Money, 1_000, 0);
        let grant = cell.take(Tokens(9), PicoUsd(700)).unwrap();
        assert!(cell.take(Tokens(1), PicoUsd(301)).is_none(), "it is set aside");
        assert_eq!(cell.settle(&grant, Tokens(20), PicoUsd(1_500)).rest_of(PicoUsd(1_500)), PicoUsd(500));
        assert_eq!(cell.read().left, Left::Money(crate::units::Dollars(0.0)));
    }
}
