//! What a row of a price list says, as a function of time.
//!
//! Money stays in the currency of the list, and nothing is multiplied: a [`Quote`] holds the factors, so that a price is
//! rounded once, when it becomes dollars. What came from which file is not kept; whoever made the row has checked it.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;

use super::decimal::Decimal;
use super::money::Money;
use super::window::Hours;
use crate::engine::Thought;
use crate::units::Tokens;

/// A row of a price list.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tariff {
    /// What holds unless a dated change or a window says otherwise.
    pub(crate) rates: TariffRates,
    /// Per request.
    pub(crate) request: Option<Money>,
    /// Other prices for some requests; of those whose conditions hold, the last.
    pub(crate) tiers: Vec<TariffTier>,
    /// Other prices at some hours; of those that are open, the last.
    pub(crate) windows: Vec<Window>,
    /// Announced changes, by their instants. Each replaces rates and tiers, and leaves the windows.
    pub(crate) dated: Vec<Dated>,
    /// From here on nothing is known.
    pub(crate) until: Option<Timestamp>,
    /// Who says so.
    pub(crate) origin: PriceOrigin,
}

/// Prices per million tokens. A part that is not said costs as `input` or `output`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TariffRates {
    /// Input.
    pub(crate) input: Money,
    /// Input that the provider's cache served.
    pub(crate) cached_input: Option<Money>,
    /// Input that was written to the provider's cache.
    pub(crate) cache_write: Option<Money>,
    /// Output.
    pub(crate) output: Money,
    /// Reasoning.
    pub(crate) reasoning: Option<Money>,
}

/// Prices for some requests, as [`crate::engine::PriceTier`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TariffTier {
    /// For prompts longer than this.
    pub(crate) above_input: Option<Tokens>,
    /// For answers of this length or longer.
    pub(crate) above_output: Option<Tokens>,
    /// For answers that were, or were not, thought about.
    pub(crate) thinking: Option<Thought>,
    /// Per million tokens.
    pub(crate) rates: TariffRates,
}

/// Prices at some hours.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Window {
    /// When.
    pub(crate) hours: Hours,
    /// What.
    pub(crate) effect: Effect,
}

/// What a window does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Everything costs so many times as much: rates, tiers and the fee for a request.
    Times(Decimal),
    /// Other rates; tiers stay, since a window says nothing of long prompts.
    Rates(Box<TariffRates>),
}

/// An announced change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    /// From when on.
    pub(crate) from: Timestamp,
    /// What holds then.
    pub(crate) rates: TariffRates,
    /// What holds then for some requests.
    pub(crate) tiers: Vec<TariffTier>,
}

/// Who says what something costs, and how far to believe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceOrigin {
    /// `configuration`, `catalogue`, or a feed's name.
    pub source: Arc<str>,
    /// When it was so. A source that names a month means its first day at the earliest.
    pub as_of: Option<Date>,
    /// How sure the source is.
    pub confidence: Confidence,
}

/// How far a price can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Sources disagree, or are old.
    Low,
    /// One source says so.
    Medium,
    /// Several say so, or the one who pays.
    High,
}

impl Confidence {
    /// Each with its name in files.
    pub const NAMED: [(&'static str, Self); 3] = [("low", Self::Low), ("medium", Self::Medium), ("high", Self::High)];

    /// Its name in files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl PriceOrigin {
    /// What the operator says; it is true by definition.
    pub(crate) fn configuration() -> Self {
        Self { source: "configuration".into(), as_of: None, confidence: Confidence::High }
    }
}

/// What a row says at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Quote<'t> {
    /// The rates in force.
    pub(crate) rates: &'t TariffRates,
    /// The tiers in force.
    pub(crate) tiers: &'t [TariffTier],
    /// Per request.
    pub(crate) request: Option<&'t Money>,
    /// How many times as much everything costs.
    pub(crate) times: Decimal,
}

/// What a row says at one moment, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Forecast<'t> {
    /// The price; `None` after the end of what is known.
    pub(crate) quote: Option<Quote<'t>>,
    /// When the quote changes next, if it ever does.
    pub(crate) changes_at: Option<Timestamp>,
}

impl Tariff {
    /// What holds at `now`, and when something else does.
    pub(crate) fn at(&self, now: Timestamp) -> Forecast<'_> {
        let quote = self.quote(now);
        Forecast { quote, changes_at: self.next_change(now, quote.as_ref()) }
    }

    /// What holds at `now`; `None` after the end of what is known.
    pub(crate) fn quote(&self, now: Timestamp) -> Option<Quote<'_>> {
        if self.until.is_some_and(|until| now >= until) {
            return None;
        }
        let dated = self.dated.iter().filter(|change| change.from <= now).max_by_key(|change| change.from);
        let (rates, tiers) = dated.map_or((&self.rates, &self.tiers), |change| (&change.rates, &change.tiers));
        let usual = Quote { rates, tiers, request: self.request.as_ref(), times: Decimal::ONE };
        Some(match self.window(now).map(|window| &window.effect) {
            None => usual,
            Some(Effect::Times(times)) => Quote { times: *times, ..usual },
            Some(Effect::Rates(rates)) => Quote { rates, ..usual },
        })
    }

    /// The window that counts at `now`.
    pub(crate) fn window(&self, now: Timestamp) -> Option<&Window> {
        self.windows.iter().rev().find(|window| window.hours.holds(now))
    }

    /// Between two edges nothing changes, so the first edge with another quote is the change.
    fn next_change(&self, now: Timestamp, quote: Option<&Quote<'_>>) -> Option<Timestamp> {
        let mut edges: Vec<_> = self.dated.iter().map(|change| change.from).chain(self.until).collect();
        for window in &self.windows {
            window.hours.edges(now, &mut edges);
        }
        edges.retain(|edge| *edge > now);
        edges.sort_unstable();
        edges.dedup();
        edges.into_iter().find(|edge| self.quote(*edge).as_ref() != quote)
    }
}
