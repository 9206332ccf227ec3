//! A provider's file in the catalogue.

use std::sync::Arc;

use jiff::civil::Date;

use crate::dialect::faults::Rules;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::feed::FeedFormat;
use crate::policy::fields::{Document, Fields};
use crate::policy::model::{Balance, BaseUrl};
use crate::policy::read::{Node, word};
use crate::policy::source::At;
use crate::policy::tariff::{Confidence, PriceOrigin};

use super::balances::balance;
use super::errors::errors;
use super::models::{Model, model};
use super::quirks::{Quirk, quirk};
use super::quota_windows::{self, QuotaWindows};
use super::upstreams::{address, dialect, words};

/// What a provider's file says.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) title: String,
    /// What nobody has confirmed of what it says.
    pub(crate) unverified: Arc<[String]>,
    pub(crate) key_variables: Vec<String>,
    /// What its errors mean.
    pub(crate) errors: Arc<Rules>,
    /// What its models want otherwise.
    pub(crate) quirks: Vec<Quirk>,
    /// Over which time its quota headers count.
    pub(crate) quota_windows: QuotaWindows,
    /// The first is used when no region is named.
    pub(crate) hosts: Vec<Host>,
}

/// One of a provider's hosts, with its price list.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) region: String,
    /// Variables that usually hold its keys, where they are not the provider's.
    pub(crate) key_variables: Option<Vec<String>>,
    pub(crate) base_url: BaseUrl,
    /// Where it processes data; empty if that is not known.
    pub(crate) processes_in: Vec<String>,
    pub(crate) models: Vec<Model>,
    /// Where it tells what is left in a wallet.
    pub(crate) balance: Option<Balance>,
    /// What price feeds call it, by format.
    pub(crate) aliases: Vec<(FeedFormat, String)>,
}

impl Provider {
    /// Variables that usually hold the keys of one of its hosts, in the order in which they are looked for; none if it
    /// needs no key.
    pub(crate) fn key_variables(&self, host: usize) -> &[String] {
        let own = self.hosts.get(host).and_then(|host| host.key_variables.as_ref());
        own.unwrap_or(&self.key_variables)
    }
}

/// Reads a provider's file; `None` where something required is missing.
pub(crate) fn provider(document: &Document<'_>, report: &Diagnostics) -> Option<Provider> {
    document.root(report, |fields| {
        fields.need("dialect", dialect);
        let title = fields.need("name", word);
        let unverified = fields.get("unverified", words).unwrap_or_default().into();
        let key_variables = fields.need("key_variables", words);
        let hosts = fields.need("hosts", |node| node.entries(host));
        let errors = Arc::new(fields.get("errors", errors).unwrap_or_default());
        let quirks = fields.get("quirks", |node| node.list(quirk)).unwrap_or_default();
        let quota_windows = fields.get("quota_headers", quota_windows::read).unwrap_or_default();
        let (title, key_variables, hosts) = (title?.value, key_variables?.value, hosts?.value);
        Some(Provider { title, unverified, key_variables, errors, quirks, quota_windows, hosts })
    })
}

fn host(region: At<String>, node: &Node<'_>) -> Option<Host> {
    node.fields(|fields| {
        let base_url = fields.need("base_url", address);
        let key_variables = fields.get("key_variables", words);
        let processes_in = fields.need("regions", words);
        let models = fields.get("models", |node| node.entries(row)).unwrap_or_default();
        let aliases =
            fields.get("feeds", |node| node.entries(|format, node| alias(&format.value, node))).unwrap_or_default();
        let balance = fields.get("balance", balance);
        let (base_url, processes_in) = (base_url?.value, processes_in?.value);
        Some(Host { region: region.value, key_variables, base_url, processes_in, models, balance, aliases })
    })?
}

fn alias(format: &str, node: &Node<'_>) -> Option<(FeedFormat, String)> {
    let found = FeedFormat::NAMED.iter().find(|(name, _)| *name == format).map(|(_, format)| *format);
    if found.is_none() {
        node.error(format!("there is no format `{format}`"), None);
    }
    Some((found?, word(node)?))
}

/// A model with the origin of its figures, which a price list for others may leave out.
pub(crate) fn listed(name: At<String>, node: &Node<'_>) -> Option<Model> {
    node.fields(|fields: &Fields<'_>| {
        fields.get("source", word);
        let as_of = fields.get("as_of", as_of);
        let confidence = fields.get("confidence", |node| node.choice(&Confidence::NAMED));
        let confidence = confidence.unwrap_or(Confidence::Medium);
        let model = model(name, fields)?;
        Some(Model { origin: Some(PriceOrigin { source: "".into(), as_of, confidence }), ..model })
    })?
}

/// A model with the origin of its figures, which must be given; the source is for people.
fn row(name: At<String>, node: &Node<'_>) -> Option<Model> {
    node.fields(|fields: &Fields<'_>| {
        fields.need("source", word);
        let as_of = fields.need("as_of", as_of);
        let confidence = fields.need("confidence", |node| node.choice(&Confidence::NAMED));
        let model = model(name, fields);
        let (as_of, confidence) = (Some(as_of?.value), confidence?.value);
        Some(Model { origin: Some(PriceOrigin { source: "catalogue".into(), as_of, confidence }), ..model? })
    })?
}

/// A day, or the first day of a month or a year: a figure may be that old.
fn as_of(node: &Node<'_>) -> Option<Date> {
    let text = word(node)?;
    let whole = match text.len() {
        4 => format!("{text}-01-01"),
        7 => format!("{text}-01"),
        _ => text.clone(),
    };
    let hint = || "write a year, a month or a day: \"2026\", \"2026-10\" or \"2026-10-27\"".to_owned();
    whole.parse().map_err(|_| node.error(format!("`{text}` is not a date"), Some(hint()))).ok()
}
