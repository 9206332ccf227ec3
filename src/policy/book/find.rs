//! Which row of a feed is about a model: by provider and id, never by id alone.
//!
//! The same open model costs five times as much at one provider as at another. A list that is said to be one upstream's
//! own is the exception: there the id says it all.

use std::collections::BTreeMap;

use super::{Book, Key, Quote};
use crate::policy::dated::undated;
use crate::policy::feed::{Feed, FeedFormat};
use crate::policy::tariff::Tariff;

/// Whose model is to be priced.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address<'a> {
    /// The upstream's name.
    pub(crate) upstream: &'a str,
    /// The provider in the catalogue, and its region.
    pub(crate) provider: Option<(&'a str, &'a str)>,
    /// What feeds call this provider in this region, by format.
    pub(crate) aliases: &'a [(FeedFormat, String)],
    /// The model that it really is.
    pub(crate) id: &'a str,
}

impl Book {
    /// What `feed` says of the model at `address`.
    pub(crate) fn find(&self, feed: &Feed, address: Address<'_>) -> Option<&Quote> {
        among(&self.shelf(feed)?.quotes, feed, address)
    }

    /// What `feed` was believed of the model at `address` before its last list, which has left it out.
    pub(crate) fn lost(&self, feed: &Feed, address: Address<'_>) -> Option<&Tariff> {
        among(&self.shelf(feed)?.gone, feed, address)?.confirmed.as_ref()
    }
}

fn among<'b>(quotes: &'b BTreeMap<Key, Quote>, feed: &Feed, address: Address<'_>) -> Option<&'b Quote> {
    match &feed.upstream {
        Some(upstream) if **upstream == *address.upstream => {
            of_provider(quotes, feed, address).or_else(|| of_anybody(quotes, address.id))
        }
        Some(_) => None,
        None => of_provider(quotes, feed, address),
    }
}

/// The row of the address's provider: its exact id, or else the one without a date at its end.
fn of_provider<'b>(quotes: &'b BTreeMap<Key, Quote>, feed: &Feed, address: Address<'_>) -> Option<&'b Quote> {
    let (provider, region) = match feed.format {
        FeedFormat::Faregate => address.provider.map(|(provider, region)| (provider, Some(region)))?,
        FeedFormat::ModelsDev | FeedFormat::LiteLlm | FeedFormat::OpenRouter => {
            let alias = address.aliases.iter().find(|(format, _)| *format == feed.format);
            (alias.map(|(_, name)| name.as_str())?, None)
        }
    };
    let key = |id: &str| Key { provider: provider.to_owned(), region: region.map(str::to_owned), id: id.to_owned() };
    quotes.get(&key(address.id)).or_else(|| quotes.get(&key(undated(address.id)?)))
}

/// The only row with this id, whoever's it is.
fn of_anybody<'b>(quotes: &'b BTreeMap<Key, Quote>, id: &str) -> Option<&'b Quote> {
    let only = |id: &str| {
        let mut found = quotes.iter().filter(|(key, _)| key.id == id);
        let (_, first) = found.next()?;
        found.next().is_none().then_some(first)
    };
    only(id).or_else(|| only(undated(id)?))
}
