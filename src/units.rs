//! Quantities have types, and every number conversion of the crate is in this file.
//!
//! A price is whole micro-dollars per million tokens, so `Tokens * PricePerMtok` is exactly pico-dollars: money that
//! is billed stays in integers from the price list to the metric. Floats ([`Dollars`]) appear only in scores, which
//! are estimates, compared by `total_cmp` and never billed.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::time::Duration;

/// A number of tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tokens(pub u64);

impl Tokens {
    /// No tokens.
    pub const ZERO: Self = Self(0);

    /// The count as a float, for scores.
    pub fn as_f64(self) -> f64 {
        count_to_f64(self.0)
    }

    /// The nearest whole count to a non-negative estimate; negative and NaN become zero.
    pub fn from_estimate(estimate: f64) -> Self {
        Self(round_to_u64(estimate))
    }

    /// `self - other`, or zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for Tokens {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl fmt::Display for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Money that is billed: whole pico-dollars (10⁻¹² USD). One request's bill fits (18 million dollars); sums of many
/// requests are kept in `u128` or as a metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PicoUsd(pub u64);

impl PicoUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// One dollar.
    pub const DOLLAR: Self = Self(1_000_000_000_000);

    /// The amount in dollars, for scores, metrics and display.
    pub fn as_dollars(self) -> Dollars {
        Dollars(count_to_f64(self.0) / 1e12)
    }
}

impl Add for PicoUsd {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for PicoUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Dollars with all twelve decimals, trailing zeros dropped: `0.00025`.
impl fmt::Display for PicoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.0 / Self::DOLLAR.0;
        let text = format!("{:012}", self.0 % Self::DOLLAR.0);
        let fraction = text.trim_end_matches('0');
        if fraction.is_empty() { write!(f, "{whole}") } else { write!(f, "{whole}.{fraction}") }
    }
}

/// A list price: whole micro-dollars per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PricePerMtok(pub u64);

impl PricePerMtok {
    /// The price in dollars per million tokens, for display and metrics.
    pub fn as_dollars(self) -> Dollars {
        Dollars(count_to_f64(self.0) / 1e6)
    }
}

/// Exact: micro-dollars per million tokens times tokens is pico-dollars. Saturates far above any bill.
impl Mul<PricePerMtok> for Tokens {
    type Output = PicoUsd;

    fn mul(self, price: PricePerMtok) -> PicoUsd {
        PicoUsd(self.0.saturating_mul(price.0))
    }
}

/// An estimate in dollars. Never billed.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Dollars(pub f64);

impl Add for Dollars {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

/// Dollars times a plain number.
impl Mul<f64> for Dollars {
    type Output = Self;

    fn mul(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

/// A point on the process's monotonic clock: nanoseconds since the process began. Only `runtime` makes new ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment the clock began.
    pub const START: Self = Self(0);

    /// The moment `elapsed` after the clock began (saturating after 584 years).
    pub fn after_start(elapsed: Duration) -> Self {
        Self(duration_nanos(elapsed))
    }

    /// Time since the clock began.
    pub const fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// Time from `earlier` to `self`; zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Time from `self` to `later`; zero when it has passed.
    pub const fn until(self, later: Self) -> Duration {
        later.since(self)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(duration_nanos(span)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(duration_nanos(span)))
    }
}

/// A share between 0 and 1, or above where a percentage may be (`150%` is 1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Share(pub f64);

/// A whole count as a float. Exact below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53, and scores need no more than 15 digits")]
pub fn count_to_f64(count: u64) -> f64 {
    count as f64
}

/// A length as a float. Exact below 2⁵³.
pub fn len_to_f64(len: usize) -> f64 {
    count_to_f64(len_to_u64(len))
}

/// A length as `u64`.
pub fn len_to_u64(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// The nearest whole number to a float; negative and NaN become zero, too large saturates.
///
/// Not by `round`, which without SSE 4.1 is a call.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float-to-int `as` saturates, and the range is stated in the name's contract"
)]
pub fn round_to_u64(value: f64) -> u64 {
    (value + 0.5) as u64
}

/// Seconds as a duration; negative and NaN become zero, and the result is at most 100 years.
pub fn seconds(value: f64) -> Duration {
    const CENTURY: u64 = 3_200_000_000_000_000_000;
    Duration::from_nanos(round_to_u64(value * 1e9).min(CENTURY))
}

fn duration_nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_times_price_is_exact_pico_dollars() {
        // 1,234 tokens at 2.50 USD per million tokens are 0.003085 USD.
        assert_eq!(Tokens(1_234) * PricePerMtok(2_500_000), PicoUsd(3_085_000_000));
    }

    #[test]
    fn money_prints_without_rounding() {
        assert_eq!(PicoUsd(3_085_000_000).to_string(), "0.003085");
        assert_eq!(PicoUsd(2_000_000_000_001).to_string(), "2.000000000001");
        assert_eq!(PicoUsd::ZERO.to_string(), "0");
    }

    #[test]
    fn time_never_runs_backwards() {
        let start = Timestamp::START + Duration::from_secs(5);
        assert_eq!(Timestamp::START.since(start), Duration::ZERO);
        assert_eq!(Timestamp::START.until(start), Duration::from_secs(5));
        assert_eq!(Timestamp::START - Duration::from_secs(1), Timestamp::START);
    }

    #[test]
    fn estimates_round_and_never_go_negative() {
        assert_eq!(Tokens::from_estimate(-3.0), Tokens::ZERO);
        assert_eq!(Tokens::from_estimate(f64::NAN), Tokens::ZERO);
        assert_eq!(Tokens::from_estimate(2.5), Tokens(3));
        assert_eq!(seconds(f64::NAN), Duration::ZERO);
    }
}
