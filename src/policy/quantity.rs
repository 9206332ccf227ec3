//! Quantities spell their unit: `"800ms"`, `"10%"`, `"32MiB"`, `"1/s"`.
//!
//! A bare number is refused where a unit could be meant: a timeout of `30` is thirty of something to everybody, and of
//! something else to the next reader. Everything is read exactly, as decimal digits; nothing passes through a float
//! that is billed or waited for.

use std::time::Duration;

use crate::units::Share;

use super::decimal::Decimal;

/// Why a text is not the quantity it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QuantityError {
    /// It begins with something else than a plain decimal number.
    #[error("expected {expected}, found `{found}`")]
    Malformed {
        /// What should stand here.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// The number is fine, what follows is not.
    #[error("`{found}` has the unknown unit `{unit}`")]
    Unit {
        /// The whole text.
        found: String,
        /// The unit.
        unit: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A number without a unit.
    #[error("`{found}` has no unit")]
    NoUnit {
        /// The whole text.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// Out of range.
    #[error("`{found}` is {fault}")]
    Range {
        /// The whole text.
        found: String,
        /// What is wrong with it: `too large`.
        fault: &'static str,
    },
}

impl QuantityError {
    /// What to write instead.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } | Self::Range { .. } => None,
            Self::Unit { expected, .. } | Self::NoUnit { expected, .. } => Some(format!("write {expected}")),
        }
    }
}

const DURATION: &str = "a duration such as \"800ms\", \"2s\", \"5m\" or \"1h\"";
const PERCENTAGE: &str = "a percentage of at least 0%, such as \"1%\"";
const SHARE: &str = "a percentage from 0% to 100%, such as \"1%\"";
const SIZE: &str = "a size such as \"512KiB\", \"32MiB\" or \"1000000B\"";
const RATE: &str = "a rate such as \"1/s\" or \"30/min\"";

/// `"800ms"`, `"2s"`, `"5m"`, `"1h"`, `"1.5s"`.
pub(crate) fn duration(text: &str) -> Result<Duration, QuantityError> {
    let (number, unit) = split(text, DURATION)?;
    let nanos_per_unit = match unit {
        "us" | "µs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" | "min" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        unit => return Err(wrong_unit(text, unit, DURATION)),
    };
    let nanos = number.scaled(nanos_per_unit).ok_or_else(|| too_large(text))?;
    if nanos == 0 && !number.is_zero() {
        return Err(QuantityError::Range { found: text.to_owned(), fault: "shorter than a nanosecond" });
    }
    Ok(Duration::from_nanos(nanos))
}

/// `"10%"`, also more than all there is; `"0"` needs no unit.
pub(crate) fn percentage(text: &str) -> Result<Share, QuantityError> {
    percent(text, PERCENTAGE)
}

/// The same of what cannot be more than all there is.
pub(crate) fn share(text: &str) -> Result<Share, QuantityError> {
    let share = percent(text, SHARE)?;
    if share.0 > 1.0 {
        let fault = "more than there is: write a percentage from 0% to 100%";
        return Err(QuantityError::Range { found: text.trim().to_owned(), fault });
    }
    Ok(share)
}

fn percent(text: &str, expected: &'static str) -> Result<Share, QuantityError> {
    let trimmed = text.trim();
    if trimmed == "0" {
        return Ok(Share(0.0));
    }
    let (number, unit) = split(trimmed, expected)?;
    if unit != "%" {
        return Err(wrong_unit(trimmed, unit, expected));
    }
    Ok(Share(number.as_f64() / 100.0))
}

/// `"32MiB"`, `"10MB"`, `"4096B"`, in bytes.
pub(crate) fn size(text: &str) -> Result<usize, QuantityError> {
    let (number, unit) = split(text, SIZE)?;
    let bytes_per_unit = match unit {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(wrong_unit(text, unit, SIZE)),
    };
    let bytes = number.scaled(bytes_per_unit).ok_or_else(|| too_large(text))?;
    usize::try_from(bytes).map_err(|_| too_large(text))
}

/// `"1/s"`, `"30/min"`, `"100/h"`, per second.
pub(crate) fn rate(text: &str) -> Result<f64, QuantityError> {
    let (number, unit) = split(text, RATE)?;
    let seconds = match unit {
        "/s" => 1.0,
        "/m" | "/min" => 60.0,
        "/h" => 3_600.0,
        unit => return Err(wrong_unit(text, unit, RATE)),
    };
    Ok(number.as_f64() / seconds)
}

/// The number at the start, and the unit after it.
pub(crate) fn split<'t>(text: &'t str, expected: &'static str) -> Result<(Decimal, &'t str), QuantityError> {
    let text = text.trim();
    let length = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(length).unwrap_or((text, ""));
    let number = Decimal::parse(digits).ok_or_else(|| QuantityError::Malformed { expected, found: text.to_owned() })?;
    Ok((number, unit.trim()))
}

pub(crate) fn wrong_unit(text: &str, unit: &str, expected: &'static str) -> QuantityError {
    let found = text.to_owned();
    if unit.is_empty() {
        QuantityError::NoUnit { found, expected }
    } else {
        QuantityError::Unit { found, unit: unit.to_owned(), expected }
    }
}

fn too_large(text: &str) -> QuantityError {
    QuantityError::Range { found: text.to_owned(), fault: "too large" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_spell_their_unit() {
        assert_eq!(duration("800ms").unwrap(), Duration::from_millis(800));
        assert_eq!(duration("1.5s").unwrap(), Duration::from_millis(1_500));
        assert_eq!(duration("5 m").unwrap(), Duration::from_mins(5));
        assert_eq!(duration("1h").unwrap(), Duration::from_hours(1));
        assert_eq!(percentage("20%").unwrap(), Share(0.2));
        assert_eq!(percentage("0").unwrap(), Share(0.0));
        assert_eq!((percentage("150%").unwrap(), share("100%").unwrap()), (Share(1.5), Share(1.0)));
        assert_eq!(size("32MiB").unwrap(), 32 << 20);
        assert_eq!(size("1_000B").unwrap(), 1_000);
        assert!((rate("30/min").unwrap() - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_wrong_quantity_says_what_would_be_right() {
        let error = duration("5 minutes").unwrap_err();
        assert_eq!(error.to_string(), "`5 minutes` has the unknown unit `minutes`");
        assert_eq!(error.hint().as_deref(), Some("write a duration such as \"800ms\", \"2s\", \"5m\" or \"1h\""));
        assert_eq!(duration("30").unwrap_err().to_string(), "`30` has no unit");
        assert_eq!(
            duration("soon").unwrap_err().to_string(),
            "expected a duration such as \"800ms\", \"2s\", \"5m\" or \"1h\", found `soon`"
        );
        for (wrong, expected) in [
            ("-1%", "expected a percentage from 0% to 100%, such as \"1%\", found `-1%`"),
            ("100.1%", "`100.1%` is more than there is: write a percentage from 0% to 100%"),
        ] {
            assert_eq!(share(wrong).unwrap_err().to_string(), expected);
        }
        assert!(percentage("-1%").unwrap_err().to_string().contains("at least 0%"));
        assert!(duration("-1s").is_err());
        assert!(percentage("5").is_err());
        assert!(duration("99999999999999h").is_err());
        assert!(duration("0.0001us").is_err());
    }
}
