//! What has failed so far for one request: whom it excludes, how long to wait next, and what the client is told in the
//! end.

use std::time::Duration;

use super::attempt::{Objection, Trouble};
use super::call::Call;
use super::ending::End;
use super::exchange::Exchange;
use super::reply::Refusal;
use crate::engine::{Entry, Failure, Verdict};
use crate::ids::EndpointIx;
use crate::policy::model::{Model, Route};
use crate::runtime;
use crate::units::Tokens;

/// Before the only endpoint is asked again; long enough for a worker to be replaced.
const PAUSE: Duration = Duration::from_millis(250);
/// The longest wait that a provider may ask for and that a request is held for.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Of all the time, for a whole answer that somebody else could give as well. The rest is kept for that.
const SHARE_OF_ONE: f64 = 0.8;

/// What has failed so far.
#[derive(Default)]
pub(super) struct Failures {
    tried: Vec<EndpointIx>,
    /// Whether the only one that was tried may be asked once more.
    forgiven: Forgiven,
    troubles: Vec<Trouble>,
    /// What a failure of another one speaks about as well: the same key, account, model or provider.
    barred: Vec<EndpointIx>,
    /// The longest window that was too short.
    window: Option<Tokens>,
    /// The upstream's words, if each of them so far has found something wrong with the request.
    objection: Option<Box<Objection>>,
}

/// Whether a failure does not count against asking the same endpoint again.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Forgiven {
    #[default]
    No,
    Yes,
}

impl Failures {
    /// Whether nothing has failed yet.
    pub(super) fn is_empty(&self) -> bool {
        self.troubles.is_empty()
    }

    /// Settles a failed try and keeps it in mind.
    pub(super) fn note(&mut self, exchange: &mut Exchange, endpoint: EndpointIx, mut trouble: Trouble) {
        let Trouble { fault, retry_after, .. } = trouble;
        let detail = exchange.conceal(trouble.detail.into());
        trouble.detail = String::from_utf8_lossy(&detail).into_owned();
        if let (Some(usage), Some(guard)) = (trouble.usage, exchange.call()) {
            guard.measured(Tokens::ZERO, Some(usage));
        }
        exchange.settle(End::Failed { fault, retry_after });
        exchange.has_failed(endpoint, fault.failure);
        let model = &exchange.snapshot.model;
        let id = &model.endpoints[endpoint].id;
        tracing::warn!(request_id = %exchange.id, endpoint = %id, class = fault.failure.label(), detail = %trouble.detail, "attempt failed");
        self.barred.extend(model.sharing(endpoint, fault.failure, fault.scope));
        if fault.failure == Failure::ContextExceeded {
            self.window = self.window.max(model.endpoints[endpoint].context);
        }
        self.tried.push(endpoint);
        self.forgiven = Forgiven::No;
        self.troubles.push(trouble);
        self.objection = None;
    }

    /// What was tried, and is not to be tried again.
    pub(super) fn tried(&self) -> &[EndpointIx] {
        match self.forgiven {
            Forgiven::No => &self.tried,
            Forgiven::Yes => &[],
        }
    }

    /// Whether `endpoint` was asked, be it to be asked again or not.
    pub(super) fn has_asked(&self, endpoint: EndpointIx) -> bool {
        self.tried.contains(&endpoint)
    }

    /// What was tried, with what has failed with it, if anything has.
    pub(super) fn tried_or_barred(&self) -> Option<Vec<EndpointIx>> {
        (!self.barred.is_empty()).then(|| self.tried().iter().chain(&self.barred).copied().collect())
    }

    /// Where there was nobody to ask but one, whose failure passes by itself: how long to wait before asking it once
    /// more. `jitter` is from 0 to 1.
    ///
    /// Where others were asked and failed as well it is no passing trouble of one, and the client decides.
    pub(super) fn forgive(&mut self, route: &Route, jitter: f64) -> Option<Duration> {
        let [trouble] = self.troubles.as_slice() else { return None };
        let passes = trouble.fault.failure.passes() && trouble.retry_after.is_none_or(|wait| wait <= LONGEST_PAUSE);
        if !passes || self.forgiven == Forgiven::Yes || self.is_final(route) {
            return None;
        }
        self.forgiven = Forgiven::Yes;
        Some(trouble.retry_after.unwrap_or_default() + PAUSE.mul_f64(0.5 + jitter))
    }

    /// Whether `endpoint` may read what was too long for another one. Of the one that is not known, it is worth a try.
    pub(super) fn may_be_long_enough(&self, context: Option<Tokens>) -> bool {
        match (self.window, context) {
            (Some(short), Some(context)) => context > short,
            (None, _) | (Some(_), None) => true,
        }
    }

    /// Keeps an upstream's words for the client, for when nobody else answers.
    pub(super) fn object(&mut self, exchange: &mut Exchange, endpoint: EndpointIx, objection: Box<Objection>) {
        let only_objections = self.troubles.is_empty() || self.objection.is_some();
        self.note(exchange, endpoint, Trouble::from(&*objection));
        self.objection = only_objections.then_some(objection);
    }

    /// An upstream's words for the client, unless something else went wrong too: then it may be worth asking again.
    pub(super) fn last_word(&mut self) -> Option<Box<Objection>> {
        self.objection.take()
    }

    /// What has failed, or else what `otherwise` says.
    pub(super) fn or_else(&self, model: &Model, otherwise: impl FnOnce() -> Refusal) -> Refusal {
        if self.troubles.is_empty() { otherwise() } else { self.refusal(model) }
    }

    /// Counted once it is certain that the request goes on elsewhere.
    pub(super) fn count_failover(&self, exchange: &Exchange, to: EndpointIx) {
        if let (Some(endpoint), Some(trouble)) = (self.tried.last(), self.troubles.last())
            && *endpoint != to
        {
            exchange.snapshot.seats[*endpoint].metrics.record_failover(trouble.fault.failure.label());
        }
    }

    /// How long to wait for an answer: of a stream that is made of a whole answer, for all of it. Where nobody else may
    /// be asked, all the time there is.
    pub(super) fn patience(&self, exchange: &Exchange, call: &Call, entry: &Entry) -> Duration {
        let snapshot = &exchange.snapshot;
        let route = &snapshot.model.routes[call.route];
        let goes_on = self.troubles.len() + 1 < attempts(route)
            && snapshot.routes[call.route].with(|state| state.would_grant(runtime::now()));
        let most = route.timeouts.answer(call.mode_at(snapshot, entry.endpoint));
        if !goes_on {
            most
        } else if !call.is_faked(snapshot, entry.endpoint) {
            entry.first_token_limit()
        } else if route.candidates().nth(1).is_some() {
            most.mul_f64(SHARE_OF_ONE)
        } else {
            most
        }
    }

    /// Whether the request may not be tried again.
    pub(super) fn is_final(&self, route: &Route) -> bool {
        self.troubles.len() >= attempts(route) || self.troubles.last().is_some_and(|trouble| trouble.deadline_passed)
    }

    /// What the client is told when nothing is left to try.
    pub(super) fn refusal(&self, model: &Model) -> Refusal {
        let limited = |trouble: &Trouble| trouble.fault.failure == Failure::RateLimited;
        if self.troubles.iter().all(limited) {
            let wait = self.troubles.iter().filter_map(|trouble| trouble.retry_after).min();
            return Refusal::RateLimited { wait };
        }
        let short = |trouble: &Trouble| limited(trouble) || trouble.fault.failure == Failure::Overloaded;
        let wait = self.troubles.iter().filter_map(|trouble| trouble.retry_after).min();
        if wait.is_some() && self.troubles.iter().all(short) {
            return Refusal::NoEndpoint { reason: self.told(model), wait };
        }
        let reason = self.told(model);
        match self.troubles.last() {
            Some(trouble) if trouble.fault.failure == Failure::Timeout => Refusal::UpstreamTimeout { reason },
            Some(_) | None => Refusal::UpstreamFailed { reason },
        }
    }

    /// Each try and how it failed, in words.
    fn told(&self, model: &Model) -> String {
        let each = self.tried.iter().zip(&self.troubles).map(|(endpoint, trouble)| {
            format!("{}: {} ({})", model.endpoints[*endpoint].id, trouble.fault.failure.label(), trouble.detail)
        });
        format!("no endpoint answered: {}", each.collect::<Vec<_>>().join("; "))
    }
}

/// Whether somebody else may take a request that one upstream has refused so.
pub(super) fn may_be_taken_elsewhere(route: &Route, failure: Failure) -> bool {
    match failure.verdict() {
        Verdict::ReturnToClient => false,
        Verdict::Contested => failure != Failure::ContentFiltered || route.asks_others_if_filtered,
        Verdict::TryElsewhere => true,
    }
}

fn attempts(route: &Route) -> usize {
    usize::try_from(route.retry.attempts).unwrap_or(usize::MAX)
}
