//! The last good list of each feed, on disk: a daemon that starts without a network knows the prices of yesterday.
//!
//! Three files per feed: the list as it came, the one before it while this one is not confirmed, and beside them what is
//! known of them. All are written whole and renamed, and the last names the lengths of the others, so that a half-written
//! set is noticed and not used.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A folder of lists; without one nothing is kept.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeper(pub(super) Option<PathBuf>);

/// What is known of a list that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Where it is from, and how it is written: what was read elsewhere is not this feed's.
    pub(super) from: String,
    pub(super) etag: Option<String>,
    /// Since when the feed has said it.
    pub(super) since: Timestamp,
    /// When it was last known to be in force.
    pub(super) fetched_at: Timestamp,
    /// Whether all of it counts: the feed has said it twice, or somebody vouches for it.
    pub(super) confirmed: bool,
    /// Bytes of each page.
    pub(super) pages: Vec<usize>,
    /// The same of the list before, which this one is compared with until it is confirmed.
    #[serde(default)]
    pub(super) before: Vec<usize>,
}

/// A list that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) note: Note,
    pub(super) pages: Vec<Bytes>,
    pub(super) before: Vec<Bytes>,
}

impl Keeper {
    /// The list of `feed`, if it is from `from` and whole.
    pub(super) fn load(&self, feed: &str, from: &str) -> Option<Kept> {
        let paths = self.paths(feed)?;
        let note = paths.note().filter(|note| note.from == from)?;
        let pages = split(std::fs::read(&paths.list).ok()?, &note.pages)?;
        let before = std::fs::read(&paths.before).ok().and_then(|bytes| split(bytes, &note.before));
        Some(Kept { note, pages, before: before.unwrap_or_default() })
    }

    /// Keeps a list. The one that was kept becomes the one before.
    pub(super) fn save(&self, feed: &str, mut note: Note, pages: &[Bytes]) -> io::Result<()> {
        let Some(paths) = self.paths(feed) else { return Ok(()) };
        if let Some(folder) = paths.list.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if let Some(old) = paths.note().filter(|old| old.from == note.from && !note.confirmed) {
            std::fs::rename(&paths.list, &paths.before)?;
            note.before = old.pages;
        }
        replace(&paths.list, &pages.concat())?;
        paths.write(&note)
    }

    /// Keeps that the feed said at `at` what it said before, and whether that counts now.
    pub(super) fn mark(&self, feed: &str, at: Timestamp, etag: Option<&str>, confirmed: bool) -> io::Result<()> {
        let Some((paths, mut note)) = self.paths(feed).and_then(|paths| paths.note().map(|note| (paths, note))) else {
            return Ok(());
        };
        note.fetched_at = at;
        note.etag = etag.map(str::to_owned);
        note.confirmed |= confirmed;
        paths.write(&note)
    }

    fn paths(&self, feed: &str) -> Option<Paths> {
        let path = |kind| Some(self.0.as_ref()?.join(format!("{feed}.{kind}")));
        Some(Paths { list: path("list")?, before: path("before.list")?, note: path("json")? })
    }
}

/// Where the files of a feed are.
struct Paths {
    list: PathBuf,
    before: PathBuf,
    note: PathBuf,
}

impl Paths {
    fn note(&self) -> Option<Note> {
        serde_json::from_slice(&std::fs::read(&self.note).ok()?).ok()
    }

    fn write(&self, note: &Note) -> io::Result<()> {
        replace(&self.note, &serde_json::to_vec_pretty(note).map_err(io::Error::other)?)
    }
}

/// The pages in `bytes`, if those are their lengths.
fn split(bytes: Vec<u8>, lengths: &[usize]) -> Option<Vec<Bytes>> {
    let mut bytes = Bytes::from(bytes);
    let whole = lengths.iter().sum::<usize>() == bytes.len();
    whole.then(|| lengths.iter().map(|length| bytes.split_to(*length)).collect())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    std::fs::write(&draft, bytes)?;
    std::fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(pages: &[Bytes]) -> Note {
        Note {
            from: "https://a:443/p".into(),
            etag: Some("\"1\"".into()),
            since: Timestamp::UNIX_EPOCH,
            fetched_at: Timestamp::UNIX_EPOCH,
            confirmed: false,
            pages: pages.iter().map(Bytes::len).collect(),
            before: Vec::new(),
        }
    }

    #[test]
    fn what_is_saved_comes_back_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper(Some(folder.path().join("prices")));
        let pages = [Bytes::from("one"), Bytes::from("three")];
        keeper.save("f", note(&pages), &pages).unwrap();

        let kept = keeper.load("f", "https://a:443/p").unwrap();
        assert_eq!((kept.note, kept.pages), (note(&pages), pages.to_vec()));
        assert!(keeper.load("f", "https://b:443/p").is_none(), "a list from elsewhere is not this feed's");
        assert!(keeper.load("g", "https://a:443/p").is_none());
    }

    #[test]
    fn the_list_before_is_kept_until_this_one_is_confirmed() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper(Some(folder.path().to_owned()));
        let save = |text: &'static str, confirmed| {
            let pages = [Bytes::from(text)];
            keeper.save("f", Note { confirmed, ..note(&pages) }, &pages).unwrap();
            keeper.load("f", "https://a:443/p").unwrap()
        };
        assert_eq!(save("first", false).before, Vec::<Bytes>::new());
        assert_eq!(save("second", false).before, [Bytes::from("first")]);
        assert_eq!(save("third", true).before, Vec::<Bytes>::new(), "somebody vouches for it");
        assert_eq!(save("fourth", false).before, [Bytes::from("third")]);

        keeper.mark("f", Timestamp::MAX, None, true).unwrap();
        let kept = keeper.load("f", "https://a:443/p").unwrap();
        assert_eq!((kept.note.fetched_at, kept.note.etag, kept.note.confirmed), (Timestamp::MAX, None, true));
    }

    #[test]
    fn half_a_list_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper(Some(folder.path().to_owned()));
        let pages = [Bytes::from("whole")];
        keeper.save("f", note(&pages), &pages).unwrap();
        std::fs::write(folder.path().join("f.list"), "who").unwrap();
        assert!(keeper.load("f", "https://a:443/p").is_none());
    }

    #[test]
    fn without_a_folder_nothing_is_kept_and_nothing_fails() {
        let pages = [Bytes::from("whole")];
        Keeper(None).save("f", note(&pages), &pages).unwrap();
        assert!(Keeper(None).load("f", "https://a:443/p").is_none());
    }
}
