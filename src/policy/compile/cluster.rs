//! Clusters: from the names of endpoints to tiers of them, with what the policy excludes set aside.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use crate::catalog;
use crate::ids::{EndpointIx, UpstreamIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{Candidate, Endpoint, Excluded, Served, ServedAs, Upstream};
use crate::policy::nearest::nearest;
use crate::policy::raw::provider::Provider;
use crate::policy::raw::routes::Entry;
use crate::policy::source::Place;

use super::Context;
use super::endpoints::Tables;
use super::rules::{Rules, Verdict};

/// In place of a model's name: the one that is asked for.
const EVERY: &str = "*";

/// A cluster in the making.
#[derive(Default)]
pub(super) struct Cluster {
    tiers: Vec<Vec<Candidate>>,
    last_resort: Vec<Candidate>,
    pub(super) excluded: Vec<Excluded>,
    served_as: ServedAs,
}

/// What an entry of a cluster names.
pub(super) struct Found {
    pub(super) endpoint: EndpointIx,
    /// The names that it serves, where not all.
    pub(super) served: Option<Served>,
}

impl From<EndpointIx> for Found {
    fn from(endpoint: EndpointIx) -> Self {
        Self { endpoint, served: None }
    }
}

impl Cluster {
    /// Begins the next tier.
    pub(super) fn next_tier(&mut self) {
        self.tiers.push(Vec::new());
    }

    /// Whether an endpoint has a place here, or is excluded.
    pub(super) fn has(&self, endpoint: EndpointIx) -> bool {
        let active = self.tiers.iter().flatten().chain(&self.last_resort).map(|one| one.endpoint);
        active.chain(self.excluded.iter().map(|one| one.endpoint)).any(|known| known == endpoint)
    }

    /// Whether an endpoint may serve.
    pub(super) fn serves(&self, endpoint: EndpointIx) -> bool {
        self.tiers.iter().flatten().chain(&self.last_resort).any(|one| one.endpoint == endpoint)
    }

    /// Whether nobody but these may serve, and one of them may.
    pub(super) fn is_only(&self, endpoints: &[EndpointIx]) -> bool {
        let mut active = self.tiers.iter().flatten().chain(&self.last_resort);
        !self.is_empty() && active.all(|one| endpoints.contains(&one.endpoint))
    }

    /// Whether nobody may serve.
    pub(super) fn is_empty(&self) -> bool {
        self.last_resort.is_empty() && self.tiers.iter().all(Vec::is_empty)
    }

    /// Puts an endpoint where the rules want it, unless it has a place already. Its first place counts, and with it the
    /// names that it serves there.
    pub(super) fn add(&mut self, candidate: Candidate, served: Option<Served>, rules: &Rules, tables: &Tables) {
        if self.has(candidate.endpoint) {
            return;
        }
        if let Some(served) = served {
            self.served_as.add(candidate.endpoint, served);
        }
        let endpoint = &tables.endpoints[candidate.endpoint];
        match rules.judge(endpoint, &tables.upstreams[endpoint.upstream]) {
            Verdict::Allowed => {
                if let Some(tier) = self.tiers.last_mut() {
                    tier.push(candidate);
                }
            }
            Verdict::LastResort => self.last_resort.push(candidate),
            Verdict::Excluded(reason) => self.excluded.push(Excluded { endpoint: candidate.endpoint, reason }),
        }
    }

    /// Puts an endpoint into the first tier, unless it has a place already.
    pub(super) fn lead(&mut self, candidate: Candidate, served: Option<Served>, rules: &Rules, tables: &Tables) {
        if self.has(candidate.endpoint) {
            return;
        }
        let rest = if self.tiers.is_empty() { Vec::new() } else { self.tiers.split_off(1) };
        self.add(candidate, served, rules, tables);
        self.tiers.extend(rest);
    }

    /// The tiers that have somebody in them, the last resort at the end; the excluded; and the names that they serve.
    pub(super) fn finish(self) -> (Vec<Vec<Candidate>>, Vec<Excluded>, ServedAs) {
        let tiers = self.tiers.into_iter().chain([self.last_resort]).filter(|tier| !tier.is_empty()).collect();
        (tiers, self.excluded, self.served_as)
    }
}

/// Resolves the names in clusters.
pub(super) struct Resolver<'a> {
    tables: &'a Tables,
    context: &'a Context<'a>,
    /// Providers without an account that have been mentioned already.
    skipped: RefCell<HashSet<String>>,
}

/// `upstream/model#key`, taken apart.
#[derive(Clone, Copy)]
struct Named<'e> {
    upstream: &'e str,
    model: &'e str,
    key: Option<&'e str>,
    place: &'e Place,
}

impl<'e> Named<'e> {
    fn new(entry: &'e Entry) -> Self {
        let text = entry.endpoint.value.as_str();
        let (upstream, rest) = text.split_once('/').unwrap_or((text, ""));
        let (model, key) = rest.split_once('#').map_or((rest, None), |(model, key)| (model, Some(key)));
        Self { upstream, model, key, place: &entry.endpoint.place }
    }
}

impl<'a> Resolver<'a> {
    pub(super) fn new(tables: &'a Tables, context: &'a Context<'a>) -> Self {
        Self { tables, context, skipped: RefCell::default() }
    }

    fn report(&self, diagnostic: Diagnostic) {
        self.context.report.push(diagnostic);
    }

    /// The endpoints that an entry names; none for a provider that is not configured, or a name that is wrong.
    pub(super) fn endpoints(&self, entry: &Entry) -> Vec<Found> {
        match entry.endpoint.value.strip_prefix('@') {
            Some(EVERY) => self.all_stand_ins(&entry.endpoint.place),
            Some(model) => self.stand_ins(model, &entry.endpoint.place),
            None => self.of_upstream(entry),
        }
    }

    fn of_upstream(&self, entry: &Entry) -> Vec<Found> {
        let named = Named::new(entry);
        if self.tables.broken.contains(named.upstream) {
            return Vec::new();
        }
        let upstreams = self.upstreams(named);
        let Some(upstream) = upstreams.first().copied() else {
            match self.context.providers.find(named.upstream) {
                Some(provider) => self.not_configured(named, &provider),
                None => self.unknown_upstream(named),
            }
            return Vec::new();
        };
        if let Some(reason) = self.tables.absent.get(&format!("{}/{}", named.upstream, named.model)) {
            let message = format!("`{}/{}` is skipped: {reason}", named.upstream, named.model);
            self.report(Diagnostic::note(named.place, message));
            return Vec::new();
        }
        let is_meant = |endpoint: &Endpoint| named.model == EVERY || &*endpoint.model == named.model;
        let of_model = upstreams.iter().flat_map(|upstream| self.tables.of(*upstream));
        let of_model = of_model.filter(|(_, endpoint)| is_meant(endpoint)).map(|(ix, _)| ix).collect::<Vec<_>>();
        if of_model.is_empty() && named.model != EVERY {
            self.unknown_model(named, upstream);
        }
        let found = match named.key {
            Some(key) if !of_model.is_empty() => self.with_key(named, key, &of_model),
            Some(_) | None => of_model,
        };
        let own = |endpoint: EndpointIx| {
            let own = Some(Arc::clone(&self.tables.endpoints[endpoint].model));
            (named.model == EVERY).then(|| Served { own, ..Served::default() })
        };
        found.into_iter().map(|endpoint| Found { endpoint, served: own(endpoint) }).collect()
    }

    /// The upstream of that name. `openai/*` is whatever is asked for at OpenAI: where none is called so, its accounts.
    fn upstreams(&self, named: Named<'_>) -> Vec<UpstreamIx> {
        let called_so = self.tables.upstream(named.upstream);
        let is_account = |one: &Upstream| named.model == EVERY && one.provider.as_deref() == Some(named.upstream);
        let accounts = self.tables.upstreams.iter().filter(|(_, one)| called_so.is_none() && is_account(one));
        called_so.into_iter().chain(accounts.map(|(upstream, _)| upstream)).collect()
    }

    /// Every configured endpoint that stands in for any model, each for the names of those.
    fn all_stand_ins(&self, place: &Place) -> Vec<Found> {
        let table = self.context.providers.stand_ins();
        let mut found: Vec<Found> = Vec::new();
        for row in table {
            let stands_for: BTreeSet<Arc<str>> = row.of.iter().map(|name| name.as_str().into()).collect();
            for endpoint in row.models.iter().flat_map(|listed| self.listed(listed)) {
                let served = Served { own: None, stands_for: stands_for.clone() };
                match found.iter_mut().find(|one| one.endpoint == endpoint) {
                    Some(known) => known.served = known.served.take().map(|known| known.and(served)),
                    None => found.push(Found { endpoint, served: Some(served) }),
                }
            }
        }
        if found.is_empty() && self.tables.broken.is_empty() {
            let message = "no provider is configured that has a stand-in for any model";
            self.report(Diagnostic::note(place, message).hint("`faregate check --resolve` shows what is configured"));
        }
        found
    }

    /// Every configured endpoint that stands in for `model`. Providers without an account are left out without a word:
    /// the name stands for all of them.
    fn stand_ins(&self, model: &str, place: &Place) -> Vec<Found> {
        let table = self.context.providers.stand_ins();
        let Some(row) = table.iter().find(|row| row.of.iter().any(|name| name == model)) else {
            let known = || table.iter().flat_map(|row| &row.of).map(String::as_str);
            let hint = nearest(model, known()).map_or_else(
                || format!("it has some for {}", known().collect::<Vec<_>>().join(", ")),
                |near| format!("did you mean `@{near}`?"),
            );
            self.report(Diagnostic::error(place, format!("the catalogue has no stand-ins for `{model}`")).hint(hint));
            return Vec::new();
        };
        let found: Vec<_> = row.models.iter().flat_map(|listed| self.listed(listed)).map(Found::from).collect();
        if found.is_empty() && self.tables.broken.is_empty() {
            let message = format!("no provider is configured that has a stand-in for `{model}`");
            self.report(Diagnostic::note(place, message).hint(format!("there are: {}", row.models.join(", "))));
        }
        found
    }

    /// The endpoints of a model that the catalogue calls `provider/model`, at whatever upstream.
    fn listed(&self, listed: &str) -> Vec<EndpointIx> {
        let (provider, name) = listed.split_once('/').unwrap_or((listed, ""));
        let serves = |one: &Endpoint| {
            self.tables.upstreams[one.upstream].provider.as_deref() == Some(provider) && &*one.model == name
        };
        self.tables.endpoints.iter().filter(|(_, one)| serves(one)).map(|(at, _)| at).collect()
    }

    fn with_key(&self, named: Named<'_>, key: &str, of_model: &[EndpointIx]) -> Vec<EndpointIx> {
        let name_of = |endpoint: &EndpointIx| self.tables.keys[self.tables.endpoints[*endpoint].key].name.as_deref();
        let found = of_model.iter().copied().filter(|ix| name_of(ix) == Some(key)).collect::<Vec<_>>();
        if found.is_empty() {
            let known = of_model.iter().filter_map(name_of).collect::<Vec<_>>().join(", ");
            let hint = if known.is_empty() { "it has none".to_owned() } else { format!("it has: {known}") };
            let message = format!("`{}/{}` has no key called `{key}`", named.upstream, named.model);
            self.report(Diagnostic::error(named.place, message).hint(hint));
        }
        found
    }

    fn unknown_model(&self, Named { upstream: name, model, place, .. }: Named<'_>, upstream: UpstreamIx) {
        let near = nearest(model, self.tables.of(upstream).map(|(_, endpoint)| &*endpoint.model));
        let hint = near.map_or_else(
            || format!("declare it: [upstreams.{name}.models.\"{model}\"]"),
            |near| format!("did you mean `{name}/{near}`?"),
        );
        self.report(Diagnostic::error(place, format!("the upstream `{name}` has no model `{model}`")).hint(hint));
    }

    /// A provider of the catalogue without an account: a note, once. A model that it does not list: a warning, since an
    /// upstream of that name may declare it elsewhere.
    fn not_configured(&self, Named { upstream: name, model, place, .. }: Named<'_>, provider: &Provider) {
        let mut listed = provider.hosts.iter().flat_map(|host| &host.models).map(|one| one.name.value.as_str());
        if model != EVERY && !listed.clone().any(|one| one == model) {
            let message = format!("`{name}` is not configured, and the catalogue does not list its model `{model}`");
            let near = nearest(model, &mut listed).map(|near| format!("did you mean `{name}/{near}`?"));
            self.report(Diagnostic::warning(place, message).hint(near.unwrap_or_else(|| "it is skipped".to_owned())));
        } else if self.skipped.borrow_mut().insert(name.to_owned()) {
            let message = format!("`{name}` is not configured; its endpoints are skipped");
            let mut upstreams = self.tables.upstreams.values();
            self.report(match upstreams.find(|upstream| upstream.provider.as_deref() == Some(name)) {
                None => {
                    let hint = format!("to use it, add [upstreams.{name}] with provider = \"{name}\" and keys");
                    Diagnostic::note(place, message).hint(hint)
                }
                Some(account) => {
                    let hint = format!(
                        "the upstream `{0}` is an account of this provider: write `{0}/…` here, or call it `{name}`",
                        account.name
                    );
                    Diagnostic::warning(place, message).hint(hint)
                }
            });
        }
    }

    fn unknown_upstream(&self, Named { upstream: name, place, .. }: Named<'_>) {
        let message = format!("there is no upstream and no provider called `{name}`");
        let upstreams = self.tables.upstreams.values().map(|upstream| &*upstream.name);
        let near = nearest(name, upstreams.chain(catalog::PROVIDERS.iter().map(|entry| entry.name)));
        let hint = near.map_or_else(
            || format!("add [upstreams.{name}] to the configuration"),
            |near| format!("did you mean `{near}`?"),
        );
        self.report(Diagnostic::error(place, message).hint(hint));
    }
}
