//! The `openrouter` format: pages of models, prices as strings in dollars per token.
//!
//! `-1` is a price that depends on what a model routes to. `0` is free only where the id says so itself (`:free`).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::number::{self, Per};
use super::{Collector, FeedError, Parts, Row, Sheet, Skipped};
use crate::engine::Price;
use crate::units::PricePerMtok;

const FORMAT: &str = "openrouter";

/// One page of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its rows.
    pub sheet: Sheet,
    /// Where the next page is, as the feed writes it: relative to this one's address.
    pub next: Option<String>,
}

#[derive(Deserialize)]
struct RawPage {
    // Each is read by itself, so that one that is odd does not take the others with it.
    data: Vec<Box<RawValue>>,
    #[serde(default)]
    links: RawLinks,
}

#[derive(Default, Deserialize)]
struct RawLinks {
    next: Option<String>,
}

#[derive(Deserialize)]
struct RawModel {
    id: String,
    #[serde(default)]
    pricing: RawPricing,
}

#[derive(Default, Deserialize)]
struct RawPricing {
    prompt: Option<String>,
    completion: Option<String>,
    internal_reasoning: Option<String>,
    #[serde(alias = "input_cache_reads")]
    input_cache_read: Option<String>,
    #[serde(alias = "input_cache_writes")]
    input_cache_write: Option<String>,
}

/// One page in this format.
pub fn read(bytes: &[u8]) -> Result<Page, FeedError> {
    let page: RawPage = serde_json::from_slice(bytes).map_err(|source| FeedError::of(FORMAT, source))?;
    let mut collector = Collector::default();
    for (place, entry) in page.data.iter().enumerate() {
        match serde_json::from_str::<RawModel>(entry.get()) {
            Ok(model) => collector.add(&model.id, row(&model)),
            Err(_) => collector.skip(&format!("data[{place}]"), Skipped::Unreadable),
        }
    }
    Ok(Page { sheet: collector.sheet(FORMAT)?, next: page.links.next })
}

fn row(model: &RawModel) -> Result<Row, Skipped> {
    let pricing = &model.pricing;
    let part = |text: &Option<String>| number(text.as_deref());
    let parts = Parts {
        input: part(&pricing.prompt)?,
        output: part(&pricing.completion)?,
        cached_input: part(&pricing.input_cache_read)?,
        cache_write: part(&pricing.input_cache_write)?,
        reasoning: part(&pricing.internal_reasoning)?,
    };
    let is_free = model.id.ends_with(":free");
    let rates = match (parts.input, parts.output) {
        (Some(input), Some(output)) if is_free => parts.with(input, output),
        (_, _) => parts.rates()?,
    };
    let price = Price { rates, ..Price::default() };
    Ok(Row { provider: FORMAT.to_owned(), id: model.id.clone(), price, off_peak: None })
}

fn number(text: Option<&str>) -> Result<Option<PricePerMtok>, Skipped> {
    match text {
        None => Ok(None),
        Some("-1") => Err(Skipped::Variable),
        Some(text) => number::price(text, Per::Token).map(Some).ok_or(Skipped::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_free_only_where_the_id_says_so() {
        let page = read(
            br#"{"data": [
                {"id": "a/one", "pricing": {"prompt": "0.00003", "completion": "0.00006", "input_cache_reads": "0.000003"}},
                {"id": "a/two:free", "pricing": {"prompt": "0", "completion": "0"}},
                {"id": "a/three", "pricing": {"prompt": "0", "completion": "0"}},
                {"id": "a/auto", "pricing": {"prompt": "-1", "completion": "-1"}},
                {"id": "a/odd", "pricing": {"prompt": 1}},
                {"id": "a/bare"}], "links": {"next": "/models?offset=5"}}"#,
        )
        .unwrap();
        let ids: Vec<_> = page.sheet.rows.iter().map(|row| row.id.as_str()).collect();
        assert_eq!(ids, ["a/one", "a/two:free"]);
        assert_eq!(page.sheet.rows[0].price.rates.input, PricePerMtok(30_000_000));
        assert_eq!(page.sheet.rows[0].price.rates.cached_input, Some(PricePerMtok(3_000_000)));
        let skipped: Vec<_> = page.sheet.skipped.keys().copied().collect();
        assert_eq!(skipped, [Skipped::Unpriced, Skipped::Zero, Skipped::Variable, Skipped::Unreadable]);
        assert_eq!(page.next.as_deref(), Some("/models?offset=5"));
    }

    #[test]
    fn what_is_no_such_feed_is_an_error() {
        assert!(matches!(read(b"{}"), Err(FeedError::Shape { .. })));
        assert!(matches!(read(br#"{"data": []}"#), Err(FeedError::Empty { .. })));
    }
}
