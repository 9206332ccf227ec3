//! Prices as the admin plane shows them: in dollars, as of now.
//!
//! The metric shows what holds where no tier does; a tier is a condition on a request, which a gauge cannot say.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use crate::control::{Clerk, RefreshError, Refreshed};
use crate::engine::{Price, PriceTier, Rates, Thought};
use crate::observe::{Gauges, PriceKind};
use crate::policy::book::Shelf;
use crate::policy::model::{Endpoint, Feed, PriceHours};
use crate::state::Snapshot;
use crate::units::PricePerMtok;

/// Dollars per million tokens.
#[derive(Debug, Serialize)]
pub(super) struct PriceView {
    #[serde(flatten)]
    rates: RatesView,
    /// Per request.
    request: f64,
    tiers: Vec<TierView>,
    source: Option<String>,
    as_of: Option<String>,
    confidence: Option<&'static str>,
    hours: Option<&'static str>,
    changes_at: Option<String>,
    /// What a feed says that does not count, or not yet.
    doubt: Option<String>,
}

/// `GET /v1/prices`.
#[derive(Debug, Serialize)]
pub(super) struct Prices {
    generation: u64,
    #[serde(rename = "prices")]
    rows: Vec<Row>,
    feeds: Vec<FeedView>,
    /// Dollars per unit.
    exchange: BTreeMap<String, f64>,
}

#[derive(Debug, Serialize)]
struct Row {
    upstream: String,
    model: String,
    price: Option<PriceView>,
}

#[derive(Debug, Serialize)]
struct FeedView {
    name: String,
    url: String,
    format: &'static str,
    every_s: u64,
    models: usize,
    skipped: usize,
    asked_at: Option<String>,
    fetched_at: Option<String>,
    failure: Option<String>,
}

/// What came of a refresh.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    feed: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl Answer {
    pub(super) fn new(feed: &Feed, done: &Result<Refreshed, RefreshError>) -> Self {
        let (result, models, message) = match done {
            Ok(Refreshed::Read { models, .. }) => ("read", Some(*models), None),
            Ok(Refreshed::Unchanged) => ("unchanged", None, None),
            Err(error @ RefreshError::Shrunk(_)) => ("refused", None, Some(error.to_string())),
            Err(error) => ("failed", None, Some(error.to_string())),
        };
        Self { feed: feed.name.to_string(), result, models, message }
    }
}

/// What every model costs, and what the feeds said.
pub(super) fn prices(snapshot: &Snapshot, clerk: &Clerk) -> Prices {
    let model = &snapshot.model;
    let mut seen = HashSet::new();
    let of_each = |endpoint: &&Endpoint| seen.insert((endpoint.upstream, Arc::clone(&endpoint.model)));
    let row = |endpoint: &Endpoint| Row {
        upstream: model.upstreams[endpoint.upstream].name.to_string(),
        model: endpoint.model.to_string(),
        price: PriceView::of(endpoint),
    };
    let book = clerk.book();
    let feed = |feed: &Feed| {
        let (shelf, status) = (book.shelf(feed), clerk.status(feed));
        FeedView {
            name: feed.name.to_string(),
            url: feed.url.to_string(),
            format: feed.format.label(),
            every_s: feed.every.as_secs(),
            models: shelf.map_or(0, Shelf::len),
            skipped: status.skipped,
            asked_at: status.asked_at.map(|at| at.to_string()),
            fetched_at: shelf.map(|shelf| shelf.fetched_at.to_string()),
            failure: status.failure,
        }
    };
    Prices {
        generation: snapshot.generation,
        rows: model.endpoints.values().filter(of_each).map(row).collect(),
        feeds: model.feeds.iter().map(feed).collect(),
        exchange: model.exchange.iter().cloned().collect(),
    }
}

/// Sets how old the prices in use are, and which are held.
pub(super) fn fill_ages(snapshot: &Snapshot, clerk: &Clerk, gauges: &Gauges, now: SystemTime) {
    let (model, book) = (&snapshot.model, clerk.book());
    let mut oldest: BTreeMap<&str, SystemTime> = BTreeMap::new();
    for endpoint in model.endpoints.values() {
        if endpoint.price_doubt.as_ref().is_some_and(|doubt| doubt.held) {
            gauges.set_price_held(&model.upstreams[endpoint.upstream].name, &endpoint.model);
        }
        let Some(origin) = &endpoint.price_origin else { continue };
        let listed = || origin.as_of?.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|day| day.timestamp());
        let since = book.fetched_at(&origin.source).or_else(listed);
        let Some(since) = since.map(SystemTime::from) else { continue };
        oldest.entry(&origin.source).and_modify(|known| *known = since.min(*known)).or_insert(since);
    }
    for (source, since) in oldest {
        gauges.set_price_age(source, now.duration_since(since).unwrap_or_default());
    }
}

#[derive(Debug, Serialize)]
struct RatesView {
    input: f64,
    cached_input: Option<f64>,
    cache_write: Option<f64>,
    output: f64,
    reasoning: Option<f64>,
}

#[derive(Debug, Serialize)]
struct TierView {
    above_input: Option<u64>,
    above_output: Option<u64>,
    thinking: Option<bool>,
    #[serde(flatten)]
    rates: RatesView,
}

impl PriceView {
    /// What is in force at `endpoint`; `None` when that is unknown.
    pub(super) fn of(endpoint: &Endpoint) -> Option<Self> {
        let price = endpoint.price.as_deref()?;
        let origin = endpoint.price_origin.as_ref();
        Some(Self {
            rates: (&price.rates).into(),
            request: price.request.as_dollars().0,
            tiers: price.tiers.iter().map(TierView::from).collect(),
            source: origin.map(|origin| origin.source.to_string()),
            as_of: origin.and_then(|origin| origin.as_of).map(|as_of| as_of.to_string()),
            confidence: origin.map(|origin| origin.confidence.label()),
            hours: endpoint.price_hours.map(PriceHours::label),
            changes_at: endpoint.price_changes_at.map(|change| change.to_string()),
            doubt: endpoint.price_doubt.as_ref().map(|doubt| doubt.text.to_string()),
        })
    }
}

impl From<&Rates> for RatesView {
    fn from(rates: &Rates) -> Self {
        let part = |price: Option<PricePerMtok>| price.map(|price| price.as_dollars().0);
        Self {
            input: rates.input.as_dollars().0,
            cached_input: part(rates.cached_input),
            cache_write: part(rates.cache_write),
            output: rates.output.as_dollars().0,
            reasoning: part(rates.reasoning),
        }
    }
}

impl From<&PriceTier> for TierView {
    fn from(tier: &PriceTier) -> Self {
        Self {
            above_input: tier.above_input.map(|bound| bound.0),
            above_output: tier.above_output.map(|bound| bound.0),
            thinking: tier.thinking.map(|thought| thought == Thought::Yes),
            rates: (&tier.rates).into(),
        }
    }
}

/// Sets the metric.
pub(super) fn show_price(gauges: &Gauges, upstream: &str, model: &str, price: &Price) {
    let rates = &price.rates;
    let kinds = [
        (PriceKind::Input, Some(rates.input)),
        (PriceKind::CachedInput, rates.cached_input),
        (PriceKind::CacheWrite, rates.cache_write),
        (PriceKind::Output, Some(rates.output)),
        (PriceKind::Reasoning, rates.reasoning),
    ];
    for (kind, amount) in kinds.into_iter().filter_map(|(kind, amount)| Some((kind, amount?))) {
        gauges.set_price(upstream, model, kind, amount);
    }
}
