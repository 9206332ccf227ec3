//! What a decision is made from: the endpoints that may be asked, as of now.

use super::affinity::Warmth;
use super::snapshot::Snapshot;
use super::wish::Override;
use crate::engine::{Candidate, Handicap, LengthClass, Others, Price, Request, View};
use crate::ids::{EndpointIx, RouteIx};
use crate::policy::model::Endpoint;
use crate::units::Timestamp;

impl Snapshot {
    /// The endpoints of `route` that were not tried yet, with their health and quota as of now.
    pub fn candidates(
        &self,
        route: RouteIx,
        request: &Request,
        warmth: &Warmth,
        tried: &[EndpointIx],
        now: Timestamp,
    ) -> Vec<Candidate<'_>> {
        let tiers = &self.model.routes[route].tiers;
        let mut candidates = Vec::with_capacity(tiers.iter().map(Vec::len).sum());
        for (tier, entries) in tiers.iter().enumerate() {
            for entry in entries {
                if tried.contains(&entry.endpoint) || self.seats[entry.endpoint].cell.wish(now).0 != Override::Enabled {
                    continue;
                }
                candidates.push(self.candidate((entry.endpoint, entry.handicap), tier, request, warmth, now));
            }
        }
        candidates
    }

    /// The endpoints that shadow `route`, but for the one that answers.
    pub fn mirrors(
        &self,
        route: RouteIx,
        request: &Request,
        warmth: &Warmth,
        answers: EndpointIx,
        now: Timestamp,
    ) -> Vec<Candidate<'_>> {
        let endpoints = self.model.routes[route].shadow.iter().flat_map(|shadow| &shadow.endpoints);
        endpoints
            .filter(|endpoint| **endpoint != answers)
            .filter(|endpoint| self.seats[**endpoint].cell.wish(now).0 == Override::Enabled)
            .map(|endpoint| self.candidate((*endpoint, Handicap::None), 0, request, warmth, now))
            .collect()
    }

    fn candidate(
        &self,
        (position, handicap): (EndpointIx, Handicap),
        tier: usize,
        request: &Request,
        warmth: &Warmth,
        now: Timestamp,
    ) -> Candidate<'_> {
        let (endpoint, seat) = (&self.model.endpoints[position], &self.seats[position]);
        let (health, toll) = seat.cell.read(now);
        let prompt = seat.model.estimate(&request.content);
        Candidate {
            endpoint: position,
            tier,
            prompt,
            price: endpoint.price.as_deref(),
            handicap,
            context: endpoint.context,
            max_output: endpoint.max_output,
            capabilities: endpoint.capabilities,
            health,
            quota: seat.quotas.read(prompt.tokens(), now),
            toll,
            free: endpoint.allowance.map(|allowance| self.allowances[allowance].cell.read()),
            broke_until: seat.empty_until(now),
            warm: seat.warm(warmth, endpoint.cache, prompt.tokens(), now),
            cache_hit: if endpoint.cache.is_some() { seat.cell.cache_hit() } else { 0.0 },
        }
    }

    /// When it is worth looking again, if nothing can be asked of an endpoint for want of money.
    pub fn broke_until(&self, endpoint: EndpointIx, now: Timestamp) -> Option<Timestamp> {
        let Endpoint { price, allowance, .. } = &self.model.endpoints[endpoint];
        let costs_nothing = price.as_deref().is_some_and(|price| *price == Price::default());
        let is_given = allowance.is_some_and(|allowance| self.allowances[allowance].cell.ratio() > 0.0);
        self.seats[endpoint].empty_until(now).filter(|_| !costs_nothing && !is_given)
    }

    /// What the engine decides on.
    pub fn view<'a>(
        &'a self,
        route: RouteIx,
        request: &Request,
        candidates: &'a [Candidate<'a>],
        now: Timestamp,
    ) -> View<'a> {
        let policy = &self.model.routes[route];
        View {
            objective: &policy.objective,
            route: self.routes[route].read(LengthClass::of(request), now),
            candidates,
            answer_timeout: policy.timeouts.answer(request.mode),
            others: Others::None,
        }
    }
}
