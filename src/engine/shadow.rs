//! What scarce quota is worth: a price that rises before the quota is used up, so that traffic spills over by value
//! instead of running into refusals.
//!
//! Of a scarce resource, those of the last requests that save most by it per unit come first; where its supply ends, the
//! next one's saving per unit is its price. It is the dual of the allocation programme on a sliding sample: it has no
//! scale, needs no tuning, and is nought where demand fits. A quota that several endpoints share is one resource.

use std::collections::HashMap;

use super::demand::{Bid, Demand, Sample};
use super::trial::{Prospect, Trial};
use crate::ids::EndpointIx;
use crate::units::{Dollars, Timestamp, count_to_f64};

/// How much of a new price is taken over at once. Slower cost 6 % where allowances mattered.
const SMOOTHING: f64 = 0.4;
/// Seconds over which it is seen how much is taken.
const PACE_MEMORY: f64 = 5.0;
/// What is free is worth a little less later than now: demand may not come, and equals would save it for ever.
const A_BIRD_IN_THE_HAND: f64 = 0.97;
/// From this share of the supply on, a resource is in use.
const IN_USE: f64 = 0.7;
/// Less than this is nought: a decaying price would linger for ever.
const NOTHING: f64 = 1e-12;

/// In what a resource is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens of prompts and answers.
    Tokens,
    /// Tokens of prompts.
    InputTokens,
    /// Tokens of answers.
    OutputTokens,
    /// Money, at list price.
    Money,
}

impl Unit {
    /// Whether an answer uses some of it.
    pub(super) const fn counts_answers(self) -> bool {
        match self {
            Self::Tokens | Self::OutputTokens => true,
            Self::Requests | Self::InputTokens | Self::Money => false,
        }
    }
}

/// What a resource is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Without it, nothing goes.
    Permission,
    /// Without it, the list price is paid.
    FreeOfCharge,
}

/// What there is of a resource.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Supply {
    /// What it is counted in.
    pub unit: Unit,
    /// Units that may be used a second, for as long as they last; infinite where nothing limits.
    pub per_second: f64,
    /// Units that have been taken, ever.
    pub taken: u64,
}

/// Something of which there is only so much, and its price.
#[derive(Clone, Debug)]
pub struct Resource {
    unit: Unit,
    grant: Grant,
    per_second: f64,
    members: Vec<EndpointIx>,
    price: f64,
    taken: u64,
    /// Units taken a second, of late.
    pace: f64,
}

/// What the scarce quotas that an endpoint uses are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Toll {
    /// Dollars per request.
    pub per_request: f64,
    /// Dollars per token of a prompt.
    pub per_input: f64,
    /// Dollars per token of an answer.
    pub per_output: f64,
    /// Dollars per dollar of the list price.
    pub per_dollar: f64,
}

/// What a tick finds.
#[derive(Debug)]
pub struct Tick<'a> {
    demand: &'a Demand,
    resources: &'a [Resource],
    by_endpoint: HashMap<EndpointIx, Vec<usize>>,
    /// For each sample, for each of its bids: the cost with all tolls, and the bill in it.
    costs: Vec<Vec<Cost>>,
    span: f64,
}

#[derive(Clone, Copy, Debug)]
struct Cost {
    all: f64,
    bill: f64,
}

impl Toll {
    /// With one more resource.
    #[must_use]
    pub fn with(self, unit: Unit, price: f64) -> Self {
        match unit {
            Unit::Requests => Self { per_request: self.per_request + price, ..self },
            Unit::Tokens => Self { per_input: self.per_input + price, per_output: self.per_output + price, ..self },
            Unit::InputTokens => Self { per_input: self.per_input + price, ..self },
            Unit::OutputTokens => Self { per_output: self.per_output + price, ..self },
            Unit::Money => Self { per_dollar: self.per_dollar + price, ..self },
        }
    }

    /// For a request of so many tokens and this list price.
    pub(super) fn of(self, input: f64, output: f64, list: Dollars) -> Dollars {
        let tokens = self.per_input * input + self.per_output * output;
        Dollars(self.per_request + tokens + self.per_dollar * list.0)
    }
}

impl Resource {
    /// A resource of unknown supply at this price.
    pub const fn new(unit: Unit, grant: Grant, price: f64) -> Self {
        Self { unit, grant, per_second: f64::INFINITY, members: Vec::new(), price, taken: 0, pace: 0.0 }
    }

    /// One more endpoint uses it.
    pub fn join(&mut self, endpoint: EndpointIx) {
        self.members.push(endpoint);
    }

    /// What it is counted in.
    pub const fn unit(&self) -> Unit {
        self.unit
    }

    /// What it is good for.
    pub const fn grant(&self) -> Grant {
        self.grant
    }

    /// Which endpoints use it.
    pub fn members(&self) -> &[EndpointIx] {
        &self.members
    }

    /// Dollars per unit.
    pub const fn price(&self) -> f64 {
        self.price
    }

    /// Takes a new price.
    pub const fn reprice(&mut self, price: f64) {
        self.price = price;
    }

    /// Takes note of what there is now, `elapsed` seconds after the last time.
    pub fn supply(&mut self, supply: Supply, elapsed: f64) {
        let fresh = count_to_f64(supply.taken.saturating_sub(self.taken)) / elapsed;
        let share = (elapsed / PACE_MEMORY).min(1.0);
        self.pace += share * (fresh - self.pace);
        (self.per_second, self.taken) = (supply.per_second, supply.taken);
    }

    /// How much of a price that was found is asked. What is left lying although many would have it is too dear, whatever
    /// the sample says: estimates change, and samples remember the old ones.
    fn confidence(&self) -> f64 {
        match self.grant {
            Grant::Permission if self.per_second > 0.0 => (self.pace / (IN_USE * self.per_second)).clamp(0.1, 1.0),
            Grant::Permission => 1.0,
            Grant::FreeOfCharge => A_BIRD_IN_THE_HAND,
        }
    }

    /// What `sample` uses of it at `bid`.
    fn units(&self, sample: &Sample, bid: &Bid) -> f64 {
        match self.unit {
            Unit::Requests => 1.0,
            Unit::Tokens => sample.tokens(),
            Unit::InputTokens => sample.input,
            Unit::OutputTokens => sample.output,
            Unit::Money => bid.list,
        }
    }

    /// `price`, moved towards what was found.
    fn smoothed(&self, found: f64) -> f64 {
        let price = (1.0 - SMOOTHING) * self.price + SMOOTHING * found * self.confidence();
        if price < NOTHING { 0.0 } else { price }
    }
}

impl<'a> Tick<'a> {
    /// The last requests against `resources` at their present prices; `None` without any requests.
    pub fn of(demand: &'a mut Demand, resources: &'a [Resource], now: Timestamp) -> Option<Self> {
        demand.expire(now);
        let demand = &*demand;
        let span = demand.span(now)?;
        let mut by_endpoint: HashMap<_, Vec<_>> = HashMap::new();
        for (index, resource) in resources.iter().enumerate() {
            for endpoint in &resource.members {
                by_endpoint.entry(*endpoint).or_default().push(index);
            }
        }
        let mut tick = Self { demand, resources, by_endpoint, costs: Vec::new(), span };
        tick.costs =
            demand.samples().map(|sample| sample.bids.iter().map(|bid| tick.cost(sample, bid)).collect()).collect();
        Some(tick)
    }

    /// The new price of each resource, each found with the others at their last.
    pub fn prices(&self) -> Vec<f64> {
        self.resources.iter().enumerate().map(|(index, one)| one.smoothed(self.marginal_value(index, one))).collect()
    }

    /// How often to try `endpoint` though it seems worse than others.
    pub fn trial(&self, endpoint: EndpointIx) -> Option<Trial> {
        let mut prospect = Prospect::over(self.demand.samples());
        for (sample, costs) in self.demand.samples().zip(&self.costs) {
            let pairs = || sample.bids.iter().zip(costs);
            let Some((own, cost)) = pairs().find(|(bid, _)| bid.endpoint == endpoint) else { continue };
            let rivals = pairs().filter(|(bid, _)| bid.is_open && bid.tier == own.tier && bid.endpoint != endpoint);
            let best = rivals.map(|(_, cost)| cost.all).fold(f64::NAN, f64::min);
            if !best.is_nan() {
                let tolls = cost.all - own.cost;
                prospect.see(sample, best, own.hopeful + tolls, own.once + tolls);
            }
        }
        Trial::of(prospect, self.span)
    }

    fn cost(&self, sample: &Sample, bid: &Bid) -> Cost {
        let (mut tolls, mut bill) = (0.0, bid.list);
        for resource in self.uses(bid) {
            let price = resource.price * resource.units(sample, bid);
            match resource.grant {
                Grant::Permission => tolls += price,
                Grant::FreeOfCharge if resource.per_second > 0.0 => bill = f64::min(bill, price),
                Grant::FreeOfCharge => {}
            }
        }
        Cost { all: bid.cost - bid.list + bill + tolls, bill }
    }

    fn uses(&self, bid: &Bid) -> impl Iterator<Item = &'a Resource> {
        let indices = self.by_endpoint.get(&bid.endpoint).map_or(&[][..], Vec::as_slice);
        indices.iter().filter_map(|index| self.resources.get(*index))
    }

    /// The saving per unit where the supply ends; nought where it does not.
    fn marginal_value(&self, index: usize, resource: &Resource) -> f64 {
        let is_member = |bid: &Bid| self.by_endpoint.get(&bid.endpoint).is_some_and(|indices| indices.contains(&index));
        if resource.per_second == f64::INFINITY {
            return 0.0;
        }
        let mut left = resource.per_second.max(0.0) * self.span;
        // What each request needs of it; of money, at the cheapest of those that take it.
        let need = |sample: &Sample| {
            let users = sample.bids.iter().filter(|bid| bid.is_open && is_member(bid));
            users.map(|bid| resource.units(sample, bid)).reduce(f64::min)
        };
        let all = self.demand.samples().filter_map(|sample| Some(need(sample)? * sample.stands_for));
        if all.sum::<f64>() <= left {
            return 0.0;
        }
        let samples = self.demand.samples().zip(&self.costs);
        let mut wishes: Vec<(f64, f64)> = samples
            .filter_map(|(sample, costs)| {
                let (need, saving) = (need(sample)?, saving(sample, costs, resource, is_member)?);
                (saving > 0.0 && need > 0.0).then(|| (saving / need, need * sample.stands_for))
            })
            .collect();
        wishes.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        let beyond = wishes.iter().find(|(_, units)| {
            left -= units;
            left < 0.0
        });
        beyond.map_or(0.0, |(worth, _)| *worth)
    }
}

/// What a request saves by having `resource`; `None` if it has no use for it.
fn saving(sample: &Sample, costs: &[Cost], resource: &Resource, is_member: impl Fn(&Bid) -> bool) -> Option<f64> {
    let open = || sample.bids.iter().zip(costs).filter(|(bid, _)| bid.is_open);
    let with = |(bid, cost): (&Bid, &Cost)| match resource.grant {
        Grant::Permission => (bid.tier, cost.all - resource.price * resource.units(sample, bid)),
        Grant::FreeOfCharge => (bid.tier, cost.all - cost.bill),
    };
    let (tier, best) = open().filter(|(bid, _)| is_member(bid)).map(with).min_by(|(_, a), (_, b)| a.total_cmp(b))?;
    let peers = open().filter(|(bid, _)| bid.tier == tier);
    let without = match resource.grant {
        Grant::Permission => {
            peers.filter(|(bid, _)| !is_member(bid)).map(|(_, cost)| cost.all).fold(f64::NAN, f64::min)
        }
        Grant::FreeOfCharge => peers
            .map(|(bid, cost)| if is_member(bid) { cost.all - cost.bill + bid.list } else { cost.all })
            .fold(f64::NAN, f64::min),
    };
    Some(if without.is_nan() { sample.failure_cost } else { without - best })
}
