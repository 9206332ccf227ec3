//! Named routes: cluster entries to endpoints, tier by tier, with what the policy excludes set aside.

use std::collections::HashSet;
use std::time::Duration;

use crate::catalog;
use crate::engine::{Handicap, Objective, RetryPolicy};
use crate::ids::{EndpointIx, IdVec, RouteIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{Candidate, Excluded, Route, Timeouts};
use crate::policy::nearest::nearest;
use crate::policy::raw::policy::{Objective as RawObjective, Policy, Retry as RawRetry, Timeouts as RawTimeouts};
use crate::policy::raw::provider::Provider;
use crate::policy::raw::routes::{Entry, Handicap as RawHandicap, Route as RawRoute};
use crate::units::{Dollars, Share};

use super::Context;
use super::endpoints::Tables;
use super::exchange::Exchange;
use super::rules::{Rules, Verdict};

/// The name that all implied routes share. A route of the policy may not take it.
pub(super) const UNLISTED: &str = "unlisted";

/// What holds for every route, and for every model named directly.
pub(super) struct Base {
    pub(super) objective: Objective,
    pub(super) timeouts: Timeouts,
    pub(super) retry: RetryPolicy,
    pub(super) rules: Rules,
}

impl Base {
    /// `[objective]` and `[defaults]` over what is usual.
    pub(super) fn new(policy: &Policy, exchange: &Exchange, context: &Context<'_>) -> Self {
        let usual = Objective {
            value_of_second: Dollars(0.0002),
            target_first_token: Duration::from_secs(2),
            target_answer: None,
            late_cost: Dollars(0.001),
            failure_cost: Dollars(0.01),
            spread: Share(0.01),
            exploration: Share(0.01),
        };
        let timeouts = Timeouts {
            connect: Duration::from_secs(1),
            first_token: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            total: Duration::from_mins(5),
        };
        let retry = RetryPolicy { attempts: 3, budget: Share(0.2), floor_per_second: 1.0 };
        Self {
            objective: objective(&usual, &policy.objective, exchange, context),
            timeouts: over_timeouts(&timeouts, &policy.defaults.timeouts),
            retry: over_retry(&retry, &policy.defaults.retry),
            rules: Rules::new(&policy.defaults, exchange, context),
        }
    }
}

/// Compiles the routes that the policy names.
pub(super) fn compile(
    policy: &Policy,
    base: &Base,
    tables: &Tables,
    exchange: &Exchange,
    context: &Context<'_>,
) -> IdVec<RouteIx, Route> {
    let mut names = HashSet::new();
    let mut skipped = HashSet::new();
    let mut routes = IdVec::new();
    for raw in &policy.routes {
        let name = raw.name.value.as_str();
        if name == UNLISTED {
            let message = "`unlisted` is the name of all models that no route lists";
            context.report.push(Diagnostic::error(&raw.name.place, message).hint("choose another name"));
        } else if !names.insert(name) {
            context.report.push(Diagnostic::error(&raw.name.place, format!("two routes are called `{name}`")));
        }
        routes.push(route(raw, base, tables, exchange, &mut skipped, context));
    }
    routes
}

fn route(
    raw: &RawRoute,
    base: &Base,
    tables: &Tables,
    exchange: &Exchange,
    skipped: &mut HashSet<String>,
    context: &Context<'_>,
) -> Route {
    let rules = base.rules.narrowed(&raw.require, context);
    let mut cluster = Cluster::default();
    for tier in &raw.cluster {
        cluster.next_tier();
        for entry in tier {
            let handicap = handicap(entry, exchange, context);
            let found = resolve(entry, tables, skipped, context);
            if !found.is_empty() && found.iter().all(|endpoint| cluster.has(*endpoint)) {
                let message = format!("`{}` is in this cluster already", entry.endpoint.value);
                context.report.push(Diagnostic::warning(&entry.endpoint.place, message).hint("the first place counts"));
            }
            for endpoint in found {
                cluster.add(Candidate { endpoint, handicap }, &rules, tables);
            }
        }
    }
    if cluster.is_empty() {
        context.report.push(no_active_endpoint(raw, &cluster));
    }
    let (tiers, excluded) = cluster.finish();
    Route {
        name: raw.name.value.as_str().into(),
        tiers,
        excluded,
        objective: objective(&base.objective, &raw.objective, exchange, context),
        timeouts: over_timeouts(&base.timeouts, &raw.timeouts),
        retry: over_retry(&base.retry, &raw.retry),
        models: raw.models.iter().map(|name| name.value.clone()).collect(),
    }
}

fn no_active_endpoint(raw: &RawRoute, cluster: &Cluster) -> Diagnostic {
    let message = format!("the route `{}` has no active endpoint; it answers `no_endpoint_available`", raw.name.value);
    let diagnostic = Diagnostic::warning(&raw.name.place, message);
    match cluster.excluded.first() {
        Some(first) => diagnostic.hint(format!("the policy excludes them all; the first: {}", first.reason)),
        None => diagnostic.hint("configure one of the upstreams that it names"),
    }
}

/// A cluster in the making.
#[derive(Default)]
pub(super) struct Cluster {
    tiers: Vec<Vec<Candidate>>,
    last_resort: Vec<Candidate>,
    excluded: Vec<Excluded>,
}

impl Cluster {
    /// Begins the next tier.
    pub(super) fn next_tier(&mut self) {
        self.tiers.push(Vec::new());
    }

    fn has(&self, endpoint: EndpointIx) -> bool {
        let active = self.tiers.iter().flatten().chain(&self.last_resort).map(|one| one.endpoint);
        active.chain(self.excluded.iter().map(|one| one.endpoint)).any(|known| known == endpoint)
    }

    fn is_empty(&self) -> bool {
        self.last_resort.is_empty() && self.tiers.iter().all(Vec::is_empty)
    }

    /// Puts an endpoint where the rules want it, unless it has a place already.
    pub(super) fn add(&mut self, candidate: Candidate, rules: &Rules, tables: &Tables) {
        if self.has(candidate.endpoint) {
            return;
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

    /// The tiers that have somebody in them, the last resort at the end, and the excluded.
    pub(super) fn finish(self) -> (Vec<Vec<Candidate>>, Vec<Excluded>) {
        let tiers = self.tiers.into_iter().chain([self.last_resort]).filter(|tier| !tier.is_empty()).collect();
        (tiers, self.excluded)
    }
}

/// The endpoints that a cluster entry names; none for a provider that is not configured, or a name that is wrong.
fn resolve(entry: &Entry, tables: &Tables, skipped: &mut HashSet<String>, context: &Context<'_>) -> Vec<EndpointIx> {
    let text = entry.endpoint.value.as_str();
    let (upstream_name, rest) = text.split_once('/').unwrap_or((text, ""));
    let (model, key) = rest.split_once('#').map_or((rest, None), |(model, key)| (model, Some(key)));
    if tables.broken.contains(upstream_name) {
        return Vec::new();
    }
    let Some(upstream) = tables.upstream(upstream_name) else {
        if let Some(provider) = context.providers.find(upstream_name) {
            not_configured(entry, (upstream_name, model), &provider, tables, skipped, context);
        } else {
            unknown_upstream(entry, upstream_name, tables, context);
        }
        return Vec::new();
    };
    let of_model = tables.of(upstream).filter(|(_, endpoint)| &*endpoint.model == model).collect::<Vec<_>>();
    if let Some(reason) = tables.absent.get(&format!("{upstream_name}/{model}")) {
        let message = format!("`{upstream_name}/{model}` is skipped: {reason}");
        context.report.push(Diagnostic::note(&entry.endpoint.place, message));
        return Vec::new();
    }
    if of_model.is_empty() {
        let diagnostic =
            Diagnostic::error(&entry.endpoint.place, format!("the upstream `{upstream_name}` has no model `{model}`"));
        let near = nearest(model, tables.of(upstream).map(|(_, endpoint)| &*endpoint.model));
        let hint = near.map_or_else(
            || format!("declare it: [upstreams.{upstream_name}.models.\"{model}\"]"),
            |name| format!("did you mean `{upstream_name}/{name}`?"),
        );
        context.report.push(diagnostic.hint(hint));
        return Vec::new();
    }
    let Some(key) = key else { return of_model.into_iter().map(|(ix, _)| ix).collect() };
    let name_of = |endpoint: EndpointIx| tables.keys[tables.endpoints[endpoint].key].name.as_deref();
    let found = of_model.iter().map(|(ix, _)| *ix).filter(|ix| name_of(*ix) == Some(key)).collect::<Vec<_>>();
    if found.is_empty() {
        let known = of_model.iter().filter_map(|(ix, _)| name_of(*ix)).collect::<Vec<_>>();
        let message = format!("`{upstream_name}/{model}` has no key called `{key}`");
        let hint = if known.is_empty() { "it has none".to_owned() } else { format!("it has: {}", known.join(", ")) };
        context.report.push(Diagnostic::error(&entry.endpoint.place, message).hint(hint));
    }
    found
}

/// A provider of the catalogue without an account: a note, once.
fn not_configured(
    entry: &Entry,
    (name, model): (&str, &str),
    provider: &Provider,
    tables: &Tables,
    skipped: &mut HashSet<String>,
    context: &Context<'_>,
) {
    let place = &entry.endpoint.place;
    let mut listed = provider.hosts.iter().flat_map(|host| &host.models).map(|one| one.name.value.as_str());
    if !listed.clone().any(|one| one == model) {
        let message = format!("`{name}` is not configured, and the catalogue does not list its model `{model}`");
        let near = nearest(model, &mut listed).map(|near| format!("did you mean `{name}/{near}`?"));
        context
            .report
            .push(Diagnostic::warning(place, message).hint(near.unwrap_or_else(|| "it is skipped".to_owned())));
    } else if skipped.insert(name.to_owned()) {
        let message = format!("`{name}` is not configured; its endpoints are skipped");
        let account = tables.upstreams.values().find(|upstream| upstream.provider.as_deref() == Some(name));
        let hint = account.map_or_else(
            || format!("to use it, add [upstreams.{name}] with provider = \"{name}\" and keys"),
            |upstream| format!("the upstream `{}` is an account of this provider", upstream.name),
        );
        context.report.push(Diagnostic::note(place, message).hint(hint));
    }
}

fn unknown_upstream(entry: &Entry, name: &str, tables: &Tables, context: &Context<'_>) {
    let message = format!("there is no upstream and no provider called `{name}`");
    let upstreams = tables.upstreams.values().map(|upstream| &*upstream.name);
    let near = nearest(name, upstreams.chain(catalog::PROVIDERS.iter().map(|entry| entry.name)));
    let hint = near.map_or_else(
        || format!("add [upstreams.{name}] to the configuration"),
        |near| format!("did you mean `{near}`?"),
    );
    context.report.push(Diagnostic::error(&entry.endpoint.place, message).hint(hint));
}

fn handicap(entry: &Entry, exchange: &Exchange, context: &Context<'_>) -> Handicap {
    match &entry.handicap {
        None => Handicap::None,
        Some(RawHandicap::Share(share)) => Handicap::Share(*share),
        Some(RawHandicap::Amount(amount)) => exchange.amount(amount, context).map_or(Handicap::None, Handicap::Amount),
    }
}

fn objective(base: &Objective, own: &RawObjective, exchange: &Exchange, context: &Context<'_>) -> Objective {
    let worth = |amount: &Option<_>, base: Dollars| {
        amount.as_ref().and_then(|amount| exchange.worth(amount, context)).unwrap_or(base)
    };
    Objective {
        value_of_second: worth(&own.value_of_second, base.value_of_second),
        target_first_token: own.target_first_token.unwrap_or(base.target_first_token),
        target_answer: own.target_answer.or(base.target_answer),
        late_cost: worth(&own.late_cost, base.late_cost),
        failure_cost: worth(&own.failure_cost, base.failure_cost),
        spread: own.spread.unwrap_or(base.spread),
        exploration: own.exploration.unwrap_or(base.exploration),
    }
}

fn over_timeouts(base: &Timeouts, own: &RawTimeouts) -> Timeouts {
    Timeouts {
        connect: own.connect.unwrap_or(base.connect),
        first_token: own.first_token.unwrap_or(base.first_token),
        idle: own.idle.unwrap_or(base.idle),
        total: own.total.unwrap_or(base.total),
    }
}

fn over_retry(base: &RetryPolicy, own: &RawRetry) -> RetryPolicy {
    RetryPolicy {
        attempts: own.attempts.unwrap_or(base.attempts),
        budget: own.budget.unwrap_or(base.budget),
        floor_per_second: own.floor.unwrap_or(base.floor_per_second),
    }
}
