//! One call of one endpoint, made for it: the request as it takes it, and once more without what only we have added.

use std::sync::Arc;

use super::attempt::{Letter, Limits, Verdict, attempt};
use super::call::{Call, Purpose};
use super::guard::Guard;
use super::outgoing::Payload;
use super::plain::Form;
use super::stream::UsageChunk;
use super::worker::{Held, Worker};
use crate::dialect::{Adjustments, InjectUsage, adjust, complains_of};
use crate::engine::Mode;
use crate::ids::EndpointIx;
use crate::policy::model::Endpoint;
use crate::state::Snapshot;

/// Sends and reads on to the commit point.
pub(super) async fn ask(
    worker: &Worker,
    snapshot: &Snapshot,
    call: &Call,
    guard: &Guard,
    limits: Limits,
    held: &mut Held,
) -> Verdict {
    let endpoint = guard.endpoint();
    let target = Arc::clone(&snapshot.seats[endpoint].target);
    let takes_usage = target.server.takes_usage()
        && !snapshot.model.endpoints[endpoint].adjustments.of(Mode::Stream).drops("stream_options")
        && !call.is_faked(snapshot, endpoint);
    let inject = if takes_usage { call.inject_usage } else { InjectUsage::No };
    let first = letter(snapshot, call, endpoint, inject);
    let mut verdict = attempt(&worker.pool, &target, first, limits, held, &mut |headers| guard.hear(headers)).await;
    if let Verdict::Refused(objection) = &verdict
        && inject == InjectUsage::Yes
        && complains_of(&objection.body, "stream_options")
    {
        // The client has not asked for it, so it is not the client's fault.
        let again = letter(snapshot, call, endpoint, InjectUsage::No);
        verdict = attempt(&worker.pool, &target, again, limits, held, &mut |headers| guard.hear(headers)).await;
        // Some errors quote the whole request: only what is accepted without it was refused for it.
        if matches!(verdict, Verdict::Stream(..) | Verdict::Plain(..)) {
            tracing::info!(endpoint = %snapshot.model.endpoints[endpoint].id, "does not take stream_options: usage is estimated from now on");
            target.server.spare_usage();
        }
    }
    verdict
}

fn letter<'a>(snapshot: &Snapshot, call: &'a Call, endpoint: EndpointIx, inject: InjectUsage) -> Letter<'a> {
    let Endpoint { model, adjustments, .. } = &snapshot.model.endpoints[endpoint];
    let whole = Adjustments::whole_answer();
    let is_faked = call.is_faked(snapshot, endpoint);
    let mode = call.mode_at(snapshot, endpoint);
    let mut rules = vec![&snapshot.model.routes[call.route].params, adjustments.of(mode)];
    rules.extend(is_faked.then_some(&whole));
    let adjusted = adjust(call.kind, &call.body, &call.splice, model, inject, &rules);
    if !adjusted.told.is_empty() {
        call.told.lock().push((endpoint, adjusted.told.join(", ")));
    }
    Letter {
        kind: call.kind,
        headers: &call.headers,
        asked: &call.body,
        payload: Payload::new(adjusted.segments),
        usage_chunk: match inject {
            InjectUsage::Yes => UsageChunk::Withheld,
            InjectUsage::No => UsageChunk::Wanted,
        },
        form: form(call),
        choices: adjusted.choices.unwrap_or(call.choices),
    }
}

/// Whoever asked for a stream gets one, whether its provider was not asked for it or did not give it.
fn form(call: &Call) -> Form {
    match (call.request.mode, call.purpose, call.inject_usage) {
        (Mode::Stream, Purpose::Answer, InjectUsage::No) => Form::Events(UsageChunk::Wanted),
        (Mode::Stream, Purpose::Answer, InjectUsage::Yes) => Form::Events(UsageChunk::Withheld),
        (Mode::Stream, Purpose::Comparison, _) | (Mode::Plain | Mode::Embedding, ..) => Form::AsItComes,
    }
}
