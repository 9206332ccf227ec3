//! The markets, each drawn from a seed: prices, lengths, rates, speeds and the moments of faults all vary with it.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::world::{Cache, Demand, Fault, Free, Quota, Rates, Seller, Spell, World, Worth};

/// What everybody's time is worth: the balanced policy.
const WORTH: Worth = Worth { second: 0.0002, target: 2.0, late: 0.001, failure: 0.01 };

/// A scenario by name.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    make: fn(&mut Dice) -> Draft,
}

struct Draft {
    sellers: Vec<Seller>,
    demand: Demand,
    span: f64,
}

/// Chance, within bounds.
struct Dice(StdRng);

impl Dice {
    /// `value` give or take `share`.
    fn about(&mut self, value: f64, share: f64) -> f64 {
        value * (1.0 + share * self.0.random_range(-1.0..1.0))
    }

    fn within(&mut self, from: f64, to: f64) -> f64 {
        self.0.random_range(from..to)
    }

    fn seller(&mut self, input: f64, output: f64, first: f64, pace: f64) -> Seller {
        let (input, output) = (self.about(input, 0.15), self.about(output, 0.15));
        let (first, pace) = (self.about(first, 0.15), self.about(pace, 0.15));
        Seller { sigma: self.within(0.2, 0.45), ..Seller::new(input, output, first, pace) }
    }

    fn demand(&mut self, rate: f64) -> Demand {
        let base = Demand::steady(self.about(rate, 0.15));
        Demand {
            prompt: (self.about(base.prompt.0, 0.25), self.within(0.7, 1.1)),
            output: (self.about(base.output.0, 0.25), self.within(0.5, 0.9)),
            ..base
        }
    }
}

impl Scenario {
    pub(crate) fn world(&self, seed: u64) -> World {
        let salt = self.name.bytes().fold(17_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let mut dice = Dice(StdRng::seed_from_u64(seed.wrapping_mul(7919) ^ salt));
        let Draft { sellers, demand, span } = (self.make)(&mut dice);
        let orders = demand.orders(span, seed ^ salt);
        World { seed: seed ^ salt, sellers, orders, worth: WORTH, span }
    }
}

pub(crate) const ALL: [Scenario; 12] = [
    Scenario { name: "steady", make: steady },
    Scenario { name: "tight-quota", make: tight_quota },
    Scenario { name: "brown-out", make: brown_out },
    Scenario { name: "flapping", make: flapping },
    Scenario { name: "price-war", make: price_war },
    Scenario { name: "region-block", make: region_block },
    Scenario { name: "free-allowance", make: free_allowance },
    Scenario { name: "conversations", make: conversations },
    Scenario { name: "ten-in-bursts", make: ten_in_bursts },
    Scenario { name: "blackout", make: blackout },
    Scenario { name: "stragglers", make: stragglers },
    Scenario { name: "drift", make: drift },
];

fn spell(from: f64, to: f64, fault: Fault) -> Vec<Spell> {
    vec![Spell { from, to, fault }]
}

fn steady(dice: &mut Dice) -> Draft {
    let sellers = vec![dice.seller(0.6, 1.8, 0.5, 0.015), dice.seller(2.0, 8.0, 0.35, 0.01)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

/// Half of the orders find room where it is cheapest; who should get it is the question.
fn tight_quota(dice: &mut Dice) -> Draft {
    let mut cheapest = dice.seller(0.3, 0.9, 0.5, 0.015);
    cheapest.quota = Quota { requests: Some(dice.about(240.0, 0.2) as u64), tokens: None };
    let mut second = dice.seller(0.8, 2.4, 0.5, 0.015);
    second.quota = Quota { requests: None, tokens: Some(dice.about(250_000.0, 0.2) as u64) };
    let sellers = vec![cheapest, second, dice.seller(2.5, 10.0, 0.4, 0.01)];
    Draft { sellers, demand: dice.demand(10.0), span: 115.0 }
}

fn brown_out(dice: &mut Dice) -> Draft {
    let mut cheap = dice.seller(0.6, 1.8, 0.5, 0.015);
    let (from, long) = (dice.within(12.0, 20.0), dice.within(10.0, 16.0));
    cheap.spells = spell(from, from + long, Fault::Slow(dice.within(6.0, 12.0)));
    let sellers = vec![cheap, dice.seller(1.0, 3.0, 0.5, 0.015), dice.seller(2.0, 8.0, 0.35, 0.01)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

fn flapping(dice: &mut Dice) -> Draft {
    let mut cheap = dice.seller(0.6, 1.8, 0.5, 0.015);
    let mut at = dice.within(8.0, 12.0);
    while at < 46.0 {
        let down = dice.within(1.5, 4.0);
        cheap.spells.push(Spell { from: at, to: at + down, fault: Fault::Down });
        at += down + dice.within(3.0, 7.0);
    }
    let sellers = vec![cheap, dice.seller(1.2, 4.0, 0.5, 0.015)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

fn price_war(dice: &mut Dice) -> Draft {
    let mut sellers: Vec<_> = (0..4).map(|_| dice.seller(1.0, 3.0, 0.5, 0.015)).collect();
    for seller in &mut sellers {
        let mut at = dice.within(4.0, 20.0);
        while at < 46.0 {
            let times = if dice.within(0.0, 1.0) < 0.65 { dice.within(0.3, 0.8) } else { dice.within(1.2, 2.5) };
            let Rates { input, cached, output } = seller.rates(at);
            let rates = Rates { input: input * times, cached: cached * times, output: output * times };
            seller.prices.push((at, rates));
            at += dice.within(8.0, 25.0);
        }
    }
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

fn region_block(dice: &mut Dice) -> Draft {
    let mut cheap = dice.seller(0.6, 1.8, 0.4, 0.012);
    cheap.spells = spell(dice.within(10.0, 20.0), 1e9, Fault::Blocked);
    let sellers = vec![cheap, dice.seller(0.9, 3.0, 0.5, 0.015), dice.seller(1.3, 4.0, 0.4, 0.015)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

/// The tokens that are free at the first do not last: they belong to the orders that would be dear elsewhere.
fn free_allowance(dice: &mut Dice) -> Draft {
    let mut free = dice.seller(2.0, 8.0, 0.5, 0.015);
    free.free = Some(Free { tokens: dice.about(600_000.0, 0.2) });
    let sellers = vec![free, dice.seller(0.8, 2.4, 0.5, 0.015), dice.seller(1.0, 1.8, 0.6, 0.02)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

fn conversations(dice: &mut Dice) -> Draft {
    let cached = |mut seller: Seller, share: f64, ttl: f64, hit: f64| {
        for (_, rates) in &mut seller.prices {
            rates.cached = rates.input * share;
        }
        Seller { cache: Some(Cache { ttl, hit }), ..seller }
    };
    let sellers = vec![
        cached(dice.seller(0.8, 2.4, 0.5, 0.015), 0.1, 300.0, 0.95),
        cached(dice.seller(0.7, 2.2, 0.5, 0.015), 0.5, 300.0, 0.9),
        dice.seller(0.65, 2.0, 0.5, 0.015),
    ];
    let demand = Demand { follow_up: 0.75, prompt: (3_000.0, 0.7), ..dice.demand(14.0) };
    Draft { sellers, demand, span: 82.0 }
}

fn ten_in_bursts(dice: &mut Dice) -> Draft {
    let mut sellers = Vec::new();
    for rank in 0..10 {
        let dear = 0.3 * 1.28_f64.powi(rank);
        let mut seller = dice.seller(dear, 3.5 * dear, 0.9 - 0.06 * f64::from(rank), 0.02 - 0.001 * f64::from(rank));
        seller.crowding = dice.within(0.0, 0.02);
        if rank < 4 {
            seller.quota = Quota { requests: Some(dice.within(60.0, 220.0) as u64), tokens: None };
        } else if rank < 6 {
            seller.quota = Quota { requests: None, tokens: Some(dice.within(100_000.0, 300_000.0) as u64) };
        }
        sellers.push(seller);
    }
    let mut demand = dice.demand(20.0);
    let (low, high) = (dice.about(9.0, 0.2), dice.about(60.0, 0.2));
    demand.rate = vec![(0.0, low), (15.0, high), (20.0, low), (38.0, high), (43.0, low)];
    Draft { sellers, demand, span: 60.0 }
}

/// Everybody is down for a while, and comes back one after the other.
fn blackout(dice: &mut Dice) -> Draft {
    let from = dice.within(15.0, 22.0);
    let mut sellers =
        vec![dice.seller(0.6, 1.8, 0.5, 0.015), dice.seller(1.0, 3.0, 0.5, 0.015), dice.seller(2.0, 8.0, 0.35, 0.01)];
    for seller in &mut sellers {
        seller.spells = spell(from, from + dice.within(3.0, 9.0), Fault::Down);
    }
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

fn stragglers(dice: &mut Dice) -> Draft {
    let mut often = dice.seller(0.6, 1.8, 0.5, 0.015);
    often.straggle = (dice.within(0.03, 0.08), dice.within(8.0, 16.0));
    let mut cuts = dice.seller(0.7, 2.0, 0.5, 0.015);
    cuts.cut = dice.within(0.06, 0.12);
    let sellers = vec![often, cuts, dice.seller(0.9, 2.8, 0.5, 0.015)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}

/// Our own server costs nothing and slows with each request on it; the one beside it slows by and by.
fn drift(dice: &mut Dice) -> Draft {
    let mut own = dice.seller(0.05, 0.15, 0.3, 0.01);
    own.crowding = dice.within(0.05, 0.1);
    let mut drifts = dice.seller(0.6, 1.8, 0.45, 0.012);
    let from = dice.within(8.0, 14.0);
    drifts.spells = spell(from, 46.0, Fault::Drifts(dice.within(5.0, 9.0)));
    let sellers = vec![own, drifts, dice.seller(1.0, 3.0, 0.5, 0.015)];
    Draft { sellers, demand: dice.demand(25.0), span: 46.0 }
}
