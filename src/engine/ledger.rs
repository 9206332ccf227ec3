//! What is left of the quotas of one key or one model, counted by us so that the provider never has to refuse.
//!
//! Quota is set aside before a call and corrected after it, in the slice of time in which it was set aside. A
//! provider's 429 would tell the same, a round trip and a failover later.

use std::time::Duration;

use super::features::Limits;
use super::shadow::Unit;
use super::window::Window;
use crate::units::{Share, Timestamp, Tokens, count_to_f64};

/// What is left of a day's quota is meant to last this long.
const DAY_HORIZON: Duration = Duration::from_hours(6);
/// When to look again for a place among the concurrent requests: nobody knows when one ends.
const NEXT_PLACE: Duration = Duration::from_millis(250);

/// Units a second that each limit allows; `None` for those that there are not.
pub type Supplies = [Option<(Unit, f64)>; 4];

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

    /// What each limit allows a second, for as long as it lasts: a minute's quota is renewed as fast as it is used, and
    /// of a day's no more than a quarter of a day should see the end.
    pub fn supplies(&self, now: Timestamp) -> Supplies {
        let per_minute = |limit: Option<u64>, unit| limit.map(|limit| (unit, count_to_f64(limit) / 60.0));
        let per_day = |limit: Option<u64>, window: &Window, unit| {
            let left = limit?.saturating_sub(window.used(now));
            Some((unit, count_to_f64(left) / DAY_HORIZON.as_secs_f64()))
        };
        [
            per_minute(self.limits.requests_per_minute, Unit::Requests),
            per_day(self.limits.requests_per_day, &self.day.requests, Unit::Requests),
            per_minute(self.limits.tokens_per_minute, Unit::Tokens),
            per_day(self.limits.tokens_per_day, &self.day.tokens, Unit::Tokens),
        ]
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
        self.close(reservation, 1, used, now);
    }

    /// Gives back what was set aside: the request never went out.
    pub fn give_back(&mut self, reservation: Reservation, now: Timestamp) {
        self.close(reservation, 0, Tokens::ZERO, now);
    }

    fn close(
        &mut self,
        Reservation { at, tokens: reserved }: Reservation,
        requests: u64,
        tokens: Tokens,
        now: Timestamp,
    ) {
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
            LimitKind::TokensPerMinute
            | LimitKind::TokensPerDay
            | LimitKind::RequestsPerMinute
            | LimitKind::RequestsPerDay
            | LimitKind::Concurrency => Tokens(u64::MAX),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::START + Duration::from_secs_f64(seconds)
    }

    fn ledger(limits: Limits) -> Ledger {
        Ledger::new(&limits)
    }

    fn left(ledger: &Ledger, now: Timestamp) -> Vec<(LimitKind, f64)> {
        ledger.read(Tokens(1), now).ratios().map(|(kind, share)| (kind, share.0)).collect()
    }

    #[test]
    fn a_quota_that_is_used_up_says_when_to_come_back() {
        let mut ledger = ledger(Limits { requests_per_minute: Some(2), ..Limits::default() });
        let _first = ledger.reserve(Tokens(1), at(0.0)).unwrap();
        let _second = ledger.reserve(Tokens(1), at(10.0)).unwrap();
        let Err(Exhausted { limit, until }) = ledger.reserve(Tokens(1), at(20.0)) else { panic!("a third went") };
        assert_eq!(limit, LimitKind::RequestsPerMinute);
        assert!(until > at(60.0) && until <= at(62.0));
        assert!(ledger.reserve(Tokens(1), until).is_ok());
    }

    #[test]
    fn what_was_reserved_but_not_used_is_free_again() {
        let mut ledger = ledger(Limits { tokens_per_minute: Some(1_000), ..Limits::default() });
        let reservation = ledger.reserve(Tokens(900), at(0.0)).unwrap();
        assert!(ledger.reserve(Tokens(200), at(0.0)).is_err());
        ledger.settle(reservation, Tokens(100), at(1.0));
        assert_eq!(left(&ledger, at(1.0)), [(LimitKind::TokensPerMinute, 0.9)]);
    }

    #[test]
    fn what_never_went_out_leaves_no_trace() {
        let mut ledger = ledger(Limits {
            requests_per_day: Some(10),
            tokens_per_day: Some(100),
            concurrency: Some(1),
            ..Limits::default()
        });
        let before = left(&ledger, at(5.0));
        let reservation = ledger.reserve(Tokens(60), at(5.0)).unwrap();
        assert!(ledger.reserve(Tokens(1), at(5.0)).is_err());
        ledger.give_back(reservation, at(6.0));
        assert_eq!(left(&ledger, at(6.0)), before);
    }

    #[test]
    fn a_request_larger_than_the_limit_goes_when_the_window_is_empty_and_only_then() {
        let mut ledger = ledger(Limits { tokens_per_minute: Some(100), ..Limits::default() });
        let small = ledger.reserve(Tokens(10), at(0.0)).unwrap();
        ledger.settle(small, Tokens(10), at(0.0));
        let Fit::TooLarge { until, .. } = ledger.read(Tokens(500), at(1.0)).fit else { panic!("not too large") };
        assert!(ledger.reserve(Tokens(500), at(1.0)).is_err());
        assert!(ledger.reserve(Tokens(500), until).is_ok());
        assert!(ledger.reserve(Tokens(1), until).is_err());
    }

    #[test]
    fn new_limits_count_what_was_used_before() {
        let mut ledger = ledger(Limits::default());
        let _running = ledger.reserve(Tokens(80), at(0.0)).unwrap();
        ledger.relimit(&Limits { tokens_per_minute: Some(100), ..Limits::default() });
        assert!(ledger.reserve(Tokens(30), at(1.0)).is_err());
        assert!(ledger.reserve(Tokens(20), at(1.0)).is_ok());
    }

    #[test]
    fn of_two_quotas_the_scarcer_counts() {
        let mut key = ledger(Limits { requests_per_minute: Some(4), ..Limits::default() });
        let model = ledger(Limits { requests_per_minute: Some(100), concurrency: Some(3), ..Limits::default() });
        let _one = key.reserve(Tokens(1), at(0.0)).unwrap();
        let merged = model.read(Tokens(1), at(0.0)).merge(key.read(Tokens(1), at(0.0)));
        let ratios: Vec<_> = merged.ratios().collect();
        assert_eq!(ratios, [(LimitKind::RequestsPerMinute, Share(0.75)), (LimitKind::Concurrency, Share(1.0))]);
    }
}
