//! What is left of quotas, for one request at one moment.

use std::time::Duration;

use super::ledger::LimitKind;
use super::window::Window;
use crate::units::{Share, Timestamp, Tokens, count_to_f64};

/// When to look again for a place among the concurrent requests: nobody knows when one ends.
const NEXT_PLACE: Duration = Duration::from_millis(250);

/// What is left, for one request at one moment.
#[derive(Clone, Copy, Debug)]
pub struct QuotaReading {
    pub(super) fit: Fit,
    /// Tokens left beyond the request's.
    pub(super) spare: Tokens,
    left: [Option<Share>; LimitKind::ALL.len()],
}

/// Whether a request fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Now,
    Later {
        limit: LimitKind,
        until: Timestamp,
    },
    /// It is larger than the whole limit, and may go once nothing else counts against it.
    TooLarge {
        limit: LimitKind,
        until: Timestamp,
    },
}

impl QuotaReading {
    /// Without limits.
    pub const fn unlimited() -> Self {
        Self { fit: Fit::Now, spare: Tokens(u64::MAX), left: [None; LimitKind::ALL.len()] }
    }

    /// Both quotas at once: of each limit the scarcer.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let mut left = self.left;
        for (mine, theirs) in left.iter_mut().zip(other.left) {
            *mine = match (*mine, theirs) {
                (Some(mine), Some(theirs)) => Some(Share(mine.0.min(theirs.0))),
                (mine, theirs) => mine.or(theirs),
            };
        }
        Self { fit: self.fit.later(other.fit), spare: self.spare.min(other.spare), left }
    }

    /// What is left of each limit that exists, as a share of it.
    pub fn ratios(&self) -> impl Iterator<Item = (LimitKind, Share)> {
        LimitKind::ALL.into_iter().zip(self.left).filter_map(|(kind, left)| Some((kind, left?)))
    }

    pub(super) fn of_window(kind: LimitKind, limit: u64, window: &Window, need: Tokens, now: Timestamp) -> Self {
        let used = window.used(now);
        let left = limit.saturating_sub(used);
        let fit = if need.0 <= left || used == 0 {
            Fit::Now
        } else if need.0 > limit {
            Fit::TooLarge { limit: kind, until: window.down_to(0, now) }
        } else {
            Fit::Later { limit: kind, until: window.down_to(limit - need.0, now) }
        };
        let spare = match kind.unit() {
            Some(unit) if unit.counts_answers() && used > 0 => Tokens(left.saturating_sub(need.0)),
            Some(_) | None => Tokens(u64::MAX),
        };
        Self::unlimited().with(kind, left, limit, fit, spare)
    }

    pub(super) fn of_concurrency(limit: u32, in_flight: u32, now: Timestamp) -> Self {
        let kind = LimitKind::Concurrency;
        let fit = if in_flight < limit { Fit::Now } else { Fit::Later { limit: kind, until: now + NEXT_PLACE } };
        let left = u64::from(limit.saturating_sub(in_flight));
        Self::unlimited().with(kind, left, u64::from(limit), fit, Tokens(u64::MAX))
    }

    pub(super) fn with(mut self, kind: LimitKind, left: u64, limit: u64, fit: Fit, spare: Tokens) -> Self {
        let ratio = Share(count_to_f64(left) / count_to_f64(limit.max(1)));
        for (_, entry) in LimitKind::ALL.into_iter().zip(&mut self.left).filter(|(other, _)| *other == kind) {
            *entry = Some(ratio);
        }
        Self { fit, spare, ..self }
    }
}

impl Fit {
    /// The one that takes longer; being too large says more than being early.
    fn later(self, other: Self) -> Self {
        match (self, other) {
            (Self::Now, fit) | (fit, Self::Now) => fit,
            (
                Self::Later { until: mine, .. } | Self::TooLarge { until: mine, .. },
                Self::Later { until: theirs, .. } | Self::TooLarge { until: theirs, .. },
            ) => {
                if theirs > mine {
                    other
                } else {
                    self
                }
            }
        }
    }
}
