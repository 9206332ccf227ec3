//! Gets a whole list: a file, or all pages of an address. Nothing here blocks the thread that answers operators.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use super::RefreshError;
use crate::control::fetch::{self, Address, FetchError, Fetched, without_query};
use crate::policy::book::{List, ListError, read};
use crate::policy::model::{Feed, FeedUrl};
use crate::proxy::dial::Connector;

/// For all pages of a list.
const LIMIT: Duration = Duration::from_mins(2);
/// All pages of the largest list that is read, in bytes; the largest known one has 4 MB.
const LARGEST: usize = 64 << 20;
/// Pages of one list; the largest known one has two.
const MOST_PAGES: usize = 50;

/// A list that arrived.
pub(super) struct Got {
    pub(super) pages: Vec<Bytes>,
    pub(super) list: List,
    /// What to ask with the next time. A list of several pages has no tag of its own.
    pub(super) etag: Option<String>,
}

/// What `feed` says; `None` if it has still the tag `etag`.
pub(super) async fn get(
    connector: &Connector,
    feed: &Feed,
    etag: Option<&str>,
    now: Timestamp,
) -> Result<Option<Got>, RefreshError> {
    let arrives = async {
        match &feed.url {
            FeedUrl::File(path) => {
                let bytes = file(path).await?;
                let list = parse(feed, &bytes, now).await?;
                Ok(Some(Got { pages: vec![bytes], list, etag: None }))
            }
            FeedUrl::Web { address, query } => {
                let first = Address { url: address.clone(), query: query.clone(), authorization: None };
                web(connector, feed, first, etag, now).await
            }
        }
    };
    tokio::time::timeout(LIMIT, arrives).await.unwrap_or(Err(RefreshError::Slow(LIMIT.as_secs())))
}

/// A file of a usual kind: nothing that would have to be waited for.
async fn file(path: &Path) -> Result<Bytes, RefreshError> {
    let failed = |source| RefreshError::File { path: path.to_owned(), source };
    let from = path.to_owned();
    let read = move || {
        if !std::fs::metadata(&from)?.is_file() {
            return Err(std::io::Error::other("it is not a regular file"));
        }
        let mut bytes = Vec::new();
        std::fs::File::open(&from)?.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other).flatten().map_err(failed)?;
    if bytes.len() > LARGEST { Err(FetchError::TooLarge(LARGEST).into()) } else { Ok(bytes.into()) }
}

async fn web(
    connector: &Connector,
    feed: &Feed,
    mut at: Address,
    mut etag: Option<&str>,
    now: Timestamp,
) -> Result<Option<Got>, RefreshError> {
    let mut got = Got { pages: Vec::new(), list: List::default(), etag: None };
    let mut room = LARGEST;
    loop {
        let Fetched::Body { bytes, etag: tag } = fetch::get(connector, &at, etag.take(), room).await? else {
            return Ok(None);
        };
        room -= bytes.len();
        got.list.append(parse(feed, &bytes, now).await?);
        got.pages.push(bytes);
        let Some(next) = got.list.next_page.take() else {
            got.etag = tag.filter(|_| got.pages.len() == 1);
            return Ok(Some(got));
        };
        if got.pages.len() >= MOST_PAGES {
            return Err(RefreshError::Pages(format!("there are more than {MOST_PAGES}")));
        }
        at = at.follow(&next).ok_or_else(|| RefreshError::Pages(without_query(&next).to_owned()))?;
    }
}

/// Megabytes of JSON take their time.
async fn parse(feed: &Feed, bytes: &Bytes, now: Timestamp) -> Result<List, RefreshError> {
    let (feed, bytes) = (feed.clone(), bytes.clone());
    let list = tokio::task::spawn_blocking(move || read(&feed, &bytes, now)).await;
    list.map_err(|error| RefreshError::Interrupted(error.to_string()))?.map_err(RefreshError::List)
}

/// All pages as one list.
pub(super) fn pages(feed: &Feed, pages: &[Bytes], now: Timestamp) -> Result<List, ListError> {
    let mut list = List::default();
    for page in pages {
        list.append(read(feed, page, now)?);
    }
    Ok(list)
}

impl Address {
    /// The next page: on the same server, with a path or a query of its own.
    fn follow(&self, next: &str) -> Option<Self> {
        let (path, query) = next.split_once('?').map_or((next, None), |(path, query)| (path, Some(query)));
        if !path.is_empty() && !path.starts_with('/') || path.starts_with("//") {
            return None;
        }
        let mut url = self.url.clone();
        if !path.is_empty() {
            url.path = path.into();
        }
        Some(Self { url, query: query.map(std::sync::Arc::from), authorization: None })
    }
}
