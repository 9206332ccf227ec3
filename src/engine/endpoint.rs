//! What is known about one endpoint, and how each event changes it.
//!
//! Nothing here decides: [`EndpointState::read`] copies out what the decision needs, in estimates as of that moment.

use std::time::Duration;

use super::breaker::{Breaker, Gate, Length, doubled};
use super::event::Event;
use super::failure::{Failure, Fault, Scope};
use super::features::Mode;
use super::latency::{Latency, LatencyReading};
use super::lengths::Verbosity;
use super::plan::Admission;
use super::price::Usage;
use super::reliability::{Billed, Reliability, ReliabilityReading};
use super::trial::{Offer, Trial};
use super::waiting::Waiting;
use crate::units::{Timestamp, Tokens, seconds};

/// The most that a provider's header may keep an endpoint away.
const MAX_BLOCK: Duration = Duration::from_hours(1);
/// A rate limit without a header blocks this long, doubling up to …
const BLOCK_BASE: Duration = Duration::from_secs(1);
/// … this.
const BLOCK_CAP: Duration = Duration::from_mins(1);
/// How often an open circuit may be tried for want of anything better …
const LAST_RESORT_EVERY: Duration = Duration::from_millis(200);
/// … and one that opened because of the key or the account.
const LONG_LAST_RESORT_EVERY: Duration = Duration::from_secs(5);
/// A circuit stays open for this many times as long as a failed probe takes, at most.
const PROBE_SHARE: f64 = 10.0;
/// The first-token limit is doubled at most this often.
const MAX_DOUBLINGS: u32 = 6;

/// Whether an endpoint is used, for people and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Closed,
    /// For a probe at a time.
    HalfOpen,
    /// It failed, and is left alone for now.
    Open {
        /// When a probe may go.
        until: Timestamp,
    },
    /// The provider asked to be left alone.
    Blocked {
        /// Until then.
        until: Timestamp,
    },
}

/// One endpoint's past, as far as it matters.
#[derive(Clone, Debug, Default)]
pub struct EndpointState {
    in_flight: u32,
    breaker: Breaker,
    latency: Latency,
    reliability: Reliability,
    verbosity: Verbosity,
    blocked_until: Timestamp,
    blocked_at: Timestamp,
    blocks: u32,
    timeouts: u32,
    last_resort_at: Timestamp,
    last_sent: Timestamp,
    waiting: Waiting,
    trial: Option<Trial>,
    /// What failed last, as long as nothing has succeeded since.
    blamed: Option<Failure>,
}

/// What the decision needs of it, as of one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Calls of ours that have not ended.
    pub in_flight: u32,
    pub(super) gate: Gate,
    pub(super) blocked_until: Timestamp,
    pub(super) last_resort_at: Timestamp,
    pub(super) timeouts: u32,
    pub(super) latency: LatencyReading,
    pub(super) reliability: ReliabilityReading,
    /// Its answers' length over what is typical of their routes.
    pub(super) verbosity: f64,
    /// What to try it with, if it is time to.
    pub(super) trial: Option<Offer>,
}

impl EndpointState {
    /// An endpoint of which nothing is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is known as of `now`.
    pub fn read(&self, now: Timestamp) -> Reading {
        Reading {
            in_flight: self.in_flight,
            gate: self.breaker.gate(now),
            blocked_until: self.blocked_until,
            last_resort_at: self.last_resort_at,
            timeouts: self.timeouts,
            latency: self.waiting.seen_in(self.latency.read(now), now),
            reliability: self.reliability.read(now),
            verbosity: self.verbosity.ratio(now),
            trial: self.trial.filter(|trial| trial.is_due(self.last_sent, now)).map(|trial| trial.offer),
        }
    }

    /// How often it is tried though it seems worse, as [`Tick::trial`] says.
    ///
    /// [`Tick::trial`]: super::Tick::trial
    pub const fn try_every(&mut self, trial: Option<Trial>) {
        self.trial = trial;
    }

    /// Calls of ours that have not ended.
    pub const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Whether it is used.
    pub fn standing(&self, now: Timestamp) -> Standing {
        let blocked = now < self.blocked_until;
        match self.breaker.gate(now) {
            Gate::Open { until, .. } => Standing::Open { until },
            Gate::Closed | Gate::Ramp(_) | Gate::HalfOpen | Gate::Probing if blocked => {
                Standing::Blocked { until: self.blocked_until }
            }
            Gate::HalfOpen | Gate::Probing => Standing::HalfOpen,
            Gate::Closed | Gate::Ramp(_) => Standing::Closed,
        }
    }

    /// Why it is not used, as long as it is not.
    pub fn blamed(&self, now: Timestamp) -> Option<Failure> {
        self.blamed.filter(|_| self.standing(now) != Standing::Closed)
    }

    /// Forgets failures and blocks; calls in flight and latencies stay.
    pub fn reset(&mut self) {
        *self = Self { in_flight: self.in_flight, latency: self.latency, verbosity: self.verbosity, ..Self::default() };
    }

    /// Whether a call decided on a moment ago may still go. Changes nothing until it is [`Event::Sent`], so that whoever
    /// finds no quota need not take it back.
    pub fn try_admit(&mut self, admission: Admission, now: Timestamp) -> bool {
        let free = now >= self.blocked_until;
        let gate = self.breaker.gate(now);
        free && match (gate, admission) {
            (Gate::Closed | Gate::Ramp(_), _) | (Gate::HalfOpen, Admission::Probe | Admission::LastResort) => true,
            (Gate::Open { waiting, .. }, Admission::LastResort) => !waiting && now >= self.last_resort_at,
            (Gate::HalfOpen | Gate::Probing | Gate::Open { .. }, _) => false,
        }
    }

    /// Learns from `event`.
    pub fn observe(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Sent { mode } => {
                self.sent(now);
                self.waiting.sent(mode, now);
            }
            Event::FirstToken { after, in_flight_at_send, prompt } => {
                self.latency.first_token(after, in_flight_at_send, prompt, now);
                self.waiting.over(Mode::Stream, now - after);
                self.succeeded(now - after, now);
            }
            Event::Answered { mode, total, first_token, usage, in_flight_at_send, typical_output } => {
                self.learn_answer(mode, total, first_token, &usage, in_flight_at_send, now);
                if typical_output > Tokens::ZERO {
                    self.verbosity.observe(usage.output, typical_output, now);
                }
                if first_token.is_none() {
                    self.waiting.over(mode, now - total);
                    self.succeeded(now - total, now);
                }
                self.reliability.answered(now);
                self.breaker.completed(now - total);
            }
            Event::Refused { mode, after } => {
                self.waiting.over(mode, now - after);
                self.breaker.refused(now);
            }
            Event::Failed { mode, fault, after, retry_after } => {
                self.waiting.over(mode, now - after);
                self.failed(fault, after, retry_after, now);
            }
            Event::Implicated { failure, after, retry_after } => {
                self.blamed = Some(failure);
                if let Some(wait) = retry_after {
                    self.block(wait, now);
                }
                let knew = matches!(self.breaker.gate(now), Gate::Open { length: Length::Long, .. });
                self.breaker.failed(failure, now - after, self.open_at_most(now), now);
                if knew {
                    // Another one was asked for want of anything better, and that holds for this one too.
                    self.last_resort_at = now + LONG_LAST_RESORT_EVERY;
                }
            }
            Event::Cut { after } => {
                self.reliability.cut(now);
                self.breaker.cut(now - after, self.open_at_most(now), now);
            }
            Event::Abandoned { mode, after, first_token: None } => self.waiting.over(mode, now - after),
            Event::Abandoned { first_token: Some(_), .. } => {}
            Event::Outrun { mode, after, in_flight_at_send, prompt } => {
                self.waiting.over(mode, now - after);
                self.latency.silent_for(after, in_flight_at_send, prompt, now);
                self.breaker.outrun(now - after, self.open_at_most(now), now);
            }
        }
        match event {
            Event::Sent { .. } | Event::FirstToken { .. } | Event::Implicated { .. } => {}
            Event::Answered { total: after, .. }
            | Event::Refused { after, .. }
            | Event::Failed { after, .. }
            | Event::Cut { after }
            | Event::Abandoned { after, .. }
            | Event::Outrun { after, .. } => self.ended(now - after),
        }
    }

    fn sent(&mut self, now: Timestamp) {
        self.in_flight += 1;
        self.last_sent = now;
        self.breaker.sent();
        match self.breaker.gate(now) {
            Gate::Closed | Gate::Ramp(_) => {}
            Gate::Open { length: Length::Long, .. } => self.probing(LONG_LAST_RESORT_EVERY, now),
            Gate::HalfOpen | Gate::Probing | Gate::Open { .. } => self.probing(LAST_RESORT_EVERY, now),
        }
    }

    fn probing(&mut self, pause: Duration, now: Timestamp) {
        self.breaker.probing(now);
        self.last_resort_at = now + pause;
    }

    fn ended(&mut self, sent: Timestamp) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.breaker.ended(sent);
        if self.in_flight == 0 {
            self.waiting = Waiting::default();
            self.breaker.probe_void();
        }
    }

    fn succeeded(&mut self, sent: Timestamp, now: Timestamp) {
        self.breaker.succeeded(sent, now);
        self.timeouts = 0;
        self.blamed = None;
        if sent >= self.blocked_until {
            self.blocks = 0;
        }
    }

    fn learn_answer(
        &mut self,
        mode: Mode,
        total: Duration,
        first_token: Option<Duration>,
        usage: &Usage,
        in_flight: u32,
        now: Timestamp,
    ) {
        match (mode, first_token) {
            // There is no output to pace: the answer is its own first token.
            (Mode::Embedding, _) => self.latency.first_token(total, in_flight, usage.input, now),
            (Mode::Stream, Some(first)) => {
                self.latency.stream(total.saturating_sub(first), usage.output, in_flight, now);
            }
            (Mode::Stream, None) | (Mode::Plain, _) => self.latency.plain(total, usage.output, in_flight, now),
        }
    }

    fn failed(&mut self, fault: Fault, after: Duration, retry_after: Option<Duration>, now: Timestamp) {
        let (sent, failure) = (now - after, fault.failure);
        if fault.scope == Scope::Nothing {
            return self.breaker.refused(now);
        }
        self.blamed = Some(failure);
        if failure == Failure::RateLimited {
            self.rate_limited(sent, retry_after, now);
        } else {
            let billed = if failure.may_have_been_billed() { Billed::Perhaps } else { Billed::No };
            self.reliability.failed(after, billed, now);
            if let Some(wait) = retry_after {
                self.block(wait, now);
            }
        }
        if failure == Failure::Timeout {
            self.timeouts = (self.timeouts + 1).min(MAX_DOUBLINGS);
        }
        self.breaker.failed(failure, sent, self.open_at_most(now), now);
    }

    /// Calls sent before the block began only repeat what is known.
    fn rate_limited(&mut self, sent: Timestamp, retry_after: Option<Duration>, now: Timestamp) {
        let wait = retry_after.unwrap_or_else(|| doubled(BLOCK_BASE, self.blocks).min(BLOCK_CAP));
        if retry_after.is_some() || self.blocks == 0 || sent >= self.blocked_at {
            self.blocks = self.blocks.saturating_add(1);
            self.blocked_at = now;
            self.block(wait, now);
        }
    }

    fn block(&mut self, wait: Duration, now: Timestamp) {
        self.blocked_until = self.blocked_until.max(now + wait.min(MAX_BLOCK));
    }

    /// A probe that hangs is dearer than one that is refused, so it is sent less often.
    fn open_at_most(&self, now: Timestamp) -> Duration {
        let failure_time = self.reliability.read(now).failure_time;
        seconds(PROBE_SHARE * failure_time).clamp(Duration::from_secs(5), Duration::from_mins(1))
    }
}

impl Reading {
    /// As it concerns a call that goes elsewhere if it fails: the odds of a failure are at most one.
    pub(super) fn asked_once(self) -> Self {
        Self { reliability: self.reliability.asked_once(), ..self }
    }

    /// As if it were as it usually is.
    pub(super) fn hopeful(self) -> Self {
        Self { latency: self.latency.hopeful(), reliability: self.reliability.hopeful(), ..self }
    }

    /// The mean time to a first token, once there was one.
    pub fn first_token(&self) -> Option<Duration> {
        (self.latency.weight > 0.0).then(|| seconds(self.latency.mean))
    }

    /// The mean time per output token, once there was an answer.
    pub fn time_per_output_token(&self) -> Option<Duration> {
        (self.latency.pace_weight > 0.0).then(|| seconds(self.latency.pace))
    }

    /// The chance that a call gets an answer, between 0 and 1.
    pub fn success_rate(&self) -> f64 {
        self.reliability.success
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Timestamp {
        Timestamp::START + Duration::from_secs_f64(seconds)
    }

    fn failed(failure: Failure, after: f64, retry_after: Option<u64>) -> Event {
        let retry_after = retry_after.map(Duration::from_secs);
        Event::Failed { mode: Mode::Stream, fault: failure.into(), after: Duration::from_secs_f64(after), retry_after }
    }

    /// One call that is sent at `sent` and ends in `event` at `end`.
    fn call(state: &mut EndpointState, sent: f64, event: Event, end: f64) {
        state.observe(Event::Sent { mode: Mode::Stream }, at(sent));
        state.observe(event, at(end));
    }

    fn broken() -> EndpointState {
        let mut state = EndpointState::new();
        for step in 0..3 {
            let sent = f64::from(step);
            call(&mut state, sent, failed(Failure::ServerError, 0.5, None), sent + 0.5);
        }
        state
    }

    #[test]
    fn every_ending_takes_the_call_out_of_flight() {
        let after = Duration::from_secs(1);
        let answered = Event::Answered {
            mode: Mode::Plain,
            total: after,
            first_token: None,
            usage: Usage::default(),
            in_flight_at_send: 0,
            typical_output: Tokens(0),
        };
        for ending in [
            answered,
            Event::Refused { mode: Mode::Stream, after: Duration::from_millis(100) },
            failed(Failure::Reset, 1.0, None),
            Event::Cut { after },
            Event::Abandoned { mode: Mode::Stream, after: Duration::from_secs(1), first_token: None },
            outrun(1),
        ] {
            let mut state = EndpointState::new();
            state.observe(Event::Sent { mode: Mode::Stream }, at(0.0));
            assert_eq!(state.in_flight(), 1);
            state.observe(ending, at(1.0));
            assert_eq!(state.in_flight(), 0, "{ending:?}");
        }
    }

    #[test]
    fn a_rate_limit_blocks_until_its_reset_and_is_no_failure() {
        let mut state = EndpointState::new();
        let before = state.read(at(0.0)).success_rate();
        call(&mut state, 0.0, failed(Failure::RateLimited, 0.1, Some(7)), 0.1);
        assert_eq!(state.standing(at(1.0)), Standing::Blocked { until: at(7.1) });
        assert!(!state.try_admit(Admission::LastResort, at(7.0)) && state.try_admit(Admission::Normal, at(7.1)));
        assert!((state.read(at(0.1)).success_rate() - before).abs() < 1e-9);
    }

    #[test]
    fn without_a_header_blocks_double_but_a_burst_counts_once() {
        let mut state = EndpointState::new();
        for _ in 0..4 {
            state.observe(Event::Sent { mode: Mode::Stream }, at(0.0));
        }
        for _ in 0..4 {
            state.observe(failed(Failure::RateLimited, 0.1, None), at(0.1));
        }
        assert_eq!(state.standing(at(0.2)), Standing::Blocked { until: at(1.1) });
        call(&mut state, 2.0, failed(Failure::RateLimited, 0.1, None), 2.1);
        assert_eq!(state.standing(at(2.2)), Standing::Blocked { until: at(4.1) });
    }

    #[test]
    fn no_header_keeps_it_away_for_more_than_an_hour() {
        let mut state = EndpointState::new();
        call(&mut state, 0.0, failed(Failure::RateLimited, 0.0, Some(1_000_000)), 0.0);
        assert_eq!(state.standing(at(0.0)), Standing::Blocked { until: at(3_600.0) });
    }

    #[test]
    fn an_open_circuit_lets_last_resorts_through_one_at_a_time_and_five_a_second() {
        let mut state = broken();
        assert!(matches!(state.standing(at(2.6)), Standing::Open { .. }));
        assert!(!state.try_admit(Admission::Normal, at(2.6)));
        assert!(state.try_admit(Admission::LastResort, at(2.6)));
        state.observe(Event::Sent { mode: Mode::Stream }, at(2.6));
        assert!(!state.try_admit(Admission::LastResort, at(2.7)));
        state.observe(failed(Failure::ServerError, 0.1, None), at(2.7));
        assert!(!state.try_admit(Admission::LastResort, at(2.75)));
        assert!(state.try_admit(Admission::LastResort, at(2.8)));
    }

    #[test]
    fn being_asked_changes_nothing_until_it_is_sent() {
        let mut state = broken();
        assert!(state.try_admit(Admission::Probe, at(4.0)) && state.try_admit(Admission::Probe, at(4.0)));
        state.observe(Event::Sent { mode: Mode::Stream }, at(4.0));
        assert!(!state.try_admit(Admission::Probe, at(4.1)));
    }

    #[test]
    fn what_it_is_left_alone_for_is_said_until_it_answers() {
        let mut state = EndpointState::new();
        let region = Event::Implicated { failure: Failure::RegionBlocked, after: Duration::ZERO, retry_after: None };
        state.observe(region, at(0.0));
        assert!(matches!(state.standing(at(1.0)), Standing::Open { until } if until == at(60.0)));
        assert_eq!((state.blamed(at(1.0)), state.in_flight()), (Some(Failure::RegionBlocked), 0));
        let first = Event::FirstToken { after: Duration::from_secs(1), in_flight_at_send: 0, prompt: Tokens(10) };
        state.observe(Event::Sent { mode: Mode::Stream }, at(61.0));
        state.observe(first, at(62.0));
        assert_eq!(state.blamed(at(62.0)), None);
        call(&mut state, 63.0, failed(Failure::ServerError, 0.5, None), 63.5);
        assert_eq!(state.blamed(at(63.5)), None, "one failure leaves it in use");
    }

    #[test]
    fn what_holds_for_several_is_asked_of_one_of_them_at_a_time() {
        let region = Event::Implicated { failure: Failure::RegionBlocked, after: Duration::ZERO, retry_after: None };
        let mut state = EndpointState::new();
        state.observe(region, at(0.0));
        assert!(state.try_admit(Admission::LastResort, at(1.0)), "it was not asked itself yet");
        state.observe(region, at(1.0));
        assert!(!state.try_admit(Admission::LastResort, at(5.9)) && state.try_admit(Admission::LastResort, at(6.0)));
    }

    #[test]
    fn an_abandoned_probe_lets_the_next_one_out() {
        let mut state = broken();
        state.observe(Event::Sent { mode: Mode::Stream }, at(4.0));
        assert!(!state.try_admit(Admission::Probe, at(4.1)));
        state.observe(
            Event::Abandoned { mode: Mode::Stream, after: Duration::from_secs(1), first_token: None },
            at(4.2),
        );
        assert_eq!(state.standing(at(4.2)), Standing::HalfOpen);
        assert!(state.try_admit(Admission::Probe, at(4.2)));
    }

    fn outrun(after: u64) -> Event {
        let after = Duration::from_secs(after);
        Event::Outrun { mode: Mode::Stream, after, in_flight_at_send: 0, prompt: Tokens(10) }
    }

    #[test]
    fn whoever_is_outrun_again_and_again_is_slow() {
        let mut state = EndpointState::new();
        let event = Event::FirstToken { after: Duration::from_secs(1), in_flight_at_send: 0, prompt: Tokens(10) };
        for _ in 0..10 {
            call(&mut state, 0.0, event, 1.0);
        }
        let mean = |state: &EndpointState| state.read(at(10.0)).first_token().unwrap().as_secs_f64();
        call(&mut state, 9.5, outrun(0), 9.5);
        assert!((mean(&state) - 1.0).abs() < 1e-9, "to be overtaken early says nothing");

        call(&mut state, 5.0, outrun(5), 10.0);
        assert!(mean(&state) < 2.0, "once may be chance");
        for _ in 0..3 {
            call(&mut state, 5.0, outrun(5), 10.0);
        }
        assert!(mean(&state) > 3.0, "{}", mean(&state));
        assert_eq!(state.standing(at(10.0)), Standing::Closed);
    }

    #[test]
    fn a_probe_that_is_outrun_opens_the_circuit_again() {
        let mut state = broken();
        call(&mut state, 4.0, outrun(1), 5.0);
        assert!(matches!(state.standing(at(5.0)), Standing::Open { .. }));
    }

    #[test]
    fn a_first_token_is_enough_to_close_the_circuit() {
        let mut state = broken();
        state.observe(Event::Sent { mode: Mode::Stream }, at(4.0));
        let event = Event::FirstToken { after: Duration::from_secs(1), in_flight_at_send: 0, prompt: Tokens(10) };
        state.observe(event, at(5.0));
        assert_eq!(state.standing(at(5.0)), Standing::Closed);
    }

    #[test]
    fn a_reset_forgets_failures_and_keeps_what_is_in_flight() {
        let mut state = broken();
        state.observe(Event::Sent { mode: Mode::Stream }, at(2.6));
        state.reset();
        assert_eq!((state.standing(at(2.6)), state.in_flight()), (Standing::Closed, 1));
    }

    #[test]
    fn the_requests_own_fault_is_not_the_endpoints() {
        let mut state = EndpointState::new();
        for _ in 0..10 {
            call(&mut state, 0.0, failed(Failure::ContextExceeded, 0.1, None), 0.1);
            call(&mut state, 0.0, Event::Refused { mode: Mode::Stream, after: Duration::from_millis(100) }, 0.1);
        }
        assert_eq!(state.standing(at(0.1)), Standing::Closed);
        assert!(state.read(at(0.1)).success_rate() > 0.98);
    }

    #[test]
    fn before_the_first_sample_latencies_are_unknown() {
        let reading = EndpointState::new().read(at(0.0));
        assert_eq!((reading.first_token(), reading.time_per_output_token()), (None, None));
    }
}
