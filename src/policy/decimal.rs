//! Decimal numbers as people write prices: exact digits, never a float.
//!
//! `0.1 + 0.2` is not `0.3` in binary, and a price list is a contract. Digits are kept as an integer and a count of
//! decimal places; the only rounding there is happens in [`Decimal::scaled`], once, half to even.

use crate::units::count_to_f64;

/// A non-negative decimal number of at most 18 significant digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u128,
    places: u32,
}

impl Decimal {
    /// One.
    pub(crate) const ONE: Self = Self { digits: 1, places: 0 };
    const LONGEST: usize = 18;

    /// Reads `12`, `0.0002`, `1_000.5`. No sign, no exponent, digits on both sides of a point.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').map_or((text, None), |(whole, rest)| (whole, Some(rest)));
        let fraction = match fraction {
            Some(digits) if well_formed(digits) => digits,
            Some(_) => return None,
            None => "",
        };
        if !well_formed(whole) {
            return None;
        }
        let plain = |part: &str| part.chars().filter(|c| *c != '_').collect::<String>();
        let (whole, fraction) = (plain(whole), plain(fraction));
        let fraction = fraction.trim_end_matches('0');
        let significant = format!("{whole}{fraction}");
        let significant = significant.trim_start_matches('0');
        if significant.len() > Self::LONGEST || fraction.len() > Self::LONGEST {
            return None;
        }
        let digits = if significant.is_empty() { 0 } else { significant.parse().ok()? };
        Some(Self { digits, places: u32::try_from(fraction.len()).ok()? })
    }

    /// So many millionths.
    pub(crate) fn of_millionths(mut digits: u64) -> Self {
        let mut places = 6;
        while places > 0 && digits.is_multiple_of(10) {
            digits /= 10;
            places -= 1;
        }
        Self { digits: u128::from(digits), places }
    }

    /// Whether it is 0.
    pub(crate) const fn is_zero(self) -> bool {
        self.digits == 0
    }

    /// The exact product. 18 digits each, so that it always fits.
    pub(crate) const fn times(self, other: Self) -> Product {
        Product { digits: self.digits.saturating_mul(other.digits), places: self.places + other.places }
    }

    /// `self * unit` as a whole number, rounded half to even; `None` if it does not fit.
    pub(crate) fn scaled(self, unit: u64) -> Option<u64> {
        Product { digits: self.digits.checked_mul(u128::from(unit))?, places: self.places }.rounded()
    }

    /// The number as a float, for shares and rates, which are never billed.
    pub(crate) fn as_f64(self) -> f64 {
        let power = 10_u64.checked_pow(self.places).map_or(f64::INFINITY, count_to_f64);
        u64::try_from(self.digits).map_or(f64::INFINITY, count_to_f64) / power
    }
}

/// An exact product, before it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    digits: u128,
    places: u32,
}

impl Product {
    /// The exact product; `None` if it has more digits than can be kept.
    pub(crate) const fn times(self, other: Decimal) -> Option<Self> {
        match self.digits.checked_mul(other.digits) {
            Some(digits) => Some(Self { digits, places: self.places + other.places }),
            None => None,
        }
    }

    /// The value in units of 10^-`places`, rounded half to even; `None` if it does not fit.
    pub(crate) fn in_units_of(self, places: u32) -> Option<u64> {
        if places <= self.places {
            return Self { digits: self.digits, places: self.places - places }.rounded();
        }
        let factor = 10_u128.checked_pow(places - self.places)?;
        u64::try_from(self.digits.checked_mul(factor)?).ok()
    }

    fn rounded(self) -> Option<u64> {
        let divisor = 10_u128.checked_pow(self.places)?;
        let (whole, rest) = (self.digits / divisor, self.digits % divisor);
        let up = match (rest * 2).cmp(&divisor) {
            std::cmp::Ordering::Less => 0,
            std::cmp::Ordering::Equal => whole % 2,
            std::cmp::Ordering::Greater => 1,
        };
        u64::try_from(whole + up).ok()
    }
}

fn well_formed(digits: &str) -> bool {
    let edges = digits.starts_with('_') || digits.ends_with('_');
    !digits.is_empty() && !edges && digits.chars().all(|c| c.is_ascii_digit() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn products_are_exact_and_rounded_once_half_to_even() {
        let micro = |a: &str, b: &str| decimal(a).times(decimal(b)).in_units_of(6).unwrap();
        assert_eq!(micro("2.50", "1"), 2_500_000);
        assert_eq!(micro("8", "0.1395"), 1_116_000);
        assert_eq!(micro("0.23", "0.1395"), 32_085);
        // Exactly half: to the even neighbour, down and up.
        assert_eq!(micro("0.0000005", "1"), 0);
        assert_eq!(micro("0.0000015", "1"), 2);
        assert_eq!(micro("0.0000025", "1"), 2);
        assert_eq!(micro("0.00000250000001", "1"), 3);
        // A binary float holds neither 0.1 nor 0.7; their product is 70,000 micro-dollars all the same.
        assert_eq!(micro("0.1", "0.7"), 70_000);
        assert_eq!(micro("999999999999", "1"), 999_999_999_999_000_000);
    }

    #[test]
    fn what_is_not_a_plain_number_is_refused() {
        for text in
            ["", ".", "1.", ".5", "1e3", "-1", "+1", "1.2.3", "1__.0_", "_1", "1,5", "0x1", "1234567890123456789"]
        {
            assert_eq!(Decimal::parse(text), None, "{text}");
        }
        assert_eq!(Decimal::parse("1_000.50"), Decimal::parse("1000.5"));
    }

    #[test]
    fn what_does_not_fit_is_refused_rather_than_cut() {
        assert_eq!(decimal("999999999999999999").times(decimal("999999999999999999")).in_units_of(6), None);
        assert_eq!(decimal("999999999999999999").scaled(u64::MAX), None);
    }

    proptest! {
        /// Against integers: whole micro-units times one come back digit for digit.
        #[test]
        fn every_whole_micro_amount_reads_back_exactly(micro in 0_u64..1_000_000_000_000_000_000) {
            let text = format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000);
            prop_assert_eq!(decimal(&text).times(Decimal::ONE).in_units_of(6), Some(micro));
        }

        /// Rounding is never further off than half a unit, and exact ties go to the even side.
        #[test]
        fn rounding_is_to_the_nearest_even(a in 0_u64..1_000_000_000, b in 0_u64..1_000_000_000) {
            let text = |n: u64| format!("{}.{:06}", n / 1_000_000, n % 1_000_000);
            let exact = u128::from(a) * u128::from(b);
            let rounded = u128::from(decimal(&text(a)).times(decimal(&text(b))).in_units_of(6).unwrap());
            let twice = (rounded * 1_000_000).abs_diff(exact) * 2;
            prop_assert!(twice < 1_000_000 || (twice == 1_000_000 && rounded.is_multiple_of(2)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            std::hint::black_box(Decimal::parse(&text));
        }
    }
}
