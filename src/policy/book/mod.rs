//! What the price feeds said last, and how far each of their prices has been confirmed.
//!
//! A feed may slip: a price in the wrong unit, a file cut in half, a model priced at a tenth overnight. So what a feed
//! says is put beside what it said before, and only a change that is small, or that it says twice, is believed. Which
//! price a model has in the end is decided where the configuration is compiled, with the catalogue at hand.

mod believe;
mod find;
mod lists;
mod own;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::feed::Feed;
use super::tariff::Tariff;

pub(crate) use believe::{Doubted, Judge, Verdict};
pub(crate) use find::Address;
pub use lists::{List, ListError, read};

/// Which row of a feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The provider as the feed calls it; empty in a list that is about one upstream only.
    pub(crate) provider: String,
    /// The provider's region, in the one format that tells them apart.
    pub(crate) region: Option<String>,
    /// The model.
    pub(crate) id: String,
}

/// What a feed says of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quote {
    /// What it said last.
    pub(crate) latest: Tariff,
    /// What it is believed to mean: equal to `latest` unless that moved too far; `None` where nothing has been confirmed
    /// yet, and the catalogue is what `latest` is compared with.
    pub(crate) confirmed: Option<Tariff>,
}

/// What one feed said.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// When it was last known to say so.
    pub fetched_at: Timestamp,
    quotes: BTreeMap<Key, Quote>,
}

impl Shelf {
    /// How many models it prices.
    pub fn len(&self) -> usize {
        self.quotes.len()
    }

    /// Whether it prices none.
    pub fn is_empty(&self) -> bool {
        self.quotes.is_empty()
    }
}

/// What all feeds said.
#[derive(Clone, Debug, Default)]
pub struct Book {
    shelves: BTreeMap<Arc<str>, Shelf>,
    /// Feeds that no configuration names; they count before those that one does.
    pub tried: Vec<Feed>,
}

/// Why a list was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list has {now} models where it had {before}: more than half are gone, so the old list stays")]
pub struct Shrunk {
    /// Models in the list that stays.
    pub before: usize,
    /// Models in the list that was refused.
    pub now: usize,
}

/// Whether a person vouches for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vouched {
    /// Nobody does: changes are guarded.
    No,
    /// Somebody does: everything in it counts at once.
    Yes,
}

impl Book {
    /// What `feed` said, if it ever did.
    pub fn shelf(&self, feed: &str) -> Option<&Shelf> {
        self.shelves.get(feed)
    }

    /// Puts a new list on the shelf of `feed`. How much a price moved is judged at `now`, in the list's own currency.
    ///
    /// # Errors
    ///
    /// The list has lost more than half of its models.
    pub fn accept(&mut self, feed: &Feed, list: List, now: Timestamp, vouched: Vouched) -> Result<(), Shrunk> {
        let old = self.shelves.get(&feed.name);
        let before = old.map_or(0, Shelf::len);
        if vouched == Vouched::No && list.len() * 2 < before {
            return Err(Shrunk { before, now: list.len() });
        }
        let settled = |key: &Key, latest: Tariff| {
            if vouched == Vouched::Yes || feed.upstream.is_some() {
                return Quote { confirmed: Some(latest.clone()), latest };
            }
            let known = old.and_then(|shelf| shelf.quotes.get(key));
            Quote { confirmed: known.and_then(|known| known.confirmed_by(&latest, feed, now)), latest }
        };
        let quotes = list.tariffs.into_iter().map(|(key, latest)| (key.clone(), settled(&key, latest))).collect();
        self.shelves.insert(Arc::clone(&feed.name), Shelf { fetched_at: now, quotes });
        Ok(())
    }

    /// `feed` says what it said before: that confirms it.
    pub fn confirm(&mut self, feed: &str, now: Timestamp) {
        if let Some(shelf) = self.shelves.get_mut(feed) {
            shelf.fetched_at = now;
            for quote in shelf.quotes.values_mut() {
                quote.confirmed = Some(quote.latest.clone());
            }
        }
    }

    /// Forgets feeds that are not configured any more.
    pub fn retain(&mut self, feeds: &[Feed]) {
        self.shelves.retain(|name, _| feeds.iter().any(|feed| feed.name == *name));
    }
}

impl Quote {
    /// What is confirmed once the feed says `latest`.
    fn confirmed_by(&self, latest: &Tariff, feed: &Feed, now: Timestamp) -> Option<Tariff> {
        let repeated = self.latest.says_the_same(latest);
        let confirmed = self.confirmed.as_ref();
        let near = confirmed.is_some_and(|known| believe::is_near(known, latest, feed.max_rise, now));
        if repeated || near { Some(latest.clone()) } else { confirmed.cloned() }
    }
}
