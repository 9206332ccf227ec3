//! From a model's name in a request to its route, and the routes implied by models that no route lists.
//!
//! An implied route is made by the same rules as a named one, so calling `upstream/model#key` gets around nothing. A
//! name that a route's glob covers is listed: no implied route takes it away.

use std::sync::Arc;

use crate::dialect::Adjustments;
use crate::engine::Handicap;
use crate::ids::{EndpointIx, IdVec, RouteIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{Affinity, AllowedHeaders, Candidate, ClientHeader, Equivalence, Names, Route, UNLISTED};
use crate::policy::raw::policy::{Policy, Unlisted};
use crate::policy::raw::routes::Route as RawRoute;
use crate::policy::source::At;

use super::Context;
use super::cluster::Cluster;
use super::endpoints::Tables;
use super::routes::Base;

/// Compiles all names, and adds the implied routes to `routes`.
pub(super) fn compile(
    policy: &Policy,
    base: &Base,
    tables: &Tables,
    routes: &mut IdVec<RouteIx, Route>,
    context: &Context<'_>,
) -> Names {
    let mut names = Names::default();
    let positions = routes.iter().map(|(ix, _)| ix).collect::<Vec<_>>();
    for (ix, raw) in positions.iter().zip(&policy.routes) {
        for name in &raw.models {
            list(name, *ix, &mut names, context);
        }
    }
    for (ix, raw) in positions.iter().zip(&policy.routes) {
        call_by_name((raw, *ix), policy.defaults.allow_headers, routes, &mut names, context);
    }
    // A stable sort: globs with equally long prefixes stay in the order of the file.
    names.prefixes.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    match policy.defaults.unlisted.unwrap_or(Unlisted::Allow) {
        Unlisted::Allow => imply(base, tables, routes, &mut names),
        Unlisted::Refuse => {}
    }
    names
}

/// One of a route's `models`.
fn list(name: &At<String>, route: RouteIx, names: &mut Names, context: &Context<'_>) {
    let dead = |what: &str| {
        let message = format!("`{}` can never match here: {what}", name.value);
        context.report.push(Diagnostic::warning(&name.place, message).hint("remove it, or the earlier one"));
    };
    match name.value.split_once('*') {
        None if names.exact.contains_key(&name.value) => dead("the same name is listed above"),
        None => {
            names.exact.insert(name.value.clone(), route);
        }
        Some((prefix, "")) if names.prefixes.iter().any(|(known, _)| known == prefix) => {
            dead("the same pattern is listed above");
        }
        Some((prefix, "")) => names.prefixes.push((prefix.to_owned(), route)),
        Some(_) => {
            let message = format!("`{}` has its `*` in the middle, which is not supported yet", name.value);
            let hint = "write one `*`, at the end: \"gpt-4o*\"";
            context.report.push(Diagnostic::error(&name.place, message).hint(hint));
        }
    }
}

/// A route answers to its own name too, unless a route lists that name as a model.
fn call_by_name(
    (raw, route): (&RawRoute, RouteIx),
    allowed: AllowedHeaders,
    routes: &IdVec<RouteIx, Route>,
    names: &mut Names,
    context: &Context<'_>,
) {
    match names.exact.get(&raw.name.value) {
        None => {
            names.exact.insert(raw.name.value.clone(), route);
        }
        // Two routes of one name are reported as such.
        Some(other) if *other != route && *routes[*other].name != *raw.name.value => {
            let why = format!("the route `{}` lists `{}` as a model", routes[*other].name, raw.name.value);
            let is_listed = names.exact.values().chain(names.prefixes.iter().map(|(_, ix)| ix)).any(|ix| *ix == route);
            let diagnostic = if is_listed || allowed.has(ClientHeader::Route) {
                let message = format!("clients cannot call this route by its name: {why}");
                Diagnostic::warning(&raw.name.place, message)
            } else {
                let hint = "give it another name, or `models` that no route above has; or let clients choose routes: \
                            allow_headers = [\"route\"] in [defaults]";
                Diagnostic::warning(&raw.name.place, format!("nobody can reach this route: {why}")).hint(hint)
            };
            context.report.push(diagnostic);
        }
        Some(_) => {}
    }
}

/// One route per way of naming a model directly: `upstream/model#key`, `upstream/model`, `model` at all its upstreams.
/// In this order: a model whose own name looks like `upstream/model` does not take another upstream's.
fn imply(base: &Base, tables: &Tables, routes: &mut IdVec<RouteIx, Route>, names: &mut Names) {
    let by_model = group(tables, |endpoint| tables.endpoints[endpoint].model.to_string());
    let by_upstream = group(tables, |endpoint| {
        let endpoint = &tables.endpoints[endpoint];
        format!("{}/{}", tables.upstreams[endpoint.upstream].name, endpoint.model)
    });
    let by_key = group(tables, |endpoint| tables.endpoints[endpoint].id.to_string());
    let name: Arc<str> = UNLISTED.into();
    for (called, endpoints) in by_key.into_iter().chain(by_upstream).chain(by_model) {
        if names.resolve(&called).is_some() {
            continue;
        }
        let mut cluster = Cluster::default();
        cluster.next_tier();
        for endpoint in endpoints {
            cluster.add(Candidate { endpoint, handicap: Handicap::None }, None, &base.rules, tables);
        }
        let (tiers, excluded, served_as) = cluster.finish();
        let route = routes.push(Route {
            asks_others_if_filtered: false,
            canary: None,
            shadow: None,
            equivalent: Equivalence::default(),
            params: Adjustments::default(),
            name: Arc::clone(&name),
            tiers,
            excluded,
            served_as,
            objective: base.objective,
            timeouts: base.timeouts,
            retry: base.retry,
            hedge: None,
            affinity: Affinity::default(),
            models: vec![called.clone()],
        });
        names.exact.insert(called, route);
    }
}

/// The endpoints under each name, both in the order of the table.
fn group(tables: &Tables, name: impl Fn(EndpointIx) -> String) -> Vec<(String, Vec<EndpointIx>)> {
    let mut positions = std::collections::HashMap::new();
    let mut groups: Vec<(String, Vec<EndpointIx>)> = Vec::new();
    for (endpoint, _) in tables.endpoints.iter() {
        let name = name(endpoint);
        let position = *positions.entry(name.clone()).or_insert_with(|| {
            groups.push((name, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, members)) = groups.get_mut(position) {
            members.push(endpoint);
        }
    }
    groups
}
