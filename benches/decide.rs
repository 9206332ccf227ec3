//! What one decision costs: 50 candidates in three tiers, as a large cluster would have them, or all in one.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use faregate::engine::{
    Candidate, Capabilities, Content, EndpointState, Event, Handicap, Ledger, LengthClass, Limits, Mode, Objective,
    Others, Price, PromptEstimate, Request, RetryPolicy, RouteState, Thinking, Toll, Usage, View, decide,
};
use faregate::ids::{EndpointIx, Position as _};
use faregate::units::{Dollars, PricePerMtok, Share, Timestamp, Tokens};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

const CANDIDATES: u32 = 50;

fn now() -> Timestamp {
    Timestamp::START + Duration::from_mins(1)
}

fn state(position: u32) -> EndpointState {
    let mut state = EndpointState::new();
    for answer in 0..20_u32 {
        let first = Duration::from_millis(u64::from(200 + 17 * position + 5 * answer));
        let (in_flight_at_send, prompt) = (answer % 5, Tokens(u64::from(200 * answer)));
        state.observe(Event::Sent { mode: Mode::Stream }, now());
        state.observe(Event::FirstToken { after: first, in_flight_at_send, prompt }, now());
        let usage = Usage { input: prompt, output: Tokens(120), ..Usage::default() };
        let total = first + Duration::from_secs(2);
        let mode = Mode::Stream;
        let (first_token, typical_output) = (Some(first), Tokens(100));
        state.observe(Event::Answered { mode, total, first_token, usage, in_flight_at_send, typical_output }, now());
    }
    state
}

fn decisions(c: &mut Criterion) {
    let objective = Objective {
        max_cost: None,
        value_of_second: Dollars(0.0005),
        target_first_token: Duration::from_secs(2),
        target_answer: None,
        late_cost: Dollars(0.001),
        failure_cost: Dollars(0.05),
        spread: Share(0.01),
        exploration: Share(0.05),
    };
    let prices: Vec<_> = (0..u64::from(CANDIDATES))
        .map(|position| {
            Price::new(PricePerMtok(1_000_000 + 30_000 * position), PricePerMtok(4_000_000 + 90_000 * position))
        })
        .collect();
    let request = Request {
        prompt: Tokens(1_200),
        content: Content::default(),
        max_output: Some(Tokens(1_000)),
        mode: Mode::Stream,
        needs: Capabilities::TOOLS,
        thinking: Thinking::Unknown,
    };
    let ledger = Ledger::new(&Limits { requests_per_minute: Some(600), ..Limits::default() });
    let candidates: Vec<_> = (0..CANDIDATES)
        .zip(&prices)
        .map(|(position, price)| Candidate {
            endpoint: EndpointIx::at(usize::try_from(position).unwrap_or(0)),
            tier: usize::try_from(position % 3).unwrap_or(0),
            prompt: PromptEstimate::certain(request.prompt),
            price: Some(price),
            handicap: Handicap::None,
            context: Some(Tokens(128_000)),
            max_output: Some(Tokens(16_000)),
            capabilities: Capabilities::TOOLS,
            health: state(position).read(now()),
            quota: ledger.read(request.prompt, now()),
            toll: Toll { per_request: 1e-5, per_input: 1e-8, per_output: 1e-8, per_dollar: 0.0 },
            free: None,
            warm: Tokens(0),
            broke_until: None,
            cache_hit: 0.5,
        })
        .collect();
    let retry = RetryPolicy { attempts: 3, budget: Share(0.2), floor_per_second: 1.0 };
    let route = RouteState::new(&retry).read(LengthClass::default(), now());
    let flat: Vec<_> = candidates.iter().map(|candidate| Candidate { tier: 0, ..*candidate }).collect();
    // The same price for all, so that nobody can be left out for a bill that is too high.
    let equal: Vec<_> = flat.iter().map(|candidate| Candidate { price: prices.first(), ..*candidate }).collect();
    let view = |candidates| View {
        objective: &objective,
        route,
        candidates,
        answer_timeout: Duration::from_secs(30),
        others: Others::None,
    };
    let mut rng = StdRng::seed_from_u64(1);
    for (name, candidates) in [("in 3 tiers", &candidates), ("in one tier", &flat), ("at one price", &equal)] {
        let view = view(candidates);
        c.bench_function(&format!("decide among 50 {name}"), |b| {
            b.iter(|| decide(black_box(&view), black_box(&request), now(), &mut rng));
        });
    }
    let health = state(3);
    c.bench_function("read one endpoint", |b| {
        b.iter(|| (black_box(&health).read(now()), black_box(&ledger).read(request.prompt, now())));
    });
}

criterion_group!(benches, decisions);
criterion_main!(benches);
