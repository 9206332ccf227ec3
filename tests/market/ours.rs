//! The engine in a market, driven as the daemon drives it: decide, admit, observe, tick.

use std::collections::HashMap;
use std::time::Duration;

use faregate::engine::{
    Candidate, Capabilities, Content, Demand, EndpointState, Event, Failure, Free, Grant, Handicap, Ledger, Left,
    LengthClass, Limits, Mode, Objective, Others, Price, PromptEstimate, Rates, Request, Reservation, Resource,
    RetryPolicy, RouteState, Sample, Sampler, Supply, Thinking, Tick, Toll, Unit, Usage, View, decide,
};
use faregate::ids::{EndpointIx, Position as _};
use faregate::units::{Dollars, PricePerMtok, Share, Timestamp, Tokens};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::run::{Buyer, Choice, Ending, PATIENCE, TICK, Trouble};
use super::world::{self, Order, World};

struct Seat {
    state: EndpointState,
    ledger: Ledger,
    price: Price,
    free_left: Option<f64>,
    /// Seconds; `None` without a prompt cache.
    cache: Option<f64>,
    /// What should have been warm, and what was.
    promised: f64,
    kept: f64,
}

/// Where a conversation was served last.
struct Warm {
    seller: usize,
    at: f64,
    tokens: f64,
}

struct Open {
    reservation: Reservation,
    /// Tokens, in the allowance as well.
    set_aside: f64,
    started: bool,
}

pub(crate) struct Ours {
    seats: Vec<Seat>,
    route: RouteState,
    objective: Objective,
    sampler: Sampler,
    demand: Demand,
    resources: Vec<Resource>,
    conversations: HashMap<usize, Warm>,
    span: f64,
    open: HashMap<usize, Open>,
    held: Option<(Reservation, f64)>,
    seed: u64,
}

fn at(seconds: f64) -> Timestamp {
    Timestamp::START + Duration::from_secs_f64(seconds.max(0.0))
}

fn price(rates: world::Rates) -> Price {
    let per_million = |dollars: f64| PricePerMtok((dollars * 1e6).round() as u64);
    let rates = Rates {
        cached_input: Some(per_million(rates.cached)),
        ..Rates::new(per_million(rates.input), per_million(rates.output))
    };
    Price { rates, ..Price::default() }
}

fn tokens(count: f64) -> Tokens {
    Tokens(count.round() as u64)
}

/// What is scarce at each seller: its limits, in the order of their ledger, then its allowance.
fn resources(world: &World, seats: &[Seat]) -> Vec<Resource> {
    let mut resources = Vec::new();
    for (position, (seller, seat)) in world.sellers.iter().zip(seats).enumerate() {
        let mut add = |unit, grant| {
            let mut resource = Resource::new(unit, grant, 0.0);
            resource.join(EndpointIx::at(position));
            resources.push(resource);
        };
        for supply in seat.ledger.supplies(at(0.0)) {
            add(supply.unit, Grant::Permission);
        }
        if seller.free.is_some() {
            add(Unit::Tokens, Grant::FreeOfCharge);
        }
    }
    resources
}

impl Ours {
    pub(crate) fn new(world: &World) -> Self {
        let seats: Vec<_> = world
            .sellers
            .iter()
            .map(|seller| {
                let limits = Limits {
                    requests_per_minute: seller.quota.requests,
                    tokens_per_minute: seller.quota.tokens,
                    ..Limits::default()
                };
                Seat {
                    state: EndpointState::new(),
                    ledger: Ledger::new(&limits),
                    price: price(seller.rates(0.0)),
                    free_left: seller.free.map(|free| free.tokens),
                    cache: seller.cache.map(|cache| cache.ttl),
                    promised: 2.0,
                    kept: 1.6,
                }
            })
            .collect();
        let objective = Objective {
            max_cost: None,
            value_of_second: Dollars(world.worth.second),
            target_first_token: Duration::from_secs_f64(world.worth.target),
            target_answer: None,
            late_cost: Dollars(world.worth.late),
            failure_cost: Dollars(world.worth.failure),
            spread: Share(0.01),
            exploration: Share(0.01),
        };
        Self {
            resources: resources(world, &seats),
            seats,
            route: RouteState::new(&RetryPolicy { attempts: 3, budget: Share(0.2), floor_per_second: 1.0 }),
            objective,
            sampler: Sampler::default(),
            demand: Demand::default(),
            conversations: HashMap::new(),
            span: world.span,
            open: HashMap::new(),
            held: None,
            seed: world.seed,
        }
    }

    fn candidates(&self, order: &Order, tried: &[usize], now: f64) -> Vec<Candidate<'_>> {
        let prompt = tokens(order.prompt);
        let open = self.seats.iter().enumerate().filter(|(position, _)| !tried.contains(position));
        open.map(|(position, seat)| Candidate {
            endpoint: EndpointIx::at(position),
            tier: 0,
            prompt: PromptEstimate::certain(prompt),
            price: Some(&seat.price),
            handicap: Handicap::None,
            context: None,
            max_output: None,
            capabilities: Capabilities::NONE,
            health: seat.state.read(at(now)),
            quota: seat.ledger.read(prompt, at(now)),
            toll: self.toll(position),
            free: seat.free_left.map(|left| Free {
                left: Left::Tokens(tokens(left.max(0.0))),
                toll: Toll::default().with(Unit::Tokens, self.worth_of_free(position)),
            }),
            warm: tokens(self.warm(order, position, now)),
            broke_until: None,
            cache_hit: if seat.cache.is_some() { seat.kept / seat.promised } else { 0.0 },
        })
        .collect()
    }

    fn toll(&self, seller: usize) -> Toll {
        let endpoint = EndpointIx::at(seller);
        let quotas =
            self.resources.iter().filter(|one| one.grant() == Grant::Permission && one.members().contains(&endpoint));
        quotas.fold(Toll::default(), |toll, resource| toll.with(resource.unit(), resource.price()))
    }

    fn worth_of_free(&self, seller: usize) -> f64 {
        let endpoint = EndpointIx::at(seller);
        let mut free = self.resources.iter().filter(|one| one.grant() == Grant::FreeOfCharge);
        free.find(|one| one.members().contains(&endpoint)).map_or(0.0, Resource::price)
    }

    fn warm(&self, order: &Order, seller: usize, now: f64) -> f64 {
        let (Some(ttl), Some(warm)) = (self.seats[seller].cache, self.conversations.get(&order.conversation)) else {
            return 0.0;
        };
        if warm.seller == seller && now - warm.at < 0.95 * ttl { warm.tokens.min(order.prefix) } else { 0.0 }
    }

    fn request(order: &Order) -> Request {
        Request {
            prompt: tokens(order.prompt),
            content: Content::default(),
            max_output: order.max_output.map(tokens),
            mode: Mode::Stream,
            needs: Capabilities::NONE,
            thinking: Thinking::Unknown,
        }
    }
}

impl Buyer for Ours {
    fn choose(&mut self, order: &Order, tried: &[usize], now: f64) -> Option<Choice> {
        let (seconds, now, request) = (now, at(now), Self::request(order));
        let sampled = if tried.is_empty() { self.sampler.arrives(now) } else { None };
        if tried.is_empty() {
            self.route.deposit(now);
            self.route.converse(order.turn > 0, now);
        }
        let candidates = self.candidates(order, tried, seconds);
        let view = View {
            objective: &self.objective,
            route: self.route.read(LengthClass::of(&request), now),
            candidates: &candidates,
            answer_timeout: Duration::from_secs_f64(PATIENCE),
            others: Others::None,
        };
        let plan = decide(&view, &request, now, &mut StdRng::seed_from_u64(self.seed ^ order.id as u64));
        if let Some(stands_for) = sampled {
            self.demand.note(Sample::of(&view, &request, stands_for, now));
        }
        if plan.entries.is_empty() || (!tried.is_empty() && !self.route.withdraw(now)) {
            return None;
        }
        for entry in &plan.entries {
            let seller = entry.endpoint.offset();
            let seat = &mut self.seats[seller];
            if !seat.state.try_admit(entry.admission, now) {
                continue;
            }
            let Ok(reservation) = seat.ledger.reserve(entry.tokens(), now) else { continue };
            self.held = Some((reservation, entry.tokens().as_f64()));
            return Some(Choice { seller, patience: entry.first_token_limit().as_secs_f64() });
        }
        None
    }

    fn sent(&mut self, _order: &Order, call: usize, seller: usize, now: f64) {
        let (reservation, set_aside) = self.held.take().expect("it has just been admitted");
        self.seats[seller].state.observe(Event::Sent { mode: Mode::Stream }, at(now));
        if let Some(left) = &mut self.seats[seller].free_left {
            *left -= set_aside;
        }
        self.open.insert(call, Open { reservation, set_aside, started: false });
    }

    fn first_token(&mut self, order: &Order, ending: &Ending, now: f64) {
        let event = Event::FirstToken {
            after: Duration::from_secs_f64(ending.first),
            in_flight_at_send: ending.in_flight,
            prompt: tokens(order.prompt - ending.cached),
        };
        self.seats[ending.seller].state.observe(event, at(now));
        if let Some(open) = self.open.get_mut(&ending.call) {
            open.started = true;
        }
    }

    fn ended(&mut self, order: &Order, ending: &Ending, now: f64) {
        let Open { reservation, set_aside, .. } = self.open.remove(&ending.call).expect("it was sent");
        let (after, moment) = (Duration::from_secs_f64(now - ending.sent), at(now));
        let seat = &mut self.seats[ending.seller];
        let share = match ending.trouble {
            None => 1.0,
            Some(Trouble::Cut) => 0.5,
            Some(Trouble::RateLimited | Trouble::Down | Trouble::Blocked | Trouble::Timeout) => 0.0,
        };
        let usage = Usage {
            input: tokens(order.prompt),
            cached_input: tokens(ending.cached),
            output: tokens(order.output * share),
            ..Usage::default()
        };
        let failed =
            |failure| Event::Failed { mode: Mode::Stream, fault: Failure::into(failure), after, retry_after: None };
        let event = match ending.trouble {
            None => Event::Answered {
                mode: Mode::Stream,
                total: after,
                first_token: Some(Duration::from_secs_f64(ending.first)),
                usage,
                in_flight_at_send: ending.in_flight,
                typical_output: self.route.observe_output(LengthClass::of(&Self::request(order)), usage.output, moment),
            },
            Some(Trouble::RateLimited) => failed(Failure::RateLimited),
            Some(Trouble::Down) => failed(Failure::ServerError),
            Some(Trouble::Blocked) => failed(Failure::RegionBlocked),
            Some(Trouble::Timeout) => failed(Failure::Timeout),
            Some(Trouble::Cut) => Event::Cut { after },
        };
        seat.state.observe(event, moment);
        let used = match ending.trouble {
            None | Some(Trouble::Cut | Trouble::Timeout) => usage.input + usage.output,
            Some(Trouble::RateLimited | Trouble::Down | Trouble::Blocked) => Tokens::ZERO,
        };
        seat.ledger.settle(reservation, used, moment);
        if ending.trouble.is_none() {
            let end = order.prompt + order.output;
            let promised =
                self.conversations.insert(order.conversation, Warm { seller: ending.seller, at: now, tokens: end });
            if let Some(warm) = promised.filter(|warm| warm.seller == ending.seller && seat.cache.is_some()) {
                seat.promised = 0.95 * seat.promised + warm.tokens.min(order.prefix) / order.prefix;
                seat.kept = 0.95 * seat.kept + ending.cached / order.prefix;
            }
        }
        if let Some(left) = &mut seat.free_left {
            *left = (*left + set_aside - used.as_f64()).max(0.0);
        }
        let bill = seat.price.bill(&usage).as_dollars();
        self.route.spent(bill, Dollars(0.0), moment);
    }

    fn tick(&mut self, now: f64) {
        for (position, seat) in self.seats.iter().enumerate() {
            let own = self.resources.iter_mut().filter(|resource| resource.members()[0].offset() == position);
            let free = seat.free_left.map(|left| {
                let per_second = left / (self.span - now).max(1.0);
                Supply { unit: Unit::Tokens, per_second, taken: 0 }
            });
            for (resource, supply) in own.zip(seat.ledger.supplies(at(now)).into_iter().chain(free)) {
                resource.supply(supply, TICK);
            }
        }
        let Some(tick) = Tick::of(&mut self.demand, &self.resources, at(now)) else { return };
        for (position, seat) in self.seats.iter_mut().enumerate() {
            seat.state.try_every(tick.trial(EndpointIx::at(position)));
        }
        let prices = tick.prices();
        for (resource, price) in self.resources.iter_mut().zip(prices) {
            resource.reprice(price);
        }
    }

    fn reprice(&mut self, world: &World, now: f64) {
        for (seat, seller) in self.seats.iter_mut().zip(&world.sellers) {
            seat.price = price(seller.rates(now));
        }
    }
}
