//! The compiled configuration and policy: valid by construction.
//!
//! `compile` is the only maker of these values. Everything here has been resolved (names to positions, money to
//! micro-dollars, keys to secrets), so that no reader needs to handle a dangling name, and nothing is looked up by
//! text on the request path except the model name that the client sent.

mod route;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

pub use super::base_url::{Addressed, BaseUrl, Scheme};
pub use super::client_headers::{AllowedHeaders, ClientHeader};
pub use super::feed::{Feed, FeedFormat, FeedUrl};
pub use super::tariff::{Confidence, PriceOrigin};
use crate::dialect::Forms;
use crate::dialect::faults::FaultTable;
use crate::dialect::quota_headers::Windows;
use crate::engine::{Capabilities, Failure, Limits, Price, Scope, Unit};
use crate::ids::{AllowanceIx, EndpointId, EndpointIx, IdVec, KeyIx, RouteIx, TenantIx, UpstreamIx};
use crate::units::{PricePerMtok, Tokens};
pub use route::{
    Affinity, Canary, Candidate, Equivalence, Excluded, Route, Served, ServedAs, Shadow, Timeouts, UNLISTED,
};

/// Everything that one set of files says.
#[derive(Debug)]
pub struct Model {
    /// The `[server]` table.
    pub server: Server,
    /// The upstreams, in file order.
    pub upstreams: IdVec<UpstreamIx, Upstream>,
    /// The keys of all upstreams. An upstream without keys has one entry without a secret.
    pub keys: IdVec<KeyIx, Key>,
    /// Every model at every upstream through every key that may call it.
    pub endpoints: IdVec<EndpointIx, Endpoint>,
    /// Free tiers and prepaid packs.
    pub allowances: IdVec<AllowanceIx, Allowance>,
    /// Named routes first, in file order, then one implied route per model name that can be called directly.
    pub routes: IdVec<RouteIx, Route>,
    /// Which route serves a model name.
    pub names: Names,
    /// What clients may say about their requests.
    pub allow_headers: AllowedHeaders,
    /// The tenants; empty means that any client is served.
    pub tenants: IdVec<TenantIx, Tenant>,
    /// Where the policy came from, for people (`policies/balanced.toml`, `builtin:balanced`).
    pub policy_source: String,
    /// Dollars per unit of each known currency, for the metric.
    pub exchange: Vec<(String, f64)>,
    /// Price lists that are fetched, those that count first in front.
    pub feeds: Vec<Feed>,
    /// The folder in which the last good list of each is kept, where one is set.
    pub keep_prices: Option<std::path::PathBuf>,
    /// The earliest moment at which the price of any endpoint changes: then this model is out of date.
    pub next_price_change: Option<jiff::Timestamp>,
    /// The files that were read, to be watched for changes.
    pub files: Vec<std::path::PathBuf>,
    /// A fingerprint of everything read: the same content gives the same text.
    pub fingerprint: String,
}

/// The `[server]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// The data plane's address.
    pub listen: SocketAddr,
    /// Who may use it.
    pub openness: Openness,
    /// The admin plane's address.
    pub admin: SocketAddr,
    /// The token that the admin plane asks for beyond loopback.
    pub admin_token: Option<Secret>,
    /// Worker threads; `None` for one per core.
    pub workers: Option<usize>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// How long a client may take for the whole request head.
    pub header_timeout: Duration,
    /// How long a client may leave its request body without progress.
    pub body_timeout: Duration,
    /// The longest wait for running requests after SIGTERM.
    pub drain: Duration,
    /// Where one JSON line per request goes.
    pub access_log: AccessLog,
}

/// Whether anybody may use the data plane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Openness {
    /// Beyond loopback only tenants may.
    #[default]
    Closed,
    /// `open = true`: anybody who reaches it.
    Open,
}

/// Where the access log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Nowhere.
    Off,
}

/// A secret that compares by content and never prints.
#[derive(Clone)]
pub struct Secret(pub SecretString);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use secrecy::ExposeSecret;
        self.0.expose_secret() == other.0.expose_secret()
    }
}

impl Eq for Secret {}

/// A provider's account, or a server of one's own.
#[derive(Debug)]
pub struct Upstream {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The catalogue provider it is an account of, if any.
    pub provider: Option<Arc<str>>,
    /// Where requests go.
    pub base_url: BaseUrl,
    /// Whose word that is.
    pub addressed: Addressed,
    /// Where data is processed. Empty means unknown, which satisfies no requirement.
    pub regions: Vec<String>,
    /// Free labels that `require` may ask for.
    pub tags: Vec<String>,
    /// Where it tells what is left in a wallet.
    pub balance: Option<Balance>,
    /// The windows of its quota headers whose names do not say.
    pub quota_windows: Windows,
    /// What its errors mean.
    pub faults: FaultTable,
    /// What nobody has confirmed of what the catalogue says about its provider.
    pub unverified: Arc<[String]>,
}

/// Where a provider tells what is left in an account's wallet, and how to read its answer: by JSON pointers (RFC 6901).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What follows the base URL.
    pub path: Arc<str>,
    /// Where the list of wallets is, where there are several; other pointers start at one of them.
    pub each: Option<String>,
    /// Where the amount is, a number or a text.
    pub amount: String,
    /// In what it is counted.
    pub currency: BalanceCurrency,
}

/// The currency of a balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BalanceCurrency {
    /// Always this one.
    Is(String),
    /// The one that is named here.
    At(String),
}

/// One key of an upstream.
#[derive(Debug)]
pub struct Key {
    /// The upstream it belongs to.
    pub upstream: UpstreamIx,
    /// Its name within the upstream; `None` for the stand-in of an upstream without keys.
    pub name: Option<Arc<str>>,
    /// Its identity across reloads: `upstream#name`.
    pub id: Arc<str>,
    /// What is sent as `Authorization: Bearer …`; `None` sends no such header.
    pub secret: Option<Secret>,
    /// Whose quota it uses: `upstream@account`. Keys of one account share it.
    pub account: Arc<str>,
    /// What the provider allows this account, over all models.
    pub limits: Limits,
}

/// One model at one upstream through one key.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `upstream/model#key`.
    pub id: EndpointId,
    /// The upstream.
    pub upstream: UpstreamIx,
    /// The key.
    pub key: KeyIx,
    /// The model's name as it is sent.
    pub model: Arc<str>,
    /// What it costs as of the moment of the compilation; `None` when unknown.
    pub price: Option<Arc<Price>>,
    /// Who says so; `None` when unknown.
    pub price_origin: Option<PriceOrigin>,
    /// Whether its price is another one now because of the hour; `None` for a price without hours.
    pub price_hours: Option<PriceHours>,
    /// When the price changes next, if that is known.
    pub price_changes_at: Option<jiff::Timestamp>,
    /// What a feed says of it that does not count, or not yet.
    pub price_doubt: Option<PriceDoubt>,
    /// The prompt and answer together, in tokens, if known.
    pub context: Option<Tokens>,
    /// The longest answer, in tokens, if known.
    pub max_output: Option<Tokens>,
    /// The day on which its provider means to take the model away, if that is known.
    pub retires: Option<jiff::civil::Date>,
    /// What pays for it, as long as there is any.
    pub allowance: Option<AllowanceIx>,
    /// Its prompt cache, if it has one.
    pub cache: Option<Cache>,
    /// What it is known to be able to do.
    pub capabilities: Capabilities,
    /// What is changed of its requests.
    pub adjustments: Arc<Forms>,
    /// What the provider allows this model through this key.
    pub limits: Limits,
}

impl Model {
    /// The other endpoints that a failure of `endpoint` speaks about as well.
    pub fn sharing(&self, endpoint: EndpointIx, failure: Failure, scope: Scope) -> impl Iterator<Item = EndpointIx> {
        let of = |at: EndpointIx| {
            let one = &self.endpoints[at];
            (one, &self.keys[one.key], &self.upstreams[one.upstream])
        };
        let (this, key, upstream) = of(endpoint);
        let shares = move |at: EndpointIx| {
            let (other, other_key, other_upstream) = of(at);
            match scope {
                // Money is an account's; whether a key is good is its own.
                Scope::Key if failure == Failure::QuotaExhausted => other_key.account == key.account,
                Scope::Key => other.key == this.key,
                Scope::Model => other.upstream == this.upstream && other.model == this.model,
                // What is told at one of its addresses says nothing of another: that may be a relay elsewhere.
                Scope::Provider => {
                    other.upstream == this.upstream
                        || (upstream.provider.is_some()
                            && other_upstream.provider == upstream.provider
                            && other_upstream.base_url.host == upstream.base_url.host)
                }
                Scope::Endpoint | Scope::Nothing => false,
            }
        };
        self.endpoints.iter().map(|(at, _)| at).filter(move |at| *at != endpoint && shares(*at))
    }
}

impl Endpoint {
    /// Whether `other` costs the same, as the same source says.
    pub fn is_priced_as(&self, other: &Self) -> bool {
        (&self.price, &self.price_origin, self.price_hours, self.price_changes_at, &self.price_doubt)
            == (&other.price, &other.price_origin, other.price_hours, other.price_changes_at, &other.price_doubt)
    }
}

/// A feed's price that does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceDoubt {
    /// The feed.
    pub feed: Arc<str>,
    /// Whether it will count if the feed says it again.
    pub held: bool,
    /// What it says, and why that does not count: for people.
    pub text: Arc<str>,
}

/// What the hours of a price list mean at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceHours {
    /// Between dearer and cheaper hours.
    Usual,
    /// It is dearer than at other hours.
    Peak,
    /// It is cheaper than at other hours.
    OffPeak,
}

impl PriceHours {
    /// As people say it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Usual => "usual price",
            Self::Peak => "peak",
            Self::OffPeak => "off-peak",
        }
    }
}

/// A provider's prompt cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// How long a prompt is kept after its last use.
    pub ttl: Duration,
    /// Shorter prompts are not kept.
    pub min_tokens: Tokens,
}

impl Cache {
    /// What most providers that charge less for cached tokens do.
    pub const USUAL: Self = Self { ttl: Duration::from_mins(5), min_tokens: Tokens(1024) };
}

/// Tokens or requests of an account that cost nothing, in one of their periods.
#[derive(Debug)]
pub struct Allowance {
    /// Its identity across reloads, another one in each period.
    pub id: Arc<str>,
    /// Whose it is.
    pub upstream: UpstreamIx,
    /// What people call it.
    pub label: Arc<str>,
    /// What is counted.
    pub unit: Unit,
    /// How much there is in all.
    pub size: u64,
    /// How much was gone when the configuration was written.
    pub used: u64,
    /// When it is renewed or lost.
    pub ends: Option<jiff::Timestamp>,
}

/// The most that a candidate may cost, per million tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MaxPrice {
    /// For input.
    pub input: Option<PricePerMtok>,
    /// For output.
    pub output: Option<PricePerMtok>,
}

/// A client that may use the data plane.
#[derive(Debug)]
pub struct Tenant {
    /// Its name, for metrics and the log.
    pub name: Arc<str>,
    /// The keys it may present.
    pub keys: Vec<Secret>,
    /// The routes it may use, by name; `None` means all, models named directly included.
    pub routes: Option<Vec<Arc<str>>>,
}

/// From the model name in a request to its route: exact names first, then globs by longest prefix, then file order.
#[derive(Debug, Default)]
pub struct Names {
    /// Exact names: of routes' `models`, then (for `unlisted = "allow"`) models, `upstream/model` and
    /// `upstream/model#key`.
    pub exact: HashMap<String, RouteIx>,
    /// Globs with one `*` at the end, longest prefix first, as (prefix, route).
    pub prefixes: Vec<(String, RouteIx)>,
}

impl Names {
    /// The route that serves `model`.
    pub fn resolve(&self, model: &str) -> Option<RouteIx> {
        self.exact.get(model).copied().or_else(|| {
            self.prefixes.iter().find(|(prefix, _)| model.starts_with(prefix.as_str())).map(|(_, route)| *route)
        })
    }
}
