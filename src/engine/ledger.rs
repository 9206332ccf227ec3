//! What is left of the quotas of one key or one model, counted by us so that the provider never has to refuse.
//!
//! Quota is set aside before a call and corrected after it, in the slice of time in which it was set aside. A
//! provider's 429 would tell the same, a round trip and a failover later.

use std::time::Duration;

use super::features::Limits;
use super::window::Window;
use crate::units::{Share, Timestamp, Tokens, count_to_f64};

/// When to look again for a place among the concurrent requests: nobody knows when one ends.
const NEXT_PLACE: Duration = Duration::from_millis(250);

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Requests per minute.
    RequestsPerMinute,
    /// Requests per day.
    RequestsPerDay,
    /// Tokens per minute.
    TokensPerMinute,
    /// Tokens per day.
    TokensPerDay,
    /// Requests at a time.
    Concurrency,
}

/// Use against limits.
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    minute: Windows,
    day: Windows,
    in_flight: u32,
}

#[derive(Clone, Debug)]
struct Windows {
    requests: Window,
    tokens: Window,
}

/// Quota set aside for one request.
#[derive(Debug)]
#[must_use = "quota that is neither settled nor given back stays used"]
pub struct Reservation {
    at: Timestamp,
    tokens: Tokens,
}

/// A quota does not cover a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the limit on {} is used up", .limit.label())]
pub struct Exhausted {
    /// Which.
    pub limit: LimitKind,
    /// When it may cover it.
    pub until: Timestamp,
}

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

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::RequestsPerMinute, Self::RequestsPerDay, Self::TokensPerMinute, Self::TokensPerDay, Self::Concurrency];

    /// Its name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::RequestsPerDay => "requests_per_day",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::Concurrency => "concurrency",
        }
    }
}

impl Ledger {
    /// Nothing used yet.
    pub fn new(limits: &Limits) -> Self {
        let windows =
            |slices, slice| Windows { requests: Window::new(slices, slice), tokens: Window::new(slices, slice) };
        Self {
            limits: *limits,
            minute: windows(60, Duration::from_secs(1)),
            day: windows(96, Duration::from_mins(15)),
            in_flight: 0,
        }
    }

    /// Takes new limits; what was used stays used.
    pub fn relimit(&mut self, limits: &Limits) {
        self.limits = *limits;
    }

    /// What is left for a request of `tokens`.
    pub fn read(&self, tokens: Tokens, now: Timestamp) -> QuotaReading {
        let mut reading = QuotaReading::unlimited();
        let windows = [
            (LimitKind::RequestsPerMinute, self.limits.requests_per_minute, &self.minute.requests, Tokens(1)),
            (LimitKind::RequestsPerDay, self.limits.requests_per_day, &self.day.requests, Tokens(1)),
            (LimitKind::TokensPerMinute, self.limits.tokens_per_minute, &self.minute.tokens, tokens),
            (LimitKind::TokensPerDay, self.limits.tokens_per_day, &self.day.tokens, tokens),
        ];
        for (kind, limit, window, need) in windows {
            if let Some(limit) = limit {
                reading = reading.merge(QuotaReading::of_window(kind, limit, window, need, now));
            }
        }
        match self.limits.concurrency {
            Some(limit) => reading.merge(QuotaReading::of_concurrency(limit, self.in_flight, now)),
            None => reading,
        }
    }

    /// Sets quota aside for a request of `tokens`, of all limits or of none.
    pub fn reserve(&mut self, tokens: Tokens, now: Timestamp) -> Result<Reservation, Exhausted> {
        match self.read(tokens, now).fit {
            Fit::Now => {}
            Fit::Later { limit, until } | Fit::TooLarge { limit, until } => return Err(Exhausted { limit, until }),
        }
        for windows in [&mut self.minute, &mut self.day] {
            windows.requests.add(1, now);
            windows.tokens.add(tokens.0, now);
        }
        self.in_flight += 1;
        Ok(Reservation { at: now, tokens })
    }

    /// Replaces what was set aside by what was used.
    pub fn settle(&mut self, reservation: Reservation, used: Tokens, now: Timestamp) {
        self.close(&reservation, 1, used, now);
    }

    /// Gives back what was set aside: the request never went out.
    pub fn give_back(&mut self, reservation: Reservation, now: Timestamp) {
        self.close(&reservation, 0, Tokens::ZERO, now);
    }

    fn close(&mut self, reservation: &Reservation, requests: u64, tokens: Tokens, now: Timestamp) {
        let Reservation { at, tokens: reserved } = *reservation;
        for windows in [&mut self.minute, &mut self.day] {
            windows.requests.correct(1, requests, at, now);
            windows.tokens.correct(reserved.0, tokens.0, at, now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }
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

    fn of_window(kind: LimitKind, limit: u64, window: &Window, need: Tokens, now: Timestamp) -> Self {
        let used = window.used(now);
        let left = limit.saturating_sub(used);
        let fit = if need.0 <= left || used == 0 {
            Fit::Now
        } else if need.0 > limit {
            Fit::TooLarge { limit: kind, until: window.down_to(0, now) }
        } else {
            Fit::Later { limit: kind, until: window.down_to(limit - need.0, now) }
        };
        let spare = match kind {
            LimitKind::TokensPerMinute | LimitKind::TokensPerDay if used > 0 => Tokens(left.saturating_sub(need.0)),
            LimitKind::TokensPerMinute | LimitKind::TokensPerDay => Tokens(u64::MAX),
            LimitKind::RequestsPerMinute | LimitKind::RequestsPerDay | LimitKind::Concurrency => Tokens(u64::MAX),
        };
        Self::unlimited().with(kind, left, limit, fit, spare)
    }

    fn of_concurrency(limit: u32, in_flight: u32, now: Timestamp) -> Self {
        let kind = LimitKind::Concurrency;
        let fit = if in_flight < limit { Fit::Now } else { Fit::Later { limit: kind, until: now + NEXT_PLACE } };
        let left = u64::from(limit.saturating_sub(in_flight));
        Self::unlimited().with(kind, left, u64::from(limit), fit, Tokens(u64::MAX))
    }

    fn with(mut self, kind: LimitKind, left: u64, limit: u64, fit: Fit, spare: Tokens) -> Self {
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
