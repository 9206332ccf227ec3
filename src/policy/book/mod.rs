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
use std::time::Duration;

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
    /// Since when it has said `latest`.
    since: Timestamp,
}

/// What one feed said.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// When it was last known to say so.
    pub fetched_at: Timestamp,
    /// What was read is this feed's as long as it is the same list.
    feed: Feed,
    quotes: BTreeMap<Key, Quote>,
    /// What the list before had and this one has not: a row that is back in the next is compared with what it was.
    gone: BTreeMap<Key, Quote>,
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
    pub fn shelf(&self, feed: &Feed) -> Option<&Shelf> {
        self.shelves.get(&feed.name).filter(|shelf| shelf.feed.is_same_list(feed))
    }

    /// When the feed called `name` was last known to say what it says.
    pub fn fetched_at(&self, name: &str) -> Option<Timestamp> {
        self.shelves.get(name).map(|shelf| shelf.fetched_at)
    }

    /// Puts a new list on the shelf of `feed`. How much a price moved is judged at `now`, in the list's own currency.
    ///
    /// # Errors
    ///
    /// The list has lost more than half of its models.
    pub fn accept(&mut self, feed: &Feed, list: List, now: Timestamp, vouched: Vouched) -> Result<(), Shrunk> {
        let old = self.shelf(feed);
        let before = old.map_or(0, Shelf::len);
        if vouched == Vouched::No && list.len() * 2 < before {
            return Err(Shrunk { before, now: list.len() });
        }
        let known = |key: &Key| old.and_then(|shelf| shelf.quotes.get(key).or_else(|| shelf.gone.get(key)));
        let quote = |key: &Key, latest: Tariff| match known(key) {
            _ if vouched == Vouched::Yes || feed.upstream.is_some() => {
                Quote { confirmed: Some(latest.clone()), latest, since: now }
            }
            Some(known) => known.followed_by(latest, feed, now),
            None => Quote { confirmed: None, latest, since: now },
        };
        let quotes: BTreeMap<_, _> =
            list.tariffs.into_iter().map(|(key, latest)| (key.clone(), quote(&key, latest))).collect();
        let lost = old.iter().flat_map(|shelf| &shelf.quotes).filter(|(key, _)| !quotes.contains_key(key));
        let gone = lost.map(|(key, quote)| (key.clone(), quote.clone())).collect();
        self.shelves.insert(Arc::clone(&feed.name), Shelf { fetched_at: now, feed: feed.clone(), quotes, gone });
        Ok(())
    }

    /// `feed` says what it said before, which confirms what it has said for long enough, or all of it if somebody
    /// vouches for it. Says whether everything is confirmed.
    pub fn confirm(&mut self, feed: &Feed, now: Timestamp, vouched: Vouched) -> bool {
        let Some(shelf) = self.shelves.get_mut(&feed.name).filter(|shelf| shelf.feed.is_same_list(feed)) else {
            return false;
        };
        shelf.fetched_at = now;
        for quote in shelf.quotes.values_mut() {
            if vouched == Vouched::Yes || quote.is_said_again(feed, now) {
                quote.confirmed = Some(quote.latest.clone());
            }
        }
        shelf.quotes.values().all(|quote| quote.confirmed.as_ref() == Some(&quote.latest))
    }

    /// Forgets what is not a list of `feeds`.
    pub fn retain(&mut self, feeds: &[Feed]) {
        self.shelves.retain(|_, shelf| feeds.iter().any(|feed| feed.is_same_list(&shelf.feed)));
    }
}

impl Quote {
    /// What is known once the feed says `latest`.
    fn followed_by(&self, latest: Tariff, feed: &Feed, now: Timestamp) -> Self {
        let repeated = self.latest.says_the_same(&latest);
        let since = if repeated { self.since } else { now };
        let near = self.confirmed.as_ref().is_some_and(|known| believe::is_near(known, &latest, feed.max_rise, now));
        let believed = near || repeated && self.is_said_again(feed, now);
        let confirmed = if believed { Some(latest.clone()) } else { self.confirmed.clone() };
        Self { latest, confirmed, since }
    }

    /// Whether saying it once more at `now` is saying it twice. The same list fetched twice in a row is not: a slip takes
    /// its time to be noticed.
    fn is_said_again(&self, feed: &Feed, now: Timestamp) -> bool {
        let said_for = Duration::try_from(now.duration_since(self.since)).unwrap_or_default();
        said_for >= feed.said_again_after()
    }
}
