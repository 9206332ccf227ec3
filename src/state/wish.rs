//! What an operator wants of an endpoint, whatever its health, and for how long.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::units::Timestamp;

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Override {
    /// Used as its health allows.
    Enabled,
    /// Nothing new is sent.
    Draining,
    /// Not used.
    Disabled,
}

impl Override {
    const ALL: [Self; 3] = [Self::Enabled, Self::Draining, Self::Disabled];
}

/// Where a wish is kept. Whoever reads while it changes may see the new wish with the old end, for one request.
#[derive(Debug, Default)]
pub(super) struct Wish {
    what: AtomicU8,
    /// Nanoseconds since the clock began; 0 for ever.
    until: AtomicU64,
}

impl Wish {
    /// What is wanted now.
    pub(super) fn get(&self, now: Timestamp) -> Override {
        match self.what.load(Ordering::Relaxed) {
            0 => Override::Enabled,
            index if self.until().is_none_or(|until| now < until) => {
                Override::ALL.get(usize::from(index)).copied().unwrap_or(Override::Enabled)
            }
            _ => Override::Enabled,
        }
    }

    /// When that ends, if it does.
    pub(super) fn until(&self) -> Option<Timestamp> {
        let nanos = self.until.load(Ordering::Relaxed);
        (nanos > 0).then(|| Timestamp::after_start(Duration::from_nanos(nanos)))
    }

    /// Notes it.
    pub(super) fn set(&self, wish: Override, until: Option<Timestamp>) {
        let nanos = until.map_or(0, |until| u64::try_from(until.since_start().as_nanos()).unwrap_or(u64::MAX));
        let index = Override::ALL.iter().position(|one| *one == wish).unwrap_or(0);
        self.until.store(nanos, Ordering::Relaxed);
        self.what.store(u8::try_from(index).unwrap_or(0), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::after_start(Duration::from_secs(seconds))
    }

    #[test]
    fn a_wish_ends_when_it_was_said_to() {
        let wish = Wish::default();
        assert_eq!((wish.get(at(0)), wish.until()), (Override::Enabled, None));
        wish.set(Override::Disabled, None);
        assert_eq!(wish.get(at(1_000_000)), Override::Disabled);
        wish.set(Override::Draining, Some(at(60)));
        assert_eq!(
            (wish.get(at(59)), wish.get(at(60)), wish.until()),
            (Override::Draining, Override::Enabled, Some(at(60)))
        );
        wish.set(Override::Enabled, None);
        assert_eq!(wish.get(at(1)), Override::Enabled);
    }
}
