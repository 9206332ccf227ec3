//! The `litellm` format: one object, a key per model, dollars per token.
//!
//! A model belongs to its `litellm_provider`, also where its key is a bare id: the same id costs something else
//! elsewhere. Prices of batches, of priority and of other service levels are other products and are not read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::{self, Per};
use super::{Collector, FeedError, Hours, OffPeak, Parts, Row, Sheet, Skipped};
use crate::engine::{Price, PriceTier, Rates};
use crate::units::Tokens;

const FORMAT: &str = "litellm";
const TEXT_MODES: [&str; 4] = ["chat", "responses", "completion", EMBEDDING];
const EMBEDDING: &str = "embedding";

type Entry<'a> = BTreeMap<String, &'a RawValue>;

/// The rows of a file in this format.
pub fn read(bytes: &[u8]) -> Result<Sheet, FeedError> {
    let entries: BTreeMap<String, &RawValue> =
        serde_json::from_slice(bytes).map_err(|source| FeedError::of(FORMAT, source))?;
    let mut collector = Collector::default();
    for (name, entry) in entries {
        collector.add(&name, row(&name, entry));
    }
    collector.sheet(FORMAT)
}

fn row(name: &str, entry: &RawValue) -> Result<Row, Skipped> {
    if matches!(name, "sample_spec" | "fallback_generalizations") {
        return Err(Skipped::Sample);
    }
    let entry: Entry<'_> = serde_json::from_str(entry.get()).map_err(|_| Skipped::Unreadable)?;
    let mode = text(&entry, "mode").ok_or(Skipped::NotTokens)?;
    if !TEXT_MODES.contains(&mode.as_str()) {
        return Err(Skipped::NotTokens);
    }
    let provider = text(&entry, "litellm_provider").ok_or(Skipped::Unreadable)?;
    let id = name.strip_prefix(&provider).and_then(|rest| rest.strip_prefix('/')).unwrap_or(name).to_owned();
    let price = if mode == EMBEDDING {
        let input = entry.get("input_cost_per_token").ok_or(Skipped::Unpriced)?;
        let input = number::price(input.get(), Per::Token).ok_or(Skipped::Unreadable)?;
        Parts::embedding(input)?
    } else if entry.contains_key("tiered_pricing") {
        ranges(&entry)?
    } else {
        suffixes(&entry)?
    };
    let off_peak = entry.get("off_peak_pricing").and_then(|value| off_peak(value));
    Ok(Row { provider, id, price, off_peak })
}

fn text(entry: &Entry<'_>, field: &str) -> Option<String> {
    serde_json::from_str(entry.get(field)?.get()).ok()
}

/// The rates whose fields end in `suffix`.
fn rates(entry: &Entry<'_>, suffix: &str) -> Result<Rates, Skipped> {
    let part = |field: &str| match entry.get(&format!("{field}{suffix}")).map(|value| value.get()) {
        None | Some("null") => Ok(None),
        Some(text) => number::price(text, Per::Token).map(Some).ok_or(Skipped::Unreadable),
    };
    let parts = Parts {
        input: part("input_cost_per_token")?,
        output: part("output_cost_per_token")?,
        cached_input: part("cache_read_input_token_cost")?,
        cache_write: part("cache_creation_input_token_cost")?,
        reasoning: part("output_cost_per_reasoning_token")?,
    };
    parts.rates()
}

/// `input_cost_per_token_above_200k_tokens`: from there on the whole request costs so much.
fn suffixes(entry: &Entry<'_>) -> Result<Price, Skipped> {
    let usual = rates(entry, "")?;
    let mut bounds: Vec<u64> = entry.keys().filter_map(|field| bound(field)).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let tier = |bound: u64| {
        let rates = rates(entry, &format!("_above_{bound}k_tokens"))?;
        Ok(PriceTier { above_input: Some(Tokens(bound.saturating_mul(1_000))), rates, ..PriceTier::default() })
    };
    let tiers = bounds.into_iter().map(tier).collect::<Result<_, _>>()?;
    Ok(Price { rates: usual, tiers, ..Price::default() })
}

fn bound(field: &str) -> Option<u64> {
    let rest = field
        .strip_prefix("input_cost_per_token_above_")
        .or_else(|| field.strip_prefix("output_cost_per_token_above_"))?;
    rest.strip_suffix("k_tokens")?.parse().ok()
}

/// `tiered_pricing`: a list of ranges of prompt lengths, the first of which begins at 0.
fn ranges(entry: &Entry<'_>) -> Result<Price, Skipped> {
    let listed = entry.get("tiered_pricing").ok_or(Skipped::Unpriced)?;
    let listed: Vec<Entry<'_>> = serde_json::from_str(listed.get()).map_err(|_| Skipped::Unreadable)?;
    let range = |entry: &Entry<'_>| {
        let range = entry.get("range").ok_or(Skipped::Unpriced)?;
        let (from, _): (&RawValue, &RawValue) = serde_json::from_str(range.get()).map_err(|_| Skipped::Unreadable)?;
        Ok((number::count(from.get()).ok_or(Skipped::Unreadable)?, rates(entry, "")?))
    };
    let mut ranges = listed.iter().map(range).collect::<Result<Vec<_>, _>>()?;
    ranges.sort_unstable_by_key(|(from, _)| *from);
    let mut ranges = ranges.into_iter();
    let Some((0, usual)) = ranges.next() else { return Err(Skipped::Unreadable) };
    let tiers = ranges
        .map(|(from, rates)| PriceTier { above_input: Some(Tokens(from)), rates, ..PriceTier::default() })
        .collect();
    Ok(Price { rates: usual, tiers, ..Price::default() })
}

#[derive(Deserialize)]
struct RawWindow {
    weekdays: Vec<u8>,
    hours_utc: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

/// `None` where hours are written in a way not known here: then the usual price holds all day, which is the dearer one.
fn off_peak(value: &RawValue) -> Option<OffPeak> {
    let entry: Entry<'_> = serde_json::from_str(value.get()).ok()?;
    if entry.contains_key("weekday_timezone") {
        return None;
    }
    let windows: Vec<RawWindow> = serde_json::from_str(entry.get("windows")?.get()).ok()?;
    let mut hours = Vec::new();
    for window in windows {
        let spans = match window.hours_utc {
            OneOrMany::One(span) => vec![span],
            OneOrMany::Many(spans) => spans,
        };
        if window.weekdays.iter().any(|day| !(1..=7).contains(day)) {
            return None;
        }
        for span in spans {
            let (from, to) = span.split_once('-')?;
            hours.push(Hours { weekdays: window.weekdays.clone(), from: minute(from)?, to: minute(to)? });
        }
    }
    Some(OffPeak { rates: rates(&entry, "").ok()?, hours })
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    (hour < 24 && minute < 60).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::PricePerMtok;

    fn sheet(text: &str) -> Sheet {
        read(text.as_bytes()).unwrap()
    }

    fn only(fields: &str) -> Row {
        let text = format!(r#"{{"acme/a": {{"litellm_provider": "acme", "mode": "chat", {fields}}}}}"#);
        sheet(&text).rows.remove(0)
    }

    const GOOD: &str = r#""acme/good": {"litellm_provider": "acme", "mode": "chat",
        "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06}"#;

    fn why(entry: &str) -> Vec<Skipped> {
        sheet(&format!("{{{GOOD}, {entry}}}")).skipped.into_keys().collect()
    }

    #[test]
    fn a_part_that_costs_nothing_is_not_said_and_never_free() {
        let row = only(
            r#""input_cost_per_token": 1.32e-06, "output_cost_per_token": 3.96e-06,
               "cache_read_input_token_cost": 4.4e-08, "cache_creation_input_token_cost": 0.0"#,
        );
        assert_eq!((row.provider.as_str(), row.id.as_str()), ("acme", "a"));
        let rates = row.price.rates;
        assert_eq!((rates.input.0, rates.output.0), (1_320_000, 3_960_000));
        assert_eq!((rates.cached_input, rates.cache_write), (Some(PricePerMtok(44_000)), None));
    }

    #[test]
    fn a_price_of_zero_is_unknown_and_so_is_none() {
        let entry = |fields: &str| format!(r#""x": {{"litellm_provider": "acme", "mode": "chat"{fields}}}"#);
        let zero = entry(r#", "input_cost_per_token": 0.0, "output_cost_per_token": 0"#);
        assert_eq!(why(&zero), [Skipped::Zero]);
        assert_eq!(why(&entry("")), [Skipped::Unpriced]);
        let negative = entry(r#", "input_cost_per_token": -1, "output_cost_per_token": 1"#);
        assert_eq!(why(&negative), [Skipped::Unreadable]);
        assert_eq!(why(r#""sample_spec": {"input_cost_per_token": "a number"}"#), [Skipped::Sample]);
        assert_eq!(why(r#""x": {"litellm_provider": "acme", "mode": "image_generation"}"#), [Skipped::NotTokens]);
    }

    #[test]
    fn both_ways_to_write_tiers_mean_the_same() {
        let suffixes = only(
            r#""input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06,
               "input_cost_per_token_above_256k_tokens": 1.2e-06, "output_cost_per_token_above_256k_tokens": 4.8e-06,
               "input_cost_per_token_above_256k_tokens_flex": 1e-09"#,
        );
        let ranges = only(
            r#""tiered_pricing": [
                {"range": [256000.0, 1e6], "input_cost_per_token": 1.2e-06, "output_cost_per_token": 4.8e-06},
                {"range": [0, 256000.0], "input_cost_per_token": 4e-07, "output_cost_per_token": 1.6e-06}]"#,
        );
        assert_eq!(suffixes, ranges);
        assert_eq!(ranges.price.tiers[0].above_input, Some(Tokens(256_000)));
        assert_eq!(ranges.price.tiers[0].rates.output, PricePerMtok(4_800_000));
    }

    #[test]
    fn off_peak_hours_are_kept_and_unknown_ones_leave_the_usual_price() {
        let fields = |extra: &str| {
            format!(
                r#""input_cost_per_token": 2e-06, "output_cost_per_token": 4e-06, "off_peak_pricing": {{{extra}
                   "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
                   "windows": [{{"weekdays": [1, 2], "hours_utc": ["10:00-00:00"]}},
                               {{"weekdays": [6, 7], "hours_utc": "00:00-00:00"}}]}}"#
            )
        };
        let off_peak = only(&fields("")).off_peak.unwrap();
        assert_eq!(off_peak.rates.input, PricePerMtok(1_000_000));
        assert_eq!(off_peak.hours[0], Hours { weekdays: vec![1, 2], from: 600, to: 0 });
        assert_eq!(only(&fields(r#""weekday_timezone": "Asia/Shanghai","#)).off_peak, None);
    }

    #[test]
    fn of_two_prices_for_one_model_the_dearer_counts_and_providers_are_apart() {
        let entry = |name: &str, provider: &str, output: &str| {
            format!(
                r#""{name}": {{"litellm_provider": "{provider}", "mode": "chat",
                   "input_cost_per_token": 1e-06, "output_cost_per_token": {output}}}"#
            )
        };
        let text = [entry("a", "acme", "3e-06"), entry("acme/a", "acme", "2e-06"), entry("other/a", "other", "1e-06")];
        let sheet = sheet(&format!("{{{}}}", text.join(",")));
        let outputs: Vec<_> = sheet.rows.iter().map(|row| (row.provider.as_str(), row.price.rates.output.0)).collect();
        assert_eq!(outputs, [("acme", 3_000_000), ("other", 1_000_000)]);
        assert_eq!(sheet.skipped[&Skipped::Contradicted].first, ["acme/a"]);
    }

    #[test]
    fn what_is_no_such_feed_is_an_error() {
        assert!(matches!(read(b"<html>"), Err(FeedError::Json(_))));
        assert!(matches!(read(b"{\"a\": {"), Err(FeedError::Json(_))));
        assert!(matches!(read(b"[]"), Err(FeedError::Shape { .. })));
        assert!(matches!(read(br#"{"data": []}"#), Err(FeedError::Empty { .. })));
    }

    /// By hand, with the file at `target/litellm.json`: `cargo test --lib -- --ignored --nocapture a_real_file`.
    #[test]
    #[ignore = "needs a file that is not part of the project"]
    fn a_real_file_reads() {
        let sheet = read(&std::fs::read("target/litellm.json").unwrap()).unwrap();
        eprintln!("{} rows, {:#?}", sheet.rows.len(), sheet.skipped);
        eprintln!("{} with hours", sheet.rows.iter().filter(|row| row.off_peak.is_some()).count());
        eprintln!("{} with tiers", sheet.rows.iter().filter(|row| !row.price.tiers.is_empty()).count());
    }
}
