//! Fetches price lists, and keeps the book of what they said.
//!
//! A list that cannot be fetched, read or believed changes nothing: the old prices stay, and it is told. One feed is
//! fetched at a time; nobody waits for it.

mod desk;
mod get;
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

use self::get::Got;
use self::keep::{Keeper, Kept, Note};
use super::fetch::FetchError;
use super::source::Source;
use crate::policy::book::{Book, ListError, Shrunk, Vouched};
use crate::policy::model::Feed;
use crate::proxy::dial::Connector;
use crate::runtime;

pub use desk::Desk;
pub(crate) use run::refresh;
pub(super) use run::run;

/// What the feeds said, as whoever compiles prices sees it.
pub type SharedBook = Arc<ArcSwap<Book>>;

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
    /// It took too long.
    #[error("the price list has not arrived within {0} seconds")]
    Slow(u64),
    /// It was dropped half-read.
    #[error("the price list was not read to its end: {0}")]
    Interrupted(String),
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen(u64);

impl Seen {
    fn of(pages: &[Bytes]) -> Self {
        let mut hasher = DefaultHasher::new();
        pages.hash(&mut hasher);
        Self(hasher.finish())
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
    status: Mutex<BTreeMap<Arc<str>, (Feed, FeedStatus)>>,
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

    /// Makes the place for lists, or says why nothing will be kept.
    pub(super) fn prepare(&self) {
        if let Some(folder) = self.folder()
            && let Err(error) = std::fs::create_dir_all(folder)
        {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "price lists cannot be kept for the next start: set [prices] keep");
        }
    }

    /// What the feeds said.
    pub fn book(&self) -> Arc<Book> {
        self.book.load_full()
    }

    /// How a feed does.
    pub fn status(&self, feed: &Feed) -> FeedStatus {
        let all = self.status.lock();
        let known = all.get(&feed.name).filter(|(known, _)| known.is_same_list(feed));
        known.map(|(_, status)| status.clone()).unwrap_or_default()
    }

    /// Takes what is kept of `feeds` that are not in the book. A list that cannot be used any more is left alone.
    pub fn recall(&self, feeds: &[Feed]) {
        for feed in feeds {
            if let Some(kept) = self.keeper.load(&feed.name, &feed.identity())
                && let Some(status) = self.shelve(feed, &kept)
            {
                self.status.lock().insert(Arc::clone(&feed.name), (feed.clone(), status));
            }
        }
    }

    /// Says to the book what the feed said, in the order in which it did.
    fn shelve(&self, feed: &Feed, Kept { note, pages, before }: &Kept) -> Option<FeedStatus> {
        let said = |pages: &[Bytes], vouched| {
            let list = get::pages(feed, pages, note.fetched_at).ok()?;
            let skipped = list.skipped;
            self.change(|book| book.accept(feed, list, note.since, vouched)).ok()?;
            Some(skipped)
        };
        if !before.is_empty() {
            said(before, Vouched::Yes);
        }
        let skipped = said(pages, if note.confirmed { Vouched::Yes } else { Vouched::No })?;
        self.change(|book| book.confirm(feed, note.fetched_at, Vouched::No));
        Some(FeedStatus { skipped, etag: note.etag.clone(), seen: Some(Seen::of(pages)), ..FeedStatus::default() })
    }

    /// Forgets what is not a list of `feeds`.
    pub(super) fn retain(&self, feeds: &[Feed]) {
        self.status.lock().retain(|_, (known, _)| feeds.iter().any(|feed| feed.is_same_list(known)));
        self.change(|book| book.retain(feeds));
    }

    /// Asks `feed` for its list. With [`Vouched::Yes`] whatever it says counts.
    pub async fn refresh(&self, feed: &Feed, vouched: Vouched) -> Result<Refreshed, RefreshError> {
        let done = self.ask(feed, vouched).await;
        let mut status = self.status(feed);
        status.asked_at = Some(wall_clock());
        status.failure = done.as_ref().err().map(ToString::to_string);
        self.note(feed, status);
        done
    }

    async fn ask(&self, feed: &Feed, vouched: Vouched) -> Result<Refreshed, RefreshError> {
        let known = self.status(feed);
        let now = wall_clock();
        let Some(got) = get::get(&self.connector, feed, known.etag.as_deref(), now).await? else {
            return Ok(self.unchanged(feed, known, vouched));
        };
        let Got { pages, list, etag } = got;
        let seen = Some(Seen::of(&pages));
        if known.seen == seen && self.book.load().shelf(feed).is_some() {
            return Ok(self.unchanged(feed, FeedStatus { etag, ..known }, vouched));
        }
        let (models, skipped) = (list.len(), list.skipped);
        self.change(|book| book.accept(feed, list, now, vouched))?;
        let note = Note {
            from: feed.identity(),
            etag: etag.clone(),
            since: now,
            fetched_at: now,
            confirmed: vouched == Vouched::Yes,
            pages: pages.iter().map(Bytes::len).collect(),
            before: Vec::new(),
        };
        self.kept(feed, self.keeper.save(&feed.name, note, &pages));
        self.note(feed, FeedStatus { skipped, etag, seen, ..known });
        Ok(Refreshed::Read { models, skipped })
    }

    /// It says again what it said.
    fn unchanged(&self, feed: &Feed, status: FeedStatus, vouched: Vouched) -> Refreshed {
        let now = wall_clock();
        let confirmed = self.change(|book| book.confirm(feed, now, vouched));
        self.kept(feed, self.keeper.mark(&feed.name, now, status.etag.as_deref(), confirmed));
        self.note(feed, status);
        Refreshed::Unchanged
    }

    fn note(&self, feed: &Feed, status: FeedStatus) {
        self.status.lock().insert(Arc::clone(&feed.name), (feed.clone(), status));
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

fn wall_clock() -> Timestamp {
    Timestamp::try_from(runtime::wall_clock()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::book::Address;
    use crate::policy::model::{FeedFormat, FeedUrl};
    use crate::proxy::dial::Tcp;

    struct Stage {
        folder: tempfile::TempDir,
        feed: Feed,
    }

    impl Stage {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let feed = Feed {
                name: "f".into(),
                url: FeedUrl::File(folder.path().join("list.json")),
                format: FeedFormat::LiteLlm,
                every: Duration::from_hours(6),
                max_rise: 500,
                upstream: None,
            };
            Self { folder, feed }
        }

        /// A daemon that starts, with what the last one kept.
        fn start(&self) -> Clerk {
            let connector = Connector::new(Arc::new(Tcp::default()));
            let clerk = Clerk::new(SharedBook::default(), connector, Some(self.folder.path().join("kept")));
            clerk.recall(std::slice::from_ref(&self.feed));
            clerk
        }

        async fn says(&self, clerk: &Clerk, dollars: &str) -> Refreshed {
            let list = format!(
                "{{\"m\": {{\"litellm_provider\": \"p\", \"mode\": \"chat\", \"input_cost_per_token\": {dollars}, \
                 \"output_cost_per_token\": {dollars}}}}}"
            );
            std::fs::write(self.folder.path().join("list.json"), list).unwrap();
            clerk.refresh(&self.feed, Vouched::No).await.unwrap()
        }

        /// Whether what the feed says is what counts, if anything was ever confirmed.
        fn counts(&self, clerk: &Clerk) -> Option<bool> {
            let aliases = [(FeedFormat::LiteLlm, "p".to_owned())];
            let address = Address { upstream: "u", provider: None, aliases: &aliases, id: "m" };
            let book = clerk.book();
            let quote = book.find(&self.feed, address).unwrap();
            quote.confirmed.as_ref().map(|confirmed| *confirmed == quote.latest)
        }
    }

    #[tokio::test]
    async fn a_restart_confirms_nothing() {
        let stage = Stage::new();
        let clerk = stage.start();
        stage.says(&clerk, "1e-06").await;
        clerk.refresh(&stage.feed, Vouched::Yes).await.unwrap();
        assert_eq!(stage.counts(&clerk), Some(true));
        stage.says(&clerk, "1e-09").await;
        assert_eq!(stage.counts(&clerk), Some(false), "held");

        for _ in 0..3 {
            let clerk = stage.start();
            assert_eq!(stage.counts(&clerk), Some(false), "what it was is still known");
            assert_eq!(stage.says(&clerk, "1e-09").await, Refreshed::Unchanged);
            assert_eq!(stage.counts(&clerk), Some(false), "six hours have not passed");
        }
    }

    #[tokio::test]
    async fn what_has_to_be_waited_for_is_no_file() {
        let stage = Stage::new();
        let feed = Feed { url: FeedUrl::File(stage.folder.path().to_owned()), ..stage.feed.clone() };
        let error = stage.start().refresh(&feed, Vouched::No).await.unwrap_err();
        assert!(error.to_string().contains("not a regular file"), "{error}");
    }
}
