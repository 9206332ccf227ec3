//! What a provider has seen and what it charges for, settled when a visit ends and never before.
//!
//! Every request holds a [`Visit`]. Whoever drops it settles it: the end of the answer, or a client that left in the
//! middle. So no path, cancelled or not, can forget to count.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use serde::Serialize;

use crate::engine::{Price, Usage};
use crate::units::{PicoUsd, Tokens};

const REMEMBERED: usize = 1_000;

/// Counts since the provider was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests whose head has arrived, whatever became of them.
    pub requests: u64,
    /// Answers with status 200 that were produced to their end.
    pub answered: u64,
    /// Requests refused with 429 by the quota.
    pub refused_by_quota: u64,
    /// Requests whose client left before the end.
    pub aborted: u64,
    /// Requests that have not ended.
    pub in_flight: u32,
    /// Prompt tokens of all requests that reached a model.
    pub input_tokens: Tokens,
    /// Tokens produced, those of aborted answers included.
    pub output_tokens: Tokens,
    /// What all of that costs.
    pub billed: PicoUsd,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The method.
    pub method: Method,
    /// The path, with the query if there is one.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Counts and the last requests, shared by all connections.
#[derive(Debug, Default)]
pub(super) struct Tally {
    stats: Mutex<Stats>,
    recorded: Mutex<VecDeque<Recorded>>,
}

/// One request, from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Visit {
    tally: Arc<Tally>,
    ended: Option<End>,
    price: Option<Price>,
    usage: Usage,
}

/// How the provider's own part in a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a whole answer.
    Answered,
    /// With a 429.
    RefusedByQuota,
    /// With an error, wanted or not.
    Failed,
}

impl Tally {
    pub(super) fn stats(&self) -> Stats {
        *self.stats.lock()
    }

    pub(super) fn record(&self, request: Recorded) {
        let mut recorded = self.recorded.lock();
        if recorded.len() == REMEMBERED {
            recorded.pop_front();
        }
        recorded.push_back(request);
    }

    pub(super) fn take_requests(&self) -> Vec<Recorded> {
        self.recorded.lock().drain(..).collect()
    }
}

impl Visit {
    /// Counts a request, and tells its number, from 0.
    pub(super) fn begin(tally: &Arc<Tally>) -> (Self, u64) {
        let mut stats = tally.stats.lock();
        let number = stats.requests;
        stats.requests += 1;
        stats.in_flight += 1;
        (Self { tally: Arc::clone(tally), ended: None, price: None, usage: Usage::default() }, number)
    }

    /// Requests in flight, this one included.
    pub(super) fn in_flight(&self) -> u32 {
        self.tally.stats.lock().in_flight
    }

    /// A model takes the prompt: from here on it costs.
    pub(super) fn admit(&mut self, price: Price, input: Tokens) {
        self.price = Some(price);
        self.usage.input = input;
    }

    /// One more token has been made.
    pub(super) fn produced_token(&mut self) {
        self.usage.output += Tokens(1);
    }

    /// Says how it ended. Unsaid, the client left.
    pub(super) fn end(&mut self, end: End) {
        self.ended = Some(end);
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut stats = self.tally.stats.lock();
        stats.in_flight = stats.in_flight.saturating_sub(1);
        match self.ended {
            Some(End::Answered) => stats.answered += 1,
            Some(End::RefusedByQuota) => stats.refused_by_quota += 1,
            Some(End::Failed) => {}
            None => stats.aborted += 1,
        }
        if let Some(price) = &self.price {
            stats.input_tokens += self.usage.input;
            stats.output_tokens += self.usage.output;
            stats.billed += price.bill(&self.usage);
        }
    }
}

/// As `GET /stats` shows it: plain numbers, and the bill in dollars as a string, so that nothing is rounded.
impl Serialize for Stats {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut fields = serializer.serialize_struct("Stats", 9)?;
        fields.serialize_field("requests", &self.requests)?;
        fields.serialize_field("answered", &self.answered)?;
        fields.serialize_field("refused_by_quota", &self.refused_by_quota)?;
        fields.serialize_field("aborted", &self.aborted)?;
        fields.serialize_field("in_flight", &self.in_flight)?;
        fields.serialize_field("input_tokens", &self.input_tokens.0)?;
        fields.serialize_field("output_tokens", &self.output_tokens.0)?;
        fields.serialize_field("billed_pico_usd", &self.billed.0)?;
        fields.serialize_field("billed_usd", &self.billed.to_string())?;
        fields.end()
    }
}
