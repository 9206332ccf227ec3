//! Prices what is scarce, beside the requests: they leave samples, and a ticker reads tolls and trials off them.
//!
//! A toll is kept with its endpoint and outlives a reload, as the quota does that it stands for; samples speak of
//! positions in one snapshot and end with it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::snapshot::Snapshot;
use crate::engine::{Demand, Grant, Request, Resource, Sample, Sampler, Tick, Toll, Unit, View};
use crate::ids::{EndpointIx, IdVec};
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
    /// The snapshot that the samples speak of.
    of: Option<Arc<Snapshot>>,
    supplies: Vec<Supply>,
    resources: Vec<Resource>,
    /// The last prices, for the next snapshot.
    prices: HashMap<(String, usize), f64>,
}

/// Where a resource's supply is read.
#[derive(Clone, Debug)]
struct Supply {
    /// Whose it is: a key's, or an endpoint's.
    owner: String,
    member: EndpointIx,
    /// Whether it is its key's.
    scope: Scope,
    /// Which of the ledger's limits.
    limit: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Key,
    Endpoint,
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
        if !self.of.as_ref().is_some_and(|of| Arc::ptr_eq(of, snapshot)) {
            self.move_to(snapshot);
        }
        for sample in snapshot.inlet.drain() {
            self.demand.note(sample);
        }
        for (resource, supply) in self.resources.iter_mut().zip(&self.supplies) {
            resource.per_second = supply.per_second(snapshot, now);
        }
        let (prices, trials) = match Tick::of(&mut self.demand, &self.resources, now) {
            Some(tick) => (
                tick.prices(),
                snapshot.seats.iter().map(|(endpoint, _)| tick.trial(endpoint)).collect::<IdVec<_, _>>(),
            ),
            // Nobody has asked for anything for a minute.
            None => (vec![0.0; self.resources.len()], snapshot.seats.map(|_| None)),
        };
        for (resource, price) in self.resources.iter_mut().zip(prices) {
            resource.price = price;
        }
        for (endpoint, seat) in snapshot.seats.iter() {
            seat.cell.price(self.toll(endpoint), trials[endpoint]);
        }
    }

    fn toll(&self, endpoint: EndpointIx) -> Toll {
        let used = self.resources.iter().filter(|resource| resource.members.contains(&endpoint));
        used.fold(Toll::default(), |toll, resource| toll.with(resource.unit, resource.price))
    }

    fn move_to(&mut self, snapshot: &Arc<Snapshot>) {
        for (supply, resource) in self.supplies.iter().zip(&self.resources) {
            self.prices.insert((supply.owner.clone(), supply.limit), resource.price);
        }
        let mut found: Vec<(Supply, Resource)> = Vec::new();
        for (endpoint, seat) in snapshot.seats.iter() {
            let limits = seat
                .key
                .supplies(Timestamp::START)
                .into_iter()
                .enumerate()
                .map(|(limit, one)| (Scope::Key, limit, one));
            let own = seat
                .cell
                .supplies(Timestamp::START)
                .into_iter()
                .enumerate()
                .map(|(limit, one)| (Scope::Endpoint, limit, one));
            for (scope, limit, (unit, _)) in
                limits.chain(own).filter_map(|(scope, limit, one)| Some((scope, limit, one?)))
            {
                let owner = match scope {
                    Scope::Key => format!("key {}", snapshot.model.keys[snapshot.model.endpoints[endpoint].key].id),
                    Scope::Endpoint => format!("endpoint {}", seat.cell.id),
                };
                self.add(&mut found, Supply { owner, member: endpoint, scope, limit }, unit);
            }
        }
        (self.supplies, self.resources) = found.into_iter().unzip();
        self.demand = Demand::default();
        self.of = Some(Arc::clone(snapshot));
    }

    fn add(&self, found: &mut Vec<(Supply, Resource)>, supply: Supply, unit: Unit) {
        let same = |known: &Supply| known.owner == supply.owner && known.limit == supply.limit;
        if let Some((_, resource)) = found.iter_mut().find(|(known, _)| same(known)) {
            resource.members.push(supply.member);
            return;
        }
        let price = self.prices.get(&(supply.owner.clone(), supply.limit)).copied().unwrap_or(0.0);
        let members = vec![supply.member];
        found.push((supply, Resource { unit, grant: Grant::Permission, per_second: 0.0, members, price }));
    }
}

impl Supply {
    fn per_second(&self, snapshot: &Snapshot, now: Timestamp) -> f64 {
        let seat = &snapshot.seats[self.member];
        let supplies = match self.scope {
            Scope::Key => seat.key.supplies(now),
            Scope::Endpoint => seat.cell.supplies(now),
        };
        supplies.get(self.limit).copied().flatten().map_or(0.0, |(_, per_second)| per_second)
    }
}
