//! Held handles: labels are resolved when a handle is made, and the request path only adds.
//!
//! What goes well is held; a failure looks its series up, since failures are rare and most classes never occur at most
//! endpoints: series made in advance for each would be nothing but zeros.

use std::time::Duration;

use super::labels::{AttemptResult, Outcome, Waste};
use super::metrics::{Count, Families, Level, Spread, Sum};
use crate::engine::Usage;
use crate::ids::EndpointId;
use crate::units::{PicoUsd, Tokens};

/// Records what one endpoint does.
#[derive(Clone, Debug)]
pub struct EndpointMetrics {
    families: Families,
    upstream: Box<str>,
    model: Box<str>,
    id: EndpointId,
    answered: Count,
    first_token: Spread,
    per_token: Spread,
    prompt_error: Spread,
}

impl EndpointMetrics {
    pub(super) fn new(families: &Families, upstream: &str, model: &str, id: &EndpointId) -> Self {
        Self {
            answered: families.attempts.with([upstream, model, AttemptResult::Ok.label()]),
            first_token: families.first_token.with([upstream, model]),
            per_token: families.per_token.with([upstream, model]),
            prompt_error: families.prompt_error.with([upstream, model]),
            families: families.clone(),
            upstream: upstream.into(),
            model: model.into(),
            id: id.clone(),
        }
    }

    /// Counts a call of the upstream that has ended.
    pub fn record_attempt(&self, result: AttemptResult) {
        match result {
            AttemptResult::Ok => self.answered.inc(),
            AttemptResult::Cancelled | AttemptResult::Failed(_) => {
                self.families.attempts.with([&self.upstream, &self.model, result.label()]).inc();
            }
        }
    }

    /// Counts a request that goes on from here to another endpoint. `reason` is the engine's failure class.
    pub fn record_failover(&self, reason: &'static str) {
        self.families.failovers.with([self.id.as_str(), reason]).inc();
    }

    /// A stream's first token, measured from sending the request.
    pub fn observe_first_token(&self, after: Duration) {
        self.first_token.observe(after.as_secs_f64());
    }

    /// A whole stream: `tokens` of output, the last of them `span` after the first. One token has no pace.
    pub fn observe_pace(&self, tokens: Tokens, span: Duration) {
        let gaps = tokens.saturating_sub(Tokens(1));
        if gaps > Tokens::ZERO {
            self.per_token.observe(span.as_secs_f64() / gaps.as_f64());
        }
    }

    /// A prompt that was estimated and then reported; what is reported as nothing has no error.
    pub fn observe_prompt_error(&self, estimated: Tokens, reported: Tokens) {
        if reported > Tokens::ZERO {
            self.prompt_error.observe((estimated.as_f64() - reported.as_f64()).abs() / reported.as_f64());
        }
    }

    /// Money that was probably billed for a try that bought nothing.
    pub fn add_wasted(&self, reason: Waste, amount: PicoUsd) {
        self.families.wasted.with([reason.label()]).inc_by(amount.as_dollars().0);
    }
}

/// Records the requests of one tenant on one route that one model of one upstream served.
#[derive(Clone, Debug)]
pub struct RequestMetrics {
    families: Families,
    names: [Box<str>; 4],
    delivered: Count,
    duration: Spread,
    overhead: Spread,
    cost: Sum,
    input: Count,
    cached_input: Count,
    output: Count,
    reasoning: Count,
}

impl RequestMetrics {
    /// `names` are route, upstream, model and tenant.
    pub(super) fn new(families: &Families, names: [&str; 4]) -> Self {
        let [route, upstream, model, tenant] = names;
        let tokens = |kind| families.tokens.with([upstream, model, tenant, kind]);
        Self {
            delivered: families.requests.with([route, upstream, model, tenant, Outcome::Ok.label()]),
            duration: families.duration.with([route, upstream, model]),
            overhead: families.overhead.with([]),
            cost: families.cost.with([route, upstream, model, tenant]),
            input: tokens("input"),
            cached_input: tokens("cached_input"),
            output: tokens("output"),
            reasoning: tokens("reasoning"),
            families: families.clone(),
            names: names.map(Into::into),
        }
    }

    /// Counts a request that has ended, whole or not.
    pub fn record_outcome(&self, outcome: Outcome) {
        if outcome == Outcome::Ok {
            self.delivered.inc();
            return;
        }
        let [route, upstream, model, tenant] = &self.names;
        self.families.requests.with([route, upstream, model, tenant, outcome.label()]).inc();
    }

    /// From the request's head to the end of its answer.
    pub fn observe_duration(&self, span: Duration) {
        self.duration.observe(span.as_secs_f64());
    }

    /// The part of the duration that was neither the upstream's nor the client's.
    pub fn observe_overhead(&self, span: Duration) {
        self.overhead.observe(span.as_secs_f64());
    }

    /// The tokens of an answer.
    pub fn add_usage(&self, usage: &Usage) {
        self.input.inc_by(usage.input.0);
        self.cached_input.inc_by(usage.cached_input.0);
        self.output.inc_by(usage.output.0);
        self.reasoning.inc_by(usage.reasoning.0);
    }

    /// The bill of an answer.
    pub fn add_cost(&self, amount: PicoUsd) {
        self.cost.inc_by(amount.as_dollars().0);
    }

    /// Counts an answer whose usage is an estimate.
    pub fn record_estimated(&self) {
        let [_, upstream, model, _] = &self.names;
        self.families.estimated.with([upstream, model]).inc();
    }

    /// Counts an answer whose cost is unknown: it is missing from the bill, and this says so.
    pub fn record_unpriced(&self) {
        let [_, upstream, model, _] = &self.names;
        self.families.unpriced.with([upstream, model]).inc();
    }
}

/// A request that is running. Dropping it says that it no longer is, also when its client vanished.
#[derive(Debug)]
pub struct InFlight(Level);

impl InFlight {
    pub(super) fn new(running: Level) -> Self {
        running.inc();
        Self(running)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
