//! The only clock and the only source of entropy.
//!
//! Everything that decides takes `now` and a generator as parameters; this file is where the daemon gets them. The
//! monotonic clock is tokio's, so a paused test runtime rules time everywhere.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use tokio::time::Instant;

use crate::units::Timestamp;

static START: OnceLock<Instant> = OnceLock::new();

/// The time on the process's monotonic clock (virtual on a paused test runtime).
pub fn now() -> Timestamp {
    let instant = instant();
    // The first caller starts the clock one hour in the past, so that "long ago" can be expressed.
    let start = *START.get_or_init(|| instant.checked_sub(Duration::from_hours(1)).unwrap_or(instant));
    Timestamp::after_start(instant.saturating_duration_since(start))
}

/// The clock's own type, for tokio's timers.
#[expect(clippy::disallowed_methods, reason = "this is the file that asks the system for time")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// The wall clock, for people and for HTTP dates. Never used to measure.
#[expect(clippy::disallowed_methods, reason = "this is the file that asks the system for time")]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// A generator seeded from the operating system.
pub fn seeded_by_system() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).unwrap_or_else(|error| {
        tracing::warn!(%error, "the system gave no entropy; choices among equals repeat after a restart");
        StdRng::seed_from_u64(0)
    })
}

/// A generator that repeats itself for the same seed.
pub fn seeded(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}
