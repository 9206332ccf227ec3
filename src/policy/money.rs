//! Amounts of money as written, before they are converted: a number and a currency, `"0.0002 USD"`.

use super::decimal::Decimal;
use super::quantity::{self, QuantityError};

const MONEY: &str = "an amount with its currency, such as \"0.0002 USD\"";

/// An amount in some currency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    /// How much.
    pub(crate) amount: Decimal,
    /// Of what: an ISO 4217 code. `USD` for a bare zero, which is nothing in every currency.
    pub(crate) currency: String,
}

/// `"0.0002 USD"`, `"8 CNY"`, `"0"`.
pub(crate) fn money(text: &str) -> Result<Money, QuantityError> {
    let (amount, unit) = quantity::split(text, MONEY)?;
    if unit.is_empty() && amount.is_zero() {
        return Ok(Money { amount, currency: "USD".to_owned() });
    }
    let code = unit.to_ascii_uppercase();
    if !is_currency(&code) {
        return Err(quantity::wrong_unit(text, unit, MONEY));
    }
    Ok(Money { amount, currency: code })
}

/// `"5 USD/day"`: what may be spent from one midnight UTC to the next.
pub(crate) fn money_a_day(text: &str) -> Result<Money, QuantityError> {
    let expected = "an amount a day, such as \"5 USD/day\"";
    let amount = text.trim_end().strip_suffix("day").and_then(|rest| rest.trim_end().strip_suffix('/'));
    let amount = amount.ok_or_else(|| QuantityError::Malformed { expected, found: text.to_owned() })?;
    money(amount)
}

/// Whether `code` has the form of an ISO 4217 code.
pub(crate) fn is_currency(code: &str) -> bool {
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_has_a_number_and_a_currency() {
        let five = Money { amount: Decimal::parse("5.5").unwrap(), currency: "CNY".to_owned() };
        assert_eq!(money("5.5 CNY").unwrap(), five);
        assert_eq!(money("5.50cny").unwrap(), five);
        assert!(money("0").unwrap().amount.is_zero());
    }

    #[test]
    fn a_bare_number_or_a_sign_is_not_money() {
        assert_eq!(money("5").unwrap_err().to_string(), "`5` has no unit");
        assert_eq!(money("5 yuan").unwrap_err().to_string(), "`5 yuan` has the unknown unit `yuan`");
        assert!(money("$5").is_err());
        assert!(money("-5 USD").is_err());
        assert!(money("1e3 USD").is_err());
    }

    #[test]
    fn what_a_day_may_cost_says_so() {
        assert_eq!(money_a_day("5 USD/day").unwrap(), money("5 USD").unwrap());
        assert_eq!(money_a_day("0.5 CNY / day").unwrap(), money("0.5 CNY").unwrap());
        let missing = money_a_day("5 USD").unwrap_err().to_string();
        assert!(missing.contains("5 USD"), "{missing}");
        assert!(money_a_day("5 USD/month").is_err() && money_a_day("/day").is_err());
    }

    proptest! {
        #[test]
        fn any_amount_reads_back(whole in 0_u64..1_000_000_000, micro in 0_u64..1_000_000, code in "[A-Z]{3}") {
            let read = money(&format!("{whole}.{micro:06} {code}")).unwrap();
            prop_assert_eq!(read.amount.times(Decimal::ONE).in_units_of(6), Some(whole * 1_000_000 + micro));
            prop_assert_eq!(read.currency, code);
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,30}") {
            std::hint::black_box(money(&text)).ok();
        }
    }
}
