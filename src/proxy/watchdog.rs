//! An end to relays that nobody polls.
//!
//! hyper does not poll a reply's body while the client does not read, so a timeout inside the body would not be noticed
//! and the upstream's connection and quota would be held for as long as the client likes. A task of its own keeps the
//! deadline.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

/// Who is waited for when a deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitingFor {
    /// There was nothing to read.
    Upstream,
    /// It has not asked for more.
    Client,
}

/// What has to end in time.
pub(super) trait Expire: Send + 'static {
    /// The deadline has passed.
    fn expire(&mut self, waiting_for: WaitingFor);
}

/// A relay with a deadline.
pub(super) struct Watched<R> {
    shared: Arc<Mutex<Shared<R>>>,
    watchdog: AbortHandle,
}

struct Shared<R> {
    relay: R,
    waiting_for: WaitingFor,
    reader: Waker,
}

impl<R: Expire> Watched<R> {
    /// Ends `relay` at `deadline` unless it has been dropped by then.
    pub(super) fn new(relay: R, deadline: Instant) -> Self {
        let shared = Shared { relay, waiting_for: WaitingFor::Client, reader: Waker::noop().clone() };
        let shared = Arc::new(Mutex::new(shared));
        let watched = Arc::downgrade(&shared);
        let watchdog = tokio::spawn(async move {
            sleep_until(deadline).await;
            if let Some(shared) = watched.upgrade() {
                let Shared { relay, waiting_for, reader } = &mut *shared.lock();
                relay.expire(*waiting_for);
                reader.wake_by_ref();
            }
        });
        Self { shared, watchdog: watchdog.abort_handle() }
    }
}

impl<R> Watched<R> {
    /// Polls the relay; whoever does so is woken at the deadline too.
    pub(super) fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut R, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Shared { relay, waiting_for, reader } = &mut *self.lock();
        let polled = poll(relay, cx);
        *waiting_for = if polled.is_pending() { WaitingFor::Upstream } else { WaitingFor::Client };
        reader.clone_from(cx.waker());
        polled
    }

    /// Looks at the relay.
    pub(super) fn look<T>(&self, look: impl FnOnce(&R) -> T) -> T {
        look(&self.lock().relay)
    }

    /// Never waits: the watchdog runs on the same thread.
    fn lock(&self) -> MutexGuard<'_, Shared<R>> {
        self.shared.lock()
    }
}

impl<R> Drop for Watched<R> {
    fn drop(&mut self) {
        self.watchdog.abort();
    }
}
