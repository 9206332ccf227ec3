//! What the policy in force comes to: `GET /v1/policy`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::views::millis;
use crate::dialect::Adjustments;
use crate::engine::HedgeAfter;
use crate::ids::EndpointIx;
use crate::policy::model::{Affinity, Candidate, Equivalence, Excluded, Route, Timeouts};
use crate::state::Snapshot;

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Policy<'a> {
    generation: u64,
    source: &'a str,
    fingerprint: &'a str,
    routes: Vec<RouteView<'a>>,
}

#[derive(Debug, Serialize)]
struct RouteView<'a> {
    name: &'a str,
    models: &'a [String],
    tiers: Vec<Vec<&'a str>>,
    /// Of endpoints that serve some names only: which.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    only_for: BTreeMap<&'a str, Vec<&'a str>>,
    excluded: Vec<ExcludedView<'a>>,
    canary: Option<ShareView<'a>>,
    shadow: Option<ShareView<'a>>,
    hedge: Option<HedgeView>,
    affinity: String,
    equivalent: bool,
    failover_on: &'static [&'static str],
    params: ParamsView,
    /// In milliseconds.
    timeouts_ms: BTreeMap<&'static str, u64>,
    value_of_second_usd: f64,
    target_first_token_ms: u64,
    late_cost_usd: f64,
    failure_cost_usd: f64,
    attempts: u32,
}

#[derive(Debug, Serialize)]
struct ExcludedView<'a> {
    endpoint: &'a str,
    reason: &'a str,
}

/// Who gets a share of the conversations.
#[derive(Debug, Serialize)]
struct ShareView<'a> {
    endpoints: Vec<&'a str>,
    share: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_cost_usd_per_day: Option<f64>,
}

#[derive(Debug, Serialize)]
struct HedgeView {
    /// A share of the endpoint's own first tokens, or a time.
    after: String,
    max_extra_cost: f64,
}

/// What is changed of requests, whoever serves them.
#[derive(Debug, Serialize)]
struct ParamsView {
    default: BTreeMap<String, Value>,
    cap: BTreeMap<String, f64>,
    set: BTreeMap<String, Value>,
}

/// What the policy in force comes to.
pub(super) fn policy(snapshot: &Snapshot) -> Policy<'_> {
    let model = &snapshot.model;
    Policy {
        generation: snapshot.generation,
        source: &model.policy_source,
        fingerprint: &model.fingerprint,
        routes: model.routes.values().map(|route| RouteView::of(snapshot, route)).collect(),
    }
}

impl<'a> RouteView<'a> {
    fn of(snapshot: &'a Snapshot, route: &'a Route) -> Self {
        let name = |endpoint: EndpointIx| snapshot.model.endpoints[endpoint].id.as_str();
        let names = |endpoints: &[EndpointIx]| endpoints.iter().map(|endpoint| name(*endpoint)).collect();
        let tier = |tier: &'a Vec<Candidate>| tier.iter().map(|entry| name(entry.endpoint)).collect();
        let excluded = |entry: &'a Excluded| ExcludedView { endpoint: name(entry.endpoint), reason: &entry.reason };
        let served = |entry: &'a Candidate| {
            let served = route.served_as.of(entry.endpoint)?;
            Some((name(entry.endpoint), served.names().map(|name| &**name).collect()))
        };
        Self {
            name: &route.name,
            models: &route.models,
            tiers: route.tiers.iter().map(tier).collect(),
            only_for: route.candidates().filter_map(served).collect(),
            excluded: route.excluded.iter().map(excluded).collect(),
            canary: route.canary.as_ref().map(|canary| ShareView {
                endpoints: names(&canary.endpoints),
                share: canary.share.0,
                max_cost_usd_per_day: None,
            }),
            shadow: route.shadow.as_ref().map(|shadow| ShareView {
                endpoints: names(&shadow.endpoints),
                share: shadow.share.0,
                max_cost_usd_per_day: Some(shadow.max_cost.as_dollars().0),
            }),
            hedge: route
                .hedge
                .map(|hedge| HedgeView { after: after(hedge.after), max_extra_cost: hedge.max_extra_cost.0 }),
            affinity: affinity(&route.affinity),
            equivalent: route.equivalent == Equivalence::Said,
            failover_on: if route.asks_others_if_filtered { &["content_filter"] } else { &[] },
            params: ParamsView::of(&route.params),
            timeouts_ms: timeouts(&route.timeouts),
            value_of_second_usd: route.objective.value_of_second.0,
            target_first_token_ms: millis(route.objective.target_first_token),
            late_cost_usd: route.objective.late_cost.0,
            failure_cost_usd: route.objective.failure_cost.0,
            attempts: route.retry.attempts,
        }
    }
}

fn after(after: HedgeAfter) -> String {
    match after {
        HedgeAfter::Tail(share) => format!("p{}", 100.0 - 100.0 * share),
        HedgeAfter::Time(span) => format!("{}ms", millis(span)),
    }
}

fn affinity(affinity: &Affinity) -> String {
    match affinity {
        Affinity::PromptPrefix => "prompt-prefix".to_owned(),
        Affinity::User => "user".to_owned(),
        Affinity::Header(name) => format!("header:{name}"),
        Affinity::None => "none".to_owned(),
    }
}

impl ParamsView {
    fn of(params: &Adjustments) -> Self {
        let values = |all: &[(String, String)]| {
            let value =
                |(name, text): &(String, String)| (name.clone(), serde_json::from_str(text).unwrap_or_default());
            all.iter().map(value).collect()
        };
        let caps = params.bounds.iter().filter_map(|(name, bounds)| Some((name.clone(), bounds.max?)));
        Self { default: values(&params.default), cap: caps.collect(), set: values(&params.set) }
    }
}

fn timeouts(timeouts: &Timeouts) -> BTreeMap<&'static str, u64> {
    let Timeouts { connect, first_token, idle, total } = *timeouts;
    let all = [("connect", connect), ("first_token", first_token), ("idle", idle), ("total", total)];
    all.into_iter().map(|(name, span)| (name, millis(span))).collect()
}
