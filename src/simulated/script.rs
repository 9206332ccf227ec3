//! What a reply's body will do, step by step, once its head is sent: decided before anything is, so that a fault is a
//! different script and not a condition in the sending.

use std::time::Duration;

use bytes::Bytes;

use crate::simulated::ask::Delivery;
use crate::simulated::wire::{self, Wire};
use crate::simulated::{Answer, Fault};
use crate::units::len_to_u64;

/// One step of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait, from when the step before was due.
    Wait(Duration),
    /// Send these bytes.
    Send(Bytes),
    /// Send this token's event.
    Token(u64),
    /// Wait for ever.
    Hang,
    /// Break the connection.
    Cut,
}

/// What kind of body the head announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    Json,
}

/// Whether the client gets what it asked for in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    Well,
    /// With an answer that was made, and spoiled on its way.
    Badly,
    /// With nothing that could be billed.
    WithNothing,
}

/// A reply with status 200, as a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) kind: Kind,
    /// From the request to the reply head.
    pub(super) before_head: Duration,
    /// The announced length, if one is.
    pub(super) length: Option<u64>,
    pub(super) steps: Vec<Step>,
    pub(super) ends: Ends,
}

impl Script {
    /// The plan for one answer under one fault. Faults that act before the head leave the body as it is.
    pub(super) fn of(answer: &Answer, wire: &Wire, fault: Option<&Fault>) -> Self {
        match wire.delivery() {
            Delivery::Plain => Self::plain(wire.whole(answer), answer, fault),
            Delivery::Stream | Delivery::StreamWithUsage => stream(answer, wire, fault),
        }
    }

    /// The plan for a reply in one piece.
    pub(super) fn plain(whole: Bytes, answer: &Answer, fault: Option<&Fault>) -> Self {
        let first = answer.first_token;
        match fault {
            Some(Fault::HangBeforeFirstToken) => Self::json(Duration::ZERO, vec![Step::Hang], Ends::WithNothing),
            Some(Fault::CutBeforeContent) => Self::json(first, vec![Step::Cut], Ends::WithNothing),
            Some(Fault::CutAfter(_)) => {
                let half = Step::Send(whole.slice(..whole.len() / 2));
                let length = Some(len_to_u64(whole.len()));
                Self { length, ..Self::json(answer.total(), vec![half, Step::Cut], Ends::Badly) }
            }
            Some(Fault::ErrorEventFirst | Fault::ErrorEventAfter(_) | Fault::ErrorIn200) => {
                Self::json(first, vec![Step::Send(wire::server_error())], Ends::WithNothing).with_exact_length()
            }
            Some(Fault::GarbageJson) => {
                Self::json(answer.total(), vec![Step::Send(wire::GARBAGE)], Ends::Badly).with_exact_length()
            }
            Some(Fault::KeepAliveComments(count, interval)) => {
                let mut steps = signs_of_life(*count, *interval, &wire::BLANK_LINE);
                steps.extend([Step::Wait(answer.total()), Step::Send(whole)]);
                Self::json(Duration::ZERO, steps, Ends::Well)
            }
            None | Some(Fault::Outage | Fault::Reset | Fault::Reply(_) | Fault::Slow(_) | Fault::HangBeforeHead) => {
                Self::json(answer.total(), vec![Step::Send(whole)], Ends::Well).with_exact_length()
            }
        }
    }

    /// A body that is sent at once and in one piece.
    pub(super) fn fixed(body: Bytes) -> Self {
        Self::json(Duration::ZERO, vec![Step::Send(body)], Ends::Well).with_exact_length()
    }

    fn json(before_head: Duration, steps: Vec<Step>, ends: Ends) -> Self {
        Self { kind: Kind::Json, before_head, length: None, steps, ends }
    }

    fn with_exact_length(mut self) -> Self {
        let sent = self.steps.iter().map(|step| match step {
            Step::Send(bytes) => len_to_u64(bytes.len()),
            Step::Wait(_) | Step::Token(_) | Step::Hang | Step::Cut => 0,
        });
        self.length = Some(sent.sum());
        self
    }
}

fn stream(answer: &Answer, wire: &Wire, fault: Option<&Fault>) -> Script {
    let first = Step::Wait(answer.first_token);
    let badly = |steps| events(steps, Ends::Badly);
    let role = wire.preamble().map(Step::Send);
    match fault {
        Some(Fault::HangBeforeFirstToken) => badly(role.into_iter().chain([Step::Hang]).collect()),
        Some(Fault::CutBeforeContent) => badly(role.into_iter().chain([first, Step::Cut]).collect()),
        Some(Fault::CutAfter(tokens)) => {
            let steps = role.into_iter().chain(token_steps(answer, *tokens)).chain([Step::Cut]);
            badly(steps.collect())
        }
        Some(Fault::ErrorEventFirst) => badly(vec![first, Step::Send(wire::server_error_event())]),
        Some(Fault::ErrorEventAfter(tokens)) => {
            let error = Step::Send(wire::server_error_event());
            badly(role.into_iter().chain(token_steps(answer, *tokens)).chain([error]).collect())
        }
        Some(Fault::ErrorIn200) => {
            let error = vec![Step::Send(wire::server_error())];
            Script::json(answer.first_token, error, Ends::WithNothing).with_exact_length()
        }
        Some(Fault::GarbageJson) => badly(role.into_iter().chain([first, Step::Send(wire::GARBAGE_EVENT)]).collect()),
        Some(Fault::KeepAliveComments(count, interval)) => {
            let mut steps = signs_of_life(*count, *interval, &wire::COMMENT);
            steps.extend(whole_stream(answer, wire));
            events(steps, Ends::Well)
        }
        None | Some(Fault::Outage | Fault::Reset | Fault::Reply(_) | Fault::Slow(_) | Fault::HangBeforeHead) => {
            events(whole_stream(answer, wire).collect(), Ends::Well)
        }
    }
}

fn events(steps: Vec<Step>, ends: Ends) -> Script {
    Script { kind: Kind::Events, before_head: Duration::ZERO, length: None, steps, ends }
}

fn whole_stream(answer: &Answer, wire: &Wire) -> impl Iterator<Item = Step> + use<> {
    let role = wire.preamble().map(Step::Send);
    let ending = [Some(wire.finish(answer)), wire.usage(answer), Some(wire::DONE)];
    let ending = ending.into_iter().flatten().map(Step::Send);
    role.into_iter().chain(token_steps(answer, answer.output.0)).chain(ending)
}

/// The first `count` tokens, each with the wait before it.
fn token_steps(answer: &Answer, count: u64) -> impl Iterator<Item = Step> + use<> {
    let (first, next) = (answer.first_token, answer.per_token);
    (0..count.min(answer.output.0)).flat_map(move |index| {
        let wait = if index == 0 { first } else { next };
        [Step::Wait(wait), Step::Token(index)]
    })
}

fn signs_of_life(count: u64, interval: Duration, sign: &Bytes) -> Vec<Step> {
    (0..count).flat_map(|_| [Step::Wait(interval), Step::Send(sign.clone())]).collect()
}
