//! Prices without a daemon: for commands that show, fetch and compare them.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Clerk, RefreshError, Refreshed};
use crate::control::daemon;
use crate::control::source::Source;
use crate::policy::book::{Book, Vouched};
use crate::policy::model::{Feed, Model};
use crate::policy::{self, Loaded};
use crate::proxy::dial::{Connector, Tcp};

/// A configuration, its feeds, and what was kept of them.
pub struct Desk {
    source: Source,
    clerk: Clerk,
    model: Model,
}

impl Desk {
    /// Reads the configuration and what was kept; the diagnostics, as `check` prints them, where that is invalid.
    pub fn open(source: Source) -> Result<Self, String> {
        let (clerk, (loaded, _)) = daemon::load(&source, &Connector::new(Arc::new(Tcp::default())));
        Ok(Self { model: model(loaded)?, source, clerk })
    }

    /// Adds a feed that the configuration does not name, in front of the others.
    pub fn try_feed(&self, feed: &Feed) {
        self.source.book.rcu(|book| {
            let mut tried = Book::clone(book);
            tried.tried.insert(0, feed.clone());
            tried
        });
    }

    /// Keeps nothing of what is fetched from here on.
    pub fn only_looking(&mut self) {
        self.clerk.keep_nothing();
    }

    /// What the configuration and its feeds say so far.
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// What the feeds said.
    pub fn book(&self) -> Arc<Book> {
        self.clerk.book()
    }

    /// Where lists are kept.
    pub fn folder(&self) -> Option<PathBuf> {
        self.clerk.folder().map(PathBuf::from)
    }

    /// Asks a feed.
    pub async fn refresh(&self, feed: &Feed, vouched: Vouched) -> Result<Refreshed, RefreshError> {
        self.clerk.refresh(feed, vouched).await
    }

    /// What holds with what was fetched meanwhile; the old model comes back.
    pub fn reprice(&mut self) -> Result<Model, String> {
        let new = model(self.source.load().0)?;
        Ok(std::mem::replace(&mut self.model, new))
    }
}

fn model(loaded: Loaded) -> Result<Model, String> {
    loaded.model.ok_or_else(|| policy::render(&loaded.diagnostics))
}
