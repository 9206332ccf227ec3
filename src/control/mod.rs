//! What changes the snapshot: start, reload, shutdown.
//!
//! Reload is prepare, then commit: everything that can fail builds a complete new snapshot, and putting it in force is
//! one store. An invalid file leaves what runs as it is.

mod daemon;
mod feeds;
mod fetch;
pub mod market;
mod prices;
mod reload;
mod source;
pub mod wallets;
mod watch;

pub use daemon::{Daemon, StartError};
pub(crate) use feeds::refresh;
pub use feeds::{Clerk, Desk, FeedStatus, RefreshError, Refreshed, SharedBook};
pub use fetch::FetchError;
pub use reload::{Outcome, Reloader, Status, Trigger};
pub use source::Source;
