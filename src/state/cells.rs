//! What changes with traffic, each behind a short lock of its own.
//!
//! The engine's types are plain values; a cell is where one of them lives while many requests use it. A lock is taken
//! to copy out or to note one event, never across an await.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::wish::{Override, Wish};
use crate::engine::{
    Admission, CacheHits, Content, EndpointState, Event, Failure, LengthClass, Mode, PromptEstimate, Reading,
    RetryPolicy, RouteReading, RouteState, Standing, TokenRates, Toll, Trial,
};
use crate::ids::EndpointId;
use crate::policy::model::{Key, Secret};
use crate::units::{Dollars, Timestamp, Tokens};

/// The weight of the newest score in the mean that operators see.
const SCORE_WEIGHT: f64 = 0.1;

/// One model at one upstream through one key.
#[derive(Debug)]
pub struct EndpointCell {
    /// `upstream/model#key`.
    pub id: EndpointId,
    inner: Mutex<Tolled>,
    wish: Wish,
    score: AtomicU64,
    requests: AtomicU64,
}

/// One key of an upstream: whether it is still the same.
#[derive(Debug)]
pub struct KeyCell {
    secret: Mutex<Option<Secret>>,
}

#[derive(Debug)]
struct Tolled {
    state: EndpointState,
    toll: Toll,
    hits: CacheHits,
}

impl EndpointCell {
    /// A new endpoint, about which nothing is known.
    pub fn new(id: EndpointId) -> Self {
        Self {
            id,
            inner: Mutex::new(Tolled {
                state: EndpointState::new(),
                toll: Toll::default(),
                hits: CacheHits::default(),
            }),
            wish: Wish::default(),
            score: AtomicU64::new(f64::NAN.to_bits()),
            requests: AtomicU64::new(0),
        }
    }

    /// Health, and what its quota is worth.
    pub fn read(&self, now: Timestamp) -> (Reading, Toll) {
        let inner = self.inner.lock();
        (inner.state.read(now), inner.toll)
    }

    /// The share of what should be in its prompt cache that is.
    pub fn cache_hit(&self) -> f64 {
        self.inner.lock().hits.ratio()
    }

    /// Notes how much of what should have been cached was.
    pub fn cached(&self, promised: Tokens, cached: Tokens) {
        self.inner.lock().hits.observe(promised, cached);
    }

    /// Notes what its quota is worth, and how often it should be tried though it seems worse than others.
    pub fn price(&self, toll: Toll, trial: Option<Trial>) {
        let mut inner = self.inner.lock();
        inner.toll = toll;
        inner.state.try_every(trial);
    }

    /// Counts a request in flight that is about to be sent; `None` if another was faster. Returns the number in flight
    /// before this one.
    pub fn admit(&self, admission: Admission, mode: Mode, now: Timestamp) -> Option<u32> {
        let mut inner = self.inner.lock();
        if !inner.state.try_admit(admission, now) {
            return None;
        }
        let before = inner.state.in_flight();
        inner.state.observe(Event::Sent { mode }, now);
        self.requests.fetch_add(1, Ordering::Relaxed);
        Some(before)
    }

    /// Notes what happened to a request in flight.
    pub fn observe(&self, event: Event, now: Timestamp) {
        self.inner.lock().state.observe(event, now);
    }

    /// Forgets failures and blocks.
    pub fn reset(&self) {
        self.inner.lock().state.reset();
    }

    /// Why it is not used, as long as it is not.
    pub fn blamed(&self, now: Timestamp) -> Option<Failure> {
        self.inner.lock().state.blamed(now)
    }

    /// Whether it may be used, for people and metrics.
    pub fn standing(&self, now: Timestamp) -> Standing {
        self.inner.lock().state.standing(now)
    }

    /// The operator's wish, and when it ends, if it does.
    pub fn wish(&self, now: Timestamp) -> (Override, Option<Timestamp>) {
        (self.wish.get(now), self.wish.until())
    }

    /// Notes the operator's wish.
    pub fn set_wish(&self, wish: Override, until: Option<Timestamp>) {
        self.wish.set(wish, until);
    }

    /// Notes that a request was scored here. Two at once may lose one sample, which a mean does not mind.
    pub fn scored(&self, score: Dollars) {
        let before = f64::from_bits(self.score.load(Ordering::Relaxed));
        let mean = if before.is_nan() { score.0 } else { before + SCORE_WEIGHT * (score.0 - before) };
        self.score.store(mean.to_bits(), Ordering::Relaxed);
    }

    /// The decayed mean of its scores, if it was ever scored.
    pub fn mean_score(&self) -> Option<Dollars> {
        let mean = f64::from_bits(self.score.load(Ordering::Relaxed));
        (!mean.is_nan()).then_some(Dollars(mean))
    }

    /// Requests sent so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }
}

impl KeyCell {
    /// A new key.
    pub fn new(key: &Key) -> Self {
        Self { secret: Mutex::new(key.secret.clone()) }
    }

    /// Takes the secret of a new snapshot. Says whether it is another one, of which nothing is known.
    pub fn renew(&self, key: &Key) -> bool {
        let mut secret = self.secret.lock();
        let rotated = *secret != key.secret;
        secret.clone_from(&key.secret);
        rotated
    }
}

/// What is learned of a server, whatever the key.
#[derive(Debug, Default)]
pub struct ServerCell {
    refuses_usage: AtomicBool,
}

impl ServerCell {
    /// Whether streams may be asked for their usage here. Some servers refuse a field that they do not know.
    pub fn takes_usage(&self) -> bool {
        !self.refuses_usage.load(Ordering::Relaxed)
    }

    /// Streams shall not be asked for their usage here any more.
    pub fn spare_usage(&self) {
        self.refuses_usage.store(true, Ordering::Relaxed);
    }
}

/// One model of an upstream, whatever the key: how long it finds prompts.
#[derive(Debug, Default)]
pub struct ModelCell {
    rates: Mutex<TokenRates>,
}

impl ModelCell {
    /// Tokens to expect of `content`.
    pub fn estimate(&self, content: &Content) -> PromptEstimate {
        self.rates.lock().estimate(content)
    }

    /// Notes that `content` was reported to be so many tokens.
    pub fn learn(&self, content: &Content, reported: Tokens) {
        self.rates.lock().observe(content, reported);
    }

    /// What is known, for people.
    pub fn rates(&self) -> TokenRates {
        *self.rates.lock()
    }
}

/// What a route learns: output lengths, and how much it may retry.
#[derive(Debug)]
pub struct RouteCell {
    state: Mutex<RouteState>,
}

impl RouteCell {
    /// A route without history.
    pub fn new(retry: &RetryPolicy) -> Self {
        Self { state: Mutex::new(RouteState::new(retry)) }
    }

    /// Runs `act` on the state under its lock.
    pub fn with<T>(&self, act: impl FnOnce(&mut RouteState) -> T) -> T {
        act(&mut self.state.lock())
    }

    /// A copy for one decision.
    pub fn read(&self, class: LengthClass, now: Timestamp) -> RouteReading {
        self.state.lock().read(class, now)
    }
}
