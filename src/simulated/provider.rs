//! A simulated provider's state: its faults, its quota, its books.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use serde::Serialize;

use super::profile::{Fault, Profile};
use super::quota::{Throttled, Usage};
use crate::engine::{Price, Usage as Used};
use crate::runtime;
use crate::units::{PicoUsd, Tokens};

/// Requests that are remembered.
const REMEMBERED: usize = 1_000;

/// A provider.
#[derive(Debug)]
pub struct Provider {
    seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    profile: Profile,
    fault: Option<Fault>,
    once: Option<Fault>,
    share: f64,
    quota: Usage,
    stats: Stats,
    recorded: VecDeque<Recorded>,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Requests that arrived.
    pub requests: u64,
    /// Answers that were sent whole.
    pub answered: u64,
    /// Requests refused for want of quota.
    pub refused_by_quota: u64,
    /// Answers that the client did not wait for.
    pub aborted: u64,
    /// Requests being answered.
    pub in_flight: u32,
    /// Prompt tokens of answers.
    pub input_tokens: u64,
    /// Answer tokens that were sent.
    pub output_tokens: u64,
    /// What all of it costs, in pico-dollars.
    pub billed_pico_usd: u64,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// `POST`.
    pub method: http::Method,
    /// The path.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// One answer under way.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) model: String,
    pub(super) prompt: Tokens,
    pub(super) produced: Tokens,
    pub(super) completed: bool,
    pub(super) broken: bool,
}

impl Provider {
    /// A provider whose draws repeat for the same seed.
    pub fn new(profile: Profile, seed: u64) -> Arc<Self> {
        let state = State {
            profile,
            fault: None,
            once: None,
            share: 1.0,
            quota: Usage::default(),
            stats: Stats::default(),
            recorded: VecDeque::new(),
        };
        Arc::new(Self { seed, state: Mutex::new(state) })
    }

    /// What it is like now.
    pub fn profile(&self) -> Profile {
        self.state.lock().profile.clone()
    }

    /// Begins or ends a fault, for requests from now on.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state.lock().fault = fault;
    }

    /// Lets the next request, and no other, meet `fault`.
    pub fn fail_once(&self, fault: Fault) {
        self.state.lock().once = Some(fault);
    }

    /// The probability that a request meets the fault; 1 at first.
    pub fn set_fault_share(&self, share: f64) {
        self.state.lock().share = share;
    }

    /// Changes what a model costs.
    pub fn set_price(&self, model: &str, price: &Price) {
        for entry in self.state.lock().profile.models.iter_mut().filter(|entry| entry.id == model) {
            entry.price = price.clone();
        }
    }

    /// What has happened so far.
    pub fn stats(&self) -> Stats {
        self.state.lock().stats
    }

    /// The requests since the last call, oldest first.
    pub fn take_requests(&self) -> Vec<Recorded> {
        self.state.lock().recorded.drain(..).collect()
    }

    /// Notes a request; returns the generator for everything that is random about it.
    pub(super) fn arrive(&self, request: Recorded) -> StdRng {
        let mut state = self.state.lock();
        state.stats.requests += 1;
        if state.recorded.len() == REMEMBERED {
            state.recorded.pop_front();
        }
        state.recorded.push_back(request);
        runtime::seeded(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(state.stats.requests))
    }

    /// The fault that this request meets.
    pub(super) fn fault(&self, rng: &mut StdRng) -> Option<Fault> {
        let mut state = self.state.lock();
        if let Some(fault) = state.once.take() {
            return Some(fault);
        }
        let meets = state.share >= 1.0 || rng.random::<f64>() < state.share;
        state.fault.clone().filter(|_| meets)
    }

    /// Whether connections are refused now.
    pub(super) fn refuses(&self) -> bool {
        let state = self.state.lock();
        state.fault == Some(Fault::Refuse) && state.share >= 1.0
    }

    /// Counts a request against the quota and as in flight.
    pub(super) fn enter(&self, tokens: Tokens) -> Result<HeaderMap, (Throttled, HeaderMap)> {
        let now = runtime::now();
        let mut state = self.state.lock();
        let State { profile, quota, stats, .. } = &mut *state;
        let Some(limits) = &profile.quota else {
            stats.in_flight += 1;
            return Ok(HeaderMap::new());
        };
        let admitted = quota.admit(limits, stats.in_flight, tokens, now);
        let headers = quota.headers(limits, now);
        match admitted {
            Ok(()) => {
                stats.in_flight += 1;
                Ok(headers)
            }
            Err(throttled) => {
                stats.refused_by_quota += 1;
                Err((throttled, headers))
            }
        }
    }

    /// An answer has ended, or nobody listens any more.
    pub(super) fn leave(&self, visit: &Visit) {
        let mut state = self.state.lock();
        let price = state.profile.models.iter().find(|model| model.id == visit.model).map(|model| model.price.clone());
        let used = Used { input: visit.prompt, output: visit.produced, ..Used::default() };
        let bill = price.map_or(PicoUsd::ZERO, |price| price.bill(&used));
        let stats = &mut state.stats;
        stats.in_flight = stats.in_flight.saturating_sub(1);
        stats.answered += u64::from(visit.completed);
        stats.aborted += u64::from(!visit.completed && !visit.broken);
        stats.input_tokens += visit.prompt.0;
        stats.output_tokens += visit.produced.0;
        stats.billed_pico_usd += bill.0;
    }
}
