//! Price lists that others publish: bytes in, rows out.
//!
//! A feed is not trusted. What it does not price is unknown and never free, and a row that cannot be read is counted
//! and named, while the others count. Only a file that is no such feed at all is an error. What the rows are applied
//! to, and whether a change is believed, is not decided here.

mod litellm;
mod models_dev;
mod number;
mod openrouter;

use std::collections::BTreeMap;

use crate::engine::{Price, Rates};
use crate::units::PricePerMtok;

pub use litellm::read as read_litellm;
pub use models_dev::read as read_models_dev;
pub use openrouter::{Page, read as read_openrouter};

/// A price in dollars for one token, from the digits that are written; `None` for what is no price.
pub(crate) fn per_token(text: &str) -> Option<PricePerMtok> {
    number::price(text, number::Per::Token)
}

/// What a feed says of one model of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The provider, as the feed calls it.
    pub provider: String,
    /// The model's id at that provider.
    pub id: String,
    /// What it costs in dollars, at the dearest hour.
    pub price: Price,
    /// What it costs at other hours, if the feed says so.
    pub off_peak: Option<OffPeak>,
}

/// Other prices at some hours of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffPeak {
    /// What holds then, whatever the length of the prompt.
    pub rates: Rates,
    /// When.
    pub hours: Vec<Hours>,
}

/// A span of hours, in UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// On which days it begins: 1 is Monday, 7 is Sunday.
    pub weekdays: Vec<u8>,
    /// The minute of the day at which it begins.
    pub from: u16,
    /// The minute of the day before which it ends; at or before `from` means on the next day.
    pub to: u16,
}

/// Why an entry of a feed is no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// It is an example, not a model.
    Sample,
    /// It is not billed by text tokens.
    NotTokens,
    /// It has no price.
    Unpriced,
    /// It costs nothing, which in a feed means that nobody knows.
    Zero,
    /// Its price depends on what it routes to.
    Variable,
    /// It is paid for by subscription, and its price per token says nothing.
    Subscription,
    /// It does not read as an entry of this format.
    Unreadable,
    /// Another entry prices the same model differently; the dearer one counts.
    Contradicted,
}

/// What a feed says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// By provider and id, each pair once.
    pub rows: Vec<Row>,
    /// How many entries are no rows, by reason, and the first few of them.
    pub skipped: BTreeMap<Skipped, Count>,
}

/// How many, and the first few of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many.
    pub total: usize,
    /// The first few, by their names in the feed.
    pub first: Vec<String>,
}

/// A file is no feed of the format it is said to have.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It is not JSON of the right shape.
    #[error("this is no price list in the format `{format}`; see that the url and the format belong together")]
    Shape {
        /// The format it was read as.
        format: &'static str,
        /// What the reader stumbled over.
        source: serde_json::Error,
    },
    /// It is no JSON, or not all of it.
    #[error("this is not JSON, or only the beginning of it: {0}")]
    Json(serde_json::Error),
    /// It has the shape, and not one price.
    #[error(
        "no entry of this file has a price in the format `{format}`; see that the url and the format belong together"
    )]
    Empty {
        /// The format it was read as.
        format: &'static str,
    },
}

impl FeedError {
    fn of(format: &'static str, source: serde_json::Error) -> Self {
        if source.is_data() { Self::Shape { format, source } } else { Self::Json(source) }
    }
}

/// The parts of a price, as a feed says them.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    input: Option<PricePerMtok>,
    output: Option<PricePerMtok>,
    cached_input: Option<PricePerMtok>,
    cache_write: Option<PricePerMtok>,
    reasoning: Option<PricePerMtok>,
}

impl Parts {
    /// Input and output cost something, or nothing is known; another part that costs nothing is not said, and then costs
    /// as input or output.
    fn rates(self) -> Result<Rates, Skipped> {
        match (self.input, self.output) {
            (None, _) | (_, None) => Err(Skipped::Unpriced),
            (Some(PricePerMtok(0)), _) | (_, Some(PricePerMtok(0))) => Err(Skipped::Zero),
            (Some(input), Some(output)) => Ok(self.with(input, output)),
        }
    }

    /// Vectors are not tokens: only what is read is paid for.
    fn embedding(input: PricePerMtok) -> Result<Price, Skipped> {
        if input.0 == 0 { Err(Skipped::Zero) } else { Ok(Price::new(input, PricePerMtok(0))) }
    }

    fn with(self, input: PricePerMtok, output: PricePerMtok) -> Rates {
        let said = |part: Option<PricePerMtok>| part.filter(|price| price.0 > 0);
        Rates {
            input,
            output,
            cached_input: said(self.cached_input),
            cache_write: said(self.cache_write),
            reasoning: said(self.reasoning),
        }
    }
}

/// Collects rows, so that each model has one.
#[derive(Default)]
struct Collector {
    rows: BTreeMap<(String, String), Row>,
    skipped: BTreeMap<Skipped, Count>,
}

impl Collector {
    const NAMED: usize = 3;

    fn add(&mut self, name: &str, entry: Result<Row, Skipped>) {
        match entry {
            Ok(row) => self.keep(name, row),
            Err(why) => self.skip(name, why),
        }
    }

    fn skip(&mut self, name: &str, why: Skipped) {
        let count = self.skipped.entry(why).or_default();
        count.total += 1;
        if count.first.len() < Self::NAMED {
            count.first.push(name.to_owned());
        }
    }

    fn keep(&mut self, name: &str, row: Row) {
        let key = (row.provider.clone(), row.id.clone());
        let Some(known) = self.rows.get(&key) else {
            self.rows.insert(key, row);
            return;
        };
        if known.price == row.price && known.off_peak == row.off_peak {
            return;
        }
        let dearness = |row: &Row| (row.price.rates.output, row.price.rates.input);
        if dearness(&row) > dearness(known) {
            self.rows.insert(key, row);
        }
        self.skip(name, Skipped::Contradicted);
    }

    fn sheet(self, format: &'static str) -> Result<Sheet, FeedError> {
        if self.rows.is_empty() {
            return Err(FeedError::Empty { format });
        }
        Ok(Sheet { rows: self.rows.into_values().collect(), skipped: self.skipped })
    }
}
