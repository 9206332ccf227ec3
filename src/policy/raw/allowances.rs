//! Free tiers and prepaid packs: `[[upstreams.*.allowances]]`, and a model's own `free`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::dialect::glob::Glob;
use crate::engine::Unit;
use crate::policy::fields::Fields;
use crate::policy::money::{Money, money};
use crate::policy::quantity::{self, QuantityError};
use crate::policy::read::{Node, count, word};
use crate::policy::source::{At, Place};

const AMOUNT: &str = "an amount such as \"20M tokens\", \"500 requests\" or \"100 CNY\"";

/// Tokens, requests or money that need not be paid any more.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    /// Where it is said.
    pub(crate) place: Place,
    /// For which models; all if none is named.
    pub(crate) models: Vec<Glob>,
    pub(crate) amount: At<Amount>,
    /// How much of it was used when this was written.
    pub(crate) used: Option<At<Amount>>,
    pub(crate) per: Per,
    pub(crate) expires: Option<At<Timestamp>>,
}

/// So much of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Amount {
    /// Tokens or requests.
    Count(Unit, u64),
    /// Money.
    Money(Money),
}

/// When it is whole again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Per {
    /// Never.
    #[default]
    Once,
    /// At midnight, UTC.
    Day,
    /// On the first of a month, UTC.
    Month,
}

/// Reads one of `[[upstreams.*.allowances]]`.
pub(crate) fn allowance(node: &Node<'_>) -> Option<Allowance> {
    node.fields(|fields: &Fields<'_>| {
        fields.later(&["zone"]);
        let models = fields.get("models", |node| node.list(|item| word(item).map(|text| Glob::new(&text))));
        let amount = fields.need("amount", |node| node.quantity(amount));
        let used = fields.at("used", |node| node.quantity(self::amount));
        let per = fields.get("per", per).unwrap_or_default();
        let expires = fields.at("expires", expiry);
        let (place, models) = (node.place.clone(), models.unwrap_or_default());
        Some(Allowance { place, models, amount: amount?, used, per, expires })
    })?
}

/// Reads a model's `free`.
pub(crate) fn free(node: &Node<'_>) -> Option<Allowance> {
    node.fields(|fields: &Fields<'_>| {
        let tokens = fields.need("tokens", count);
        let per = fields.get("per", per).unwrap_or_default();
        let expires = fields.at("expires", expiry);
        let tokens = tokens?;
        let amount = At { value: Amount::Count(Unit::Tokens, tokens.value), place: tokens.place };
        Some(Allowance { place: node.place.clone(), models: Vec::new(), amount, used: None, per, expires })
    })?
}

fn amount(text: &str) -> Result<Amount, QuantityError> {
    let (number, rest) = quantity::split(text, AMOUNT)?;
    let (rest, unit) = match (rest.strip_suffix("tokens"), rest.strip_suffix("requests")) {
        (Some(rest), _) => (rest, Unit::Tokens),
        (None, Some(rest)) => (rest, Unit::Requests),
        (None, None) => {
            let money = money(text).map_err(|_| quantity::wrong_unit(text, rest, AMOUNT))?;
            return Ok(Amount::Money(money));
        }
    };
    let factor = match rest.trim() {
        "" => 1,
        "k" | "K" => 1_000,
        "M" => 1_000_000,
        "B" | "G" => 1_000_000_000,
        other => return Err(quantity::wrong_unit(text, other, AMOUNT)),
    };
    let units = number.scaled(factor).filter(|units| *units > 0 || number.is_zero());
    units
        .map(|units| Amount::Count(unit, units))
        .ok_or_else(|| QuantityError::Range { found: text.to_owned(), fault: "too large, or less than one" })
}

fn per(node: &Node<'_>) -> Option<Per> {
    node.choice(&[("once", Per::Once), ("day", Per::Day), ("month", Per::Month)])
}

/// A day, of which the whole counts (in UTC), or an instant.
fn expiry(node: &Node<'_>) -> Option<Timestamp> {
    let text = node.text()?;
    let day = || {
        let next = text.parse::<Date>().ok()?.tomorrow().ok()?;
        next.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
    };
    let hint = "write a day such as \"2026-12-31\", or an instant such as \"2026-12-31T16:00:00Z\"".to_owned();
    let found = text.parse::<Timestamp>().ok().or_else(day);
    if found.is_none() {
        node.error(format!("`{text}` is neither a day nor an instant"), Some(hint));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_of_tokens_of_requests_or_of_money() {
        let tokens = |units| Amount::Count(Unit::Tokens, units);
        assert_eq!(amount("20M tokens").unwrap(), tokens(20_000_000));
        assert_eq!(amount("1.5M tokens").unwrap(), tokens(1_500_000));
        assert_eq!(amount("500 requests").unwrap(), Amount::Count(Unit::Requests, 500));
        assert_eq!(amount("100 CNY").unwrap(), Amount::Money(money("100 CNY").unwrap()));
        assert!(amount("20M").is_err() && amount("20X tokens").is_err() && amount("100 yuan").is_err());
    }
}
