//! What a model costs now: a tariff at the moment of the compilation, in dollars.
//!
//! Rate, times and the upstream's own factor are multiplied exactly and rounded once.

use std::sync::Arc;

use jiff::Timestamp;

use crate::engine;
use crate::policy::decimal::Decimal;
use crate::policy::model::{PriceDoubt, PriceHours, PriceOrigin};
use crate::policy::money::Money;
use crate::policy::tariff::{Effect, Quote, Tariff, TariffRates, Window};
use crate::units::{PicoUsd, PricePerMtok};

use super::Context;
use super::exchange::{Exchange, Unit};
use super::quoted;
use super::tariff::Said;

/// What is known of a price.
#[derive(Clone, Debug, Default)]
pub(super) struct Pricing {
    /// `None` when unknown.
    pub(super) price: Option<Arc<engine::Price>>,
    /// Who says so.
    pub(super) origin: Option<PriceOrigin>,
    /// What its hours mean now.
    pub(super) hours: Option<PriceHours>,
    /// When it changes next.
    pub(super) changes_at: Option<Timestamp>,
    /// What a feed says that does not count.
    pub(super) doubt: Option<PriceDoubt>,
}

/// The price of a model.
pub(super) fn compile(said: Said<'_>, exchange: &Exchange, context: &Context<'_>) -> Pricing {
    let (tariff, doubt) = quoted::tariff(said, exchange, context);
    let now = context.inputs.now();
    let pricing = tariff.map(|tariff| of_tariff(&tariff, said.price_times, exchange, now)).unwrap_or_default();
    Pricing { doubt, ..pricing }
}

/// What `tariff` comes to at `now`. An amount that cannot be expressed makes the price unknown; in files it has been
/// reported at its place.
pub(super) fn of_tariff(tariff: &Tariff, price_times: Decimal, exchange: &Exchange, now: Timestamp) -> Pricing {
    let forecast = tariff.at(now);
    let price = forecast.quote.and_then(|quote| in_dollars(&quote, price_times, exchange)).map(Arc::new);
    Pricing {
        origin: price.as_ref().map(|_| tariff.origin.clone()),
        hours: hours(tariff, now),
        price,
        changes_at: forecast.changes_at,
        doubt: None,
    }
}

fn in_dollars(quote: &Quote<'_>, price_times: Decimal, exchange: &Exchange) -> Option<engine::Price> {
    let factors = [quote.times, price_times];
    let tiers = quote.tiers.iter().map(|tier| {
        Some(engine::PriceTier {
            above_input: tier.above_input,
            above_output: tier.above_output,
            thinking: tier.thinking,
            rates: rates(&tier.rates, factors, exchange)?,
        })
    });
    Some(engine::Price {
        rates: rates(quote.rates, factors, exchange)?,
        request: match quote.request {
            Some(fee) => PicoUsd(exchange.convert(fee, Unit::Amount, factors).ok()?),
            None => PicoUsd::ZERO,
        },
        tiers: tiers.collect::<Option<_>>()?,
    })
}

fn rates(rates: &TariffRates, factors: [Decimal; 2], exchange: &Exchange) -> Option<engine::Rates> {
    let price = |amount: &Money| exchange.convert(amount, Unit::PerMtok, factors).ok().map(PricePerMtok);
    // `None` for a part that is not said; the whole is `None` for one that cannot be expressed.
    let part = |amount: &Option<Money>| amount.as_ref().map(price).map_or(Ok(None), |found| found.map(Some).ok_or(()));
    Some(engine::Rates {
        input: price(&rates.input)?,
        cached_input: part(&rates.cached_input).ok()?,
        cache_write: part(&rates.cache_write).ok()?,
        output: price(&rates.output)?,
        reasoning: part(&rates.reasoning).ok()?,
    })
}

/// What the hour makes of the price; `None` for a price without windows.
fn hours(tariff: &Tariff, now: Timestamp) -> Option<PriceHours> {
    if tariff.windows.is_empty() {
        return None;
    }
    let dearer = |window: &Window| match &window.effect {
        Effect::Times(times) => times.as_f64() > 1.0,
        Effect::Rates(rates) => rates.output.amount.as_f64() > tariff.rates.output.amount.as_f64(),
    };
    // Outside of hours that are all dearer it is off-peak, and the reverse.
    let dear = tariff.windows.iter().filter(|window| dearer(window)).count();
    Some(match tariff.window(now) {
        Some(open) if dearer(open) => PriceHours::Peak,
        Some(_) => PriceHours::OffPeak,
        None if dear == tariff.windows.len() => PriceHours::OffPeak,
        None if dear == 0 => PriceHours::Peak,
        None => PriceHours::Usual,
    })
}
