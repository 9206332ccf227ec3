//! A model's table: price, lengths, capabilities, limits. The catalogue and a user's upstream use the same form.

use crate::engine::{Capabilities, Limits};
use crate::policy::fields::{Fields, Spoiled};
use crate::policy::money::{Money, money};
use crate::policy::nearest::advice;
use crate::policy::read::{Node, count, word};
use crate::policy::source::{At, Place};
use crate::units::Tokens;

/// What one `models."name"` table says.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) name: At<String>,
    pub(crate) price: Price,
    pub(crate) tiers: Option<Vec<Tier>>,
    pub(crate) context: Option<Tokens>,
    pub(crate) max_output: Option<Tokens>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) limits: Limits,
}

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
    pub(crate) reasoning: Option<At<Money>>,
    pub(crate) request: Option<At<Money>>,
}

/// A price for long prompts.
#[derive(Clone, Debug)]
pub(crate) struct Tier {
    pub(crate) above_input: At<Tokens>,
    pub(crate) input: At<Money>,
    pub(crate) output: At<Money>,
    pub(crate) cached_input: Option<At<Money>>,
}

/// Reads the table of the model called `name`.
pub(crate) fn model(name: At<String>, fields: &Fields<'_>) -> Option<Model> {
    fields.later(&["windows", "dated", "free", "cache", "base"]);
    let model = Model {
        price: fields.get("price", price).unwrap_or_default(),
        tiers: fields.get("tiers", |node| node.list(tier)),
        context: tokens(fields, "context"),
        max_output: tokens(fields, "max_output"),
        capabilities: fields.get("capabilities", capabilities),
        limits: fields.get("limits", limits).unwrap_or_default(),
        name,
    };
    if model.name.value.is_empty() || model.name.value.contains(|c: char| c.is_whitespace() || c == '#') {
        fields.report.push(crate::policy::Diagnostic::error(
            &model.name.place,
            "a model's name has no spaces and no `#`, and is not empty",
        ));
        return None;
    }
    Some(model)
}

fn tokens(fields: &Fields<'_>, name: &'static str) -> Option<Tokens> {
    fields.get(name, count).map(Tokens)
}

fn amount(fields: &Fields<'_>, name: &'static str) -> Option<At<Money>> {
    fields.at(name, |node| node.quantity(money))
}

fn price(node: &Node<'_>) -> Option<Price> {
    node.fields(|fields| {
        fields.later(&["cache_write", "image"]);
        let price = Price {
            place: Some(node.place.clone()),
            spoiled: Spoiled::No,
            input: amount(fields, "input"),
            output: amount(fields, "output"),
            cached_input: amount(fields, "cached_input"),
            reasoning: amount(fields, "reasoning"),
            request: amount(fields, "request"),
        };
        Price { spoiled: fields.spoiled(), ..price }
    })
}

fn tier(node: &Node<'_>) -> Option<Tier> {
    node.fields(|fields| {
        fields.later(&["above_output", "thinking", "cache_write"]);
        let above_input = fields.need("above_input", count);
        let input = fields.need("input", |node| node.quantity(money));
        let output = fields.need("output", |node| node.quantity(money));
        let cached_input = amount(fields, "cached_input");
        Some(Tier { above_input: above_input?.map(Tokens), input: input?, output: output?, cached_input })
    })?
}

fn capabilities(node: &Node<'_>) -> Option<Capabilities> {
    let names = Capabilities::NAMED.map(|(name, _)| name);
    let all = node.list(|item| {
        let text = word(item)?;
        let found = Capabilities::NAMED.iter().find(|(name, _)| *name == text);
        if found.is_none() {
            item.error(format!("unknown capability `{text}`"), advice(&text, &names));
        }
        found.map(|(_, one)| *one)
    })?;
    Some(all.into_iter().fold(Capabilities::NONE, Capabilities::with))
}

/// Reads a `limits` table.
pub(crate) fn limits(node: &Node<'_>) -> Option<Limits> {
    node.fields(|fields| {
        fields.later(&["itpm", "otpm"]);
        Limits {
            requests_per_minute: fields.get("rpm", count),
            requests_per_day: fields.get("rpd", count),
            tokens_per_minute: fields.get("tpm", count),
            tokens_per_day: fields.get("tpd", count),
            concurrency: fields.get("concurrency", |node| {
                let count = count(node)?;
                u32::try_from(count).map_err(|_| node.error(format!("`{count}` is too large"), None)).ok()
            }),
        }
    })
}
