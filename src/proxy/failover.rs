//! From a request that may be served to a reply that is committed: decide, try, and try elsewhere.
//!
//! The loop ends at the first of: a reply, a refusal by an upstream, no candidate left, `attempts` used up, the retry
//! budget empty, the deadline passed. What has failed is not tried again for this request, unless it is the only one there
//! is and its failure passes by itself.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, response};
use rand::RngExt as _;
use tokio::time::Instant;

use super::ask::ask;
use super::attempt::{Limits, Objection, Trouble, Verdict};
use super::call::{Call, Reach, wished};
use super::ending::End;
use super::exchange::Exchange;
use super::failures::{Failures, may_be_taken_elsewhere};
use super::guard::Guard;
use super::headers;
use super::hedge::race;
use super::large::PlainRelay;
use super::mirror;
use super::nobody::{nothing_eligible, rejections};
use super::overrides::Explain;
use super::plain::{Form, Plain};
use super::relay::{ReplyBody, StreamRelay};
use super::reply::Refusal;
use super::watchdog::Watched;
use super::worker::Held;
use crate::engine::{Admission, Capabilities, Entry, Mode, Others, Plan, Request, decide};
use crate::ids::EndpointIx;
use crate::observe::Outcome;
use crate::runtime;
use crate::state::Snapshot;

/// Answers `call`.
pub(super) async fn run(mut exchange: Exchange, call: Call) -> Response<ReplyBody> {
    let snapshot = Arc::clone(&exchange.snapshot);
    let route = &snapshot.model.routes[call.route];
    let total = call.overrides.deadline.map_or(route.timeouts.total, |wish| wish.min(route.timeouts.total));
    let deadline = runtime::instant() + total;
    snapshot.routes[call.route].with(|state| {
        state.deposit(runtime::now());
        state.converse(call.warmth.own.is_some(), runtime::now());
    });
    let mut held = exchange.worker.shared.hold();
    let mut failures = Failures::default();
    loop {
        let entry = match next_call(&mut exchange, &call, &failures) {
            Ok(entry) => entry,
            Err(refusal) => match again(&exchange, &mut failures, &call, deadline) {
                Some(pause) => {
                    tokio::time::sleep(pause).await;
                    exchange.waited(pause);
                    continue;
                }
                None => return give_up(exchange, &mut failures, &refusal),
            },
        };
        let answer = failures.patience(&exchange, &call, &entry);
        let limits = Limits { timeouts: route.timeouts, answer, deadline };
        let (endpoint, verdict) = match route.hedge.filter(|_| call.request.mode == Mode::Stream) {
            // Two calls' worth of state, which requests without such a policy do not carry.
            Some(policy) => Box::pin(race(&mut exchange, &call, &mut failures, entry, limits, policy)).await,
            None => (entry.endpoint, alone(&mut exchange, &call, limits, &mut held).await),
        };
        match verdict {
            Verdict::Failed(trouble) => {
                failures.note(&mut exchange, endpoint, trouble);
                if failures.is_final(route) {
                    let refusal = failures.refusal(&snapshot.model);
                    return refuse(exchange, &refusal);
                }
            }
            Verdict::Refused(objection) => {
                exchange.adjusted = call.told(endpoint);
                if !may_be_taken_elsewhere(route, objection.fault.failure) {
                    return pass_objection(exchange, *objection);
                }
                failures.object(&mut exchange, endpoint, objection);
                if failures.is_final(route) {
                    let refusal = failures.refusal(&snapshot.model);
                    return give_up(exchange, &mut failures, &refusal);
                }
            }
            Verdict::Plain(parts, answer) => {
                mirror::launch(&mut exchange, &call, endpoint);
                exchange.adjusted = call.told(endpoint);
                return commit_plain(exchange, &parts, answer, deadline);
            }
            Verdict::Stream(parts, reader) => {
                mirror::launch(&mut exchange, &call, endpoint);
                exchange.adjusted = call.told(endpoint);
                let parts = reply_head(&mut exchange, &parts);
                let relay = StreamRelay::new(exchange, reader, route.timeouts.idle);
                return Response::from_parts(parts, ReplyBody::Stream(Watched::new(relay, deadline)));
            }
        }
    }
}

/// How long to wait before the only endpoint is asked once more; `None` if it is not.
fn again(exchange: &Exchange, failures: &mut Failures, call: &Call, deadline: Instant) -> Option<Duration> {
    let route = &exchange.snapshot.model.routes[call.route];
    // Where the budget is empty, others may be there who were not asked: waiting would only keep the client.
    if !exchange.snapshot.routes[call.route].with(|state| state.would_grant(runtime::now())) {
        return None;
    }
    let pause = failures.forgive(route, exchange.worker.rng.lock().random::<f64>())?;
    (runtime::instant() + pause < deadline).then_some(pause)
}

/// One try, by the call in flight.
async fn alone(exchange: &mut Exchange, call: &Call, limits: Limits, held: &mut Held) -> Verdict {
    let begun = runtime::now();
    let (worker, snapshot) = (Arc::clone(&exchange.worker), Arc::clone(&exchange.snapshot));
    let Some(guard) = exchange.call() else { return Verdict::Failed(Trouble::of_ours()) };
    let verdict = ask(&worker, &snapshot, call, guard, limits, held).await;
    exchange.waited(runtime::now().since(begun));
    verdict
}

fn commit_plain(
    mut exchange: Exchange,
    parts: &response::Parts,
    answer: Plain,
    deadline: Instant,
) -> Response<ReplyBody> {
    match answer {
        Plain::Whole(answer) => {
            if let Some(guard) = exchange.call() {
                guard.measured(answer.output, answer.usage);
            }
            exchange.settle(End::Answered);
            exchange.ended(Outcome::Ok);
            let mut head = reply_head(&mut exchange, parts);
            if let Form::Events(_) = answer.form {
                head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
            }
            Response::from_parts(head, ReplyBody::whole(answer.body))
        }
        Plain::Large(begun, body) => {
            let parts = reply_head(&mut exchange, parts);
            let relay = PlainRelay::new(exchange, begun, *body);
            Response::from_parts(parts, ReplyBody::Plain(Watched::new(relay, deadline)))
        }
    }
}

/// Decides, and begins the call of the best endpoint that is still free when its turn comes. Where others were faster,
/// it decides once more.
fn next_call(exchange: &mut Exchange, call: &Call, failures: &Failures) -> Result<Entry, Refusal> {
    let snapshot = Arc::clone(&exchange.snapshot);
    let mut plan = decide_again(exchange, call, failures);
    if plan.entries.is_empty() {
        if failures.is_empty() {
            return Err(nothing_eligible(&snapshot, &plan, call));
        }
        plan.rejected.retain(|(endpoint, _)| !failures.has_asked(*endpoint));
        return Err(failures.refusal(&snapshot.model).besides(&rejections(&snapshot, &plan)));
    }
    let is_retry = !failures.is_empty();
    if is_retry && !snapshot.routes[call.route].with(|state| state.withdraw(runtime::now())) {
        tracing::warn!(route = %snapshot.model.routes[call.route].name, "retry budget is empty: not failing over");
        return Err(failures.refusal(&snapshot.model));
    }
    for _ in 0..2 {
        for entry in &plan.entries {
            let guard = Guard::admit(&snapshot, entry, call);
            if let Some(guard) = guard {
                failures.count_failover(exchange, entry.endpoint);
                exchange.calling(guard);
                if call.overrides.explain == Explain::Yes {
                    exchange.explanation = Some(explain(&snapshot, &plan));
                }
                return Ok(*entry);
            }
        }
        plan = decide_again(exchange, call, failures);
    }
    if is_retry {
        snapshot.routes[call.route].with(|state| state.give_back(runtime::now()));
    }
    Err(failures.or_else(&snapshot.model, || nothing_eligible(&snapshot, &plan, call)))
}

/// The terms of the best few, in dollars.
fn explain(snapshot: &Snapshot, plan: &Plan) -> String {
    let terms = |entry: &Entry| {
        let named = entry.terms.named().map(|(name, amount)| format!("{name}={:.3e}", amount.0));
        format!("{} {:.3e}: {}", snapshot.model.endpoints[entry.endpoint].id.as_str(), entry.score.0, named.join(" "))
    };
    plan.entries.iter().take(2).map(terms).collect::<Vec<_>>().join("; ")
}

/// Whom to ask now. Who cannot be told which tools to call does only where nobody can.
fn decide_again(exchange: &Exchange, call: &Call, failures: &Failures) -> Plan {
    let plan = decide_for(&call.request, exchange, call, failures);
    if !plan.entries.is_empty() || !call.request.needs.covers(Capabilities::FORCED_TOOLS) {
        return plan;
    }
    let needs = call.request.needs.without(Capabilities::FORCED_TOOLS);
    decide_for(&Request { needs, ..call.request }, exchange, call, failures)
}

/// Whom to ask `request` of. Where a key has failed, its other endpoints come into question only if nobody else does.
fn decide_for(request: &Request, exchange: &Exchange, call: &Call, failures: &Failures) -> Plan {
    let snapshot = &exchange.snapshot;
    let now = runtime::now();
    let mut is_new = failures.is_empty() && request.needs == call.request.needs;
    let mut decide_among = |excluded: &[EndpointIx], side: bool, reach: Reach| {
        let mut candidates = snapshot.candidates(call.route, request, &call.warmth, excluded, now);
        candidates.retain(|candidate| failures.may_be_long_enough(candidate.context));
        candidates.retain(|candidate| call.may_go_to(snapshot, candidate.endpoint, Reach::AnyStandIn));
        let all = candidates.len();
        candidates.retain(|candidate| call.is_for(snapshot, candidate.endpoint, reach));
        candidates.retain(|candidate| !side || call.is_beside(snapshot, candidate.endpoint));
        let wish = wished(snapshot, call);
        let mut view = snapshot.view(call.route, request, &candidates, now);
        view.objective = &wish;
        view.others = if candidates.len() < all { Others::Left } else { Others::None };
        if std::mem::take(&mut is_new) {
            snapshot.inlet.arrives(&view, request, now);
        }
        decide(&view, request, now, &mut *exchange.worker.rng.lock())
    };
    let mut plan = match failures.tried_or_barred() {
        Some(excluded) => decide_among(&excluded, true, Reach::Named),
        None => Plan::default(),
    };
    if plan.entries.is_empty() {
        plan = decide_among(failures.tried(), true, Reach::Named);
    }
    // A canary that cannot answer is no reason not to, nor are the others if only the canary can.
    let is_sound = plan.entries.iter().any(|entry| entry.admission != Admission::LastResort);
    if !is_sound && snapshot.model.routes[call.route].canary.is_some() {
        plan = decide_among(failures.tried(), false, Reach::Named);
    }
    if plan.entries.is_empty() && !snapshot.model.routes[call.route].served_as.is_empty() {
        plan = decide_among(failures.tried(), false, Reach::AnyStandIn);
    }
    for (endpoint, score) in &plan.scores {
        snapshot.seats[*endpoint].cell.scored(*score);
    }
    plan
}

/// The head of a reply that is committed to.
fn reply_head(exchange: &mut Exchange, upstream: &response::Parts) -> response::Parts {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = upstream.status;
    parts.headers = headers::to_client(&upstream.headers);
    exchange.replied(upstream.status.as_u16());
    exchange.describe(&mut parts.headers);
    if let Some(cost) = exchange.cost()
        && let Ok(value) = HeaderValue::try_from(cost.to_string())
    {
        parts.headers.insert("x-faregate-cost-usd", value);
    }
    parts
}

/// Nobody is left to ask: the upstream's words, if all that were asked have found the request wrong.
fn give_up(exchange: Exchange, failures: &mut Failures, refusal: &Refusal) -> Response<ReplyBody> {
    match failures.last_word() {
        Some(objection) => pass_objection(exchange, *objection),
        None => refuse(exchange, refusal),
    }
}

/// The request's own fault: the upstream's words, as they came.
fn pass_objection(mut exchange: Exchange, Objection { parts, body, fault, .. }: Objection) -> Response<ReplyBody> {
    exchange.settle(End::Refused(fault.failure));
    exchange.ended(Outcome::ClientError);
    exchange.note_error("upstream_refused");
    let body = exchange.conceal(body);
    Response::from_parts(reply_head(&mut exchange, &parts), ReplyBody::whole(body))
}

/// An error of ours.
pub(super) fn refuse(mut exchange: Exchange, refusal: &Refusal) -> Response<ReplyBody> {
    exchange.refused(refusal);
    let (mut parts, body) = refusal.response().into_parts();
    exchange.describe(&mut parts.headers);
    Response::from_parts(parts, ReplyBody::whole(body))
}
