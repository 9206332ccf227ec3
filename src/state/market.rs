//! Prices what is scarce, beside the requests: they leave samples, and a ticker reads tolls and trials off them.
//!
//! A toll is kept with its endpoint and outlives a reload, as the quota does that it stands for; samples speak of
//! positions in one snapshot and end with it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::quotas::QuotaCell;
use super::snapshot::Snapshot;
use crate::engine::{Demand, Grant, Request, Resource, Sample, Sampler, Tick, Toll, Unit, View};
use crate::ids::{AllowanceIx, EndpointIx, IdVec};
use crate::units::Timestamp;

/// As many samples wait for the ticker at most. It comes four times a second, and no more than forty a second are taken.
const MOST_WAITING: usize = 400;

/// Where requests leave their samples.
#[derive(Debug, Default)]
pub struct Inlet(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    sampler: Sampler,
    samples: Vec<Sample>,
}

/// What the ticker remembers from one tick to the next.
#[derive(Debug, Default)]
pub struct Market {
    demand: Demand,
    /// Where the samples come from; another one speaks of other positions.
    of: Option<Arc<Inlet>>,
    sources: Vec<Source>,
    resources: Vec<Resource>,
    ticked: Timestamp,
    /// The last prices, for the next snapshot.
    prices: HashMap<(Arc<str>, usize), f64>,
}

/// Where a resource's supply is read.
#[derive(Clone, Debug)]
enum Source {
    /// One of a quota's limits.
    Quota(Arc<QuotaCell>, usize),
    /// An allowance.
    Allowance(AllowanceIx),
}

impl Inlet {
    /// Counts a request, and takes a sample of it if one is due.
    pub fn arrives(&self, view: &View<'_>, request: &Request, now: Timestamp) {
        let due = self.0.lock().sampler.arrives(now);
        if let Some(stands_for) = due {
            let sample = Sample::of(view, request, stands_for, now);
            let mut waiting = self.0.lock();
            if waiting.samples.len() < MOST_WAITING {
                waiting.samples.push(sample);
            }
        }
    }

    fn drain(&self) -> Vec<Sample> {
        std::mem::take(&mut self.0.lock().samples)
    }
}

impl Market {
    /// Prices what is scarce in `snapshot`, and says which endpoints are worth a trial.
    pub fn tick(&mut self, snapshot: &Arc<Snapshot>, now: Timestamp) {
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, &snapshot.inlet)) {
            self.move_to(snapshot);
        }
        for sample in snapshot.inlet.drain() {
            self.demand.note(sample);
        }
        let elapsed = now.since(self.ticked).as_secs_f64().max(1e-3);
        self.ticked = now;
        for (resource, source) in self.resources.iter_mut().zip(&self.sources) {
            match source {
                Source::Quota(quota, limit) => {
                    if let Some(supply) = quota.supplies(now).get(*limit) {
                        resource.supply(*supply, elapsed);
                    }
                }
                Source::Allowance(allowance) => {
                    let seat = &snapshot.allowances[*allowance];
                    resource.supply(seat.cell.supply(seat.ends, now), elapsed);
                }
            }
        }
        let (prices, trials) = match Tick::of(&mut self.demand, &self.resources, now) {
            Some(tick) => (
                tick.prices(),
                snapshot.seats.iter().map(|(endpoint, _)| tick.trial(endpoint)).collect::<IdVec<_, _>>(),
            ),
            // Nobody has asked for anything for a minute.
            None => (vec![0.0; self.resources.len()], snapshot.seats.map(|_| None)),
        };
        for ((resource, source), price) in self.resources.iter_mut().zip(&self.sources).zip(prices) {
            resource.reprice(price);
            if let Source::Allowance(allowance) = source {
                snapshot.allowances[*allowance].cell.price(price);
            }
        }
        for (endpoint, seat) in snapshot.seats.iter() {
            seat.cell.price(self.toll(endpoint), trials[endpoint]);
        }
    }

    fn toll(&self, endpoint: EndpointIx) -> Toll {
        let quotas = self.resources.iter().filter(|resource| resource.grant() == Grant::Permission);
        let used = quotas.filter(|resource| resource.members().contains(&endpoint));
        used.fold(Toll::default(), |toll, resource| toll.with(resource.unit(), resource.price()))
    }

    fn move_to(&mut self, snapshot: &Arc<Snapshot>) {
        for (source, resource) in self.sources.iter().zip(&self.resources) {
            if let Source::Quota(quota, limit) = source {
                self.prices.insert((Arc::clone(&quota.id), *limit), resource.price());
            }
        }
        let mut found: Vec<(Source, Resource)> = Vec::new();
        for (endpoint, seat) in snapshot.seats.iter() {
            for quota in [&seat.quotas.account, &seat.quotas.model] {
                for (limit, supply) in quota.supplies(Timestamp::START).into_iter().enumerate() {
                    self.add(&mut found, endpoint, (quota, limit), supply.unit);
                }
            }
        }
        for (allowance, one) in snapshot.model.allowances.iter() {
            let mut resource = Resource::new(one.unit, Grant::FreeOfCharge, 0.0);
            let members = snapshot.model.endpoints.iter().filter(|(_, endpoint)| endpoint.allowance == Some(allowance));
            members.for_each(|(endpoint, _)| resource.join(endpoint));
            found.push((Source::Allowance(allowance), resource));
        }
        (self.sources, self.resources) = found.into_iter().unzip();
        self.demand = Demand::default();
        self.of = Some(Arc::clone(&snapshot.inlet));
    }

    fn add(
        &self,
        found: &mut Vec<(Source, Resource)>,
        endpoint: EndpointIx,
        (quota, limit): (&Arc<QuotaCell>, usize),
        unit: Unit,
    ) {
        let same = |known: &Source| match known {
            Source::Quota(cell, number) => Arc::ptr_eq(cell, quota) && *number == limit,
            Source::Allowance(_) => false,
        };
        if let Some((_, resource)) = found.iter_mut().find(|(known, _)| same(known)) {
            return resource.join(endpoint);
        }
        let price = self.prices.get(&(Arc::clone(&quota.id), limit)).copied().unwrap_or(0.0);
        let mut resource = Resource::new(unit, Grant::Permission, price);
        resource.join(endpoint);
        found.push((Source::Quota(Arc::clone(quota), limit), resource));
    }
}
