//! What is left of the quotas of one key or one model, counted by us so that the provider never has to refuse.
//!
//! Quota is set aside before a call and corrected after it, in the slice of time in which it was set aside. A
//! provider's 429 would tell the same, a round trip and a failover later.

use super::features::{Limits, Load};
use super::meter::Meter;
use super::quota::{Fit, QuotaReading};
use super::shadow::{Supply, Unit};
use super::told::{Ceiling, Told};
use crate::units::Timestamp;

/// How many limits are counted over time.
const COUNTED: usize = 6;

/// What there is of each limit.
pub type Supplies = [Supply; COUNTED];

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
    /// Input tokens per minute.
    InputTokensPerMinute,
    /// Output tokens per minute.
    OutputTokensPerMinute,
    /// Requests at a time.
    Concurrency,
}

/// Use against limits.
#[derive(Clone, Debug)]
pub struct Ledger {
    limits: Limits,
    meters: [Meter; COUNTED],
    in_flight: u32,
    ceiling: Option<Ceiling>,
}

/// Quota set aside for one request.
#[derive(Debug)]
#[must_use = "quota that is neither settled nor given back stays used"]
pub struct Reservation {
    at: Timestamp,
    load: Load,
    positions: [u64; COUNTED],
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

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; COUNTED + 1] = [
        Self::RequestsPerMinute,
        Self::RequestsPerDay,
        Self::TokensPerMinute,
        Self::TokensPerDay,
        Self::InputTokensPerMinute,
        Self::OutputTokensPerMinute,
        Self::Concurrency,
    ];

    /// Those that are counted over time.
    pub(super) const COUNTED: [Self; COUNTED] = [
        Self::RequestsPerMinute,
        Self::RequestsPerDay,
        Self::TokensPerMinute,
        Self::TokensPerDay,
        Self::InputTokensPerMinute,
        Self::OutputTokensPerMinute,
    ];

    /// In what it is counted; `None` for what is not used up.
    pub(super) const fn unit(self) -> Option<Unit> {
        match self {
            Self::RequestsPerMinute | Self::RequestsPerDay => Some(Unit::Requests),
            Self::TokensPerMinute | Self::TokensPerDay => Some(Unit::Tokens),
            Self::InputTokensPerMinute => Some(Unit::InputTokens),
            Self::OutputTokensPerMinute => Some(Unit::OutputTokens),
            Self::Concurrency => None,
        }
    }

    pub(super) const fn is_daily(self) -> bool {
        match self {
            Self::RequestsPerDay | Self::TokensPerDay => true,
            Self::RequestsPerMinute
            | Self::TokensPerMinute
            | Self::InputTokensPerMinute
            | Self::OutputTokensPerMinute
            | Self::Concurrency => false,
        }
    }

    /// Its name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::RequestsPerMinute => "requests_per_minute",
            Self::RequestsPerDay => "requests_per_day",
            Self::TokensPerMinute => "tokens_per_minute",
            Self::TokensPerDay => "tokens_per_day",
            Self::InputTokensPerMinute => "input_tokens_per_minute",
            Self::OutputTokensPerMinute => "output_tokens_per_minute",
            Self::Concurrency => "concurrency",
        }
    }
}

impl Ledger {
    /// Nothing used yet.
    pub fn new(limits: &Limits) -> Self {
        Self { limits: *limits, meters: LimitKind::COUNTED.map(Meter::new), in_flight: 0, ceiling: None }
    }

    /// Takes new limits; what was used stays used.
    pub fn relimit(&mut self, limits: &Limits) {
        self.limits = *limits;
    }

    /// What is left for a request.
    pub fn read(&self, load: impl Into<Load>, now: Timestamp) -> QuotaReading {
        let (load, mut reading) = (load.into(), QuotaReading::unlimited());
        for meter in &self.meters {
            reading = reading.merge(meter.read(self.limit(meter.kind(), now), load, now));
        }
        match self.limits.concurrency {
            Some(limit) => reading.merge(QuotaReading::of_concurrency(limit, self.in_flight, now)),
            None => reading,
        }
    }

    /// What there is of each limit.
    pub fn supplies(&self, now: Timestamp) -> Supplies {
        self.meters.each_ref().map(|meter| {
            let per_second = meter.per_second(self.limit(meter.kind(), now), now).unwrap_or(f64::INFINITY);
            Supply { unit: meter.kind().unit().unwrap_or(Unit::Requests), per_second, taken: meter.set_aside() }
        })
    }

    /// Sets quota aside for a request, of all limits or of none.
    pub fn reserve(&mut self, load: impl Into<Load>, now: Timestamp) -> Result<Reservation, Exhausted> {
        let load = load.into();
        match self.read(load, now).fit {
            Fit::Now => {}
            Fit::Later { limit, until } | Fit::TooLarge { limit, until } => return Err(Exhausted { limit, until }),
        }
        let positions = self.meters.each_mut().map(|meter| meter.reserve(meter.need(load), now));
        self.in_flight += 1;
        Ok(Reservation { at: now, load, positions })
    }

    /// Learns what the provider says of its quotas in its reply to the call of `reservation`.
    pub fn learn(&mut self, reservation: &Reservation, told: &[Told], now: Timestamp) {
        for (meter, position) in self.meters.iter_mut().zip(reservation.positions) {
            let kind = meter.kind();
            for told in told.iter().filter(|told| told.kind == kind) {
                meter.learn(told, position, now);
            }
        }
    }

    /// Learns from the refusal of the call of `reservation` for its quota, where nothing else says what that is.
    pub fn refused(&mut self, reservation: &Reservation, now: Timestamp) {
        let is_known = self.ceiling.is_none() && self.supplies(now).iter().any(|supply| supply.per_second.is_finite());
        if let Some(meter) = self.meters.first().filter(|_| !is_known) {
            self.ceiling = Ceiling::lowered(self.ceiling, meter.used(now), reservation.at, now);
        }
    }

    /// Forgets what headers have told and refusals have shown.
    pub fn unlearn(&mut self) {
        self.ceiling = None;
        self.meters.iter_mut().for_each(Meter::forget_told);
    }

    /// Replaces what was set aside by what was used.
    pub fn settle(&mut self, reservation: Reservation, used: impl Into<Load>, now: Timestamp) {
        self.close(reservation, 1, used.into(), now);
    }

    /// Gives back what was set aside: the request never went out.
    pub fn give_back(&mut self, reservation: Reservation, now: Timestamp) {
        self.close(reservation, 0, Load::default(), now);
    }

    fn close(&mut self, Reservation { at, load, positions }: Reservation, requests: u64, used: Load, now: Timestamp) {
        for (meter, position) in self.meters.iter_mut().zip(positions) {
            let used = if meter.kind().unit() == Some(Unit::Requests) { requests } else { meter.need(used) };
            meter.settle(position, (meter.need(load), used), at, now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// As configured; else, of requests a minute, as refusals have shown.
    fn limit(&self, kind: LimitKind, now: Timestamp) -> Option<u64> {
        match kind {
            LimitKind::RequestsPerMinute => {
                self.limits.requests_per_minute.or_else(|| self.ceiling.and_then(|ceiling| ceiling.limit(now)))
            }
            LimitKind::RequestsPerDay => self.limits.requests_per_day,
            LimitKind::TokensPerMinute => self.limits.tokens_per_minute,
            LimitKind::TokensPerDay => self.limits.tokens_per_day,
            LimitKind::InputTokensPerMinute => self.limits.input_tokens_per_minute,
            LimitKind::OutputTokensPerMinute => self.limits.output_tokens_per_minute,
            LimitKind::Concurrency => self.limits.concurrency.map(u64::from),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::{Share, Tokens};

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
    fn input_and_output_are_limited_each_by_itself() {
        let limits =
            Limits { input_tokens_per_minute: Some(1_000), output_tokens_per_minute: Some(100), ..Limits::default() };
        let mut ledger = ledger(limits);
        let load = |input, output| Load { input: Tokens(input), output: Tokens(output) };
        let first = ledger.reserve(load(600, 60), at(0.0)).unwrap();
        assert_eq!(ledger.reserve(load(10, 50), at(0.0)).unwrap_err().limit, LimitKind::OutputTokensPerMinute);
        assert_eq!(ledger.reserve(load(500, 10), at(0.0)).unwrap_err().limit, LimitKind::InputTokensPerMinute);
        assert_eq!(ledger.read(Tokens(10), at(0.0)).spare, Tokens(40), "the answer has to find room");
        ledger.settle(first, load(600, 20), at(1.0));
        assert!(ledger.reserve(load(400, 80), at(1.0)).is_ok());
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
