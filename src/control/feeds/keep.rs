//! The last good list of each feed, on disk: a daemon that starts without a network knows the prices of yesterday.
//!
//! Two files per feed: the list as it came, and beside it what is known of it. Both are written whole and renamed, and
//! the second names the length of the first, so that a half-written pair is noticed and not used.

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
    /// Where it is from: a list of another address is not this feed's.
    pub(super) from: String,
    pub(super) etag: Option<String>,
    /// When it was last known to be in force.
    pub(super) fetched_at: Timestamp,
    /// Whether the feed has said it twice.
    pub(super) confirmed: bool,
    /// Bytes of each page.
    pub(super) pages: Vec<usize>,
}

/// A list that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) note: Note,
    pub(super) pages: Vec<Bytes>,
}

impl Keeper {
    /// The list of `feed`, if it is from `from` and whole.
    pub(super) fn load(&self, feed: &str, from: &str) -> Option<Kept> {
        let (list, note) = self.paths(feed)?;
        let note: Note = serde_json::from_slice(&std::fs::read(note).ok()?).ok()?;
        let mut bytes = Bytes::from(std::fs::read(list).ok()?);
        if note.from != from || note.pages.iter().sum::<usize>() != bytes.len() {
            return None;
        }
        let pages = note.pages.iter().map(|length| bytes.split_to(*length)).collect();
        Some(Kept { note, pages })
    }

    /// Keeps a list.
    pub(super) fn save(&self, feed: &str, note: &Note, pages: &[Bytes]) -> io::Result<()> {
        let Some((list, _)) = self.paths(feed) else { return Ok(()) };
        if let Some(folder) = list.parent() {
            std::fs::create_dir_all(folder)?;
        }
        replace(&list, &pages.concat())?;
        self.mark(feed, note)
    }

    /// Keeps what is known of a list that is kept already.
    pub(super) fn mark(&self, feed: &str, note: &Note) -> io::Result<()> {
        let Some((_, path)) = self.paths(feed) else { return Ok(()) };
        replace(&path, &serde_json::to_vec_pretty(note).map_err(io::Error::other)?)
    }

    fn paths(&self, feed: &str) -> Option<(PathBuf, PathBuf)> {
        let folder = self.0.as_ref()?;
        Some((folder.join(format!("{feed}.list")), folder.join(format!("{feed}.json"))))
    }
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
            fetched_at: Timestamp::UNIX_EPOCH,
            confirmed: true,
            pages: pages.iter().map(Bytes::len).collect(),
        }
    }

    #[test]
    fn what_is_saved_comes_back_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper(Some(folder.path().join("prices")));
        let pages = [Bytes::from("one"), Bytes::from("three")];
        keeper.save("f", &note(&pages), &pages).unwrap();

        let kept = keeper.load("f", "https://a:443/p").unwrap();
        assert_eq!((kept.note, kept.pages), (note(&pages), pages.to_vec()));
        assert!(keeper.load("f", "https://b:443/p").is_none(), "a list from elsewhere is not this feed's");
        assert!(keeper.load("g", "https://a:443/p").is_none());
    }

    #[test]
    fn half_a_list_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let keeper = Keeper(Some(folder.path().to_owned()));
        let pages = [Bytes::from("whole")];
        keeper.save("f", &note(&pages), &pages).unwrap();
        std::fs::write(folder.path().join("f.list"), "who").unwrap();
        assert!(keeper.load("f", "https://a:443/p").is_none());
    }

    #[test]
    fn without_a_folder_nothing_is_kept_and_nothing_fails() {
        let pages = [Bytes::from("whole")];
        Keeper(None).save("f", &note(&pages), &pages).unwrap();
        assert!(Keeper(None).load("f", "https://a:443/p").is_none());
    }
}
