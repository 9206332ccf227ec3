//! The `models-dev` format: one object, a key per provider, dollars per million tokens.
//!
//! Plans that are paid for by subscription list zeros, or the prices of what they replace: neither is what a token costs.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::{self, Per};
use super::{Collector, FeedError, Parts, Row, Sheet, Skipped};
use crate::engine::{Price, PriceTier, Rates};
use crate::units::{PricePerMtok, Tokens};

const FORMAT: &str = "models-dev";
const SUBSCRIPTIONS: [&str; 2] = ["-coding-plan", "-token-plan"];

type Entries = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct RawProvider {
    models: Entries,
}

#[derive(Deserialize)]
struct RawModel {
    cost: Option<RawCost>,
}

/// Numbers stay text, so that no float comes between.
#[derive(Deserialize)]
struct RawCost {
    input: Option<Box<RawValue>>,
    output: Option<Box<RawValue>>,
    #[serde(alias = "cache_input")]
    cache_read: Option<Box<RawValue>>,
    cache_write: Option<Box<RawValue>>,
    reasoning: Option<Box<RawValue>>,
    #[serde(default)]
    tiers: Vec<RawTier>,
    context_over_200k: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
struct RawTier {
    tier: RawCondition,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct RawCondition {
    #[serde(rename = "type")]
    kind: String,
    size: u64,
}

/// The rows of a file in this format.
pub fn read(bytes: &[u8]) -> Result<Sheet, FeedError> {
    let providers: Entries = serde_json::from_slice(bytes).map_err(|source| FeedError::of(FORMAT, source))?;
    let mut collector = Collector::default();
    for (provider, entry) in &providers {
        match serde_json::from_str::<RawProvider>(entry.get()) {
            Err(_) => collector.skip(provider, Skipped::Unreadable),
            Ok(_) if SUBSCRIPTIONS.iter().any(|end| provider.ends_with(end)) => {
                collector.skip(provider, Skipped::Subscription);
            }
            Ok(RawProvider { models }) => {
                for (id, model) in &models {
                    collector.add(&format!("{provider}/{id}"), row(provider, id, model));
                }
            }
        }
    }
    collector.sheet(FORMAT)
}

fn row(provider: &str, id: &str, model: &RawValue) -> Result<Row, Skipped> {
    let model: RawModel = serde_json::from_str(model.get()).map_err(|_| Skipped::Unreadable)?;
    let cost = model.cost.ok_or(Skipped::Unpriced)?;
    let rates = rates(&cost)?;
    let mut tiers = cost.tiers.iter().map(tier).collect::<Result<Vec<_>, _>>()?;
    if let (true, Some(over)) = (tiers.is_empty(), &cost.context_over_200k) {
        let cost: RawCost = serde_json::from_str(over.get()).map_err(|_| Skipped::Unreadable)?;
        tiers.push(above(200_000, self::rates(&cost)?));
    }
    tiers.sort_by_key(|tier| tier.above_input);
    let price = Price { rates, tiers, ..Price::default() };
    Ok(Row { provider: provider.to_owned(), id: id.to_owned(), price, off_peak: None })
}

fn rates(cost: &RawCost) -> Result<Rates, Skipped> {
    let parts = Parts {
        input: part(cost.input.as_deref())?,
        output: part(cost.output.as_deref())?,
        cached_input: part(cost.cache_read.as_deref())?,
        cache_write: part(cost.cache_write.as_deref())?,
        reasoning: part(cost.reasoning.as_deref())?,
    };
    parts.rates()
}

fn part(value: Option<&RawValue>) -> Result<Option<PricePerMtok>, Skipped> {
    match value.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) => number::price(text, Per::Mtok).map(Some).ok_or(Skipped::Unreadable),
    }
}

/// A condition of another kind is not known here; without it the price would be too low for some requests.
fn tier(raw: &RawTier) -> Result<PriceTier, Skipped> {
    if raw.tier.kind != "context" {
        return Err(Skipped::Unreadable);
    }
    let cost = serde_json::to_string(&raw.rest).map_err(|_| Skipped::Unreadable)?;
    let cost: RawCost = serde_json::from_str(&cost).map_err(|_| Skipped::Unreadable)?;
    Ok(above(raw.tier.size, rates(&cost)?))
}

fn above(bound: u64, rates: Rates) -> PriceTier {
    PriceTier { above_input: Some(Tokens(bound)), rates, ..PriceTier::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "acme": {"name": "Acme", "models": {
            "plain": {"name": "Plain", "cost": {"input": 0.5, "output": 3, "cache_read": 0.05, "cache_write": 0.625}},
            "tiered": {"cost": {"input": 1, "output": 2, "tiers": [
                {"tier": {"type": "context", "size": 256000}, "input": 3, "output": 9},
                {"tier": {"type": "context", "size": 128000}, "input": 2, "output": 6, "cache_read": 0.2}]}},
            "long": {"cost": {"input": 1, "output": 2, "context_over_200k": {"input": 2, "output": 4}}},
            "typo": {"cost": {"input": 1, "output": 2, "cache_input": 0.1}},
            "free": {"cost": {"input": 0, "output": 0}},
            "other": {"cost": {"input": 1, "output": 2, "tiers": [{"tier": {"type": "moon", "size": 1}, "input": 1}]}},
            "bare": {"name": "Bare"}}},
        "acme-coding-plan": {"models": {"plain": {"cost": {"input": 0.1, "output": 0.1}}}},
        "odd": 7}"#;

    #[test]
    fn prices_are_per_million_and_steps_are_in_order() {
        let sheet = read(TEXT.as_bytes()).unwrap();
        let find = |id: &str| sheet.rows.iter().find(|row| row.id == id).unwrap().price.clone();
        let plain = find("plain").rates;
        assert_eq!((plain.input.0, plain.output.0), (500_000, 3_000_000));
        assert_eq!((plain.cached_input, plain.cache_write), (Some(PricePerMtok(50_000)), Some(PricePerMtok(625_000))));
        let bounds: Vec<_> = find("tiered").tiers.iter().map(|tier| tier.above_input.unwrap().0).collect();
        assert_eq!(bounds, [128_000, 256_000]);
        assert_eq!(find("tiered").tiers[0].rates.cached_input, Some(PricePerMtok(200_000)));
        assert_eq!(find("long").tiers, [above(200_000, find("long").tiers[0].rates)]);
        assert_eq!(find("typo").rates.cached_input, Some(PricePerMtok(100_000)));
    }

    #[test]
    fn what_is_free_unpriced_or_by_subscription_is_no_row() {
        let sheet = read(TEXT.as_bytes()).unwrap();
        let names = |why| sheet.skipped[&why].first.join(" ");
        assert_eq!(names(Skipped::Zero), "acme/free");
        assert_eq!(names(Skipped::Unpriced), "acme/bare");
        assert_eq!(names(Skipped::Subscription), "acme-coding-plan");
        assert_eq!(names(Skipped::Unreadable), "acme/other odd");
    }

    #[test]
    fn what_is_no_such_feed_is_an_error() {
        assert!(matches!(read(b"[1]"), Err(FeedError::Shape { .. })));
        assert!(matches!(read(br#"{"a": {"models": {}}}"#), Err(FeedError::Empty { .. })));
    }
}
