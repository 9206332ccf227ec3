//! An end to relays that nobody polls.
//!
//! hyper does not poll a reply's body while the client does not read, so a timeout inside the body would not be noticed
//! and the upstream's connection and quota would be held for as long as the client likes. A task of its own keeps the
//! deadline.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// What has to end in time.
pub(super) trait Expire: Send + 'static {
    /// The deadline has passed.
    fn expire(&mut self);
}

/// A relay with a deadline.
pub(super) struct Watched<R> {
    relay: Arc<Mutex<R>>,
    watchdog: AbortHandle,
}

impl<R: Expire> Watched<R> {
    /// Ends `relay` at `deadline` unless it has been dropped by then.
    pub(super) fn new(relay: R, deadline: Instant) -> Self {
        let relay = Arc::new(Mutex::new(relay));
        let watched = Arc::downgrade(&relay);
        let watchdog = tokio::spawn(async move {
            sleep_until(deadline).await;
            if let Some(relay) = watched.upgrade() {
                relay.lock().expire();
            }
        });
        Self { relay, watchdog: watchdog.abort_handle() }
    }
}

impl<R> Watched<R> {
    /// The relay. Never waits: the watchdog runs on the same thread.
    pub(super) fn get(&self) -> MutexGuard<'_, R> {
        self.relay.lock()
    }
}

impl<R> Drop for Watched<R> {
    fn drop(&mut self) {
        self.watchdog.abort();
    }
}
