//! What the admin plane shows: plain values copied out of the snapshot and its cells.
//!
//! The same facts fill the gauges of a scrape, so that a dashboard and `/v1/endpoints` cannot disagree.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::comparison::{ShadowView, shadows};
use super::prices::{PriceView, show_price};
use crate::control::Status;
use crate::engine::{ContentKind, Failure, LimitKind, QuotaReading, Reading, Standing, TokenRates};
use crate::ids::EndpointIx;
use crate::observe::{EndpointState, Gauges, QuotaKind};
use crate::state::{Override, Snapshot};
use crate::units::{Dollars, Share, Timestamp, Tokens};

/// `GET /v1/endpoints`.
#[derive(Debug, Serialize)]
pub(super) struct Endpoints<'a> {
    generation: u64,
    endpoints: Vec<Endpoint<'a>>,
}

#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    id: &'a str,
    upstream: &'a str,
    model: &'a str,
    state: &'static str,
    /// The class of the failure that it is left alone for.
    because: Option<&'static str>,
    retry_in_ms: Option<u64>,
    in_flight: u32,
    requests: u64,
    first_token_ms: Option<f64>,
    time_per_output_token_ms: Option<f64>,
    success_rate: f64,
    /// By kind of content, learned of the model; images: times what the rule says.
    tokens_per_byte: BTreeMap<&'static str, f64>,
    price: Option<PriceView>,
    /// The day on which its provider means to take it away.
    retires: Option<String>,
    quota_remaining: Option<f64>,
    score_usd: Option<f64>,
    /// What is left in its account's wallet, and how long that lasts.
    balance_usd: Option<f64>,
    balance_days_left: Option<f64>,
    regions: &'a [String],
    tags: &'a [String],
    /// Of which routes it is the shadow, and how it compares with those who answer there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shadow_of: Vec<ShadowView<'a>>,
}

/// What every endpoint is and how it does.
pub(super) fn endpoints(snapshot: &Snapshot, now: Timestamp, wall: SystemTime) -> Endpoints<'_> {
    let model = &snapshot.model;
    let endpoints = model.endpoints.iter().map(|(position, endpoint)| {
        let seat = &snapshot.seats[position];
        let upstream = &model.upstreams[endpoint.upstream];
        let (health, quota) = reading(snapshot, position, now);
        let (state, until) = state(snapshot, position, now);
        let wallet = seat.wallet.as_ref().and_then(|wallet| wallet.read(now));
        Endpoint {
            id: endpoint.id.as_str(),
            upstream: &upstream.name,
            model: &endpoint.model,
            state: state.label(),
            because: seat.cell.blamed(now).map(Failure::label),
            retry_in_ms: until.map(|until| millis(now.until(until))),
            in_flight: health.in_flight,
            requests: seat.cell.requests(),
            first_token_ms: health.first_token().map(|span| span.as_secs_f64() * 1e3),
            time_per_output_token_ms: health.time_per_output_token().map(|span| span.as_secs_f64() * 1e3),
            success_rate: health.success_rate(),
            tokens_per_byte: tokens_per_byte(&seat.model.rates()),
            price: PriceView::of(endpoint),
            retires: endpoint.retires.map(|day| day.to_string()),
            quota_remaining: quota.ratios().map(|(_, ratio)| ratio.0).reduce(f64::min),
            score_usd: seat.cell.mean_score().map(|score| score.0),
            balance_usd: wallet.map(|wallet| wallet.left.0),
            balance_days_left: wallet.and_then(|wallet| wallet.lasts).map(|lasts| lasts.as_secs_f64() / 86_400.0),
            regions: &upstream.regions,
            tags: &upstream.tags,
            shadow_of: shadows(snapshot, position, wall),
        }
    });
    Endpoints { generation: snapshot.generation, endpoints: endpoints.collect() }
}

/// Rounded: further digits are noise.
fn tokens_per_byte(rates: &TokenRates) -> BTreeMap<&'static str, f64> {
    let rounded = |rate: f64| (rate * 1e4).round() / 1e4;
    ContentKind::NAMED.into_iter().map(|(name, kind)| (name, rounded(rates.of(kind)))).collect()
}

/// `GET /readyz`.
#[derive(Debug, Serialize)]
pub(super) struct Readiness<'a> {
    ready: bool,
    generation: u64,
    last_reload: LastReload<'a>,
}

#[derive(Debug, Serialize)]
struct LastReload<'a> {
    successful: bool,
    diagnostics: Option<&'a str>,
    at: Option<String>,
}

/// Whether to send requests here, and whether what runs is what the files say.
pub(super) fn readiness<'a>(snapshot: &Snapshot, failure: Option<&'a Status>, ready: Ready) -> Readiness<'a> {
    Readiness {
        ready: ready == Ready::Yes,
        generation: snapshot.generation,
        last_reload: LastReload {
            successful: failure.is_none(),
            diagnostics: failure.map(|failure| failure.diagnostics.as_str()),
            at: failure.and_then(|failure| jiff::Timestamp::try_from(failure.at).ok()).map(|at| at.to_string()),
        },
    }
}

/// Whether requests should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// They should.
    Yes,
    /// It is shutting down.
    Draining,
}

/// States what is, for one scrape.
pub(super) fn fill_gauges(snapshot: &Snapshot, gauges: &Gauges, now: Timestamp) {
    let model = &snapshot.model;
    for (position, endpoint) in model.endpoints.iter() {
        let cell = &snapshot.seats[position].cell;
        let (health, quota) = reading(snapshot, position, now);
        gauges.set_state(&endpoint.id, state(snapshot, position, now).0);
        if let Some(failure) = cell.blamed(now) {
            gauges.set_benched(&endpoint.id, failure.label());
        }
        gauges.set_inflight(&endpoint.id, u64::from(health.in_flight));
        if let Some(score) = cell.mean_score() {
            gauges.set_score(&endpoint.id, score);
        }
        for (kind, ratio) in quota.ratios() {
            gauges.set_quota(&endpoint.id, label(kind), ratio);
        }
        if let Some(price) = endpoint.price.as_deref() {
            show_price(gauges, &model.upstreams[endpoint.upstream].name, &endpoint.model, price);
        }
    }
    for (position, allowance) in model.allowances.iter() {
        let left = Share(snapshot.allowances[position].cell.ratio());
        gauges.set_allowance(&model.upstreams[allowance.upstream].name, &allowance.label, left);
    }
    for (position, endpoint) in model.endpoints.iter() {
        let wallet = snapshot.seats[position].wallet.as_ref();
        if let Some(wallet) = wallet.and_then(|wallet| wallet.read(now)) {
            let account = &model.keys[endpoint.key].account;
            let account = account.rsplit_once('@').map_or(&**account, |(_, account)| account);
            gauges.set_balance(&model.upstreams[endpoint.upstream].name, account, wallet.left, wallet.lasts);
        }
    }
    for (currency, rate) in &model.exchange {
        gauges.set_exchange(currency, Dollars(*rate));
    }
}

const fn label(kind: LimitKind) -> QuotaKind {
    match kind {
        LimitKind::RequestsPerMinute => QuotaKind::RequestsPerMinute,
        LimitKind::RequestsPerDay => QuotaKind::RequestsPerDay,
        LimitKind::TokensPerMinute => QuotaKind::TokensPerMinute,
        LimitKind::TokensPerDay => QuotaKind::TokensPerDay,
        LimitKind::InputTokensPerMinute => QuotaKind::InputTokensPerMinute,
        LimitKind::OutputTokensPerMinute => QuotaKind::OutputTokensPerMinute,
        LimitKind::Concurrency => QuotaKind::Concurrency,
    }
}

/// Health and quota, its key's quota included, for a request of any size.
fn reading(snapshot: &Snapshot, position: EndpointIx, now: Timestamp) -> (Reading, QuotaReading) {
    let seat = &snapshot.seats[position];
    (seat.cell.read(now).0, seat.quotas.read(Tokens::ZERO, now))
}

/// The operator's wish where there is one, else the endpoint's health; and when that may change.
fn state(snapshot: &Snapshot, position: EndpointIx, now: Timestamp) -> (EndpointState, Option<Timestamp>) {
    let cell = &snapshot.seats[position].cell;
    match cell.wish(now) {
        (Override::Draining, until) => return (EndpointState::Draining, until),
        (Override::Disabled, until) => return (EndpointState::Disabled, until),
        (Override::Enabled, _) => {}
    }
    if let Some(until) = snapshot.broke_until(position, now) {
        return (EndpointState::Blocked, Some(until));
    }
    match cell.standing(now) {
        Standing::Closed => (EndpointState::Closed, None),
        Standing::HalfOpen => (EndpointState::HalfOpen, None),
        Standing::Open { until } => (EndpointState::Open, Some(until)),
        Standing::Blocked { until } => (EndpointState::Blocked, Some(until)),
    }
}

/// Whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
