//! What a load reads, and a record of it.
//!
//! This layer opens no file and asks no environment: both come through look-ups that the caller brings. Every file
//! that was asked for is remembered, the missing ones too, since those are what an operator is about to create.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::book::Book;

/// Where texts come from. The caller owns the file system, the environment and the clock.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// An environment variable's value.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// A file's text, or why it cannot be read.
    pub read: &'a dyn Fn(&Path) -> Result<String, String>,
    /// The wall clock: prices depend on it, and exchange rates grow old by it.
    pub now: SystemTime,
    /// What price feeds said, if any were fetched.
    pub book: Option<&'a Book>,
}

impl Sources<'static> {
    /// No environment and no files.
    pub(crate) fn nowhere(now: SystemTime) -> Self {
        Self { env: &|_| None, read: &|_| Err("is not read".to_owned()), now, book: None }
    }
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").field("now", &self.now).finish_non_exhaustive()
    }
}

/// Reads through [`Sources`], and remembers what was read.
pub(crate) struct Inputs<'a> {
    sources: Sources<'a>,
    files: RefCell<Vec<PathBuf>>,
    hash: Cell<u64>,
}

impl<'a> Inputs<'a> {
    const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

    pub(crate) fn new(sources: Sources<'a>) -> Self {
        Self { sources, files: RefCell::default(), hash: Cell::new(Self::FNV_OFFSET) }
    }

    /// The text of a file.
    pub(crate) fn read(&self, path: &Path) -> Result<String, String> {
        let text = (self.sources.read)(path);
        let mut files = self.files.borrow_mut();
        if !files.iter().any(|known| known == path) {
            files.push(path.to_owned());
        }
        self.note(text.as_deref().unwrap_or("\u{0}unreadable"));
        text
    }

    /// Adds a text that did not come from a file to the fingerprint.
    pub(crate) fn note(&self, text: &str) {
        // FNV-1a: the same on every machine and in every release, which the standard hasher does not promise.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(Self::FNV_PRIME);
        let hash = text.bytes().fold(self.hash.get(), step);
        self.hash.set(step(hash, 0xff));
    }

    /// An environment variable.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.sources.env)(name)
    }

    /// What price feeds said.
    pub(crate) const fn book(&self) -> Option<&'a Book> {
        self.sources.book
    }

    /// Now. A clock that is out of all range shows the beginning of its count.
    pub(crate) fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::try_from(self.sources.now).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// Today, in UTC.
    pub(crate) fn today(&self) -> jiff::civil::Date {
        jiff::tz::TimeZone::UTC.to_datetime(self.now()).date()
    }

    /// Every file that was asked for.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().clone()
    }

    /// 64 bits over everything read: it tells versions apart, and says nothing about what they hold.
    pub(crate) fn fingerprint(&self) -> String {
        format!("{:016x}", self.hash.get())
    }
}
