//! Prices as the admin plane shows them: in dollars, as of now.
//!
//! The metric shows what holds where no tier does; a tier is a condition on a request, which a gauge cannot say.

use serde::Serialize;

use crate::engine::{Price, PriceTier, Rates, Thought};
use crate::observe::{Gauges, PriceKind};
use crate::policy::model::{Endpoint, PriceHours};
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
