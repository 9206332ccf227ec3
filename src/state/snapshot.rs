//! One immutable view of everything that a request needs, taken once and kept to its end.
//!
//! Building one may fail and changes nothing but the registries (which only gain names); putting it in force is one
//! store, done elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::{Mutex, RwLock};

use super::affinity::{AffinityMap, Warmth};
use super::allowances::AllowanceCell;
use super::cells::{EndpointCell, KeyCell, ModelCell, RouteCell, ServerCell};
use super::market::Inlet;
use super::mirror::{MirrorCell, MirrorSeat};
use super::quotas::{QuotaCell, Quotas};
use super::registry::Registry;
use super::target::{Target, TargetError};
use super::tenants::Tenants;
use super::wallets::WalletCell;
use crate::engine::Limits;
use crate::ids::{AllowanceIx, EndpointIx, IdVec, KeyIx, RouteIx, TenantIx};
use crate::observe::labels::NONE;
use crate::observe::{EndpointMetrics, Metrics, RequestMetrics};
use crate::policy::model::{Cache, Endpoint, Key, Model, Route, Upstream};
use crate::runtime;
use crate::units::{Timestamp, Tokens};

/// Everything that one generation of files says, with the cells it speaks of.
#[derive(Debug)]
pub struct Snapshot {
    /// What the files say.
    pub model: Model,
    /// Counts the snapshots put in force since the start, from 1.
    pub generation: u64,
    /// What belongs to each endpoint.
    pub seats: IdVec<EndpointIx, Arc<Seat>>,
    /// What belongs to each route.
    pub routes: IdVec<RouteIx, Arc<RouteCell>>,
    /// What belongs to the shadow of each route, if it has one.
    pub mirrors: IdVec<RouteIx, Option<Arc<MirrorSeat>>>,
    /// Who may come in.
    pub tenants: Tenants,
    /// Keeps what is known of the keys.
    _keys: IdVec<KeyIx, Arc<KeyCell>>,
    /// What belongs to each allowance.
    pub allowances: IdVec<AllowanceIx, AllowanceSeat>,
    /// Where conversations were served last.
    pub conversations: Arc<AffinityMap>,
    /// Where requests leave what scarce quota is priced by: shared with snapshots in which positions mean the same.
    pub inlet: Arc<Inlet>,
    requests: RwLock<HashMap<RequestLabels, Arc<RequestMetrics>>>,
    metrics: Arc<Metrics>,
}

type RequestLabels = (Option<RouteIx>, Option<EndpointIx>, Option<TenantIx>);

/// An endpoint's cells and fixed parts.
#[derive(Debug)]
pub struct Seat {
    /// Its health and quota.
    pub cell: Arc<EndpointCell>,
    /// By what conversations remember it.
    pub tag: u64,
    /// Its quotas, which it may share.
    pub quotas: Quotas,
    /// What is left in its account's wallet, where the provider tells.
    pub wallet: Option<Arc<WalletCell>>,
    /// Where its requests go.
    pub target: Arc<Target>,
    /// Where its metrics go.
    pub metrics: EndpointMetrics,
    /// What is known of its model, whatever the key; for as long as it is held, the metrics of the model stay.
    pub model: Arc<ModelCell>,
}

impl Seat {
    /// Tokens of a prompt that are likely in its cache.
    pub fn warm(&self, warmth: &Warmth, cache: Option<Cache>, prompt: Tokens, now: Timestamp) -> Tokens {
        let Some(cache) = cache else { return Tokens::ZERO };
        let tokens = warmth.at(self.tag, prompt, cache.ttl, now);
        if tokens < cache.min_tokens { Tokens::ZERO } else { tokens }
    }
}

/// How soon an empty wallet is looked at again: as often as the provider is asked then.
const TOPPED_UP: Duration = Duration::from_mins(1);

impl Seat {
    /// When it is worth looking again, if its account's wallet is empty.
    pub fn empty_until(&self, now: Timestamp) -> Option<Timestamp> {
        let reading = self.wallet.as_ref()?.read(now)?;
        reading.is_empty.then(|| now + TOPPED_UP)
    }
}

/// An allowance's cell, and when its period ends on our clock.
#[derive(Debug)]
pub struct AllowanceSeat {
    /// What is left.
    pub cell: Arc<AllowanceCell>,
    /// When that is renewed or lost.
    pub ends: Option<Timestamp>,
}

/// Why a model that compiles cannot be put in force.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Something cannot be sent.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// The cells of all snapshots.
#[derive(Debug, Default)]
pub struct Cells {
    endpoints: Registry<EndpointCell>,
    keys: Registry<KeyCell>,
    /// Servers by URL.
    servers: Registry<ServerCell>,
    quotas: Registry<QuotaCell>,
    allowances: Registry<AllowanceCell>,
    wallets: Registry<WalletCell>,
    conversations: Arc<AffinityMap>,
    routes: Registry<RouteCell>,
    /// Shadows by route, upstream and model.
    mirrors: Registry<MirrorCell>,
    /// Models by upstream and name, for as long as an endpoint has them.
    models: Registry<ModelCell>,
}

impl Cells {
    /// Forgets what nobody has used for ten minutes, in the metrics too.
    pub fn expire(&mut self, metrics: &Metrics, now: Timestamp) {
        for name in self.endpoints.expire(now) {
            metrics.forget_endpoint(&name);
        }
        for name in self.models.expire(now) {
            if let Some((upstream, model)) = name.split_once('\n') {
                metrics.forget_model(upstream, model);
            }
        }
        for name in self.mirrors.expire(now) {
            if let [route, upstream, model] = *name.split('\n').collect::<Vec<_>>() {
                metrics.forget_shadow(route, upstream, model);
            }
        }
        self.keys.expire(now);
        self.servers.expire(now);
        self.quotas.expire(now);
        self.allowances.expire(now);
        self.wallets.expire(now);
        self.routes.expire(now);
    }
}

impl Snapshot {
    /// The snapshot of `model`, with the cells of earlier ones where names agree.
    pub fn build(
        model: Model,
        generation: u64,
        cells: &Mutex<Cells>,
        metrics: &Arc<Metrics>,
        now: Timestamp,
    ) -> Result<Self, BuildError> {
        let mut cells = cells.lock();
        let targets = targets(&mut cells.servers, &model, now)?;
        let rotated: IdVec<_, _> =
            model.keys.map(|key| cells.keys.resolve(&key.id, now, || KeyCell::new(key)).renew(key));
        let kept = model.keys.map(|key| cells.keys.resolve(&key.id, now, || KeyCell::new(key)));
        let seats = model.endpoints.map(|endpoint| {
            let make = || EndpointCell::new(endpoint.id.clone());
            let cell = cells.endpoints.resolve(endpoint.id.as_str(), now, make);
            if rotated[endpoint.key] {
                cell.reset();
            }
            let Upstream { name: upstream, balance, .. } = &model.upstreams[endpoint.upstream];
            let account = &model.keys[endpoint.key].account;
            Arc::new(Seat {
                model: cells.models.resolve(&format!("{upstream}\n{}", endpoint.model), now, ModelCell::default),
                cell,
                tag: cells.conversations.key(endpoint.id.as_str()),
                quotas: quotas(&mut cells.quotas, &model, endpoint, now),
                wallet: balance.as_ref().map(|_| cells.wallets.resolve(account, now, WalletCell::default)),
                target: Arc::clone(&targets[endpoint.key]),
                metrics: metrics.endpoint(upstream, &endpoint.model, &endpoint.id),
            })
        });
        let routes = model.routes.map(|route| {
            // Implied routes share a name; what they serve tells them apart.
            let name = format!("{}\n{}", route.name, route.models.first().map_or("", String::as_str));
            let cell = cells.routes.resolve(&name, now, || RouteCell::new(&route.retry));
            cell.with(|state| state.adjust(&route.retry));
            cell
        });
        let mirrors = model.routes.map(|route| mirror(&mut cells.mirrors, &model, route, metrics, now));
        let wall = runtime::wall_clock();
        let allowances = model.allowances.map(|one| AllowanceSeat {
            cell: cells.allowances.resolve(&one.id, now, || AllowanceCell::new(one.unit, one.size, one.used)),
            ends: one.ends.map(|ends| now + SystemTime::from(ends).duration_since(wall).unwrap_or_default()),
        });
        let conversations = Arc::clone(&cells.conversations);
        drop(cells);
        let tenants = Tenants::new(&model.tenants);
        let metrics = Arc::clone(metrics);
        Ok(Self {
            model,
            generation,
            seats,
            routes,
            mirrors,
            tenants,
            allowances,
            conversations,
            inlet: Arc::default(),
            _keys: kept,
            requests: RwLock::default(),
            metrics,
        })
    }

    /// Goes on with what requests have left in `before`, which was made from the same files at other prices.
    pub fn succeed(&mut self, before: &Self) {
        let ids =
            |snapshot: &Self| snapshot.model.allowances.values().map(|one| Arc::clone(&one.id)).collect::<Vec<_>>();
        let covered = |snapshot: &Self| snapshot.model.endpoints.values().map(|one| one.allowance).collect::<Vec<_>>();
        if (ids(self), covered(self)) == (ids(before), covered(before)) {
            self.inlet = Arc::clone(&before.inlet);
        }
    }

    /// Where the metrics of such requests go. Made at first use: most combinations never occur.
    pub fn request_metrics(
        &self,
        route: Option<RouteIx>,
        endpoint: Option<EndpointIx>,
        tenant: Option<TenantIx>,
    ) -> Arc<RequestMetrics> {
        let labels = (route, endpoint, tenant);
        if let Some(found) = self.requests.read().get(&labels) {
            return Arc::clone(found);
        }
        let route = route.map_or(NONE, |route| &self.model.routes[route].name);
        let endpoint = endpoint.map(|endpoint| &self.model.endpoints[endpoint]);
        let upstream = endpoint.map_or(NONE, |endpoint| &self.model.upstreams[endpoint.upstream].name);
        let model = endpoint.map_or(NONE, |endpoint| &endpoint.model);
        let tenant = tenant.map_or(NONE, |tenant| &self.model.tenants[tenant].name);
        let made = Arc::new(self.metrics.request(route, upstream, model, tenant));
        Arc::clone(self.requests.write().entry(labels).or_insert(made))
    }
}

fn targets(
    servers: &mut Registry<ServerCell>,
    model: &Model,
    now: Timestamp,
) -> Result<IdVec<KeyIx, Arc<Target>>, TargetError> {
    let target = |key: &Key| {
        let upstream = &model.upstreams[key.upstream];
        let server = servers.resolve(&upstream.base_url.to_string(), now, ServerCell::default);
        Target::new(upstream, key, server).map(Arc::new)
    };
    model.keys.values().map(target).collect()
}

/// What belongs to the shadow of a route.
fn mirror(
    cells: &mut Registry<MirrorCell>,
    model: &Model,
    route: &Route,
    metrics: &Metrics,
    now: Timestamp,
) -> Option<Arc<MirrorSeat>> {
    let endpoint = &model.endpoints[*route.shadow.as_ref()?.endpoints.first()?];
    let upstream = &model.upstreams[endpoint.upstream].name;
    let name = format!("{}\n{upstream}\n{}", route.name, endpoint.model);
    let cell = cells.resolve(&name, now, MirrorCell::default);
    Some(Arc::new(MirrorSeat { cell, metrics: metrics.shadow(&route.name, upstream, &endpoint.model) }))
}

/// The quotas of an endpoint: its account's, and its account's for its model.
fn quotas(cells: &mut Registry<QuotaCell>, model: &Model, endpoint: &Endpoint, now: Timestamp) -> Quotas {
    let key = &model.keys[endpoint.key];
    let mut resolve = |id: String, limits: &Limits| {
        let cell = cells.resolve(&id, now, || QuotaCell::new(&id, limits));
        cell.relimit(limits);
        cell
    };
    Quotas {
        account: resolve(key.account.to_string(), &key.limits),
        model: resolve(format!("{}/{}", key.account, endpoint.model), &endpoint.limits),
    }
}
