//! One request of a client, from its head to its log line.
//!
//! Whatever becomes of the request, dropping the exchange writes its line and its metrics, exactly once. The call in
//! flight, if any, is settled first, so that its usage and cost are in them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use super::ending::{Basis, End, Settlement};
use super::guard::{Guard, Leash};
use super::patience::Running;
use super::reply::Refusal;
use super::worker::Worker;
use crate::dialect;
use crate::engine::{Failure, Usage};
use crate::ids::{EndpointIx, RouteIx, TenantIx};
use crate::observe::{Clipped, InFlight, Outcome, Record, ShadowSide};
use crate::runtime;
use crate::state::{Comparison, Snapshot};
use crate::units::{PicoUsd, Timestamp};

/// A request under way.
pub(super) struct Exchange {
    /// The worker that serves it.
    pub worker: Arc<Worker>,
    /// What was in force when it came.
    pub snapshot: Arc<Snapshot>,
    /// Its name, for the client and the log.
    pub id: String,
    /// When its head arrived.
    pub begun: Timestamp,
    /// Who sent it, where tenants are configured.
    pub tenant: Option<TenantIx>,
    /// What serves it.
    pub route: Option<RouteIx>,
    /// The model that the client named.
    pub requested_model: Option<String>,
    /// Whether it is to be answered token by token.
    pub stream: bool,
    /// The endpoint that answered, or was asked last.
    pub endpoint: Option<EndpointIx>,
    /// The client's word for it, for the access log.
    pub tag: Option<String>,
    /// Why its endpoint was chosen, if the client wants to know.
    pub explanation: Option<String>,
    /// What was changed of it for the endpoint that answers.
    pub adjusted: Option<String>,
    /// What failed before.
    pub failed: Vec<(EndpointIx, Failure)>,
    /// What its answer is compared with.
    pub comparison: Option<Arc<Comparison>>,
    /// Calls beside the one that counts.
    beside: usize,
    /// Whether the last call that counts has not failed.
    is_answering: bool,
    guard: Option<Guard>,
    /// The call that counts, while it is looked after elsewhere.
    lent: Option<Leash>,
    settlement: Option<Settlement>,
    status: Option<u16>,
    outcome: Outcome,
    error: Option<&'static str>,
    first_token: Option<Duration>,
    upstream_time: Duration,
    answered_at: Option<Timestamp>,
    began: SystemTime,
    _running: (Running, InFlight),
}

impl Exchange {
    /// A request whose head has just arrived.
    pub(super) fn begin(worker: Arc<Worker>, id: String, running: Running) -> Self {
        let gauge = worker.shared.metrics.request_started();
        Self {
            snapshot: worker.shared.snapshot(),
            worker,
            id,
            begun: runtime::now(),
            tenant: None,
            route: None,
            requested_model: None,
            stream: false,
            endpoint: None,
            tag: None,
            explanation: None,
            adjusted: None,
            failed: Vec::new(),
            comparison: None,
            beside: 0,
            is_answering: false,
            guard: None,
            lent: None,
            settlement: None,
            status: None,
            outcome: Outcome::Cancelled,
            error: None,
            first_token: None,
            upstream_time: Duration::ZERO,
            answered_at: None,
            began: runtime::wall_clock(),
            _running: (running, gauge),
        }
    }

    /// The call in flight has failed, and another may follow.
    pub(super) fn has_failed(&mut self, endpoint: EndpointIx, failure: Failure) {
        self.failed.push((endpoint, failure));
        self.is_answering = false;
    }

    /// A call of an upstream begins.
    pub(super) fn calling(&mut self, guard: Guard) {
        self.endpoint = Some(guard.endpoint());
        self.is_answering = true;
        self.settlement = None;
        self.guard = Some(guard);
        self.lent = None;
    }

    /// The call in flight, to be looked after elsewhere for a while.
    pub(super) fn lend_call(&mut self) -> Option<Guard> {
        let guard = self.guard.take()?;
        self.lent = Some(guard.leash());
        Some(guard)
    }

    /// A second call begins beside the one that counts.
    pub(super) fn calls_another(&mut self) {
        self.beside += 1;
    }

    /// Of two calls, `left` is the one that counts now; the other has failed, and is counted among the failures.
    pub(super) fn is_left_with(&mut self, left: Leash) {
        self.beside -= 1;
        self.endpoint = Some(left.endpoint);
        self.settlement = None;
        self.lent = Some(left);
    }

    /// The call in flight.
    pub(super) fn call(&mut self) -> Option<&mut Guard> {
        self.guard.as_mut()
    }

    /// The call in flight has ended.
    pub(super) fn settle(&mut self, end: End) {
        if let Some(guard) = self.guard.take() {
            self.settlement = Some(guard.end(end));
        } else if let Some(lent) = self.lent.take() {
            self.settlement = lent.settlement();
        }
        let comparison = self.comparison.take();
        if let (Some(comparison), Some(settlement), End::Answered) = (comparison, &self.settlement, end) {
            comparison.answered(ShadowSide::Live, settlement.half());
        }
    }

    /// Time that was the upstream's or the client's, not ours.
    pub(super) fn waited(&mut self, span: Duration) {
        self.upstream_time += span;
    }

    /// The reply's head is on its way: what happens from now on no longer delays it.
    pub(super) fn replied(&mut self, status: u16) {
        self.status = Some(status);
        let now = runtime::now();
        if self.stream {
            self.first_token = Some(now.since(self.begun));
        }
        self.answered_at = Some(now);
    }

    /// How it ended for the client.
    pub(super) fn ended(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    /// It is answered by an error of ours.
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.outcome = refusal.outcome();
        self.error = Some(refusal.code());
        self.stream = false;
        self.replied(refusal.status().as_u16());
    }

    /// The error's code, where one was sent.
    pub(super) fn note_error(&mut self, code: &'static str) {
        self.error = Some(code);
    }

    /// What the answer cost, once it is settled.
    pub(super) fn cost(&self) -> Option<PicoUsd> {
        self.settlement.and_then(|settlement| settlement.cost)
    }

    /// An upstream's error without the key that it may echo, ours or any that looks like one.
    pub(crate) fn conceal(&self, text: Bytes) -> Bytes {
        match self.endpoint {
            Some(endpoint) => self.snapshot.seats[endpoint].target.conceal(text),
            None => dialect::conceal_keys(text),
        }
    }

    /// The reply headers that say what faregate did.
    pub(super) fn describe(&self, headers: &mut HeaderMap) {
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        put("x-faregate-request-id", &self.id);
        if let Some(explanation) = &self.explanation {
            put("x-faregate-explain", explanation);
        }
        if let Some(adjusted) = &self.adjusted {
            put("x-faregate-adjusted", adjusted);
        }
        if let Some(route) = self.route {
            put("x-faregate-route", &self.snapshot.model.routes[route].name);
        }
        if let Some(endpoint) = self.endpoint {
            let endpoint = &self.snapshot.model.endpoints[endpoint];
            put("x-faregate-endpoint", endpoint.id.as_str());
            put("x-faregate-upstream", &self.snapshot.model.upstreams[endpoint.upstream].name);
            put("x-faregate-model", &endpoint.model);
            headers.insert(HeaderName::from_static("x-faregate-attempts"), self.attempts().into());
        }
    }

    /// Calls of upstreams so far.
    pub(super) fn attempts(&self) -> u32 {
        let calls = self.beside + self.failed.len() + usize::from(self.is_answering);
        u32::try_from(calls).unwrap_or(u32::MAX)
    }

    /// `None` where the client left while an upstream was at work: how much of the time was whose is not known.
    fn overhead(&self) -> Option<Duration> {
        self.answered_at.map(|answered| answered.since(self.begun).saturating_sub(self.upstream_time))
    }

    /// Whether what is said about tokens is an estimate; `None` where there is nothing to say.
    fn is_estimated(&self) -> Option<bool> {
        let settlement = self.settlement.filter(|settlement| settlement.usage != Usage::default())?;
        Some(settlement.basis == Basis::Estimated)
    }

    fn count(&self, now: Timestamp) {
        let metrics = self.snapshot.request_metrics(self.route, self.endpoint, self.tenant);
        metrics.record_outcome(self.outcome);
        metrics.observe_duration(now.since(self.begun));
        if let Some(overhead) = self.overhead() {
            metrics.observe_overhead(overhead);
        }
        let Some(settlement) = &self.settlement else { return };
        metrics.add_usage(&settlement.usage);
        if self.is_estimated() == Some(true) {
            metrics.record_estimated();
        }
        match settlement.cost {
            Some(cost) => metrics.add_cost(cost),
            None => metrics.record_unpriced(),
        }
    }

    fn log(&self, now: Timestamp) {
        let model = &self.snapshot.model;
        let endpoint = self.endpoint.map(|endpoint| &model.endpoints[endpoint]);
        let failed: Vec<_> = self
            .failed
            .iter()
            .map(|(endpoint, failure)| (model.endpoints[*endpoint].id.as_str(), failure.label()))
            .collect();
        self.worker.shared.access_log.write(&Record {
            time: self.began,
            request_id: &self.id,
            tenant: self.tenant.map(|tenant| &*model.tenants[tenant].name),
            route: self.route.map(|route| &*model.routes[route].name),
            endpoint: endpoint.map(|endpoint| endpoint.id.as_str()),
            upstream: endpoint.map(|endpoint| &*model.upstreams[endpoint.upstream].name),
            model: endpoint.map(|endpoint| &*endpoint.model),
            requested_model: self.requested_model.as_deref().map(Clipped),
            tag: self.tag.as_deref().map(Clipped),
            status: self.status,
            outcome: self.outcome,
            stream: self.stream,
            attempts: self.attempts(),
            duration: now.since(self.begun),
            first_token: self.first_token,
            overhead: self.overhead(),
            usage: self.settlement.map(|settlement| settlement.usage).into(),
            is_estimated: self.is_estimated(),
            cost: self.cost(),
            error: self.error,
            failed: &failed,
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.settle(End::Abandoned);
        let now = runtime::now();
        self.count(now);
        self.log(now);
    }
}
