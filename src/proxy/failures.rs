//! What has failed so far for one request: whom it excludes, how long to wait next, and what the client is told in the
//! end.

use std::time::Duration;

use super::attempt::Trouble;
use super::ending::End;
use super::exchange::Exchange;
use super::failover::Call;
use super::reply::Refusal;
use crate::engine::{Entry, Failure, Scope};
use crate::ids::{EndpointIx, KeyIx};
use crate::policy::model::{Model, Route};
use crate::runtime;

/// What has failed so far.
#[derive(Default)]
pub(super) struct Failures {
    tried: Vec<EndpointIx>,
    troubles: Vec<Trouble>,
    /// Keys that were refused, or whose account is empty.
    barred: Vec<KeyIx>,
}

impl Failures {
    /// Whether nothing has failed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.troubles.is_empty()
    }

    /// Settles a failed try and keeps it in mind.
    pub(super) fn note(&mut self, exchange: &mut Exchange, endpoint: EndpointIx, mut trouble: Trouble) {
        let Trouble { failure, retry_after, .. } = trouble;
        let detail = exchange.conceal(trouble.detail.into());
        trouble.detail = String::from_utf8_lossy(&detail).into_owned();
        exchange.settle(End::Failed { failure, retry_after });
        exchange.failed.push((endpoint, failure));
        let id = &exchange.snapshot.model.endpoints[endpoint].id;
        tracing::warn!(request_id = %exchange.id, endpoint = %id, class = failure.label(), detail = %trouble.detail, "attempt failed");
        if failure.scope() == Scope::Key {
            self.barred.push(exchange.snapshot.model.endpoints[endpoint].key);
        }
        self.tried.push(endpoint);
        self.troubles.push(trouble);
    }

    /// What was tried.
    pub(super) fn tried(&self) -> &[EndpointIx] {
        &self.tried
    }

    /// What was tried, with all that the keys that failed are used for, if any has.
    pub(super) fn tried_or_barred(&self, model: &Model) -> Option<Vec<EndpointIx>> {
        let barred = model.endpoints.iter().filter(|(_, endpoint)| self.barred.contains(&endpoint.key));
        (!self.barred.is_empty())
            .then(|| self.tried.iter().copied().chain(barred.map(|(position, _)| position)).collect())
    }

    /// What has failed, or else what `otherwise` says.
    pub(super) fn or_else(&self, model: &Model, otherwise: impl FnOnce() -> Refusal) -> Refusal {
        if self.troubles.is_empty() { otherwise() } else { self.refusal(model) }
    }

    /// Counted once it is certain that the request goes on elsewhere.
    pub(super) fn count_failover(&self, exchange: &Exchange) {
        if let (Some(endpoint), Some(trouble)) = (self.tried.last(), self.troubles.last()) {
            exchange.snapshot.seats[*endpoint].metrics.record_failover(trouble.failure.label());
        }
    }

    /// How long to wait for an answer. Where nobody else may be asked, all the time there is.
    pub(super) fn patience(&self, exchange: &Exchange, call: &Call, entry: &Entry) -> Duration {
        let snapshot = &exchange.snapshot;
        let route = &snapshot.model.routes[call.route];
        let goes_on = self.troubles.len() + 1 < attempts(route)
            && snapshot.routes[call.route].with(|state| state.would_grant(runtime::now()));
        if goes_on { entry.first_token_limit() } else { route.timeouts.answer(call.request.mode) }
    }

    /// Whether the request may not be tried again.
    pub(super) fn is_final(&self, route: &Route) -> bool {
        self.troubles.len() >= attempts(route) || self.troubles.last().is_some_and(|trouble| trouble.deadline_passed)
    }

    /// What the client is told when nothing is left to try.
    pub(super) fn refusal(&self, model: &Model) -> Refusal {
        let limited = |trouble: &Trouble| trouble.failure == Failure::RateLimited;
        if self.troubles.iter().all(limited) {
            let wait = self.troubles.iter().filter_map(|trouble| trouble.retry_after).min();
            return Refusal::RateLimited { wait };
        }
        let each = self.tried.iter().zip(&self.troubles).map(|(endpoint, trouble)| {
            format!("{}: {} ({})", model.endpoints[*endpoint].id, trouble.failure.label(), trouble.detail)
        });
        let reason = format!("no endpoint answered: {}", each.collect::<Vec<_>>().join("; "));
        match self.troubles.last() {
            Some(Trouble { failure: Failure::Timeout, .. }) => Refusal::UpstreamTimeout { reason },
            Some(_) | None => Refusal::UpstreamFailed { reason },
        }
    }
}

fn attempts(route: &Route) -> usize {
    usize::try_from(route.retry.attempts).unwrap_or(usize::MAX)
}
