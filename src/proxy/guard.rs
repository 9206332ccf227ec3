//! One call of an upstream, from its reservation to its settlement.
//!
//! The guard settles in `Drop`: quota, in-flight count, health, money and metrics come right even if the client
//! vanishes at an await. Whoever knows a better ending says so with [`Guard::end`] before letting go.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::HeaderMap;
use parking_lot::Mutex;

use super::call::{Call, Purpose};
use super::ending::{Basis, End, Settlement};
use super::quota::told;
use crate::engine::{
    Content, Entry, Event, Failure, Fault, LengthClass, Load, Mode, Price, Request, Scope, Thinking, Usage,
};
use crate::ids::{EndpointIx, RouteIx};
use crate::observe::Waste;
use crate::runtime;
use crate::state::{Conversation, Covered, Grant, Seat, Snapshot, Tickets};
use crate::units::{Dollars, PicoUsd, Timestamp, Tokens};

/// A call in flight.
#[derive(Debug)]
pub(super) struct Guard {
    snapshot: Arc<Snapshot>,
    endpoint: EndpointIx,
    route: RouteIx,
    purpose: Purpose,
    mode: Mode,
    content: Content,
    /// How long that was expected to be.
    prompt: Tokens,
    class: LengthClass,
    conversation: Option<Conversation>,
    /// Tokens of the prompt that should be in the endpoint's cache.
    promised: Tokens,
    thinking: Thinking,
    sent_at: Timestamp,
    in_flight_at_send: u32,
    exploration: Dollars,
    first_token: Option<Duration>,
    reported: Option<Usage>,
    output_estimate: Tokens,
    /// What an allowance pays of it.
    grant: Option<Grant>,
    tickets: Option<Tickets>,
    leash: Arc<Leashed>,
}

/// What whoever has let go of a call still has to do with it.
#[derive(Clone, Debug)]
pub(super) struct Leash {
    /// The endpoint that is called.
    pub(super) endpoint: EndpointIx,
    shared: Arc<Leashed>,
}

#[derive(Debug, Default)]
struct Leashed {
    outrun: AtomicBool,
    /// If its guard was dropped.
    settlement: Mutex<Option<Settlement>>,
}

impl Leash {
    /// Another try of its request has answered: its guard ends so when it is dropped.
    pub(super) fn outrun(&self) {
        self.shared.outrun.store(true, Ordering::Relaxed);
    }

    /// How it ended, if its guard was dropped.
    pub(super) fn settlement(&self) -> Option<Settlement> {
        *self.shared.settlement.lock()
    }
}

impl Guard {
    /// Sets quota aside for a call of `entry` and counts it as in flight; `None` if another request took the place
    /// since the decision.
    pub(super) fn admit(snapshot: &Arc<Snapshot>, entry: &Entry, call: &Call) -> Option<Self> {
        let (request, route) = (&call.request, call.route);
        let Request { mode, content, thinking, .. } = *request;
        let now = runtime::now();
        let seat = &snapshot.seats[entry.endpoint];
        let tickets = seat.quotas.admit(entry.load(), now)?;
        let Some(in_flight_at_send) = seat.cell.admit(entry.admission, mode, now) else {
            seat.quotas.give_back(tickets, now);
            return None;
        };
        Some(Self {
            snapshot: Arc::clone(snapshot),
            endpoint: entry.endpoint,
            route,
            purpose: call.purpose,
            mode,
            content,
            prompt: entry.prompt,
            class: LengthClass::of(request),
            conversation: call.conversation,
            promised: promised(snapshot, entry, call, now),
            thinking,
            sent_at: now,
            in_flight_at_send,
            exploration: entry.exploration,
            first_token: None,
            reported: None,
            output_estimate: Tokens::ZERO,
            grant: grant(snapshot, entry, thinking),
            tickets: Some(tickets),
            leash: Arc::default(),
        })
    }

    /// What stays when it is handed on.
    pub(super) fn leash(&self) -> Leash {
        Leash { endpoint: self.endpoint, shared: Arc::clone(&self.leash) }
    }

    /// The endpoint that is called.
    pub(super) const fn endpoint(&self) -> EndpointIx {
        self.endpoint
    }

    /// Its cells and fixed parts.
    pub(super) fn seat(&self) -> &Arc<Seat> {
        &self.snapshot.seats[self.endpoint]
    }

    /// Learns what a reply's headers tell of quota.
    pub(super) fn hear(&self, headers: &HeaderMap) {
        let seat = self.seat();
        let told = told(headers, seat.target.windows);
        if let (false, Some(tickets)) = (told.is_empty(), &self.tickets) {
            seat.quotas.learn(tickets, &told, runtime::now());
        }
    }

    /// The first token of a stream has arrived.
    pub(super) fn first_token(&mut self) {
        if self.first_token.is_some() {
            return;
        }
        let now = runtime::now();
        let after = now.since(self.sent_at);
        self.first_token = Some(after);
        let event = Event::FirstToken {
            after,
            in_flight_at_send: self.in_flight_at_send,
            prompt: self.prompt.saturating_sub(self.promised),
        };
        self.seat().cell.observe(event, now);
        self.seat().metrics.observe_first_token(after);
    }

    /// How long the answer is by its text, and what the upstream says was used, if it does.
    pub(super) const fn measured(&mut self, output: Tokens, reported: Option<Usage>) {
        self.output_estimate = output;
        self.reported = reported;
    }

    /// Settles.
    pub(super) fn end(mut self, end: End) -> Settlement {
        self.settle(end)
    }

    fn settle(&mut self, end: End) -> Settlement {
        let Some(tickets) = self.tickets.take() else { return Settlement::default() };
        let now = runtime::now();
        let usage = self.usage(end);
        self.note_prompt();
        self.settle_quota(tickets, end, usage, now);
        let typical_output = self.note_length(end, &usage, now);
        if end == End::Answered {
            self.note_conversation(&usage, now);
        }
        self.seat().cell.observe(self.event(end, usage, typical_output, now), now);
        if let End::Failed { fault, retry_after } = end {
            self.implicate(fault, retry_after, now);
        }
        self.seat().metrics.record_attempt(end.result());
        self.settle_money(end, usage, now)
    }

    /// As reported; else the estimates, as far as the call got.
    fn usage(&self, end: End) -> Usage {
        let output = match self.mode {
            Mode::Embedding => Tokens::ZERO,
            Mode::Stream | Mode::Plain => self.output_estimate,
        };
        let estimate = Usage { input: self.prompt, output, ..Usage::default() };
        if self.may_be_billed(end) { self.reported.unwrap_or(estimate) } else { Usage::default() }
    }

    fn settle_quota(&self, tickets: Tickets, end: End, usage: Usage, now: Timestamp) {
        let seat = self.seat();
        match end {
            // Nothing arrived there, so nothing was counted there.
            End::Failed { fault: Fault { failure: Failure::Unreachable, .. }, .. } => {
                seat.quotas.give_back(tickets, now);
            }
            End::Answered | End::Refused(_) | End::Failed { .. } | End::Cut | End::Abandoned | End::Outrun => {
                let unexplained = Fault { failure: Failure::RateLimited, scope: Scope::Endpoint };
                if end == (End::Failed { fault: unexplained, retry_after: None }) {
                    seat.quotas.refused(&tickets, now);
                }
                seat.quotas.settle(tickets, Load { input: usage.input, output: usage.output }, now);
            }
        }
    }

    /// How long the model found the prompt, and how far off that was from what was expected.
    fn note_prompt(&self) {
        let Some(reported) = self.reported.map(|usage| usage.input).filter(|reported| *reported > Tokens::ZERO) else {
            return;
        };
        let seat = self.seat();
        seat.metrics.observe_prompt_error(self.prompt, reported);
        seat.model.learn(&self.content, reported);
    }

    /// What is typical of the route, with this answer; zero where its length was not reported.
    fn note_length(&self, end: End, usage: &Usage, now: Timestamp) -> Tokens {
        let learns = end == End::Answered && self.mode != Mode::Embedding && self.reported.is_some();
        if !learns {
            return Tokens::ZERO;
        }
        self.snapshot.routes[self.route].with(|route| match self.purpose {
            Purpose::Answer => route.observe_output(self.class, usage.output, now),
            // What the route's answers are like is not said by those that it does not give.
            Purpose::Comparison => route.typical_output(self.class, now),
        })
    }

    /// Where the conversation is warm now, and what its endpoint's cache is worth.
    fn note_conversation(&self, usage: &Usage, now: Timestamp) {
        let Some(conversation) = &self.conversation else { return };
        let seat = self.seat();
        self.snapshot.conversations.served(conversation, seat.tag, usage.input + usage.output, now);
        if self.reported.is_some() {
            seat.cell.cached(self.promised, usage.cached_input);
        }
    }

    fn event(&self, end: End, usage: Usage, typical_output: Tokens, now: Timestamp) -> Event {
        let after = now.since(self.sent_at);
        match end {
            End::Answered => Event::Answered {
                mode: self.mode,
                total: after,
                first_token: self.first_token,
                usage,
                in_flight_at_send: self.in_flight_at_send,
                typical_output,
            },
            End::Refused(_) => Event::Refused { mode: self.mode, after },
            End::Failed { fault, retry_after } => Event::Failed { mode: self.mode, fault, after, retry_after },
            End::Cut => Event::Cut { after },
            End::Abandoned => Event::Abandoned { mode: self.mode, after, first_token: self.first_token },
            End::Outrun => Event::Outrun {
                mode: self.mode,
                after,
                in_flight_at_send: self.in_flight_at_send,
                prompt: self.prompt.saturating_sub(self.promised),
            },
        }
    }

    /// Tells the endpoints that a failure speaks about as well.
    fn implicate(&self, Fault { failure, scope }: Fault, retry_after: Option<Duration>, now: Timestamp) {
        let event = Event::Implicated { failure, after: now.since(self.sent_at), retry_after };
        for other in self.snapshot.model.sharing(self.endpoint, failure, scope) {
            self.snapshot.seats[other].cell.observe(event, now);
        }
    }

    fn settle_money(&self, end: End, usage: Usage, now: Timestamp) -> Settlement {
        let free = Settlement {
            usage,
            basis: self.basis(),
            cost: Some(PicoUsd::ZERO),
            billed: PicoUsd::ZERO,
            took: now.since(self.sent_at),
            first_token: self.first_token,
        };
        if !self.may_be_billed(end) {
            self.settle_grant(Tokens::ZERO, PicoUsd::ZERO);
            return free;
        }
        let list = self.price().map(|price| match self.basis() {
            Basis::Reported => price.bill(&usage),
            Basis::Estimated => price.bill_guessed(&usage, self.thinking),
        });
        let covered = self.settle_grant(usage.input + usage.output, list.unwrap_or_default());
        let bill = list.map(|list| covered.map_or(list, |covered| covered.rest_of(list)));
        let amount = bill.map_or(Dollars(0.0), PicoUsd::as_dollars);
        if let (Some(wallet), Some(bill)) = (&self.seat().wallet, bill) {
            wallet.paid(bill, now);
        }
        if self.purpose == Purpose::Answer {
            self.snapshot.routes[self.route].with(|route| route.spent(amount, self.exploration, now));
        }
        if end == End::Answered
            && let Some(first_token) = self.first_token
        {
            let span = now.since(self.sent_at).saturating_sub(first_token);
            self.seat().metrics.observe_pace(usage.output, span);
        }
        let billed = bill.unwrap_or_default();
        let Some(waste) = self.waste(end) else { return Settlement { cost: bill, billed, ..free } };
        if billed > PicoUsd::ZERO {
            self.seat().metrics.add_wasted(waste, billed);
        }
        Settlement { billed, ..free }
    }

    /// What was set aside of an allowance becomes what was used of it.
    fn settle_grant(&self, used: Tokens, list: PicoUsd) -> Option<Covered> {
        let allowance = self.snapshot.model.endpoints[self.endpoint].allowance?;
        Some(self.snapshot.allowances[allowance].cell.settle(self.grant.as_ref()?, used, list))
    }

    /// Whether the provider may charge for it, or tells of what it has used.
    fn may_be_billed(&self, end: End) -> bool {
        end.may_be_billed() || self.reported.is_some_and(|usage| usage.input + usage.output > Tokens::ZERO)
    }

    const fn basis(&self) -> Basis {
        if self.reported.is_some() { Basis::Reported } else { Basis::Estimated }
    }

    fn waste(&self, end: End) -> Option<Waste> {
        match end {
            End::Answered | End::Refused(_) => None,
            End::Failed { fault: Fault { failure: Failure::Timeout, .. }, .. } => Some(Waste::Timeout),
            End::Failed { .. } | End::Cut => Some(Waste::Cut),
            // A client that leaves in the middle of a stream has had what it wanted; before that, nothing.
            End::Abandoned if self.first_token.is_some() => None,
            End::Abandoned => Some(Waste::Cancelled),
            End::Outrun => Some(Waste::Hedge),
        }
    }

    fn price(&self) -> Option<&Price> {
        self.snapshot.model.endpoints[self.endpoint].price.as_deref()
    }
}

/// What an allowance sets aside for a call, if there is one that covers it.
fn grant(snapshot: &Snapshot, entry: &Entry, thinking: Thinking) -> Option<Grant> {
    let endpoint = &snapshot.model.endpoints[entry.endpoint];
    let usage = Usage { input: entry.prompt, output: entry.expected_output, ..Usage::default() };
    let list = endpoint.price.as_ref().map_or(PicoUsd::ZERO, |price| price.bill_guessed(&usage, thinking));
    snapshot.allowances[endpoint.allowance?].cell.take(entry.tokens(), list)
}

/// Tokens of the prompt that should be in the endpoint's cache.
fn promised(snapshot: &Snapshot, entry: &Entry, call: &Call, now: Timestamp) -> Tokens {
    let cache = snapshot.model.endpoints[entry.endpoint].cache;
    snapshot.seats[entry.endpoint].warm(&call.warmth, cache, entry.prompt, now)
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.tickets.is_some() {
            let outrun = self.leash.outrun.load(Ordering::Relaxed);
            let settlement = self.settle(if outrun { End::Outrun } else { End::Abandoned });
            *self.leash.settlement.lock() = Some(settlement);
        }
    }
}
