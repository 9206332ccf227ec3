//! Fetches price lists, and keeps the book of what they said.
//!
//! A list that cannot be fetched, read or believed changes nothing: the old prices stay, and it is told. One feed is
//! fetched at a time; nobody waits for it.

mod desk;
mod keep;
mod run;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;

use self::keep::{Keeper, Note};
use super::fetch::{self, Address, FetchError, Fetched};
use super::source::Source;
use crate::policy::book::{Book, List, ListError, Shrunk, Vouched, read};
use crate::policy::model::{Feed, FeedUrl};
use crate::proxy::dial::Connector;
use crate::runtime;

pub use desk::Desk;
pub(crate) use run::refresh;
pub(super) use run::run;

/// What the feeds said, as whoever compiles prices sees it.
pub type SharedBook = Arc<ArcSwap<Book>>;

/// Pages of one list; the largest known one has two.
const MOST_PAGES: usize = 50;

/// Why a refresh changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It did not arrive.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is no list.
    #[error(transparent)]
    List(#[from] ListError),
    /// It is not believed.
    #[error(transparent)]
    Shrunk(#[from] Shrunk),
    /// Its pages go on and on, or elsewhere.
    #[error("the pages of the price list lead nowhere: {0}")]
    Pages(String),
}

/// What a refresh came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// A list was read.
    Read {
        /// How many models it prices.
        models: usize,
        /// How many of its entries have no price that can be used.
        skipped: usize,
    },
    /// The feed says what it said before.
    Unchanged,
}

/// How a feed does.
#[derive(Clone, Debug, Default)]
pub struct FeedStatus {
    /// When it was last asked.
    pub asked_at: Option<Timestamp>,
    /// Why that failed, if it did.
    pub failure: Option<String>,
    /// Entries of its list without a price that can be used.
    pub skipped: usize,
    etag: Option<String>,
    seen: Option<Seen>,
}

/// Enough of a list to know it again.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    digest: u64,
    /// Bytes of each page.
    pages: Vec<usize>,
}

impl Seen {
    fn of(pages: &[Bytes]) -> Self {
        let mut hasher = DefaultHasher::new();
        pages.hash(&mut hasher);
        Self { digest: hasher.finish(), pages: pages.iter().map(Bytes::len).collect() }
    }
}

/// Where lists are kept when the configuration does not say: in the service manager's folder for state, if it made one.
pub(super) fn usual_folder(source: &Source) -> Option<PathBuf> {
    let folders = (source.environment)("STATE_DIRECTORY")?;
    let first = folders.split(':').next().filter(|folder| !folder.is_empty())?;
    Some(Path::new(first).join("prices"))
}

/// Keeps the book.
pub struct Clerk {
    book: SharedBook,
    connector: Connector,
    keeper: Keeper,
    status: Mutex<BTreeMap<Arc<str>, FeedStatus>>,
    /// One change of the book at a time.
    turn: Mutex<()>,
}

impl Clerk {
    /// A clerk over `book`, who keeps lists in `folder`, if there is one.
    pub fn new(book: SharedBook, connector: Connector, folder: Option<PathBuf>) -> Self {
        let (keeper, status) = (Keeper(folder), Mutex::default());
        Self { book, connector, keeper, status, turn: Mutex::default() }
    }

    /// Keeps nothing from here on.
    pub(super) fn keep_nothing(&mut self) {
        self.keeper = Keeper(None);
    }

    /// Where lists are kept.
    pub fn folder(&self) -> Option<&Path> {
        self.keeper.0.as_deref()
    }

    /// What the feeds said.
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// How a feed does.
    pub fn status(&self, feed: &str) -> FeedStatus {
        self.status.lock().get(feed).cloned().unwrap_or_default()
    }

    /// Takes what is kept of `feeds` that are not in the book. A list that cannot be used any more is left alone.
    pub fn recall(&self, feeds: &[Feed]) {
        for feed in feeds {
            let Some(kept) = self.keeper.load(&feed.name, &feed.url.to_string()) else { continue };
            let note = kept.note;
            let Ok(list) = pages(feed, &kept.pages, note.fetched_at) else { continue };
            let vouched = if note.confirmed { Vouched::Yes } else { Vouched::No };
            let skipped = list.skipped;
            if self.change(|book| book.accept(feed, list, note.fetched_at, vouched)).is_ok() {
                let (etag, seen) = (note.etag, Some(Seen::of(&kept.pages)));
                let status = FeedStatus { skipped, etag, seen, ..FeedStatus::default() };
                self.status.lock().insert(Arc::clone(&feed.name), status);
            }
        }
    }

    /// Forgets feeds that are not configured any more.
    pub(super) fn retain(&self, feeds: &[Feed]) {
        self.status.lock().retain(|name, _| feeds.iter().any(|feed| feed.name == *name));
        self.change(|book| book.retain(feeds));
    }

    /// Asks `feed` for its list. With [`Vouched::Yes`] whatever it says counts.
    pub async fn refresh(&self, feed: &Feed, vouched: Vouched) -> Result<Refreshed, RefreshError> {
        let done = self.ask(feed, vouched).await;
        let mut all = self.status.lock();
        let status = all.entry(Arc::clone(&feed.name)).or_default();
        status.asked_at = Some(wall_clock());
        status.failure = done.as_ref().err().map(ToString::to_string);
        done
    }

    async fn ask(&self, feed: &Feed, vouched: Vouched) -> Result<Refreshed, RefreshError> {
        let known = self.status(&feed.name);
        let fetched = match &feed.url {
            FeedUrl::File(path) => {
                let source = |source| RefreshError::File { path: path.clone(), source };
                Some((vec![Bytes::from(std::fs::read(path).map_err(source)?)], None))
            }
            FeedUrl::Web { address, query } => {
                let first = Address { url: address.clone(), query: query.clone(), authorization: None };
                self.fetch(feed, first, known.etag.as_deref()).await?
            }
        };
        let now = wall_clock();
        let Some((pages, etag)) = fetched else { return Ok(self.unchanged(feed, known, now)) };
        let seen = Seen::of(&pages);
        if known.seen.as_ref() == Some(&seen) && self.book.load().shelf(&feed.name).is_some() {
            return Ok(self.unchanged(feed, FeedStatus { etag, ..known }, now));
        }
        let list = self::pages(feed, &pages, now)?;
        let (models, skipped) = (list.len(), list.skipped);
        self.change(|book| book.accept(feed, list, now, vouched))?;
        let status = FeedStatus { skipped, etag, seen: Some(seen), ..known };
        let note = Note::of(feed, &status, now, vouched == Vouched::Yes);
        self.kept(feed, self.keeper.save(&feed.name, &note, &pages));
        self.status.lock().insert(Arc::clone(&feed.name), status);
        Ok(Refreshed::Read { models, skipped })
    }

    /// It says again what it said.
    fn unchanged(&self, feed: &Feed, status: FeedStatus, now: Timestamp) -> Refreshed {
        self.change(|book| book.confirm(&feed.name, now));
        self.kept(feed, self.keeper.mark(&feed.name, &Note::of(feed, &status, now, true)));
        self.status.lock().insert(Arc::clone(&feed.name), status);
        Refreshed::Unchanged
    }

    /// All pages of a list, and the tag to ask with again; `None` if it has not changed. A list of several pages has no
    /// tag of its own.
    async fn fetch(
        &self,
        feed: &Feed,
        first: Address,
        etag: Option<&str>,
    ) -> Result<Option<(Vec<Bytes>, Option<String>)>, RefreshError> {
        let (mut pages, mut at, mut tag) = (Vec::new(), first, etag);
        loop {
            let Fetched::Body { bytes, etag } = fetch::get(&self.connector, &at, tag.take()).await? else {
                return Ok(None);
            };
            let next = read(feed, &bytes, wall_clock())?.next_page;
            pages.push(bytes);
            let Some(next) = next else {
                let etag = etag.filter(|_| pages.len() == 1);
                return Ok(Some((pages, etag)));
            };
            if pages.len() >= MOST_PAGES {
                return Err(RefreshError::Pages(format!("there are more than {MOST_PAGES}")));
            }
            at = at.follow(&next).ok_or(RefreshError::Pages(next))?;
        }
    }

    /// That a list cannot be kept is told; it counts all the same.
    fn kept(&self, feed: &Feed, done: std::io::Result<()>) {
        if let (Err(error), Some(folder)) = (done, self.folder()) {
            let folder = folder.display();
            tracing::warn!(feed = %feed.name, %folder, %error, "the price list cannot be kept for the next start");
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Book) -> T) -> T {
        let _turn = self.turn.lock();
        let mut book = Book::clone(&self.book.load());
        let done = change(&mut book);
        self.book.store(Arc::new(book));
        done
    }
}

impl Note {
    fn of(feed: &Feed, status: &FeedStatus, now: Timestamp, confirmed: bool) -> Self {
        let pages = status.seen.as_ref().map_or_else(Vec::new, |seen| seen.pages.clone());
        Self { from: feed.url.to_string(), etag: status.etag.clone(), fetched_at: now, confirmed, pages }
    }
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
        Some(Self { url, query: query.map(Arc::from), authorization: None })
    }
}

/// All pages as one list.
fn pages(feed: &Feed, pages: &[Bytes], now: Timestamp) -> Result<List, ListError> {
    let mut list = List::default();
    for page in pages {
        list.append(read(feed, page, now)?);
    }
    Ok(list)
}

fn wall_clock() -> Timestamp {
    Timestamp::try_from(runtime::wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}
