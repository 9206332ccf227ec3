//! Whether an endpoint may be called at all: a circuit that opens on failures and closes on evidence.
//!
//! Only what was sent after the last change of state counts as evidence. Calls that were already on their way when the
//! circuit opened would otherwise open it again, or close it while the endpoint is still broken.

use std::time::Duration;

use super::failure::Failure;
use super::latency::fade;
use crate::units::Timestamp;

const CONSECUTIVE_FAILURES: u32 = 3;
const CONSECUTIVE_REFUSED_CONNECTIONS: u32 = 2;
/// Cuts have a count of their own: each of them begins with a success.
const CONSECUTIVE_CUTS: u32 = 5;
/// The share of failures above which it opens …
const MAX_FAILURE_RATE: f64 = 0.6;
/// … once there are this many outcomes …
const MIN_OUTCOMES: f64 = 8.0;
/// … which fade with this memory, in seconds.
const MEMORY: f64 = 45.0;
const BASE: Duration = Duration::from_secs(1);
const LONG_BASE: Duration = Duration::from_mins(1);
const LONG_CAP: Duration = Duration::from_hours(1);
/// In flight at most right after it closed.
const RAMP: u32 = 4;
/// From here on a ramp no longer matters.
const RAMP_END: u32 = 32;
/// A probe of which nothing was heard for this long is taken as lost.
const PROBE_LOST: Duration = Duration::from_secs(30);
/// Closed for this long, the next opening is the first again.
const CALM: Duration = Duration::from_secs(2);
/// The same where somebody had to act.
const LONG_CALM: Duration = Duration::from_mins(1);
/// So many openings are as long as each other before they double: most outages are brief, and a probe is cheap.
const OPENINGS_OF_A_LENGTH: u32 = 4;

/// One endpoint's circuit.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Breaker {
    state: State,
    since: Timestamp,
    /// Calls in flight that went out after the last change of state.
    young: u32,
    failures: u32,
    last_failure_sent: Timestamp,
    cuts: u32,
    successes_sum: f64,
    failures_sum: f64,
    faded_at: Timestamp,
    openings: u32,
    long_openings: u32,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Closed,
    Ramp(u32),
    Open {
        until: Timestamp,
        length: Length,
        probe: Option<Timestamp>,
    },
}

/// How long an opening lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Seconds: the endpoint may be back any time.
    Short,
    /// Minutes: somebody has to act.
    Long,
}

/// What a circuit lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Everything.
    Closed,
    /// This many more.
    Ramp(u32),
    /// One probe.
    HalfOpen,
    /// Nothing until the probe has ended.
    Probing,
    /// Nothing.
    Open {
        until: Timestamp,
        length: Length,
        /// Whether a call that goes out all the same is being waited for.
        waiting: bool,
    },
}

impl Breaker {
    /// What it lets through at `now`.
    pub(super) fn gate(&self, now: Timestamp) -> Gate {
        match self.state {
            State::Closed => Gate::Closed,
            State::Ramp(limit) => Gate::Ramp(limit.saturating_sub(self.young)),
            State::Open { until, length, probe } => {
                let waiting = probe.is_some_and(|sent| now.since(sent) < PROBE_LOST);
                match (now < until, waiting) {
                    (true, _) => Gate::Open { until, length, waiting },
                    (false, true) => Gate::Probing,
                    (false, false) => Gate::HalfOpen,
                }
            }
        }
    }

    /// A call went out.
    pub(super) const fn sent(&mut self) {
        self.young = self.young.saturating_add(1);
    }

    /// The call that went out then has ended. What is left of a bad time does not count against a new start.
    pub(super) fn ended(&mut self, sent: Timestamp) {
        if sent >= self.since {
            self.young = self.young.saturating_sub(1);
        }
    }

    /// A probe was sent.
    pub(super) fn probing(&mut self, now: Timestamp) {
        if let State::Open { probe, .. } = &mut self.state {
            *probe = Some(now);
        }
    }

    /// The probe ended without saying anything about the endpoint.
    pub(super) fn probe_void(&mut self) {
        if let State::Open { probe, .. } = &mut self.state {
            *probe = None;
        }
    }

    /// The request was refused as wrong, which takes an endpoint that works.
    pub(super) fn refused(&mut self, now: Timestamp) {
        if matches!(self.state, State::Open { probe: Some(_), .. }) {
            self.succeeded(now, now);
        }
    }

    /// An answer began.
    pub(super) fn succeeded(&mut self, sent: Timestamp, now: Timestamp) {
        if sent < self.since {
            return;
        }
        self.fade_to(now);
        self.successes_sum += 1.0;
        // What went out before the failures may be answered after them, and says nothing about now.
        if sent >= self.last_failure_sent {
            self.failures = 0;
        }
        self.state = match self.state {
            State::Closed => State::Closed,
            State::Ramp(limit) if limit >= RAMP_END => State::Closed,
            State::Ramp(limit) => State::Ramp(limit + 1),
            State::Open { .. } => {
                (self.since, self.young) = (now, 0);
                self.cuts = 0;
                (self.successes_sum, self.failures_sum) = (1.0, 0.0);
                State::Ramp(RAMP)
            }
        };
    }

    /// An answer was whole.
    pub(super) fn completed(&mut self, sent: Timestamp) {
        if sent >= self.since {
            self.cuts = 0;
        }
    }

    /// An answer broke off. `cap` bounds how long it stays open.
    pub(super) fn cut(&mut self, sent: Timestamp, cap: Duration, now: Timestamp) {
        if sent < self.since {
            return;
        }
        self.cuts += 1;
        self.count_failure(now);
        if self.cuts >= CONSECUTIVE_CUTS || self.is_above_rate() {
            self.open(cap, now);
        }
    }

    /// A call was given up because another one was faster. A probe has to do better than that.
    pub(super) fn outrun(&mut self, sent: Timestamp, cap: Duration, now: Timestamp) {
        if sent >= self.since && matches!(self.state, State::Open { .. }) {
            self.open(cap, now);
        }
    }

    /// A call failed. `cap` bounds how long it stays open.
    pub(super) fn failed(&mut self, failure: Failure, sent: Timestamp, cap: Duration, now: Timestamp) {
        if sent < self.since {
            return;
        }
        let enough = match failure {
            Failure::Auth | Failure::QuotaExhausted | Failure::RegionBlocked => return self.open_long(now),
            Failure::RateLimited => return self.probe_void(),
            Failure::ContextExceeded | Failure::ContentFiltered | Failure::BadRequest => return,
            // A model that is gone stays so; but what a request speaks of may be what was not found.
            Failure::Unreachable | Failure::NotFound => CONSECUTIVE_REFUSED_CONNECTIONS,
            Failure::Overloaded | Failure::Timeout | Failure::ServerError | Failure::Reset => CONSECUTIVE_FAILURES,
        };
        self.failures += 1;
        self.last_failure_sent = self.last_failure_sent.max(sent);
        self.count_failure(now);
        if failure == Failure::NotFound && self.failures >= enough {
            return self.open_long(now);
        }
        if self.failures >= enough || self.is_above_rate() || matches!(self.state, State::Open { .. }) {
            self.open(cap, now);
        }
    }

    fn open(&mut self, cap: Duration, now: Timestamp) {
        if self.is_open_for(&[Length::Short, Length::Long], now) {
            return self.probe_void();
        }
        if !matches!(self.state, State::Open { .. }) && now.since(self.since) > CALM {
            self.openings = 0;
        }
        let span = doubled(BASE, self.openings / OPENINGS_OF_A_LENGTH).min(cap);
        self.openings = self.openings.saturating_add(1);
        self.enter(State::Open { until: now + span, length: Length::Short, probe: None }, now);
    }

    fn open_long(&mut self, now: Timestamp) {
        if self.is_open_for(&[Length::Long], now) {
            return self.probe_void();
        }
        if !matches!(self.state, State::Open { .. }) && now.since(self.since) > LONG_CALM {
            self.long_openings = 0;
        }
        let span = doubled(LONG_BASE, self.long_openings).min(LONG_CAP);
        self.long_openings = self.long_openings.saturating_add(1);
        self.enter(State::Open { until: now + span, length: Length::Long, probe: None }, now);
    }

    /// What is tried against an open circuit for want of anything better is no probe: it may close the circuit, but
    /// its failure is no news.
    fn is_open_for(&self, lengths: &[Length], now: Timestamp) -> bool {
        matches!(self.state, State::Open { until, length, .. } if now < until && lengths.contains(&length))
    }

    fn enter(&mut self, state: State, now: Timestamp) {
        self.state = state;
        (self.since, self.young) = (now, 0);
        (self.failures, self.cuts) = (0, 0);
    }

    fn count_failure(&mut self, now: Timestamp) {
        self.fade_to(now);
        self.failures_sum += 1.0;
    }

    fn is_above_rate(&self) -> bool {
        let outcomes = self.successes_sum + self.failures_sum;
        outcomes >= MIN_OUTCOMES && self.failures_sum > MAX_FAILURE_RATE * outcomes
    }

    fn fade_to(&mut self, now: Timestamp) {
        let share = fade(now.since(self.faded_at), MEMORY);
        self.successes_sum *= share;
        self.failures_sum *= share;
        self.faded_at = self.faded_at.max(now);
    }
}

/// `base`, doubled `times` times; far above any cap after 20.
pub(super) fn doubled(base: Duration, times: u32) -> Duration {
    base * (1 << times.min(20))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(10);

    fn at(seconds: f64) -> Timestamp {
        Timestamp::START + Duration::from_secs_f64(seconds)
    }

    fn opened(failure: Failure) -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(failure, at(1.0), CAP, at(1.1));
        }
        breaker
    }

    #[test]
    fn three_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::default();
        for step in 0..10 {
            let now = at(f64::from(step));
            breaker.failed(Failure::ServerError, now, CAP, now);
            breaker.failed(Failure::ServerError, now, CAP, now);
            for _ in 0..3 {
                breaker.succeeded(now, now);
            }
        }
        assert_eq!(breaker.gate(at(10.0)), Gate::Closed);
        assert!(matches!(opened(Failure::ServerError).gate(at(1.2)), Gate::Open { .. }));
    }

    #[test]
    fn answers_to_what_was_sent_before_the_failures_do_not_excuse_them() {
        let mut breaker = Breaker::default();
        for step in 0..3 {
            let now = at(1.0 + 0.1 * f64::from(step));
            breaker.failed(Failure::ServerError, now, CAP, now);
            breaker.succeeded(at(0.9), now);
        }
        assert!(matches!(breaker.gate(at(1.2)), Gate::Open { .. }));
    }

    #[test]
    fn two_refused_connections_open_it() {
        let mut breaker = Breaker::default();
        breaker.failed(Failure::Unreachable, at(1.0), CAP, at(1.0));
        assert_eq!(breaker.gate(at(1.0)), Gate::Closed);
        breaker.failed(Failure::Unreachable, at(1.0), CAP, at(1.0));
        assert!(matches!(breaker.gate(at(1.0)), Gate::Open { .. }));
    }

    #[test]
    fn a_high_rate_of_failures_opens_it_without_three_in_a_row() {
        let mut breaker = Breaker::default();
        for step in 0..12 {
            let now = at(f64::from(step) * 0.1);
            breaker.failed(Failure::Timeout, now, CAP, now);
            breaker.failed(Failure::Timeout, now, CAP, now);
            if matches!(breaker.gate(now), Gate::Open { .. }) {
                return;
            }
            breaker.succeeded(now, now);
        }
        panic!("stayed closed at two failures of three");
    }

    #[test]
    fn after_its_span_one_probe_decides() {
        let mut breaker = opened(Failure::ServerError);
        assert_eq!(breaker.gate(at(2.2)), Gate::HalfOpen);
        breaker.probing(at(2.2));
        assert_eq!(breaker.gate(at(2.3)), Gate::Probing);
        breaker.succeeded(at(2.2), at(2.5));
        assert_eq!(breaker.gate(at(2.5)), Gate::Ramp(RAMP));
        breaker.succeeded(at(2.5), at(2.6));
        assert_eq!(breaker.gate(at(2.6)), Gate::Ramp(RAMP + 1));
    }

    #[test]
    fn failed_probes_open_it_for_longer_and_longer_up_to_the_cap() {
        let mut breaker = opened(Failure::ServerError);
        let mut now = at(1.1);
        for expected in [1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8, 10, 10] {
            let Gate::Open { until, .. } = breaker.gate(now) else { panic!("not open") };
            assert_eq!(now.until(until), Duration::from_secs(expected));
            now = until;
            breaker.probing(now);
            breaker.failed(Failure::ServerError, now, CAP, now);
        }
    }

    #[test]
    fn what_was_sent_before_it_opened_neither_closes_nor_prolongs_it() {
        let mut breaker = opened(Failure::ServerError);
        let before = breaker.gate(at(1.2));
        breaker.succeeded(at(0.5), at(1.2));
        breaker.failed(Failure::Timeout, at(0.5), CAP, at(1.2));
        assert_eq!(breaker.gate(at(1.2)), before);
    }

    #[test]
    fn a_bad_key_opens_it_long_and_at_once() {
        let mut breaker = Breaker::default();
        breaker.failed(Failure::Auth, at(1.0), CAP, at(1.0));
        assert_eq!(breaker.gate(at(1.0)), Gate::Open { until: at(61.0), length: Length::Long, waiting: false });
    }

    #[test]
    fn a_lost_probe_does_not_lock_it_for_ever() {
        let mut breaker = opened(Failure::ServerError);
        breaker.probing(at(3.0));
        assert_eq!(breaker.gate(at(34.0)), Gate::HalfOpen);
    }

    #[test]
    fn answers_that_break_off_again_and_again_open_it() {
        let mut breaker = Breaker::default();
        for step in 0..CONSECUTIVE_CUTS {
            let now = at(f64::from(step));
            breaker.succeeded(now, now);
            breaker.cut(now, CAP, now);
        }
        assert!(matches!(breaker.gate(at(4.0)), Gate::Open { .. }));
    }
}
