//! Shadow traffic: a request that was answered is sent to one more model, whose answer is compared and discarded.
//!
//! It begins when the client's answer has begun, and nothing of it waits for anything here. Its calls keep to quotas
//! like any other, and are not made where quota is scarce: no client goes without for the sake of a comparison.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::time::{Instant, timeout_at};

use super::ask::ask;
use super::attempt::{Limits, Trouble, Verdict};
use super::call::{Call, Purpose, Side, is_permitted};
use super::ending::End;
use super::exchange::Exchange;
use super::guard::Guard;
use super::large::Passed;
use super::overrides::Overrides;
use super::plain::Plain;
use super::pool::LeasedBody;
use super::relay::LINGER;
use super::service::lot;
use super::stream::{Ending, Reader, Step};
use super::worker::Worker;
use crate::engine::{Admission, Entry, Usage, decide};
use crate::ids::EndpointIx;
use crate::observe::ShadowSide;
use crate::policy::model::Shadow;
use crate::runtime;
use crate::state::{Berth, Comparison, Conversation, MirrorSeat, Snapshot, Warmth};
use crate::units::{PicoUsd, Tokens};

/// Sets a shadow's view of a conversation apart from that of those who answer it: its cache knows what it was sent.
const APART: u64 = 0x9e37_79b9_7f4a_7c15;

/// Sends `call`, which `answers` has begun to answer, to the shadow of its route as well, if its lot is drawn.
pub(super) fn launch(exchange: &mut Exchange, call: &Call, answers: EndpointIx) {
    let snapshot = Arc::clone(&exchange.snapshot);
    let (Some(shadow), Some(seat)) = (&snapshot.model.routes[call.route].shadow, &snapshot.mirrors[call.route]) else {
        return;
    };
    if call.is_pinned {
        return;
    }
    let drawn = match &call.conversation {
        Some(conversation) => lot(conversation.lot ^ APART),
        None => exchange.worker.rng.lock().random::<f64>(),
    };
    if drawn >= shadow.share.0 {
        return;
    }
    let call = mirrored(&snapshot, call);
    let Some((guard, berth)) = begin(&exchange.worker, &snapshot, &call, shadow, seat, answers) else {
        return seat.skipped();
    };
    let comparison = Arc::new(Comparison::new(Arc::clone(seat)));
    exchange.comparison = Some(Arc::clone(&comparison));
    drop(tokio::spawn(run(Arc::clone(&exchange.worker), snapshot, call, guard, berth, comparison)));
}

/// The same request, as the shadow gets it.
fn mirrored(snapshot: &Snapshot, call: &Call) -> Call {
    let apart = |known: Conversation| Conversation {
        shared: known.shared.map(|(key, tokens)| (key ^ APART, tokens)),
        own: known.own ^ APART,
        lot: known.lot,
    };
    let conversation = call.conversation.map(apart);
    let warmth = conversation.as_ref().map_or_else(Warmth::default, |known| snapshot.conversations.find(known));
    let Overrides { only, avoid, .. } = &call.overrides;
    // It names the client's request, which this is not.
    let mut headers = call.headers.clone();
    headers.remove("idempotency-key");
    Call {
        kind: call.kind,
        headers,
        body: call.body.clone(),
        splice: call.splice.clone(),
        inject_usage: call.inject_usage,
        choices: call.choices,
        request: call.request,
        asked: Arc::clone(&call.asked),
        route: call.route,
        conversation,
        warmth,
        overrides: Overrides { only: only.clone(), avoid: avoid.clone(), ..Overrides::default() },
        side: Side::Usual,
        is_pinned: false,
        told: Mutex::default(),
        purpose: Purpose::Comparison,
    }
}

/// Reserves what the call needs: quota, and money of the day's.
fn begin(
    worker: &Worker,
    snapshot: &Arc<Snapshot>,
    call: &Call,
    shadow: &Shadow,
    seat: &Arc<MirrorSeat>,
    answers: EndpointIx,
) -> Option<(Guard, Berth)> {
    let now = runtime::now();
    let mut candidates = snapshot.mirrors(call.route, &call.request, &call.warmth, answers, now);
    candidates.retain(|candidate| is_permitted(snapshot, &call.overrides, candidate.endpoint));
    let view = snapshot.view(call.route, &call.request, &candidates, now);
    let plan = decide(&view, &call.request, now, &mut *worker.rng.lock());
    // A circuit that is open waits for a client who has nobody else.
    let sound = |entry: &&Entry| entry.admission != Admission::LastResort && entry.terms.shadow.0 <= 0.0;
    let entry = plan.entries.iter().find(sound)?;
    let expected = expected_bill(snapshot, entry, call);
    let berth = seat.berth(call.body.len(), expected, shadow.max_cost, runtime::wall_clock())?;
    Some((Guard::admit(snapshot, entry, call)?, berth))
}

fn expected_bill(snapshot: &Snapshot, entry: &Entry, call: &Call) -> PicoUsd {
    let usage = Usage { input: entry.prompt, output: entry.expected_output, ..Usage::default() };
    let price = &snapshot.model.endpoints[entry.endpoint].price;
    price.as_ref().map_or(PicoUsd::ZERO, |price| price.bill_guessed(&usage, call.request.thinking))
}

async fn run(
    worker: Arc<Worker>,
    snapshot: Arc<Snapshot>,
    call: Call,
    mut guard: Guard,
    berth: Berth,
    comparison: Arc<Comparison>,
) {
    let timeouts = snapshot.model.routes[call.route].timeouts;
    let deadline = runtime::instant() + timeouts.total;
    let answer = timeouts.answer(call.mode_at(&snapshot, guard.endpoint()));
    let limits = Limits { timeouts, answer, deadline };
    let mut held = worker.shared.hold();
    let end = match ask(&worker, &snapshot, &call, &guard, limits, &mut held).await {
        Verdict::Failed(Trouble { fault, retry_after, usage, detail, .. }) => {
            guard.measured(Tokens::ZERO, usage);
            let id = &snapshot.model.endpoints[guard.endpoint()].id;
            let detail = snapshot.seats[guard.endpoint()].target.conceal(detail.into());
            let detail = String::from_utf8_lossy(&detail);
            tracing::info!(endpoint = %id, class = fault.failure.label(), detail = %detail.escape_debug(), "shadow failed");
            End::Failed { fault, retry_after }
        }
        Verdict::Refused(objection) => End::Refused(objection.fault.failure),
        Verdict::Plain(_, Plain::Whole(answer)) => {
            guard.measured(answer.output, answer.usage);
            End::Answered
        }
        Verdict::Plain(_, Plain::Large(begun, body)) => {
            let mut passed = Passed::default();
            for bytes in &begun {
                passed.note(bytes);
            }
            read_large(&mut guard, passed, *body, deadline).await
        }
        Verdict::Stream(_, reader) => read_stream(&mut guard, reader, timeouts.idle, deadline).await,
    };
    settle(guard, end, berth, &comparison);
}

fn settle(guard: Guard, end: End, berth: Berth, comparison: &Comparison) {
    let seat = Arc::clone(comparison.seat());
    let settlement = guard.end(end);
    if end == End::Answered {
        comparison.answered(ShadowSide::Shadow, settlement.half());
    }
    seat.metrics.record(end.result());
    berth.settle(settlement.billed, end != End::Answered, runtime::wall_clock());
}

async fn read_large(guard: &mut Guard, mut passed: Passed, mut body: LeasedBody, deadline: Instant) -> End {
    let end = loop {
        match timeout_at(deadline, body.frame()).await {
            Ok(None) => break End::Answered,
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    passed.note(&bytes);
                }
            }
            Ok(Some(Err(_))) | Err(_) => break End::Cut,
        }
    };
    passed.measure(guard);
    end
}

async fn read_stream(guard: &mut Guard, mut reader: Box<Reader>, idle: Duration, deadline: Instant) -> End {
    let mut quiet_since = runtime::instant();
    let end = loop {
        while reader.pop().is_some() {}
        if reader.has_content() {
            guard.first_token();
        }
        let patience = if reader.is_done() { LINGER } else { idle };
        let next = std::future::poll_fn(|cx| reader.poll_step(cx));
        match timeout_at(deadline.min(quiet_since + patience), next).await {
            Ok(Step::Content | Step::Preamble) => quiet_since = runtime::instant(),
            Ok(Step::Silence) => {}
            Ok(Step::Ended(Ending::Complete)) => break End::Answered,
            Ok(Step::Error(_) | Step::Broken(_) | Step::Ended(Ending::Truncated)) | Err(_) if reader.is_complete() => {
                break End::Answered;
            }
            Ok(Step::Error(_) | Step::Broken(_) | Step::Ended(Ending::Truncated)) | Err(_) => break End::Cut,
        }
    };
    guard.measured(reader.output(), reader.usage());
    end
}
