//! Upstreams, their keys, and every model through every key: the table that routes choose from.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::dialect::Forms;
use crate::dialect::faults::FaultTable;
use crate::engine::{Capabilities, Limits, Mode, Price};
use crate::ids::{AllowanceIx, EndpointId, EndpointIx, IdVec, KeyIx, UpstreamIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::Spoiled;
use crate::policy::model::{Addressed, Allowance, Cache, Endpoint, Key, Upstream};
use crate::policy::nearest::advice;
use crate::policy::raw::models::Model as RawModel;
use crate::policy::raw::provider::{Host, Provider};
use crate::policy::raw::upstreams::Upstream as RawUpstream;

use super::exchange::Exchange;
use super::keys::{self, Access};
use super::listing::{Listing, models_of};
use super::providers;
use super::rules::Rules;
use super::tariff::Said;
use super::{Context, allowances, idle, price};

/// The compiled tables, and what is known about names that did not compile.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) upstreams: IdVec<UpstreamIx, Upstream>,
    pub(super) keys: IdVec<KeyIx, Key>,
    pub(super) endpoints: IdVec<EndpointIx, Endpoint>,
    pub(super) allowances: IdVec<AllowanceIx, Allowance>,
    /// Upstreams with a mistake of their own, whose models are not known: nothing more is said about them.
    pub(super) broken: HashSet<String>,
    /// Models that exist and cannot be called as configured, by `upstream/model`, with the reason.
    pub(super) absent: HashMap<String, String>,
}

impl Tables {
    /// The upstream called `name`.
    pub(super) fn upstream(&self, name: &str) -> Option<UpstreamIx> {
        self.upstreams.iter().find(|(_, upstream)| &*upstream.name == name).map(|(ix, _)| ix)
    }

    /// The endpoints of one upstream.
    pub(super) fn of(&self, upstream: UpstreamIx) -> impl Iterator<Item = (EndpointIx, &Endpoint)> {
        self.endpoints.iter().filter(move |(_, endpoint)| endpoint.upstream == upstream)
    }
}

/// Compiles all upstreams.
pub(super) fn compile(upstreams: &[RawUpstream], rules: &Rules, exchange: &Exchange, context: &Context<'_>) -> Tables {
    let mut tables = Tables::default();
    for raw in upstreams {
        if raw.spoiled == Spoiled::Yes {
            tables.broken.insert(raw.name.value.clone());
        }
        match Origin::find(raw, context) {
            Some(origin) => add(raw, &origin, rules, &mut tables, exchange, context),
            None => {
                tables.broken.insert(raw.name.value.clone());
            }
        }
    }
    tables
}

/// What the catalogue has to say about an upstream.
pub(super) enum Origin {
    /// Nothing: a server of one's own.
    Own,
    /// One of a provider's hosts, by its place in the list.
    Listed(Rc<Provider>, usize),
}

impl Origin {
    fn find(raw: &RawUpstream, context: &Context<'_>) -> Option<Self> {
        let Some(name) = &raw.provider else {
            if let Some(region) = &raw.region {
                let message = "`region` chooses one of a provider's hosts, and there is no `provider`";
                let hint = "to say where data is processed, set `regions`";
                context.report.push(Diagnostic::error(&region.place, message).hint(hint));
            }
            return Some(Self::Own);
        };
        let Some(provider) = context.providers.find(&name.value) else {
            let diagnostic = Diagnostic::error(&name.place, format!("the catalogue has no provider `{}`", name.value));
            let hint = advice(&name.value, &providers::names()).unwrap_or_default();
            context.report.push(diagnostic.hint(hint));
            return None;
        };
        let Some(region) = &raw.region else { return Some(Self::Listed(provider, 0)) };
        let Some(host) = provider.hosts.iter().position(|host| host.region == region.value) else {
            let known = provider.hosts.iter().map(|host| host.region.as_str()).collect::<Vec<_>>();
            let message = format!("{} has no region `{}`", provider.title, region.value);
            let hint = format!("it has: {}", known.join(", "));
            context.report.push(Diagnostic::error(&region.place, message).hint(hint));
            return None;
        };
        Some(Self::Listed(provider, host))
    }

    pub(super) fn host(&self) -> Option<&Host> {
        match self {
            Self::Own => None,
            Self::Listed(provider, index) => provider.hosts.get(*index),
        }
    }

    fn provider(&self) -> Option<&Provider> {
        match self {
            Self::Own => None,
            Self::Listed(provider, _) => Some(provider),
        }
    }
}

/// What is changed of requests to a model: by its provider's quirks, and then by the operator's.
fn adjustments(raw: &RawUpstream, origin: &Origin, listing: &Listing<'_>) -> Arc<Forms> {
    let listed = origin.provider().map(|provider| provider.quirks.as_slice()).unwrap_or_default();
    let mut all = Forms::default();
    let row = listing.listed_name();
    let listed = listed.iter().filter_map(|quirk| Some((quirk.when, quirk.of(&[row])?)));
    let names = listing.names();
    let own = raw.quirks.iter().filter_map(|quirk| Some((quirk.when, quirk.of(&names)?)));
    for (when, adjustments) in listed.chain(own) {
        all.extend(when, adjustments);
    }
    Arc::new(all)
}

/// What its errors mean: by the operator, by its provider, by what is usual.
fn faults(raw: &RawUpstream, origin: &Origin, context: &Context<'_>) -> FaultTable {
    let listed = origin.provider().map(|provider| Arc::clone(&provider.errors));
    let usual = context.providers.usual_errors();
    FaultTable::new([Some(Arc::new(raw.errors.clone())), listed, Some(usual)].into_iter().flatten().collect())
}

fn add(
    raw: &RawUpstream,
    origin: &Origin,
    rules: &Rules,
    tables: &mut Tables,
    exchange: &Exchange,
    context: &Context<'_>,
) {
    let own_url = raw.base_url.as_ref().map(|url| url.value.clone());
    // Another address may process data elsewhere, so the catalogue's regions hold for its own address only.
    let listed = origin.host().filter(|_| own_url.is_none());
    let (listed_regions, listed_balance) =
        (listed.map(|host| host.processes_in.clone()), listed.and_then(|host| host.balance.clone()));
    let listed_windows = origin.provider().map(|provider| provider.quota_windows).unwrap_or_default();
    let Some(base_url) = own_url.or_else(|| origin.host().map(|host| host.base_url.clone())) else {
        tables.broken.insert(raw.name.value.clone());
        for listing in models_of(raw, origin, context) {
            // For its complaints: all mistakes come at once.
            price::compile(listing.said(raw, origin), exchange, context);
        }
        return;
    };
    let upstream = tables.upstreams.push(Upstream {
        name: raw.name.value.as_str().into(),
        provider: raw.provider.as_ref().map(|name| name.value.as_str().into()),
        regions: raw.regions.clone().or(listed_regions).unwrap_or_default(),
        tags: raw.tags.clone(),
        base_url,
        addressed: raw.base_url.as_ref().map_or(Addressed::ByCatalogue, |_| Addressed::ByOperator),
        balance: raw.balance.clone().or(listed_balance),
        quota_windows: raw.quota_windows.or(listed_windows),
        faults: faults(raw, origin, context),
        unverified: origin.provider().map(|provider| Arc::clone(&provider.unverified)).unwrap_or_default(),
    });
    let keys = keys::add(raw, origin, upstream, tables, context);
    if keys.len() < raw.keys.as_ref().map_or(1, Vec::len) {
        tables.broken.insert(raw.name.value.clone());
    }
    let models = models_of(raw, origin, context);
    if models.is_empty() && raw.spoiled == Spoiled::No {
        let hint = format!("list them: [upstreams.{}.models.\"name\"]", raw.name.value);
        let message = format!("`{}` has no models, so nothing can be sent to it", raw.name.value);
        context.report.push(Diagnostic::warning(&raw.name.place, message).hint(hint));
    }
    for listing in &models {
        let adjustments = adjustments(raw, origin, listing);
        add_model((raw, adjustments), listing.said(raw, origin), upstream, &keys, tables, exchange, context);
    }
    let names: Vec<_> = tables.of(upstream).map(|(_, endpoint)| Arc::clone(&endpoint.model)).collect();
    allowances::warn_of_idle(raw, &names, context);
    idle::warn(raw, origin, &models, context);
    if !tables.broken.contains(&raw.name.value) {
        idle::warn_of_unpriced(raw, origin, tables, upstream, rules, context);
    }
    note_absent(raw, origin, upstream, tables);
}

/// Remembers what the provider offers in other regions, so that a policy made for all of them still fits this one.
fn note_absent(raw: &RawUpstream, origin: &Origin, upstream: UpstreamIx, tables: &mut Tables) {
    let Origin::Listed(provider, _) = origin else { return };
    for host in &provider.hosts {
        for model in &host.models {
            let name = model.name.value.as_str();
            let here = tables.of(upstream).any(|(_, endpoint)| &*endpoint.model == name);
            let reason = || format!("{} lists it for the region `{}` only", provider.title, host.region);
            if !here {
                tables.absent.entry(format!("{}/{name}", raw.name.value)).or_insert_with(reason);
            }
        }
    }
}

fn add_model(
    (raw, adjustments): (&RawUpstream, Arc<Forms>),
    said: Said<'_>,
    upstream: UpstreamIx,
    keys: &[Access],
    tables: &mut Tables,
    exchange: &Exchange,
    context: &Context<'_>,
) {
    let Some(named) = said.own.or(said.listed) else { return };
    let (name, upstream_name) = (named.name.value.as_str(), Arc::clone(&tables.upstreams[upstream].name));
    let pricing = price::compile(said, exchange, context);
    let (own, listed) = (said.own, said.listed);
    let model: Arc<str> = name.into();
    if !keys.iter().any(|access| access.allows(name)) {
        tables.absent.insert(format!("{upstream_name}/{name}"), "no key of this upstream may call it".to_owned());
    }
    for access in keys.iter().filter(|access| access.allows(name)) {
        let account = Arc::clone(&tables.keys[access.key].account);
        let whose = (upstream, &*account, name);
        let allowance = allowances::of(raw, [own, listed], whose, &mut tables.allowances, exchange, context);
        tables.endpoints.push(Endpoint {
            allowance,
            id: EndpointId::new(&upstream_name, name, access.name.as_deref()),
            upstream,
            key: access.key,
            model: Arc::clone(&model),
            cache: either(own, listed, |model| model.cache).or_else(|| usual_cache(pricing.price.as_deref())),
            price: pricing.price.clone(),
            price_origin: pricing.origin.clone(),
            price_hours: pricing.hours,
            price_changes_at: pricing.changes_at,
            price_doubt: pricing.doubt.clone(),
            context: either(own, listed, |model| model.context),
            max_output: either(own, listed, |model| model.max_output),
            retires: either(own, listed, |model| model.retires),
            adjustments: Arc::clone(&adjustments),
            capabilities: with_forced_tools(
                either(own, listed, |model| model.capabilities).unwrap_or(Capabilities::NONE),
                &adjustments,
            ),
            limits: own.map_or_else(Limits::default, |model| model.limits),
        });
    }
}

/// Whoever has tools can be told to call them, unless that is taken out of its requests.
fn with_forced_tools(capabilities: Capabilities, adjustments: &Forms) -> Capabilities {
    let kept = [Mode::Plain, Mode::Stream].into_iter().all(|mode| adjustments.of(mode).keeps_tool_choice());
    let more =
        if kept && capabilities.covers(Capabilities::TOOLS) { Capabilities::FORCED_TOOLS } else { Capabilities::NONE };
    capabilities.with(more)
}

/// Whoever charges less for cached tokens has a cache.
fn usual_cache(price: Option<&Price>) -> Option<Cache> {
    price.filter(|price| price.rates.cached_input.is_some()).map(|_| Cache::USUAL)
}

fn either<T>(own: Option<&RawModel>, listed: Option<&RawModel>, pick: fn(&RawModel) -> Option<T>) -> Option<T> {
    own.and_then(pick).or_else(|| listed.and_then(pick))
}
