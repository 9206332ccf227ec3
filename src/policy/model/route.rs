//! What serves a set of names: tiers of endpoints, what a good answer is worth, and who else is asked.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::Model;
use crate::dialect::Adjustments;
use crate::engine::{Handicap, HedgePolicy, Mode, Objective, RetryPolicy};
use crate::ids::EndpointIx;
use crate::policy::dated::undated;
use crate::units::{PicoUsd, Share};

/// The name that all implied routes share. A route of the policy may not take it.
pub const UNLISTED: &str = "unlisted";

/// How a set of model names is served.
#[derive(Debug)]
pub struct Route {
    /// Its name: for metrics, headers and people. Implied routes are all called `unlisted`.
    pub name: Arc<str>,
    /// The endpoints that may serve it, best tier first. Static exclusions are already gone.
    pub tiers: Vec<Vec<Candidate>>,
    /// What the file names but the policy excludes, with the reason, for `check --resolve` and the admin views.
    pub excluded: Vec<Excluded>,
    /// What a good answer is worth.
    pub objective: Objective,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// How often to try again.
    pub retry: RetryPolicy,
    /// By what it knows conversations.
    pub affinity: Affinity,
    /// Whether a second try may go out beside one that is slow.
    pub hedge: Option<HedgePolicy>,
    /// Who gets a share of the conversations, whatever the score.
    pub canary: Option<Canary>,
    /// Who is sent a share of the conversations as well, to be compared.
    pub shadow: Option<Shadow>,
    /// Which names its endpoints serve, where not all.
    pub served_as: ServedAs,
    /// Whether embeddings of different models may be mixed.
    pub equivalent: Equivalence,
    /// What is changed of its requests, whoever serves them.
    pub params: Adjustments,
    /// Whether what one provider will not answer may be asked of another.
    pub asks_others_if_filtered: bool,
    /// The names and globs it serves, as written.
    pub models: Vec<String>,
}

/// One model that is sent a share of a route's conversations beside whoever answers them. Its answers are discarded.
#[derive(Clone, Debug, PartialEq)]
pub struct Shadow {
    /// Its endpoints: one per key. The same model at the same upstream.
    pub endpoints: Vec<EndpointIx>,
    /// Between 0 and 1.
    pub share: Share,
    /// What all of it may cost from one midnight UTC to the next.
    pub max_cost: PicoUsd,
}

/// Endpoints that get a share of a route's conversations, and nothing of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct Canary {
    /// Which.
    pub endpoints: Vec<EndpointIx>,
    /// Between 0 and 1.
    pub share: Share,
}

/// Whether vectors of different models may be compared: they may not, unless whoever runs them says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Equivalence {
    /// They may.
    Said,
    /// Nobody says so.
    #[default]
    Unknown,
}

impl Route {
    /// All who may serve it.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.tiers.iter().flatten()
    }

    /// Whether its conversations are on one side or the other of a lot.
    pub const fn draws_lots(&self) -> bool {
        self.canary.is_some() || self.shadow.is_some()
    }

    /// The only model whose embeddings this route gives to those who ask for `asked`, unless they are all equivalent:
    /// that of the first in its cluster.
    pub fn embeds_with(&self, model: &Model, asked: &str) -> Option<Arc<str>> {
        let mut candidates = self.candidates().map(|candidate| candidate.endpoint);
        let first = candidates.find(|endpoint| self.served_as.admits(*endpoint, asked))?;
        (self.equivalent == Equivalence::Unknown).then(|| Arc::clone(&model.endpoints[first].model))
    }

    /// Whether any of its endpoints serves those who ask for `asked`. One that has none at all is another matter.
    pub fn knows(&self, asked: &str) -> bool {
        self.tiers.is_empty() || self.candidates().any(|candidate| self.served_as.admits(candidate.endpoint, asked))
    }
}

/// Which names each endpoint of a route serves, where it does not serve all of them: those that came by `upstream/*`
/// their own, those that came by `@*` the names of the models that they stand in for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServedAs(HashMap<EndpointIx, Served>);

/// The names under which an endpoint serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Its own.
    pub own: Option<Arc<str>>,
    /// Those of models that it stands in for.
    pub stands_for: BTreeSet<Arc<str>>,
}

impl Served {
    /// These names and those.
    #[must_use]
    pub fn and(mut self, more: Self) -> Self {
        self.stands_for.extend(more.stands_for);
        Self { own: self.own.or(more.own), ..self }
    }

    /// All of them.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.own.iter().chain(&self.stands_for)
    }
}

impl ServedAs {
    /// An endpoint serves under these names as well.
    pub fn add(&mut self, endpoint: EndpointIx, served: Served) {
        let known = self.0.remove(&endpoint).unwrap_or_default();
        self.0.insert(endpoint, known.and(served));
    }

    /// Whether each endpoint serves all names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that an endpoint serves under; `None` for all.
    pub fn of(&self, endpoint: EndpointIx) -> Option<&Served> {
        self.0.get(&endpoint)
    }

    /// Whether `endpoint` serves those who ask for `asked`, as it stands or without a date at its end.
    pub fn admits(&self, endpoint: EndpointIx, asked: &str) -> bool {
        let Some(served) = self.0.get(&endpoint) else { return true };
        if served.names().any(|name| **name == *asked) {
            return true;
        }
        let Some(stem) = undated(asked) else { return false };
        served.stands_for.contains(stem) || (served.own.as_deref() == Some(stem) && !self.is_somebodys_own(asked))
    }

    /// Whether `endpoint` came as a stand-in for some models: where those for one cannot answer, those for others may.
    pub fn stands_in(&self, endpoint: EndpointIx) -> bool {
        self.0.get(&endpoint).is_some_and(|served| !served.stands_for.is_empty())
    }

    fn is_somebodys_own(&self, asked: &str) -> bool {
        self.0.values().any(|served| served.own.as_deref() == Some(asked))
    }
}

/// By what a route knows requests of one conversation, which are cheaper where their beginning is cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// By the beginning of the prompt.
    #[default]
    PromptPrefix,
    /// By the `user` that the client names.
    User,
    /// By the value of this header, in lower case.
    Header(Arc<str>),
    /// Not at all.
    None,
}

/// An endpoint as a route sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Which endpoint.
    pub endpoint: EndpointIx,
    /// Ranks it behind its true cost.
    pub handicap: Handicap,
}

/// An endpoint that a route names but may not use.
#[derive(Clone, Debug)]
pub struct Excluded {
    /// Which endpoint.
    pub endpoint: EndpointIx,
    /// Why, in words an operator understands: "region unknown; the policy requires cn".
    pub reason: String,
}

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection, TLS included.
    pub connect: Duration,
    /// For a stream's first token.
    pub first_token: Duration,
    /// Between tokens of a stream.
    pub idle: Duration,
    /// For the whole request, all attempts included.
    pub total: Duration,
}

impl Timeouts {
    /// The longest wait for an answer that begins (a stream) or is whole (anything else).
    pub const fn answer(&self, mode: Mode) -> Duration {
        match mode {
            Mode::Stream => self.first_token,
            Mode::Plain | Mode::Embedding => self.total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Position as _;

    fn own(name: &str) -> Served {
        Served { own: Some(name.into()), ..Served::default() }
    }

    #[test]
    fn a_name_is_served_by_who_has_it_or_stands_in_for_it() {
        let [gpt, dated, other, any] = [0, 1, 2, 3].map(EndpointIx::at);
        let mut served = ServedAs::default();
        served.add(gpt, own("gpt-4o"));
        served.add(other, Served { stands_for: ["gpt-4o".into(), "gpt-4.1".into()].into(), ..Served::default() });
        let who = |served: &ServedAs, asked: &str| {
            [gpt, dated, other, any].into_iter().filter(|one| served.admits(*one, asked)).collect::<Vec<_>>()
        };
        assert_eq!(who(&served, "gpt-4o"), [gpt, dated, other, any], "who came by no `*` serves all");
        served.add(dated, own("gpt-4o-2024-11-20"));
        assert_eq!(who(&served, "gpt-4o"), [gpt, other, any]);
        assert_eq!(who(&served, "gpt-4o-2024-11-20"), [dated, other, any], "its own model is not passed over");
        assert_eq!(who(&served, "gpt-4o-2024-08-06"), [gpt, other, any]);
        assert_eq!(who(&served, "gpt-4.1"), [other, any]);
        assert_eq!(who(&served, "gpt-4o-mini"), [any]);
    }
}
