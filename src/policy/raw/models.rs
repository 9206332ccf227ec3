//! A model's table: price, lengths, capabilities, limits. The catalogue and a user's upstream use the same form.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::engine::{Capabilities, Limits};
use crate::policy::fields::Fields;
use crate::policy::model::Cache;
use crate::policy::nearest::advice;
use crate::policy::quantity::duration;
use crate::policy::read::{Node, count, word};
use crate::policy::source::At;
use crate::policy::tariff::PriceOrigin;
use crate::units::Tokens;

use super::allowances::{Allowance, free};
use super::config::date;
use super::prices::{Dated, Price, Tier, Window, dated, instant, price, tier, window};

/// What one `models."name"` table says.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) name: At<String>,
    pub(crate) price: Price,
    pub(crate) tiers: Option<Vec<Tier>>,
    pub(crate) windows: Option<Vec<Window>>,
    pub(crate) dated: Option<Vec<Dated>>,
    pub(crate) until: Option<Timestamp>,
    /// The model of the catalogue that it really is.
    pub(crate) base: Option<At<String>>,
    /// Whose word its figures are; the catalogue's rows have one.
    pub(crate) origin: Option<PriceOrigin>,
    pub(crate) context: Option<Tokens>,
    pub(crate) max_output: Option<Tokens>,
    /// The day on which its provider means to take it away.
    pub(crate) retires: Option<Date>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) limits: Limits,
    pub(crate) cache: Option<Cache>,
    pub(crate) free: Option<Allowance>,
}

/// Reads the table of the model called `name`.
pub(crate) fn model(name: At<String>, fields: &Fields<'_>) -> Option<Model> {
    let model = Model {
        price: fields.get("price", price).unwrap_or_default(),
        tiers: fields.get("tiers", |node| node.list(tier)),
        windows: fields.get("windows", |node| node.list(window)),
        dated: fields.get("dated", |node| node.list(dated)),
        until: fields.get("until", instant),
        base: fields.at("base", word),
        origin: None,
        context: tokens(fields, "context"),
        max_output: tokens(fields, "max_output"),
        retires: fields.get("retires", date),
        capabilities: fields.get("capabilities", capabilities),
        limits: fields.get("limits", limits).unwrap_or_default(),
        cache: fields.get("cache", cache),
        free: fields.get("free", free),
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

fn cache(node: &Node<'_>) -> Option<Cache> {
    node.fields(|fields| Cache {
        ttl: fields.get("ttl", |node| node.quantity(duration)).unwrap_or(Cache::USUAL.ttl),
        min_tokens: tokens(fields, "min_tokens").unwrap_or(Cache::USUAL.min_tokens),
    })
}

fn tokens(fields: &Fields<'_>, name: &'static str) -> Option<Tokens> {
    fields.get(name, count).map(Tokens)
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
    node.fields(|fields| Limits {
        requests_per_minute: fields.get("rpm", count),
        requests_per_day: fields.get("rpd", count),
        tokens_per_minute: fields.get("tpm", count),
        tokens_per_day: fields.get("tpd", count),
        input_tokens_per_minute: fields.get("itpm", count),
        output_tokens_per_minute: fields.get("otpm", count),
        concurrency: fields.get("concurrency", |node| {
            let count = count(node)?;
            u32::try_from(count).map_err(|_| node.error(format!("`{count}` is too large"), None)).ok()
        }),
    })
}
