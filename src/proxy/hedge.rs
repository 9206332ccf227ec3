//! Two tries of one stream: a second beside a first that keeps the client waiting, where that is worth its money.
//!
//! Whichever has a first token first is committed to; the other is dropped, which cancels its call and settles it as
//! outrun: neither its failure nor its success. A try that fails while the other runs is no more than a failover that has
//! begun already.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep_until;

use super::ask::ask;
use super::attempt::{Limits, Trouble, Verdict};
use super::call::{Call, Reach, wished};
use super::ending::End;
use super::exchange::Exchange;
use super::failures::Failures;
use super::guard::{Guard, Leash};
use super::worker::{Held, Worker};
use crate::engine::{Admission, Entry, HedgePolicy, decide, hedge};
use crate::ids::EndpointIx;
use crate::observe::HedgeResult;
use crate::runtime;
use crate::state::Snapshot;

/// From one look to the next the silence grows by this factor.
const LATER: f64 = 1.5;
/// No two looks are closer.
const SOONEST: Duration = Duration::from_millis(10);

/// A try with its guard, which it gives back when it has ended.
async fn tried(
    (worker, snapshot): (Arc<Worker>, Arc<Snapshot>),
    call: &Call,
    guard: Guard,
    limits: Limits,
    mut held: Held,
) -> (Guard, Verdict) {
    let verdict = ask(&worker, &snapshot, call, &guard, limits, &mut held).await;
    (guard, verdict)
}

/// Tries `first`, whose call is in flight, and perhaps another one beside it. The call of whoever has the verdict is in
/// flight afterwards.
pub(super) async fn race(
    exchange: &mut Exchange,
    call: &Call,
    failures: &mut Failures,
    first: Entry,
    limits: Limits,
    policy: HedgePolicy,
) -> (EndpointIx, Verdict) {
    let begun = runtime::now();
    let Some(guard) = exchange.lend_call() else { return (first.endpoint, Verdict::Failed(Trouble::of_ours())) };
    let shared = (Arc::clone(&exchange.worker), Arc::clone(&exchange.snapshot));
    let leash = guard.leash();
    let leader = tried(shared.clone(), call, guard, limits, exchange.worker.shared.hold());
    tokio::pin!(leader);
    let rival = {
        let search = silence(exchange, call, failures, &first, limits, policy);
        tokio::select! {
            biased;
            (guard, verdict) = &mut leader => {
                exchange.waited(runtime::now().since(begun));
                exchange.calling(guard);
                return (first.endpoint, verdict);
            }
            rival = search => rival,
        }
    };
    let (guard, verdict) = match rival {
        None => leader.await,
        Some((entry, guard)) => {
            let answer = failures.patience(exchange, call, &entry);
            let (rival_leash, limits) = (guard.leash(), Limits { answer, ..limits });
            let rival = tried(shared, call, guard, limits, exchange.worker.shared.hold());
            exchange.calls_another();
            duel(exchange, failures, (leader, leash), (rival, rival_leash)).await
        }
    };
    exchange.waited(runtime::now().since(begun));
    let endpoint = guard.endpoint();
    exchange.calling(guard);
    (endpoint, verdict)
}

/// Both run; the first that does not fail has it.
async fn duel(
    exchange: &mut Exchange,
    failures: &mut Failures,
    (mut leader, leader_leash): (impl Future<Output = (Guard, Verdict)> + Unpin, Leash),
    (rival, rival_leash): (impl Future<Output = (Guard, Verdict)>, Leash),
) -> (Guard, Verdict) {
    let metrics = Arc::clone(&exchange.worker.shared.metrics);
    let mut rival = Box::pin(rival);
    let (is_rival, guard, verdict) = tokio::select! {
        biased;
        (guard, verdict) = &mut leader => (false, guard, verdict),
        (guard, verdict) = &mut rival => (true, guard, verdict),
    };
    if let Verdict::Failed(trouble) = verdict {
        let endpoint = guard.endpoint();
        exchange.calling(guard);
        failures.note(exchange, endpoint, trouble);
        exchange.is_left_with(if is_rival { leader_leash } else { rival_leash });
        metrics.record_hedge(if is_rival { HedgeResult::Failed } else { HedgeResult::Won });
        return if is_rival { leader.await } else { rival.await };
    }
    if let Verdict::Refused(objection) = &verdict
        && is_rival
    {
        // What one provider finds wrong with a request is no answer while another has accepted it.
        guard.end(End::Refused(objection.fault.failure));
        metrics.record_hedge(HedgeResult::Failed);
        return leader.await;
    }
    let loser = if is_rival { leader_leash } else { rival_leash };
    loser.outrun();
    metrics.record_hedge(if is_rival { HedgeResult::Won } else { HedgeResult::Lost });
    (guard, verdict)
}

/// Waits until a second try is worth it and has its place; `None` if none will be.
async fn silence(
    exchange: &Exchange,
    call: &Call,
    failures: &Failures,
    first: &Entry,
    limits: Limits,
    policy: HedgePolicy,
) -> Option<(Entry, Guard)> {
    let sent = runtime::instant();
    let mut look = policy.first_look(first).max(SOONEST);
    while look < limits.answer && sent + look < limits.deadline {
        sleep_until(sent + look).await;
        if let Some(rival) = rival(exchange, call, failures, first, look, policy) {
            return Some(rival);
        }
        look = look.mul_f64(LATER);
    }
    if look > policy.first_look(first).max(SOONEST) {
        exchange.worker.shared.metrics.record_hedge(HedgeResult::Refused);
    }
    // Nothing more is to be looked for; the first has all its time.
    None
}

/// The best of the first one's tier beside it, if it is worth asking now.
fn rival(
    exchange: &Exchange,
    call: &Call,
    failures: &Failures,
    first: &Entry,
    waited: Duration,
    policy: HedgePolicy,
) -> Option<(Entry, Guard)> {
    let (snapshot, now) = (&exchange.snapshot, runtime::now());
    let mut asked = failures.tried_or_barred().unwrap_or_else(|| failures.tried().to_vec());
    asked.push(first.endpoint);
    let mut candidates = snapshot.candidates(call.route, &call.request, &call.warmth, &asked, now);
    candidates.retain(|candidate| call.may_go_to(snapshot, candidate.endpoint, Reach::Named));
    candidates.retain(|candidate| call.is_beside(snapshot, candidate.endpoint));
    let wish = wished(snapshot, call);
    let mut view = snapshot.view(call.route, &call.request, &candidates, now);
    view.objective = &wish;
    let plan = decide(&view, &call.request, now, &mut *exchange.worker.rng.lock());
    // What is being probed or tried out is no help to somebody who waits.
    let sound = |entry: &&Entry| entry.admission == Admission::Normal && entry.exploration.0 <= 0.0;
    let entry = plan.entries.iter().find(sound).filter(|entry| entry.tier == first.tier)?;
    let cost = hedge(first, waited, entry, &wish)?;
    let route = &snapshot.routes[call.route];
    if !route.with(|state| state.hedge(cost, policy.max_extra_cost, now)) {
        return None;
    }
    let Some(guard) = Guard::admit(snapshot, entry, call) else {
        route.with(|state| state.unhedge(cost, now));
        return None;
    };
    tracing::debug!(request_id = %exchange.id, endpoint = %snapshot.model.endpoints[entry.endpoint].id, "second try");
    Some((*entry, guard))
}
