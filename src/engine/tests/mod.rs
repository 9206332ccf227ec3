//! The engine as a whole: what holds for every view, and how it does in a small market in virtual time.

mod decisions;
mod market;
mod prices;
mod properties;

use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::decide::decide_by;
use super::shortlist::Look;
use super::{
    Candidate, Capabilities, Content, EndpointState, Event, Handicap, Ledger, LengthClass, Limits, Mode, Objective,
    Others, Plan, Price, PromptEstimate, Request, RetryPolicy, RouteReading, RouteState, Thinking, Toll, Usage, View,
};
use crate::ids::{EndpointIx, Position as _};
use crate::units::{Dollars, PricePerMtok, Share, Timestamp, Tokens};

/// The moment of decisions that stand alone: late enough for a past.
pub(super) const NOW: Timestamp = Timestamp::START;

pub(super) fn at(seconds: f64) -> Timestamp {
    Timestamp::START + Duration::from_secs_f64(seconds)
}

pub(super) fn objective() -> Objective {
    Objective {
        max_cost: None,
        value_of_second: Dollars(0.0005),
        target_first_token: Duration::from_secs(2),
        target_answer: None,
        late_cost: Dollars(0.001),
        failure_cost: Dollars(0.05),
        spread: Share(0.0),
        exploration: Share(0.05),
    }
}

pub(super) fn request(prompt: u64) -> Request {
    Request {
        prompt: Tokens(prompt),
        content: Content::default(),
        max_output: None,
        mode: Mode::Stream,
        needs: Capabilities::NONE,
        thinking: Thinking::Unknown,
    }
}

/// Dollars per million tokens, in and out.
pub(super) fn price(input: f64, output: f64) -> Price {
    let per_million = |dollars: f64| PricePerMtok(crate::units::round_to_u64(dollars * 1e6));
    Price::new(per_million(input), per_million(output))
}

/// An endpoint that has answered `answers` streams, each with this first-token time.
pub(super) fn known(first_token: f64, answers: u32, now: Timestamp) -> EndpointState {
    let mut state = EndpointState::new();
    let after = Duration::from_secs_f64(first_token);
    for _ in 0..answers {
        state.observe(Event::Sent { mode: Mode::Stream }, now);
        state.observe(Event::FirstToken { after, in_flight_at_send: 0, prompt: Tokens(500) }, now);
        state.observe(
            Event::Answered {
                mode: Mode::Stream,
                total: after + Duration::from_secs(2),
                first_token: Some(after),
                usage: Usage { input: Tokens(500), output: Tokens(100), ..Usage::default() },
                in_flight_at_send: 0,
                typical_output: Tokens(100),
            },
            now,
        );
    }
    state
}

/// An endpoint of a test.
#[derive(Clone, Debug)]
pub(super) struct Bench {
    pub(super) state: EndpointState,
    pub(super) ledger: Ledger,
    pub(super) price: Option<Price>,
    pub(super) tier: usize,
    pub(super) context: Option<Tokens>,
    pub(super) capabilities: Capabilities,
}

impl Bench {
    pub(super) fn new(state: EndpointState, price: Price) -> Self {
        Self {
            state,
            ledger: Ledger::new(&Limits::default()),
            price: Some(price),
            tier: 0,
            context: None,
            capabilities: Capabilities::NONE,
        }
    }

    pub(super) fn candidate(&self, position: usize, request: &Request, now: Timestamp) -> Candidate<'_> {
        Candidate {
            endpoint: EndpointIx::at(position),
            tier: self.tier,
            prompt: PromptEstimate::certain(request.prompt),
            price: self.price.as_ref(),
            handicap: Handicap::None,
            context: self.context,
            max_output: None,
            capabilities: self.capabilities,
            health: self.state.read(now),
            quota: self.ledger.read(request.prompt, now),
            toll: Toll::default(),
            free: None,
            broke_until: None,
            warm: Tokens::ZERO,
            cache_hit: 0.0,
        }
    }
}

pub(super) fn route() -> RouteState {
    RouteState::new(&RetryPolicy { attempts: 3, budget: Share(0.2), floor_per_second: 1.0 })
}

/// The plan for `request` over `benches`, whose positions are their endpoints.
pub(super) fn plan_of(
    benches: &[Bench],
    objective: &Objective,
    route: RouteReading,
    request: &Request,
    seed: u64,
    now: Timestamp,
) -> Plan {
    plan_by(Look::AsNeeded, benches, objective, route, request, seed, now)
}

/// As [`plan_of`], and whom to look at.
pub(super) fn plan_by(
    look: Look,
    benches: &[Bench],
    objective: &Objective,
    route: RouteReading,
    request: &Request,
    seed: u64,
    now: Timestamp,
) -> Plan {
    let candidates: Vec<_> =
        benches.iter().enumerate().map(|(position, bench)| bench.candidate(position, request, now)).collect();
    let view = View {
        objective,
        route,
        candidates: &candidates,
        answer_timeout: match request.mode {
            Mode::Stream => Duration::from_secs(30),
            Mode::Plain | Mode::Embedding => Duration::from_mins(5),
        },
        others: Others::None,
    };
    decide_by(look, &view, request, now, &mut StdRng::seed_from_u64(seed))
}

/// As [`plan_of`], on a route without history.
pub(super) fn plan(benches: &[Bench], objective: &Objective, request: &Request, seed: u64, now: Timestamp) -> Plan {
    plan_of(benches, objective, route().read(LengthClass::of(request), now), request, seed, now)
}

/// The positions in the order in which they would be tried.
pub(super) fn order(plan: &Plan) -> Vec<usize> {
    plan.entries.iter().map(|entry| entry.endpoint.offset()).collect()
}
