//! What a model costs, as written: rates, tiers, hours of the week, announced changes.

use jiff::Timestamp;
use jiff::civil::Time;
use toml::de::DeValue;

use crate::engine::Thought;
use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::{Fields, Spoiled};
use crate::policy::money::{Money, money};
use crate::policy::quantity::QuantityError;
use crate::policy::read::{Node, count, word};
use crate::policy::source::{At, Place};
use crate::policy::window::Days;
use crate::units::Tokens;

/// A price as written; each part may be left to the catalogue.
#[derive(Clone, Debug, Default)]
pub(crate) struct Price {
    /// Where it is said, if it is.
    pub(crate) place: Option<Place>,
    /// Whether a part could not be read.
    pub(crate) spoiled: Spoiled,
    pub(crate) input: Option<At<Money>>,
    pub(crate) output: Option<At<Money>>,
    pub(crate) cached_input: Option<At<Money>>,
    pub(crate) cache_write: Option<At<Money>>,
    pub(crate) reasoning: Option<At<Money>>,
    pub(crate) request: Option<At<Money>>,
}

/// Prices that are said as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Rates {
    pub(crate) input: At<Money>,
    pub(crate) output: At<Money>,
    pub(crate) cached_input: Option<At<Money>>,
    pub(crate) cache_write: Option<At<Money>>,
    pub(crate) reasoning: Option<At<Money>>,
}

/// A price for some requests.
#[derive(Clone, Debug)]
pub(crate) struct Tier {
    pub(crate) place: Place,
    pub(crate) above_input: Option<Tokens>,
    pub(crate) above_output: Option<Tokens>,
    pub(crate) thinking: Option<Thought>,
    pub(crate) rates: Rates,
}

/// A price at some hours.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) zone: At<String>,
    pub(crate) days: Days,
    pub(crate) from: Time,
    pub(crate) to: Time,
    /// The name of a calendar.
    pub(crate) except: Option<At<String>>,
    pub(crate) effect: Effect,
}

/// What a window does.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    Times(At<Decimal>),
    Rates(Box<Rates>),
}

/// An announced change.
#[derive(Clone, Debug)]
pub(crate) struct Dated {
    pub(crate) from: At<Timestamp>,
    pub(crate) rates: Rates,
    pub(crate) tiers: Vec<Tier>,
}

fn amount(fields: &Fields<'_>, name: &'static str) -> Option<At<Money>> {
    fields.at(name, |node| node.quantity(money))
}

pub(super) fn price(node: &Node<'_>) -> Option<Price> {
    node.fields(|fields| {
        fields.later(&["image"]);
        let price = Price {
            place: Some(node.place.clone()),
            spoiled: Spoiled::No,
            input: amount(fields, "input"),
            output: amount(fields, "output"),
            cached_input: amount(fields, "cached_input"),
            cache_write: amount(fields, "cache_write"),
            reasoning: amount(fields, "reasoning"),
            request: amount(fields, "request"),
        };
        Price { spoiled: fields.spoiled(), ..price }
    })
}

fn rates(fields: &Fields<'_>) -> Option<Rates> {
    let input = fields.need("input", |node| node.quantity(money));
    let output = fields.need("output", |node| node.quantity(money));
    let (cached_input, cache_write) = (amount(fields, "cached_input"), amount(fields, "cache_write"));
    let reasoning = amount(fields, "reasoning");
    Some(Rates { input: input?, output: output?, cached_input, cache_write, reasoning })
}

pub(super) fn tier(node: &Node<'_>) -> Option<Tier> {
    node.fields(|fields| {
        let above_input = fields.get("above_input", count).map(Tokens);
        let above_output = fields.get("above_output", count).map(Tokens);
        let thinking = fields.get("thinking", thought);
        let rates = rates(fields);
        if !["above_input", "above_output", "thinking"].into_iter().any(|name| fields.has(name)) {
            let hint = "say `above_input`, `above_output` or `thinking`";
            let message = "a tier needs a condition, or it would replace the price";
            fields.report.push(Diagnostic::error(&fields.place, message).hint(hint));
        }
        // Without the condition that could not be read it would be another tier.
        if fields.spoiled() == Spoiled::Yes {
            return None;
        }
        Some(Tier { place: node.place.clone(), above_input, above_output, thinking, rates: rates? })
    })?
}

fn thought(node: &Node<'_>) -> Option<Thought> {
    Some(if node.flag()? { Thought::Yes } else { Thought::No })
}

pub(super) fn window(node: &Node<'_>) -> Option<Window> {
    node.fields(|fields| {
        let zone = fields.need("zone", word);
        let days = if fields.has("days") { fields.get("days", days) } else { Some(Days::ALL) };
        let from = fields.need("from", time);
        let to = fields.need("to", time);
        let except = fields.at("except", word);
        let effect = effect(fields);
        let (from, to) = (from?.value, to?.value);
        Some(Window { zone: zone?, days: days?, from, to, except, effect: effect? })
    })?
}

fn effect(fields: &Fields<'_>) -> Option<Effect> {
    if !fields.has("times") {
        if !fields.has("input") {
            fields.missing("times", Some("or say the prices themselves: `input` and `output`"));
            return None;
        }
        return rates(fields).map(|rates| Effect::Rates(Box::new(rates)));
    }
    for name in ["input", "output", "cached_input", "cache_write", "reasoning"] {
        let both = "a window either multiplies the price by `times` or says other prices";
        fields.get(name, |node| -> Option<()> {
            node.error(both, None);
            None
        });
    }
    fields.at("times", |node| node.quantity(factor)).map(Effect::Times)
}

/// How many times as much, in quotes or bare. Nothing becomes free by multiplication.
pub(crate) fn factor(text: &str) -> Result<Decimal, QuantityError> {
    let expected = "a factor such as \"0.8\" or \"2\"";
    let found = text.to_owned();
    let malformed = || QuantityError::Malformed { expected, found: found.clone() };
    let number = Decimal::parse(text.trim()).ok_or_else(malformed)?;
    if number.is_zero() {
        return Err(QuantityError::Range {
            found,
            fault: "not a factor: what is free is said with \"0\" as its price",
        });
    }
    Ok(number)
}

fn days(node: &Node<'_>) -> Option<Days> {
    let text = word(node)?;
    let hint = || "write \"mon-fri\", \"sat, sun\" or leave it out for every day".to_owned();
    Days::parse(&text).or_else(|| {
        node.error(format!("`{text}` names no days"), Some(hint()));
        None
    })
}

fn time(node: &Node<'_>) -> Option<Time> {
    let text = word(node)?;
    // The end of a day is the beginning of the next one.
    let plain = if text == "24:00" { "00:00" } else { text.as_str() };
    let has_form = plain.len() >= 5 && plain.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    plain.parse().ok().filter(|_| has_form).or_else(|| {
        node.error(format!("`{text}` is not a time of day"), Some("write it like \"09:00\"".to_owned()));
        None
    })
}

pub(super) fn dated(node: &Node<'_>) -> Option<Dated> {
    node.fields(|fields| {
        let from = fields.need("from", instant);
        let tiers = fields.get("tiers", |node| node.list(tier)).unwrap_or_default();
        let rates = rates(fields);
        Some(Dated { from: from?, rates: rates?, tiers })
    })?
}

/// An instant with its offset from UTC, in quotes or bare.
pub(super) fn instant(node: &Node<'_>) -> Option<Timestamp> {
    let text = match node.value {
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => node.text()?,
    };
    let hint = "write it like \"2026-12-01T00:00:00Z\" or \"2026-12-01T00:00:00+08:00\"".to_owned();
    text.parse().map_err(|_| node.error(format!("`{text}` is not an instant"), Some(hint))).ok()
}
