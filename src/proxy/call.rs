//! A request that was read and admitted: what it asks for, and who may answer it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;

use super::overrides::Overrides;
use super::reply::Refusal;
use crate::dialect::{InjectUsage, Kind, SplicePoints};
use crate::engine::{Capabilities, Mode, Objective, Request};
use crate::ids::{EndpointIx, RouteIx};
use crate::policy::model::ClientHeader;
use crate::state::{Conversation, Snapshot, Warmth};

/// A request that was read and admitted.
pub(super) struct Call {
    /// Which API is called.
    pub kind: Kind,
    /// The client's headers.
    pub headers: HeaderMap,
    /// The client's body.
    pub body: Bytes,
    /// Where the body is changed.
    pub splice: SplicePoints,
    /// Whether the stream's usage has to be asked for.
    pub inject_usage: InjectUsage,
    /// How many answers are asked for.
    pub choices: u64,
    /// What the engine needs to know.
    pub request: Request,
    /// The model that was asked for.
    pub asked: Arc<str>,
    /// What serves it.
    pub route: RouteIx,
    /// By what its conversation is known, if it is one.
    pub conversation: Option<Conversation>,
    /// Where that was served last.
    pub warmth: Warmth,
    /// What the client wishes beyond its body.
    pub overrides: Overrides,
    /// Whether it goes to the canary, on a route that has one.
    pub side: Side,
    /// Whether it speaks of something that only one account has.
    pub is_pinned: bool,
    /// What was changed of it for whom.
    pub told: Mutex<Vec<(EndpointIx, String)>>,
    /// Whether somebody waits for the answer.
    pub purpose: Purpose,
}

/// What a call is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To answer a client.
    #[default]
    Answer,
    /// To be compared with such an answer.
    Comparison,
}

/// Who is asked for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Who serves its name.
    Named,
    /// Who stands in for another model of the route as well.
    AnyStandIn,
}

/// On which side of a canary a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    /// There is none, or it goes to the others.
    #[default]
    Usual,
    /// It goes to the canary.
    Canary,
}

impl Call {
    /// Whether `endpoint` may answer it: it serves the name that was asked for, the client's wishes let it, and its
    /// vectors can be compared with the route's.
    pub(super) fn may_go_to(&self, snapshot: &Snapshot, endpoint: EndpointIx, reach: Reach) -> bool {
        let route = &snapshot.model.routes[self.route];
        let comparable = || match route.embeds_with(&snapshot.model, &self.asked) {
            Some(model) => snapshot.model.endpoints[endpoint].model == model,
            None => true,
        };
        self.is_for(snapshot, endpoint, reach)
            && is_permitted(snapshot, &self.overrides, endpoint)
            && (self.request.mode != Mode::Embedding || comparable())
    }

    /// Whether `endpoint` serves the name that was asked for, or stands in for another one where that is enough.
    pub(super) fn is_for(&self, snapshot: &Snapshot, endpoint: EndpointIx, reach: Reach) -> bool {
        let served_as = &snapshot.model.routes[self.route].served_as;
        // What one account has is not asked of another, and vectors of two models are never mixed.
        let is_anybodys = !self.is_pinned && self.request.mode != Mode::Embedding;
        served_as.admits(endpoint, &self.asked)
            || (reach == Reach::AnyStandIn && is_anybodys && served_as.stands_in(endpoint))
    }

    /// Refuses what only one account can answer where several could be asked: whose it is, only the client knows.
    pub(super) fn check_pin(&self, snapshot: &Snapshot) -> Result<(), Refusal> {
        if !self.is_pinned {
            return Ok(());
        }
        let model = &snapshot.model;
        let candidates = model.routes[self.route].candidates().map(|candidate| candidate.endpoint);
        let possible = candidates.filter(|endpoint| self.may_go_to(snapshot, *endpoint, Reach::Named));
        let keys = possible.map(|one| &model.keys[model.endpoints[one].key]);
        let accounts: BTreeMap<&str, &str> = keys.map(|key| (&*key.account, &*key.id)).collect();
        if accounts.len() < 2 {
            return Ok(());
        }
        let accounts = accounts.into_values().collect::<Vec<_>>().join(", ");
        Err(Refusal::Pinned { accounts, may_name: model.allow_headers.has(ClientHeader::Only) })
    }

    /// Whether `endpoint` is on its side of the route's canary.
    pub(super) fn is_beside(&self, snapshot: &Snapshot, endpoint: EndpointIx) -> bool {
        let canary = snapshot.model.routes[self.route].canary.as_ref();
        canary.is_none_or(|canary| canary.endpoints.contains(&endpoint) == (self.side == Side::Canary))
    }

    /// Whether its stream has to be made of a whole answer at `endpoint`.
    pub(super) fn is_faked(&self, snapshot: &Snapshot, endpoint: EndpointIx) -> bool {
        let tools = self.request.needs.covers(Capabilities::TOOLS);
        let is_stream = self.kind == Kind::Chat && self.request.mode == Mode::Stream;
        is_stream && snapshot.model.endpoints[endpoint].adjustments.of(Mode::Stream).fakes_stream(tools)
    }

    /// In which form `endpoint` is asked for its answer.
    pub(super) fn mode_at(&self, snapshot: &Snapshot, endpoint: EndpointIx) -> Mode {
        if self.is_faked(snapshot, endpoint) { Mode::Plain } else { self.request.mode }
    }

    /// What was changed of it for `endpoint`, if anything.
    pub(super) fn told(&self, endpoint: EndpointIx) -> Option<String> {
        let told = self.told.lock();
        told.iter().rev().find(|(one, _)| *one == endpoint).map(|(_, text)| text.clone())
    }
}

/// Whether the client's wishes let an endpoint answer.
pub(super) fn is_permitted(snapshot: &Snapshot, wishes: &Overrides, endpoint: EndpointIx) -> bool {
    let endpoint = &snapshot.model.endpoints[endpoint];
    wishes.permits(&snapshot.model.upstreams[endpoint.upstream].name, endpoint.id.as_str())
}

/// What a good answer is worth to this client.
pub(super) fn wished(snapshot: &Snapshot, call: &Call) -> Objective {
    let usual = snapshot.model.routes[call.route].objective;
    let Overrides { value_of_second, max_cost, .. } = call.overrides;
    Objective { value_of_second: value_of_second.unwrap_or(usual.value_of_second), max_cost, ..usual }
}
