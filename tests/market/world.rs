//! What happens outside: sellers with their prices, speeds, quotas and faults, and the orders that come in.
//!
//! A seller's luck with an order is drawn from the seed, the order and the seller alone, so that every buyer meets the
//! same market and a difference between two of them is their own doing.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Dollars per million tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) input: f64,
    pub(crate) cached: f64,
    pub(crate) output: f64,
}

/// What a provider allows in any minute.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quota {
    pub(crate) requests: Option<u64>,
    pub(crate) tokens: Option<u64>,
}

/// How a seller misbehaves for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// Answers 500 at once.
    Down,
    /// Says nothing.
    Hangs,
    /// Answers 403: not served to where we are.
    Blocked,
    /// First tokens take this many times as long, and the rest the root of it: it is the queue that grows.
    Slow(f64),
    /// The same, growing from 1 to this over the span.
    Drifts(f64),
}

/// A fault and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spell {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) fault: Fault,
}

/// Tokens that cost nothing until they are used up or expire with the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Free {
    pub(crate) tokens: f64,
}

/// A prompt cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cache {
    /// Seconds.
    pub(crate) ttl: f64,
    /// The chance that what should be warm is.
    pub(crate) hit: f64,
}

/// One provider's model.
#[derive(Clone, Debug)]
pub(crate) struct Seller {
    /// Prices from a moment on.
    pub(crate) prices: Vec<(f64, Rates)>,
    /// Mean seconds to a first token of an empty prompt.
    pub(crate) first: f64,
    /// More seconds per uncached prompt token.
    pub(crate) per_token: f64,
    /// Standard deviation of the logarithm of first-token times.
    pub(crate) sigma: f64,
    /// Seconds per output token.
    pub(crate) pace: f64,
    /// Slower by this share for each of our requests in flight.
    pub(crate) crowding: f64,
    pub(crate) quota: Quota,
    pub(crate) spells: Vec<Spell>,
    /// The chance that an answer breaks off half-way.
    pub(crate) cut: f64,
    /// The chance of a straggler, and how many times as long it takes.
    pub(crate) straggle: (f64, f64),
    pub(crate) free: Option<Free>,
    pub(crate) cache: Option<Cache>,
}

/// A request of a client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) id: usize,
    pub(crate) at: f64,
    pub(crate) prompt: f64,
    pub(crate) output: f64,
    pub(crate) max_output: Option<f64>,
    /// Which conversation, and how many tokens of the prompt its last turn ended with.
    pub(crate) conversation: usize,
    pub(crate) turn: u32,
    pub(crate) prefix: f64,
    /// The order that came before it in its conversation.
    pub(crate) after: Option<usize>,
}

/// What a scenario is worth to its client.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worth {
    pub(crate) second: f64,
    pub(crate) target: f64,
    pub(crate) late: f64,
    pub(crate) failure: f64,
}

/// A market.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) sellers: Vec<Seller>,
    pub(crate) orders: Vec<Order>,
    pub(crate) worth: Worth,
    /// Seconds.
    pub(crate) span: f64,
}

impl Seller {
    pub(crate) fn new(input: f64, output: f64, first: f64, pace: f64) -> Self {
        let rates = Rates { input, cached: input * 0.1, output };
        Self {
            prices: vec![(0.0, rates)],
            first,
            per_token: 2e-5,
            sigma: 0.3,
            pace,
            crowding: 0.0,
            quota: Quota::default(),
            spells: Vec::new(),
            cut: 0.0,
            straggle: (0.0, 1.0),
            free: None,
            cache: None,
        }
    }

    pub(crate) fn rates(&self, at: f64) -> Rates {
        self.prices.iter().rev().find(|(from, _)| *from <= at).expect("a price from the start").1
    }

    pub(crate) fn fault(&self, at: f64) -> Option<Fault> {
        self.spells.iter().find(|spell| (spell.from..spell.to).contains(&at)).map(|spell| spell.fault)
    }

    /// By how much it is slower now.
    pub(crate) fn slowness(&self, at: f64) -> f64 {
        let Some(spell) = self.spells.iter().find(|spell| (spell.from..spell.to).contains(&at)) else { return 1.0 };
        match spell.fault {
            Fault::Slow(factor) => factor,
            Fault::Drifts(factor) => 1.0 + (factor - 1.0) * (at - spell.from) / (spell.to - spell.from),
            Fault::Down | Fault::Hangs | Fault::Blocked => 1.0,
        }
    }

    /// Whether it answers at all.
    pub(crate) fn is_up(&self, at: f64) -> bool {
        !matches!(self.fault(at), Some(Fault::Down | Fault::Hangs | Fault::Blocked))
    }

    /// Mean seconds to a first token and per output token, with so many of ours in flight.
    pub(crate) fn speed(&self, at: f64, uncached: f64, in_flight: f64) -> (f64, f64) {
        let (slow, crowd) = (self.slowness(at), 1.0 + self.crowding * in_flight);
        let (odds, times) = self.straggle;
        let mean = 1.0 + odds * (times - 1.0);
        ((self.first + self.per_token * uncached) * slow * crowd * mean, self.pace * slow.sqrt() * crowd)
    }

    /// One order's luck: first-token time over its mean without stragglers, whether it straggles, and whether it is cut.
    pub(crate) fn luck(&self, world: u64, order: &Order, seller: usize) -> Luck {
        let seed = world ^ (order.id as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (seller as u64 + 1) << 48;
        let mut rng = StdRng::seed_from_u64(seed);
        let noise = (self.sigma * normal(&mut rng) - self.sigma * self.sigma / 2.0).exp();
        let (odds, times) = self.straggle;
        let straggles = rng.random_range(0.0..1.0) < odds;
        let cut = rng.random_range(0.0..1.0) < self.cut;
        let warm = rng.random_range(0.0..1.0);
        Luck { times: noise * if straggles { times } else { 1.0 }, cut, warm }
    }
}

/// See [`Seller::luck`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Luck {
    pub(crate) times: f64,
    pub(crate) cut: bool,
    pub(crate) warm: f64,
}

impl Rates {
    pub(crate) fn bill(&self, uncached: f64, cached: f64, output: f64) -> f64 {
        (uncached * self.input + cached * self.cached + output * self.output) * 1e-6
    }
}

/// A standard normal variable (Box and Muller).
pub(crate) fn normal(rng: &mut StdRng) -> f64 {
    let (a, b): (f64, f64) = (rng.random_range(1e-12..1.0), rng.random_range(0.0..1.0));
    (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

/// How orders come.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// Orders a second, from a moment on.
    pub(crate) rate: Vec<(f64, f64)>,
    /// Median and log spread.
    pub(crate) prompt: (f64, f64),
    pub(crate) output: (f64, f64),
    /// The share of orders that continue a conversation.
    pub(crate) follow_up: f64,
    /// Mean seconds until the next turn.
    pub(crate) think: f64,
    /// The share of orders with a bound on their output, which are short.
    pub(crate) bounded: f64,
}

impl Demand {
    pub(crate) fn steady(rate: f64) -> Self {
        Self {
            rate: vec![(0.0, rate)],
            prompt: (900.0, 0.9),
            output: (180.0, 0.7),
            follow_up: 0.0,
            think: 5.0,
            bounded: 0.3,
        }
    }

    /// Orders until `span`, in order of time.
    pub(crate) fn orders(&self, span: f64, seed: u64) -> Vec<Order> {
        let mut rng = StdRng::seed_from_u64(seed ^ 0xD1CE);
        let rate = |at: f64| self.rate.iter().rev().find(|(from, _)| *from <= at).map_or(0.0, |(_, rate)| *rate);
        let most = self.rate.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        // Each conversation begins with the part of the rate that its follow-ups do not make up.
        let fresh = 1.0 - self.follow_up;
        let (mut orders, mut at, mut conversation) = (Vec::new(), 0.0, 0);
        loop {
            at += -rng.random_range(1e-12..1.0_f64).ln() / (most * fresh);
            if at >= span {
                break;
            }
            if rng.random_range(0.0..1.0) < rate(at) / most {
                self.converse(conversation, at, span, &mut orders, &mut rng);
                conversation += 1;
            }
        }
        number(orders)
    }

    fn converse(&self, conversation: usize, begin: f64, span: f64, orders: &mut Vec<Order>, rng: &mut StdRng) {
        let lognormal = |rng: &mut StdRng, (median, spread): (f64, f64)| median * (spread * normal(rng)).exp();
        let (mut at, mut turn, mut prefix) = (begin, 0, 0.0);
        loop {
            let bounded = rng.random_range(0.0..1.0) < self.bounded;
            let fresh = lognormal(rng, self.prompt) * if turn == 0 { 1.0 } else { 0.15 };
            let output = lognormal(rng, self.output) * if bounded { 0.3 } else { 1.0 };
            let (prompt, output) = ((prefix + fresh).clamp(20.0, 60_000.0), output.clamp(5.0, 4_000.0));
            let max_output = bounded.then(|| output.max(16.0).log2().ceil().exp2());
            orders.push(Order { id: 0, at, prompt, output, max_output, conversation, turn, prefix, after: None });
            if rng.random_range(0.0..1.0) >= self.follow_up {
                return;
            }
            prefix = prompt + output;
            at += output * 0.02 + 1.0 - rng.random_range(1e-12..1.0_f64).ln() * self.think;
            turn += 1;
            if at >= span {
                return;
            }
        }
    }
}

/// By time, with what each one follows.
fn number(mut orders: Vec<Order>) -> Vec<Order> {
    orders.sort_by(|a, b| a.at.total_cmp(&b.at));
    let mut last = std::collections::HashMap::new();
    for (id, order) in orders.iter_mut().enumerate() {
        order.id = id;
        order.after = last.insert(order.conversation, id);
    }
    orders
}
