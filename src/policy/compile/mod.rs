//! From what the files say to a model that cannot be wrong.
//!
//! Everything that can fail fails here, with a diagnostic; a [`Model`] exists only if nothing did. Each part resolves
//! one kind of name; no part looks at text again once it has a position.

mod allowances;
mod calendars;
mod cluster;
mod endpoints;
mod exchange;
mod feeds;
mod idle;
mod keys;
mod listing;
mod names;
mod price;
mod provenance;
mod providers;
mod quoted;
mod routes;
mod rules;
mod secrets;
mod server;
mod tariff;
mod tenants;

use std::path::Path;

use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::inputs::Inputs;
use super::model::{Feed, Model};
use super::raw::config::Config;
use super::raw::policy::Policy;

use exchange::Exchange;
use routes::Base;

pub(crate) use calendars::Calendars;
pub(crate) use feeds::compile as feeds;
pub(crate) use providers::Providers;
pub(crate) use tariff::of_row as tariff_of_row;

/// What every part of the compilation needs.
pub(crate) struct Context<'a> {
    /// Where mistakes go.
    pub(crate) report: &'a Diagnostics,
    /// Where secrets come from.
    pub(crate) inputs: &'a Inputs<'a>,
    /// The configuration's folder: relative paths start here.
    pub(crate) folder: &'a Path,
    /// Which days are which.
    pub(crate) calendars: &'a Calendars,
    /// What the catalogue says.
    pub(crate) providers: &'a Providers<'a>,
    /// The price lists that are fetched.
    pub(crate) feeds: &'a [Feed],
}

/// Compiles a configuration and a policy; `None` if anything in them is wrong.
pub(crate) fn compile(config: &Config, policy: &Policy, policy_source: &str, context: &Context<'_>) -> Option<Model> {
    let exchange = Exchange::new(&config.exchange, context);
    let server = server::compile(&config.server, &config.tenants, context);
    let base = Base::new(policy, &exchange, context);
    let tables = endpoints::compile(&config.upstreams, &base.rules, &exchange, context);
    let mut routes = routes::compile(policy, &base, &tables, &exchange, context);
    let named = routes.len();
    let names = names::compile(policy, &base, &tables, &mut routes, context);
    let tenants = tenants::compile(&config.tenants, &routes, context);
    provenance::warn(&routes, named, &tables, context);
    exchange.warn_of_stale_rates(context);
    context.calendars.warn_of_past_years(context);
    if context.report.errors() > 0 {
        return None;
    }
    if config.upstreams.is_empty() {
        context.report.push(nothing_to_call());
    }
    let changes = tables.endpoints.values().filter_map(|endpoint| endpoint.price_changes_at);
    let renewals = tables.allowances.values().filter_map(|allowance| allowance.ends);
    let next_price_change = changes.chain(renewals).min();
    Some(Model {
        server: server?,
        upstreams: tables.upstreams,
        keys: tables.keys,
        endpoints: tables.endpoints,
        allowances: tables.allowances,
        routes,
        names,
        allow_headers: policy.defaults.allow_headers,
        tenants,
        policy_source: policy_source.to_owned(),
        exchange: exchange.in_dollars(),
        feeds: context.feeds.to_vec(),
        keep_prices: feeds::keep(config, context.folder),
        next_price_change,
        files: context.inputs.files(),
        fingerprint: context.inputs.fingerprint(),
    })
}

fn nothing_to_call() -> Diagnostic {
    let hint = "add [upstreams.NAME] with a provider and its keys; `faregate init` writes a first configuration";
    Diagnostic::general(Severity::Warning, "no upstream is configured, so that nothing is served").hint(hint)
}
