//! What one worker thread holds: its connections, its generator, and what it shares with the others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rand::rngs::StdRng;

use super::pool::Pool;
use crate::observe::{AccessLog, Metrics};
use crate::state::Snapshot;

/// Reply bytes that all requests together may hold back; above it replies are passed on at once.
const MAX_HELD: usize = 256 * 1024 * 1024;

/// What all workers share.
pub struct Shared {
    snapshot: ArcSwap<Snapshot>,
    /// What happened, for Prometheus.
    pub metrics: Arc<Metrics>,
    /// What happened, line by line.
    pub access_log: AccessLog,
    held: Arc<AtomicUsize>,
}

impl Shared {
    /// State that begins with `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>, metrics: Arc<Metrics>, access_log: AccessLog) -> Self {
        Self { snapshot: ArcSwap::new(snapshot), metrics, access_log, held: Arc::default() }
    }

    /// The snapshot in force. A request takes it once.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// Puts a new snapshot in force: one store, and every request from now on sees all of it.
    pub fn commit(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
    }

    /// An account of held reply bytes for one reply.
    pub fn hold(&self) -> Held {
        Held { total: Arc::clone(&self.held), mine: 0 }
    }
}

/// One worker thread's own things.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Connections to upstreams.
    pub pool: Arc<Pool>,
    /// Chances: the engine's choice among equals, and request ids.
    pub rng: Mutex<StdRng>,
}

/// Reply bytes that one request holds back.
#[derive(Debug)]
pub struct Held {
    total: Arc<AtomicUsize>,
    mine: usize,
}

/// Whether more reply bytes may be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// They may.
    Yes,
    /// The daemon holds as much as it may: pass on what there is.
    No,
}

impl Held {
    /// Counts `bytes` more.
    pub fn grow(&mut self, bytes: usize) -> Room {
        self.mine += bytes;
        let before = self.total.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > MAX_HELD { Room::No } else { Room::Yes }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.total.fetch_sub(self.mine, Ordering::Relaxed);
    }
}
