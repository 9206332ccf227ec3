//! From the bytes of a feed to tariffs.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::{Key, own};
use crate::engine;
use crate::feeds::{self, FeedError, OffPeak, Row, Sheet};
use crate::policy::decimal::Decimal;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::feed::{Feed, FeedFormat};
use crate::policy::money::Money;
use crate::policy::tariff::{Confidence, Effect, PriceOrigin, Tariff, TariffRates, TariffTier, Window};
use crate::policy::window::{Days, Hours};
use crate::units::PricePerMtok;

/// The rows of a feed.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub(super) tariffs: BTreeMap<Key, Tariff>,
    /// Where the rest of it is, relative to its address.
    pub next_page: Option<String>,
    /// How many entries have no price that can be used.
    pub skipped: usize,
}

/// Why a file is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// It is not of the format that it should have.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// It is in our own format, with mistakes.
    #[error("the price list is invalid\n{}", crate::policy::render(.0))]
    Invalid(Vec<Diagnostic>),
    /// It is no text.
    #[error("the price list is not UTF-8")]
    NotText,
}

impl List {
    /// How many models it prices.
    pub fn len(&self) -> usize {
        self.tariffs.len()
    }

    /// Whether it prices none.
    pub fn is_empty(&self) -> bool {
        self.tariffs.is_empty()
    }

    /// Adds another page of the same list.
    pub fn append(&mut self, page: Self) {
        self.tariffs.extend(page.tariffs);
        self.skipped += page.skipped;
        self.next_page = page.next_page;
    }
}

/// Reads what `feed` sent at `now`.
pub fn read(feed: &Feed, bytes: &[u8], now: Timestamp) -> Result<List, ListError> {
    let origin = PriceOrigin {
        source: Arc::clone(&feed.name),
        as_of: Some(TimeZone::UTC.to_datetime(now).date()),
        confidence: Confidence::Medium,
    };
    let (sheet, next_page) = match feed.format {
        FeedFormat::ModelsDev => (feeds::read_models_dev(bytes)?, None),
        FeedFormat::LiteLlm => (feeds::read_litellm(bytes)?, None),
        FeedFormat::OpenRouter => {
            let page = feeds::read_openrouter(bytes)?;
            (page.sheet, page.next)
        }
        FeedFormat::Faregate => {
            let text = std::str::from_utf8(bytes).map_err(|_| ListError::NotText)?;
            let tariffs = own::read(&feed.name, text, &origin, now).map_err(ListError::Invalid)?;
            return Ok(List { tariffs, ..List::default() });
        }
    };
    let skipped = sheet.skipped.values().map(|count| count.total).sum();
    Ok(List { tariffs: tariffs(sheet, &origin), next_page, skipped })
}

fn tariffs(sheet: Sheet, origin: &PriceOrigin) -> BTreeMap<Key, Tariff> {
    let entry = |row: Row| {
        let tariff = tariff(&row, origin);
        (Key { provider: row.provider, region: None, id: row.id }, tariff)
    };
    sheet.rows.into_iter().map(entry).collect()
}

fn tariff(row: &Row, origin: &PriceOrigin) -> Tariff {
    let tiers = row.price.tiers.iter().map(|tier| TariffTier {
        above_input: tier.above_input,
        above_output: tier.above_output,
        thinking: tier.thinking,
        rates: rates(&tier.rates),
    });
    Tariff {
        rates: rates(&row.price.rates),
        request: None,
        tiers: tiers.collect(),
        windows: row.off_peak.as_ref().map(windows).unwrap_or_default(),
        dated: Vec::new(),
        until: None,
        origin: origin.clone(),
    }
}

fn rates(rates: &engine::Rates) -> TariffRates {
    let dollars = |price: PricePerMtok| Money { amount: Decimal::of_millionths(price.0), currency: "USD".to_owned() };
    TariffRates {
        input: dollars(rates.input),
        cached_input: rates.cached_input.map(dollars),
        cache_write: rates.cache_write.map(dollars),
        output: dollars(rates.output),
        reasoning: rates.reasoning.map(dollars),
    }
}

fn windows(off_peak: &OffPeak) -> Vec<Window> {
    let time = |minute: u16| Time::MIN.saturating_add(jiff::Span::new().minutes(minute));
    let window = |hours: &feeds::Hours| Window {
        hours: Hours {
            zone: TimeZone::UTC,
            days: Days::of(&hours.weekdays),
            from: time(hours.from),
            to: time(hours.to),
            except: Vec::new(),
        },
        effect: Effect::Rates(Box::new(rates(&off_peak.rates))),
    };
    off_peak.hours.iter().map(window).collect()
}
