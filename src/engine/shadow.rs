//! What scarce quota is worth: a price that rises before the quota is used up, so that traffic spills over by value
//! instead of running into refusals.
//!
//! The last requests are kept with what each would have cost at each endpoint. Of a scarce resource, those that save
//! most by it per unit come first; where its supply ends, the next one's saving per unit is its price. It is the dual of
//! the allocation programme on a sliding sample: it has no scale, needs no tuning, and is nought where demand fits.
//! None of this runs on a request's path: requests leave samples, and a ticker prices them.

use std::collections::VecDeque;
use std::time::Duration;

use super::eligible::{Lengths, fits, is_capable, is_reachable};
use super::features::Request;
use super::plan::{Candidate, View};
use super::score::{Forecast, Pool};
use super::trial::{Prospect, Trial};
use crate::ids::EndpointIx;
use crate::units::{Dollars, Share, Timestamp, len_to_f64};

/// A request older than this says nothing about the next.
const MEMORY: Duration = Duration::from_mins(1);
/// A request of this share of the mean length is short enough for a trial.
const SHORT: f64 = 0.6;
/// What an endpoint costs now is told by the requests of so long.
const RECENT: Duration = Duration::from_secs(5);
/// As many requests are enough.
const MOST: usize = 400;
/// Of more requests a second only some are kept, so that the sample still spans ten seconds.
const PER_SECOND: f64 = 40.0;
/// How much of a new price is taken over at once. Slower cost 6 % where allowances mattered.
const SMOOTHING: f64 = 0.4;
/// No span is taken to be shorter, in seconds: a handful of requests says little of a rate.
const LEAST_SPAN: f64 = 1.0;
/// A price below this share of the last is nought: a decaying price would linger for ever.
const NOTHING: f64 = 1e-12;

/// One request, and what it would have cost where.
#[derive(Clone, Debug)]
pub struct Sample {
    at: Timestamp,
    /// As many requests as it stands for.
    stands_for: f64,
    /// Tokens, prompt and expected answer.
    tokens: f64,
    failure_cost: f64,
    bids: Vec<Bid>,
}

/// One endpoint's cost for a sampled request, in dollars.
#[derive(Clone, Copy, Debug)]
struct Bid {
    endpoint: EndpointIx,
    tier: usize,
    /// The score without tolls, at the list price.
    cost: f64,
    /// The list price in it.
    list: f64,
    /// The same as `cost`, were the endpoint as it usually is.
    hopeful: f64,
    /// The same, if it is asked once and then another one.
    trial: f64,
    /// Whether it takes requests at all now.
    is_open: bool,
}

/// The last requests.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    samples: VecDeque<Sample>,
    /// Requests a second, decayed over a few seconds.
    rate: f64,
    rate_at: Timestamp,
    skipped: f64,
}

/// In what a resource is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens.
    Tokens,
}

/// What is scarce about a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// Without it, nothing goes.
    Permission,
    /// Without it, the list price is paid.
    FreeOfCharge,
}

/// Something of which there is only so much, and its price.
#[derive(Clone, Debug)]
pub struct Resource {
    /// What it is counted in.
    pub unit: Unit,
    /// What it is for.
    pub grant: Grant,
    /// Units that may be used a second, as far as can be seen.
    pub per_second: f64,
    /// Which endpoints use it.
    pub members: Vec<EndpointIx>,
    /// Dollars per unit.
    pub price: f64,
}

/// What the scarce quotas that an endpoint uses are worth.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Toll {
    /// Dollars per request.
    pub per_request: f64,
    /// Dollars per token.
    pub per_token: f64,
}

impl Toll {
    /// With one more resource.
    #[must_use]
    pub fn with(self, unit: Unit, price: f64) -> Self {
        match unit {
            Unit::Requests => Self { per_request: self.per_request + price, ..self },
            Unit::Tokens => Self { per_token: self.per_token + price, ..self },
        }
    }

    /// For a request of so many tokens.
    pub(super) fn of(self, tokens: f64) -> Dollars {
        Dollars(self.per_request + self.per_token * tokens)
    }
}

impl Demand {
    /// Counts a request, and says whether it should leave a sample.
    pub fn arrives(&mut self, now: Timestamp) -> bool {
        const WINDOW: f64 = 5.0;
        self.rate = self.rate * (-now.since(self.rate_at).as_secs_f64() / WINDOW).exp() + 1.0 / WINDOW;
        self.rate_at = self.rate_at.max(now);
        self.skipped += 1.0;
        self.skipped * PER_SECOND >= self.rate
    }

    /// Keeps a sample of the request that [`Demand::arrives`] asked for.
    pub fn note(&mut self, mut sample: Sample) {
        sample.stands_for = std::mem::take(&mut self.skipped).max(1.0);
        if self.samples.len() >= MOST {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Prices `resources` by the last requests. Each is priced with the others at their last price.
    pub fn price(&mut self, resources: &mut [Resource], now: Timestamp) {
        while self.samples.front().is_some_and(|sample| now.since(sample.at) > MEMORY) {
            self.samples.pop_front();
        }
        let Some(oldest) = self.samples.front() else { return };
        let span = now.since(oldest.at).as_secs_f64().max(LEAST_SPAN);
        for index in 0..resources.len() {
            let fresh = self.marginal_value(resources, index, span);
            if let Some(resource) = resources.get_mut(index) {
                let price = (1.0 - SMOOTHING) * resource.price + SMOOTHING * fresh;
                resource.price = if price < NOTHING { 0.0 } else { price };
            }
        }
    }

    /// How often to try `endpoint` though it seems worse. `exploration` is the share of what requests cost that trying may
    /// cost extra.
    pub fn trial(
        &self,
        endpoint: EndpointIx,
        resources: &[Resource],
        exploration: Share,
        now: Timestamp,
    ) -> Option<Trial> {
        let span = now.since(self.samples.front()?.at).as_secs_f64().max(LEAST_SPAN);
        let mean = self.samples.iter().map(|sample| sample.tokens).sum::<f64>() / len_to_f64(self.samples.len());
        let mut prospect = Prospect { tokens: SHORT * mean, ..Prospect::default() };
        let (mut spent, mut cost, mut cheap) = (0.0, 0.0, 0.0);
        for sample in &self.samples {
            let own = sample.bids.iter().find(|bid| bid.endpoint == endpoint);
            let best = |tier: usize| {
                let peers = sample.open().filter(|bid| bid.tier == tier && bid.endpoint != endpoint);
                peers.map(|bid| sample.cost(bid, resources, usize::MAX, true)).fold(f64::NAN, f64::min)
            };
            let Some((own, best)) = own.map(|own| (own, best(own.tier))).filter(|(_, best)| !best.is_nan()) else {
                continue;
            };
            let tolls = sample.cost(own, resources, usize::MAX, true) - own.cost;
            prospect.gain += sample.stands_for * (best - own.hopeful - tolls).max(0.0) / span;
            if now.since(sample.at) <= RECENT && sample.tokens <= prospect.tokens {
                cost += (own.trial + tolls - best).max(0.0);
                cheap += 1.0;
            }
            spent += sample.stands_for * best / span;
        }
        if cheap > 0.0 {
            prospect.cost = cost / cheap;
        }
        Trial::of(prospect, exploration.0 * spent)
    }

    /// The saving per unit where the supply ends; nought where it does not.
    fn marginal_value(&self, resources: &[Resource], index: usize, span: f64) -> f64 {
        let Some(resource) = resources.get(index) else { return 0.0 };
        let supply = resource.per_second.max(0.0) * span;
        let need = |sample: &Sample| resource.units(sample) * sample.stands_for;
        let demand: f64 = self.samples.iter().filter(|sample| sample.concerns(resource)).map(need).sum();
        if demand <= supply {
            return 0.0;
        }
        let mut wishes: Vec<(f64, f64)> = self
            .samples
            .iter()
            .filter_map(|sample| Some((sample.saving(resources, index)? / resource.units(sample), need(sample))))
            .filter(|(worth, _)| *worth > 0.0)
            .collect();
        wishes.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
        let mut left = supply;
        for (worth, units) in wishes {
            left -= units;
            if left < 0.0 {
                return worth;
            }
        }
        0.0
    }
}

impl Resource {
    fn units(&self, sample: &Sample) -> f64 {
        match self.unit {
            Unit::Requests => 1.0,
            Unit::Tokens => sample.tokens.max(1.0),
        }
    }

    fn serves(&self, endpoint: EndpointIx) -> bool {
        self.members.contains(&endpoint)
    }

    /// What it asks of a request for which `list` would be paid.
    fn toll(&self, sample: &Sample) -> f64 {
        self.price * self.units(sample)
    }
}

impl Sample {
    /// What `request` would cost at each endpoint that can serve it and may be reached, whatever its quota.
    pub fn of(view: &View<'_>, request: &Request, now: Timestamp) -> Self {
        let pool = Pool::of(view, request.mode);
        let mut tokens = request.prompt.as_f64();
        let mut bids = Vec::with_capacity(view.candidates.len());
        for candidate in view.candidates {
            if !is_capable(candidate, request) || !fits(candidate, request, Lengths::Prompt) {
                continue;
            }
            let forecast = Forecast::of(candidate, view, request, &pool);
            let if_it_were = |health| Forecast::of(&Candidate { health, ..*candidate }, view, request, &pool);
            let (hopeful, once) = (if_it_were(candidate.health.hopeful()), if_it_were(candidate.health.asked_once()));
            tokens = tokens.max(request.prompt.as_f64() + forecast.output);
            bids.push(Bid {
                endpoint: candidate.endpoint,
                tier: candidate.tier,
                cost: forecast.terms.without_scarcity(forecast.list),
                list: forecast.list.0,
                hopeful: hopeful.terms.without_scarcity(hopeful.list),
                trial: once.terms.without_scarcity(once.list),
                is_open: is_reachable(candidate, now),
            });
        }
        Self { at: now, stands_for: 1.0, tokens, failure_cost: view.objective.failure_cost.0, bids }
    }

    fn concerns(&self, resource: &Resource) -> bool {
        self.bids.iter().any(|bid| bid.is_open && resource.serves(bid.endpoint))
    }

    fn open(&self) -> impl Iterator<Item = &Bid> {
        self.bids.iter().filter(|bid| bid.is_open)
    }

    /// What this request saves by having the resource; `None` if it has no use for it.
    fn saving(&self, resources: &[Resource], index: usize) -> Option<f64> {
        let resource = resources.get(index)?;
        let cost = |bid: &Bid, own: bool| self.cost(bid, resources, index, own);
        let members = self.open().filter(|bid| resource.serves(bid.endpoint));
        let best = members.min_by(|a, b| cost(a, true).total_cmp(&cost(b, true)))?;
        let with = cost(best, true);
        let others = self.open().filter(|bid| bid.tier == best.tier);
        let without = match resource.grant {
            Grant::Permission => {
                others.filter(|bid| !resource.serves(bid.endpoint)).map(|bid| cost(bid, true)).fold(f64::NAN, f64::min)
            }
            Grant::FreeOfCharge => others.map(|bid| cost(bid, false)).fold(f64::NAN, f64::min),
        };
        Some(if without.is_nan() { self.failure_cost } else { without - with })
    }

    /// What one endpoint would cost with all tolls but the one of `index`, and, if it is an allowance, with or without it.
    fn cost(&self, bid: &Bid, resources: &[Resource], index: usize, own: bool) -> f64 {
        let (mut tolls, mut list) = (0.0, bid.list);
        for (at, resource) in resources.iter().enumerate().filter(|(_, resource)| resource.serves(bid.endpoint)) {
            match resource.grant {
                Grant::Permission if at == index => {}
                Grant::Permission => tolls += resource.toll(self),
                Grant::FreeOfCharge if at == index && own => list = 0.0,
                Grant::FreeOfCharge if at == index => {}
                Grant::FreeOfCharge if resource.per_second > 0.0 => list = list.min(resource.toll(self)),
                Grant::FreeOfCharge => {}
            }
        }
        bid.cost - bid.list + list + tolls
    }
}
