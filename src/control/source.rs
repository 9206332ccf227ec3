//! Where a configuration comes from, and what it said when it was last put in force.
//!
//! Prices change by the clock as well as by the files. When they do, the files on disk may be half written or wrong; what
//! was valid is kept, so that the clock never depends on them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};

use super::feeds::SharedBook;
use crate::policy::{self, Loaded, Sources};
use crate::runtime;

/// Looks up environment variables.
pub(super) type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Where the configuration comes from.
#[derive(Clone)]
pub struct Source {
    /// The file, or `None` for the embedded default.
    pub path: Option<PathBuf>,
    /// Where `env:` keys are looked up.
    pub environment: Environment,
    /// What price feeds said.
    pub book: SharedBook,
}

/// The files of one load, as they were. Some of them are keys.
#[derive(Default)]
pub(super) struct Texts(HashMap<PathBuf, Result<SecretString, String>>);

impl Source {
    /// Reads and compiles everything, to look at it once.
    pub fn look(&self) -> Loaded {
        self.load().0
    }

    /// Reads and compiles everything, and keeps what was read.
    pub(super) fn load(&self) -> (Loaded, Texts) {
        let texts = Mutex::new(Texts::default());
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
            texts.lock().0.insert(path.to_owned(), text.clone().map(SecretString::from));
            text
        };
        let loaded = self.compile(&read, runtime::wall_clock());
        (loaded, texts.into_inner())
    }

    /// Compiles what was read before as of `now`.
    pub(super) fn recompile(&self, texts: &Texts, now: SystemTime) -> Loaded {
        let read = |path: &Path| match texts.0.get(path) {
            Some(text) => text.as_ref().map(|text| text.expose_secret().to_owned()).map_err(String::clone),
            None => Err("was not read before".to_owned()),
        };
        self.compile(&read, now)
    }

    fn compile(&self, read: &dyn Fn(&Path) -> Result<String, String>, now: SystemTime) -> Loaded {
        let book = self.book.load();
        let sources = Sources { env: &*self.environment, read, now, book: Some(&book) };
        match &self.path {
            Some(path) => policy::load(path, &sources),
            None => policy::load_default(&sources),
        }
    }
}
