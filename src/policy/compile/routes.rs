//! Named routes: cluster entries to endpoints, tier by tier, with what the policy excludes set aside.

use std::collections::HashSet;
use std::time::Duration;

use crate::engine::{Failure, Handicap, Objective, Price, RetryPolicy};
use crate::ids::{EndpointIx, IdVec, RouteIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{Canary, Candidate, Excluded, Route, Shadow, Timeouts, UNLISTED};
use crate::policy::raw::policy::{Objective as RawObjective, Policy, Retry as RawRetry, Timeouts as RawTimeouts};
use crate::policy::raw::routes::{
    Canary as RawCanary, Entry, Handicap as RawHandicap, Route as RawRoute, Shadow as RawShadow,
};
use crate::policy::source::At;
use crate::units::{Dollars, PicoUsd, Share};

use super::Context;
use super::cluster::{Cluster, Found, Resolver};
use super::endpoints::Tables;
use super::exchange::Exchange;
use super::rules::{Rules, Verdict};

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
            max_cost: None,
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
    let resolver = Resolver::new(tables, context);
    let mut routes = IdVec::new();
    for raw in &policy.routes {
        let name = raw.name.value.as_str();
        if name == UNLISTED {
            let message = "`unlisted` is the name of all models that no route lists";
            context.report.push(Diagnostic::error(&raw.name.place, message).hint("choose another name"));
        } else if !names.insert(name) {
            context.report.push(Diagnostic::error(&raw.name.place, format!("two routes are called `{name}`")));
        }
        routes.push(route(raw, base, &resolver, tables, exchange, context));
    }
    routes
}

fn route(
    raw: &RawRoute,
    base: &Base,
    resolver: &Resolver<'_>,
    tables: &Tables,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Route {
    let rules = base.rules.narrowed(&raw.require, context);
    let mut cluster = Cluster::default();
    for tier in &raw.cluster {
        cluster.next_tier();
        for entry in tier {
            let handicap = handicap(entry, exchange, context);
            let found = resolver.endpoints(entry);
            if !found.is_empty() && found.iter().all(|one| cluster.has(one.endpoint)) {
                context.report.push(named_twice(entry));
            }
            for Found { endpoint, served } in found {
                cluster.add(Candidate { endpoint, handicap }, served, &rules, tables);
            }
        }
    }
    let canary =
        raw.canary.as_ref().and_then(|canary| self::canary(canary, &mut cluster, &rules, (resolver, tables, context)));
    let shadow = raw
        .shadow
        .as_ref()
        .and_then(|shadow| self::shadow(shadow, &cluster, &rules, resolver, tables, (exchange, context)));
    if cluster.is_empty() && tables.broken.is_empty() {
        context.report.push(no_active_endpoint(raw, &cluster));
    }
    let (tiers, excluded, served_as) = cluster.finish();
    Route {
        name: raw.name.value.as_str().into(),
        tiers,
        excluded,
        served_as,
        objective: objective(&base.objective, &raw.objective, exchange, context),
        timeouts: over_timeouts(&base.timeouts, &raw.timeouts),
        retry: over_retry(&base.retry, &raw.retry),
        affinity: raw.affinity.clone().unwrap_or_default(),
        hedge: raw.hedge,
        params: raw.params.clone(),
        canary,
        shadow,
        equivalent: raw.equivalent,
        asks_others_if_filtered: raw.failover_on.contains(&Failure::ContentFiltered),
        models: raw.models.iter().map(|name| name.value.clone()).collect(),
    }
}

/// Its endpoints have a place in the first tier, so that they may serve at all. Whom the policy excludes gets no share.
fn canary(
    raw: &RawCanary,
    cluster: &mut Cluster,
    rules: &Rules,
    (resolver, tables, context): (&Resolver<'_>, &Tables, &Context<'_>),
) -> Option<Canary> {
    let mut endpoints = Vec::new();
    for Found { endpoint, served } in resolver.endpoints(&raw.entry) {
        cluster.lead(Candidate { endpoint, handicap: Handicap::None }, served, rules, tables);
        if cluster.serves(endpoint) {
            endpoints.push(endpoint);
        } else if let Some(Excluded { reason, .. }) = cluster.excluded.iter().find(|one| one.endpoint == endpoint) {
            let message = format!("`{}` gets no share as a canary", tables.endpoints[endpoint].id);
            context.report.push(Diagnostic::warning(&raw.entry.endpoint.place, message).hint(reason.clone()));
        }
    }
    let At { value: name, place } = &raw.entry.endpoint;
    if cluster.is_only(&endpoints) && tables.broken.is_empty() && names_a_model(name) {
        let message = format!("nobody but `{name}` serves this route, so that its share as a canary changes nothing");
        let hint = "name in `cluster` who answers the other conversations, or leave `canary` out";
        context.report.push(Diagnostic::warning(place, message).hint(hint));
    }
    (!endpoints.is_empty()).then_some(Canary { endpoints, share: raw.share })
}

/// Whether a name in a cluster stands for one model, rather than for whatever is configured.
fn names_a_model(name: &str) -> bool {
    !name.starts_with('@') && !name.ends_with('*')
}

/// What may not answer may not be sent the prompt either; and what has no price cannot be kept within a bound.
fn shadow(
    raw: &RawShadow,
    cluster: &Cluster,
    rules: &Rules,
    resolver: &Resolver<'_>,
    tables: &Tables,
    (exchange, context): (&Exchange, &Context<'_>),
) -> Option<Shadow> {
    let max_cost = exchange.amount(&raw.max_cost, context)?;
    let refusal = |endpoint: &EndpointIx| {
        let endpoint = &tables.endpoints[*endpoint];
        match rules.judge(endpoint, &tables.upstreams[endpoint.upstream]) {
            Verdict::Excluded(reason) => Some(reason),
            Verdict::Allowed | Verdict::LastResort if endpoint.price.is_none() => {
                Some("its price is unknown, so that its cost cannot be kept within max_cost".to_owned())
            }
            Verdict::Allowed | Verdict::LastResort => None,
        }
    };
    let (refused, endpoints): (Vec<_>, Vec<_>) =
        resolver.endpoints(&raw.entry).iter().map(|found| found.endpoint).partition(|one| refusal(one).is_some());
    let At { value: name, place } = &raw.entry.endpoint;
    if let Some(reason) = refused.first().and_then(refusal) {
        let message = format!("`{name}` is sent nothing as a shadow");
        context.report.push(Diagnostic::warning(place, message).hint(reason));
    }
    if tables.broken.is_empty() {
        warn_of_vain_shadow(raw, &endpoints, max_cost, (cluster, tables, context));
    }
    (!endpoints.is_empty()).then_some(Shadow { endpoints, share: raw.share, max_cost })
}

/// Of a shadow that would be compared with itself, and of one that may cost nothing and does.
fn warn_of_vain_shadow(
    raw: &RawShadow,
    endpoints: &[EndpointIx],
    max_cost: PicoUsd,
    (cluster, tables, context): (&Cluster, &Tables, &Context<'_>),
) {
    let At { value: name, place } = &raw.entry.endpoint;
    if cluster.is_only(endpoints) {
        let message = format!("nobody but `{name}` serves this route, so that it would be compared with itself");
        let hint = "name another model as the shadow, or leave `shadow` out";
        context.report.push(Diagnostic::warning(place, message).hint(hint));
    }
    let costs = |endpoint: &EndpointIx| tables.endpoints[*endpoint].price.as_deref().is_some_and(Price::is_paid);
    if max_cost == PicoUsd::ZERO && endpoints.iter().any(costs) {
        let message = format!("nothing is sent to `{name}`: it has a price, and may cost nothing");
        let hint = "say what a day of it may cost, or leave `shadow` out";
        context.report.push(Diagnostic::warning(&raw.max_cost.place, message).hint(hint));
    }
}

fn named_twice(entry: &Entry) -> Diagnostic {
    let message = format!("`{}` is in this cluster already", entry.endpoint.value);
    Diagnostic::warning(&entry.endpoint.place, message).hint("the first place counts")
}

fn no_active_endpoint(raw: &RawRoute, cluster: &Cluster) -> Diagnostic {
    let message = format!("the route `{}` has no active endpoint; it answers `no_endpoint_available`", raw.name.value);
    let diagnostic = Diagnostic::warning(&raw.name.place, message);
    match cluster.excluded.first() {
        Some(first) => diagnostic.hint(format!("the policy excludes them all; the first: {}", first.reason)),
        None => diagnostic.hint("configure one of the upstreams that it names"),
    }
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
        max_cost: base.max_cost,
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
