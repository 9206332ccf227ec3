//! The configuration file as a whole.

use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::fields::{Document, Fields};
use crate::policy::money::is_currency;
use crate::policy::quantity::QuantityError;
use crate::policy::read::{Node, texts, word};
use crate::policy::source::At;

use super::feeds::{Prices, prices};
use super::keys::{self, KeySource};
use super::server::{Server, server};
use super::upstreams::{Upstream, upstream};

/// What a configuration file says.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) policy: Option<At<String>>,
    pub(crate) server: Server,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) exchange: Vec<Rate>,
    pub(crate) calendars: Vec<Calendar>,
    pub(crate) prices: Prices,
    pub(crate) tenants: Vec<Tenant>,
}

/// One line of `[exchange]`.
#[derive(Debug)]
pub(crate) struct Rate {
    pub(crate) currency: String,
    pub(crate) usd: Decimal,
    pub(crate) as_of: At<jiff::civil::Date>,
}

/// One of `[calendars.*]`.
#[derive(Debug)]
pub(crate) struct Calendar {
    pub(crate) name: String,
    pub(crate) days: Vec<jiff::civil::Date>,
}

/// One of `[[tenants]]`.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: At<String>,
    pub(crate) keys: Vec<At<KeySource>>,
    pub(crate) routes: Option<Vec<At<String>>>,
}

/// Reads a whole configuration.
pub(crate) fn config(document: &Document<'_>, report: &Diagnostics) -> Config {
    document.root(report, |fields| {
        fields.later(&["budgets", "baselines", "state"]);
        fields.elsewhere(&["objective", "defaults", "routes"], "the policy file that `policy` names");
        Config {
            policy: fields.at("policy", word),
            server: fields.get("server", server).unwrap_or_default(),
            upstreams: fields.get("upstreams", |node| node.entries(upstream)).unwrap_or_default(),
            exchange: fields.get("exchange", |node| node.entries(rate)).unwrap_or_default(),
            calendars: calendars(fields),
            prices: fields.get("prices", prices).unwrap_or_default(),
            tenants: fields.get("tenants", |node| node.list(tenant)).unwrap_or_default(),
        }
    })
}

fn rate(currency: At<String>, node: &Node<'_>) -> Option<Rate> {
    if !is_currency(&currency.value) || currency.value == "USD" {
        let hint = "a currency is three capital letters, such as `CNY`; one dollar is one dollar";
        node.report.push(
            Diagnostic::error(&currency.place, format!("`{}` is not a foreign currency", currency.value)).hint(hint),
        );
        return None;
    }
    node.fields(|fields| {
        let usd = fields.need("usd", |node| node.quantity(positive));
        let as_of = fields.need("as_of", date);
        Some(Rate { currency: currency.value, usd: usd?.value, as_of: as_of? })
    })?
}

/// Reads `[calendars]`.
pub(crate) fn calendars(fields: &Fields<'_>) -> Vec<Calendar> {
    fields.get("calendars", |node| node.entries(calendar)).unwrap_or_default()
}

fn calendar(name: At<String>, node: &Node<'_>) -> Option<Calendar> {
    node.fields(|fields| {
        let days = fields.need("days", |node| node.list(date));
        Some(Calendar { name: name.value, days: days?.value })
    })?
}

fn positive(text: &str) -> Result<Decimal, QuantityError> {
    let expected = "a decimal number of dollars such as \"0.1395\"";
    let found = text.to_owned();
    let number =
        Decimal::parse(text.trim()).ok_or_else(|| QuantityError::Malformed { expected, found: found.clone() })?;
    if number.is_zero() {
        return Err(QuantityError::Range { found, fault: "not a rate: a currency is worth something" });
    }
    Ok(number)
}

pub(super) fn date(node: &Node<'_>) -> Option<jiff::civil::Date> {
    let text = node.text()?;
    let hint = "write it like \"2026-11-20\"".to_owned();
    text.parse().map_err(|_| node.error(format!("`{text}` is not a date"), Some(hint))).ok()
}

fn tenant(node: &Node<'_>) -> Option<Tenant> {
    node.fields(|fields: &Fields<'_>| {
        fields.later(&["limits", "group"]);
        let name = fields.need("name", word);
        let keys = fields.need("keys", |node| node.list(|item| keys::source(item).map(|source| item.at(source))));
        let routes = fields.get("routes", texts);
        if let Some(keys) = keys.as_ref().filter(|keys| keys.value.is_empty()) {
            fields.report.push(Diagnostic::error(&keys.place, "a tenant needs at least one key"));
        }
        Some(Tenant { name: name?, keys: keys?.value, routes })
    })?
}
