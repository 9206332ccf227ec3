//! Prices are read from the digits that are written, never through a float.
//!
//! `8.900000000000001e-07` is what a float made of 0.89 dollars per million; rounded once, to whole micro-dollars per
//! million tokens, it is that again.

use crate::units::PricePerMtok;

/// What one unit of a price's number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Per {
    /// Dollars for one token.
    Token,
    /// Dollars for a million tokens.
    Mtok,
}

impl Per {
    /// Powers of ten between the unit and micro-dollars per million tokens.
    const fn places(self) -> i32 {
        match self {
            Self::Token => 12,
            Self::Mtok => 6,
        }
    }
}

/// A price in dollars as a decimal number, with an exponent or without; `None` for what is negative, too large, or no
/// number.
pub(super) fn price(text: &str, per: Per) -> Option<PricePerMtok> {
    scaled(text, per.places()).map(PricePerMtok)
}

/// A count, which may be written `256000.0`.
pub(super) fn count(text: &str) -> Option<u64> {
    scaled(text, 0)
}

/// The number times ten to the power of `places`, rounded half to even.
fn scaled(text: &str, places: i32) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let exponent: i32 = exponent.parse().ok()?;
    let shift = places.checked_add(exponent)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let power = 10_u128.checked_pow(shift.unsigned_abs());
    match (shift >= 0, power) {
        (true, Some(power)) => u64::try_from(digits.checked_mul(power)?).ok(),
        (true, None) => (digits == 0).then_some(0),
        (false, Some(power)) => u64::try_from(halved_to_even(digits, power)).ok(),
        (false, None) => Some(0),
    }
}

const fn halved_to_even(digits: u128, divisor: u128) -> u128 {
    let (whole, rest) = (digits / divisor, digits % divisor);
    // Not `rest * 2`, which need not fit.
    let up = rest > divisor - rest || (rest == divisor - rest && whole % 2 == 1);
    if up { whole + 1 } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_float_made_of_a_price_is_that_price_again() {
        let micro = |text| price(text, Per::Token).unwrap().0;
        assert_eq!(micro("2.5e-06"), 2_500_000);
        assert_eq!(micro("8.900000000000001e-07"), 890_000);
        assert_eq!(micro("9.499999999999999e-07"), 950_000);
        assert_eq!(micro("0.00003"), 30_000_000);
        assert_eq!(micro("5E-13"), 0);
        assert_eq!(micro("1.5e-12"), 2);
        assert_eq!(micro("1e-400"), 0);
        assert_eq!(micro("0.0"), 0);
        assert_eq!(price("0.6250000000000001", Per::Mtok), Some(PricePerMtok(625_000)));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["", "-1", "+1", "x", "1.", ".5", "1e", "1e400", "NaN", "\"1\"", "1e-99999999999"] {
            assert_eq!(price(text, Per::Token), None, "{text}");
        }
        assert_eq!(count("256000.0"), Some(256_000));
    }
}
