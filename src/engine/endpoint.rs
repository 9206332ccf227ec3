//! What is known about one endpoint, and how each event changes it.
//!
//! Every call is one [`Event::Sent`] and one of the five endings; a stream's first token comes between. Nothing here
//! decides: [`EndpointState::read`] copies out what the decision needs, in estimates as of that moment.

use std::time::Duration;

use super::breaker::{Breaker, Gate, Length, doubled};
use super::failure::{Failure, Scope};
use super::features::Mode;
use super::latency::{Latency, LatencyReading};
use super::lengths::Lengths;
use super::plan::Admission;
use super::price::Usage;
use super::reliability::{Billed, Reliability, ReliabilityReading};
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
/// The first-token limit is doubled at most this often.
const MAX_DOUBLINGS: u32 = 6;

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// It went out.
    Sent,
    /// A stream's first token came.
    FirstToken {
        /// Since it was sent.
        after: Duration,
        /// Calls of ours that were in flight before this one.
        in_flight_at_send: u32,
        /// Its prompt.
        prompt: Tokens,
    },
    /// It ended with a whole answer.
    Answered {
        /// How the answer was delivered.
        mode: Mode,
        /// Since it was sent.
        total: Duration,
        /// When a stream's first token came, since it was sent.
        first_token: Option<Duration>,
        /// What it used.
        usage: Usage,
        /// Calls of ours that were in flight before this one.
        in_flight_at_send: u32,
    },
    /// It ended with a refusal that is the request's own fault.
    Refused,
    /// It ended before a first token.
    Failed {
        /// Why.
        failure: Failure,
        /// Since it was sent.
        after: Duration,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It broke off after the first token.
    Cut {
        /// Since it was sent.
        after: Duration,
    },
    /// Nobody waits for it any more.
    Abandoned,
}

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
#[derive(Clone, Copy, Debug, Default)]
pub struct EndpointState {
    in_flight: u32,
    breaker: Breaker,
    latency: Latency,
    reliability: Reliability,
    lengths: Lengths,
    blocked_until: Timestamp,
    blocked_at: Timestamp,
    blocks: u32,
    timeouts: u32,
    last_resort_at: Timestamp,
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
    pub(super) lengths: Lengths,
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
            latency: self.latency.read(now),
            reliability: self.reliability.read(now),
            lengths: self.lengths.read(now),
        }
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

    /// Forgets failures and blocks; calls in flight and latencies stay.
    pub fn reset(&mut self) {
        *self = Self { in_flight: self.in_flight, latency: self.latency, lengths: self.lengths, ..Self::default() };
    }

    /// Whether a call decided on a moment ago may still go. Changes nothing until it is [`Event::Sent`], so that whoever
    /// finds no quota need not take it back.
    pub fn try_admit(&mut self, admission: Admission, now: Timestamp) -> bool {
        let free = now >= self.blocked_until;
        let gate = self.breaker.gate(now);
        free && match (gate, admission) {
            (Gate::Closed | Gate::Ramp(_), _) | (Gate::HalfOpen, Admission::Probe | Admission::LastResort) => true,
            (Gate::Open { .. }, Admission::LastResort) => self.in_flight == 0 && now >= self.last_resort_at,
            (Gate::HalfOpen | Gate::Probing | Gate::Open { .. }, _) => false,
        }
    }

    /// Learns from `event`.
    pub fn observe(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Sent => self.sent(now),
            Event::FirstToken { after, in_flight_at_send, prompt } => {
                self.latency.first_token(after, in_flight_at_send, prompt, now);
                self.succeeded(now - after, now);
            }
            Event::Answered { mode, total, first_token, usage, in_flight_at_send } => {
                self.learn_answer(mode, total, first_token, &usage, in_flight_at_send, now);
                if first_token.is_none() {
                    self.succeeded(now - total, now);
                }
                self.reliability.answered(now);
                self.breaker.completed(now - total);
            }
            Event::Refused => self.breaker.refused(now),
            Event::Failed { failure, after, retry_after } => self.failed(failure, after, retry_after, now),
            Event::Cut { after } => {
                self.reliability.cut(now);
                self.breaker.cut(now - after, self.open_at_most(now), now);
            }
            Event::Abandoned => {}
        }
        match event {
            Event::Sent | Event::FirstToken { .. } => {}
            Event::Answered { .. } | Event::Refused | Event::Failed { .. } | Event::Cut { .. } | Event::Abandoned => {
                self.ended();
            }
        }
    }

    fn sent(&mut self, now: Timestamp) {
        self.in_flight += 1;
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

    fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.breaker.probe_void();
        }
    }

    fn succeeded(&mut self, sent: Timestamp, now: Timestamp) {
        self.breaker.succeeded(sent, now);
        self.timeouts = 0;
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
            (Mode::Embedding, _) => return self.latency.first_token(total, in_flight, usage.input, now),
            (Mode::Stream, Some(first)) => self.latency.stream(total.saturating_sub(first), usage.output, now),
            (Mode::Stream, None) | (Mode::Plain, _) => self.latency.plain(total, usage.output, now),
        }
        self.lengths.observe(usage.output, now);
    }

    fn failed(&mut self, failure: Failure, after: Duration, retry_after: Option<Duration>, now: Timestamp) {
        let sent = now - after;
        if failure.scope() == Scope::Nothing {
            return self.breaker.refused(now);
        }
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
        seconds(20.0 * failure_time).clamp(Duration::from_secs(5), Duration::from_mins(1))
    }
}

impl Reading {
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
