//! The provider's state, which outlives its connections: its clock, its quota, its faults and its books.
//!
//! Each request gets a generator of its own, seeded by the provider's seed and the request's number, so that what one
//! request draws never depends on how many numbers another one used.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use rand::rngs::StdRng;

use crate::engine::{Price, Usage};
use crate::runtime;
use crate::simulated::call::{Call, Outcome};
use crate::simulated::{Exceeded, Fault, Levels, Profile, Schedule, Window};
use crate::units::{PicoUsd, Timestamp, Tokens};

const RECORDED: usize = 64;

/// A simulated provider.
#[derive(Debug)]
pub struct Provider {
    profile: Profile,
    seed: u64,
    began: Timestamp,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    lasting: Option<Fault>,
    next: VecDeque<Fault>,
    window: Window,
    stats: Stats,
    /// What has been paid in after the beginning.
    paid_in: PicoUsd,
    recorded: VecDeque<Recorded>,
}

/// What the provider has counted since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests whose head was read.
    pub requests: u64,
    /// Requests answered in full.
    pub answered: u64,
    /// Requests refused with 429 by the quota.
    pub rejected_429: u64,
    /// Requests refused for another fault of the client (400, 401, 404, …).
    pub refused: u64,
    /// Requests failed by a fault that was asked for.
    pub failed: u64,
    /// Requests whose client left before their end.
    pub aborted: u64,
    /// Requests being served.
    pub in_flight: u64,
    /// Tokens billed, prompt and answer.
    pub tokens: Tokens,
    /// Their price, of aborted and cut answers too.
    pub billed: PicoUsd,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The path, with the query if there was one.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// A request that has been counted, with what was decided for it on arrival.
pub(super) struct Arrival {
    pub(super) number: u64,
    pub(super) rng: StdRng,
    pub(super) fault: Option<Fault>,
    pub(super) call: Call,
}

impl Provider {
    /// A provider without faults whose time begins now.
    pub fn new(profile: Profile, seed: u64) -> Arc<Self> {
        Self::scheduled(profile, Schedule::default(), seed)
    }

    /// A provider whose time begins now, with what goes wrong and when.
    pub fn scheduled(profile: Profile, schedule: Schedule, seed: u64) -> Arc<Self> {
        let state = State {
            schedule,
            lasting: None,
            next: VecDeque::new(),
            window: Window::new(profile.quota),
            stats: Stats::default(),
            paid_in: PicoUsd::ZERO,
            recorded: VecDeque::new(),
        };
        Arc::new(Self { profile, seed, began: runtime::now(), state: Mutex::new(state) })
    }

    /// What it is like.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// From now on every request meets `fault`, whatever the schedule says; `None` gives back to the schedule.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state.lock().lasting = fault;
    }

    /// One later request meets `fault`: the next, or the first after those that earlier calls have set apart. Goes
    /// before everything else.
    pub fn fault_next(&self, fault: Fault) {
        self.state.lock().next.push_back(fault);
    }

    /// Replaces the schedule; its times still count from when the provider began.
    pub fn set_schedule(&self, schedule: Schedule) {
        self.state.lock().schedule = schedule;
    }

    /// The client pays in so much more.
    pub fn top_up(&self, amount: PicoUsd) {
        self.state.lock().paid_in += amount;
    }

    /// What is left of what was paid in advance.
    pub(super) fn balance(&self) -> Option<PicoUsd> {
        let state = self.state.lock();
        let paid = self.profile.wallet? + state.paid_in;
        Some(PicoUsd(paid.0.saturating_sub(state.stats.billed.0)))
    }

    /// What it has counted so far.
    pub fn stats(&self) -> Stats {
        self.state.lock().stats
    }

    /// The last requests, oldest first (at most 64).
    pub fn recorded_requests(&self) -> Vec<Recorded> {
        self.state.lock().recorded.iter().cloned().collect()
    }

    /// Time since the provider began.
    pub fn elapsed(&self) -> Duration {
        runtime::now().since(self.began)
    }

    /// Whether connections are closed as they come.
    pub(super) fn is_out(&self) -> bool {
        let elapsed = self.elapsed();
        let state = self.state.lock();
        state.lasting.as_ref().map_or_else(|| state.schedule.is_out(elapsed), |fault| *fault == Fault::Outage)
    }

    /// Counts a request and decides its fault.
    pub(super) fn arrive(self: &Arc<Self>) -> Arrival {
        let now = runtime::now();
        let mut state = self.state.lock();
        let number = state.stats.requests;
        state.stats.requests += 1;
        state.stats.in_flight += 1;
        // An odd multiplier keeps numbers of one seed apart from those of the next.
        let mut rng = runtime::seeded(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(number));
        let one_shot = state.next.pop_front();
        let lasting = one_shot.or_else(|| state.lasting.clone());
        let fault = lasting.or_else(|| state.schedule.fault(now.since(self.began), &mut rng).cloned());
        drop(state);
        Arrival { number, rng, fault, call: Call::new(Arc::clone(self), now) }
    }

    pub(super) fn record(&self, request: Recorded) {
        let mut state = self.state.lock();
        if state.recorded.len() == RECORDED {
            state.recorded.pop_front();
        }
        state.recorded.push_back(request);
    }

    /// The requests in flight besides the one that asks.
    pub(super) fn others_in_flight(&self) -> u64 {
        self.state.lock().stats.in_flight.saturating_sub(1)
    }

    /// Charges the quota.
    pub(super) fn admit(&self, tokens: Tokens) -> Result<(), Exceeded> {
        let mut state = self.state.lock();
        let others = state.stats.in_flight.saturating_sub(1);
        state.window.admit(tokens, others, runtime::now())
    }

    /// What is left of the quota.
    pub(super) fn levels(&self) -> impl Iterator<Item = Levels> + use<> {
        self.state.lock().window.levels(runtime::now())
    }

    /// A request is over.
    pub(super) fn leave(&self, outcome: Outcome, model: &str, usage: &Usage, now: Timestamp) {
        let mut state = self.state.lock();
        let changed = state.schedule.price(model, now.since(self.began));
        let billed = changed.or_else(|| self.list_price(model)).map(|price| price.bill(usage)).unwrap_or_default();
        let stats = &mut state.stats;
        stats.in_flight -= 1;
        match outcome {
            Outcome::Answered => stats.answered += 1,
            Outcome::Throttled => stats.rejected_429 += 1,
            Outcome::Refused => stats.refused += 1,
            Outcome::Failed => stats.failed += 1,
            Outcome::Aborted => stats.aborted += 1,
        }
        stats.tokens += usage.input + usage.output;
        stats.billed += billed;
    }

    pub(super) fn sells(&self, model: &str) -> bool {
        self.list_price(model).is_some()
    }

    fn list_price(&self, model: &str) -> Option<&Price> {
        self.profile.models.iter().find(|sold| sold.id == model).map(|sold| &sold.price)
    }
}
