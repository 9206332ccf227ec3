//! The admin plane's HTTP: a handful of paths, small bodies, no streaming.

use std::convert::Infallible;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use super::access::{Denied, Need, check};
use super::prices;
use super::reply::{Reply, error, json, reply};
use super::routes;
use super::views::{self, Ready};
use super::wishes;
use crate::control::{Clerk, Outcome, Reloader, Trigger, refresh};
use crate::observe::metrics::CONTENT_TYPE as METRICS_TYPE;
use crate::policy::book::Vouched;
use crate::proxy::listener::Phase;
use crate::proxy::worker::Shared;
use crate::runtime;

/// Heads must arrive within this time.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The largest body that any path takes.
const MAX_BODY: usize = 64 * 1024;

/// What the admin plane shows and changes.
#[derive(Clone)]
pub struct Plane {
    shared: Arc<Shared>,
    reloader: Arc<Reloader>,
    clerk: Arc<Clerk>,
    phase: watch::Receiver<Phase>,
}

/// What a path is for.
enum Page<'a> {
    Metrics,
    Health,
    Ready,
    Endpoints,
    Policy,
    Prices,
    Refresh,
    Reload,
    Endpoint(&'a str),
}

/// What `POST /v1/prices/refresh` asks for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Refresh {
    /// One feed; all if it is not said.
    feed: Option<String>,
    /// Whether a person vouches for what comes.
    accept: bool,
}

impl Plane {
    /// A plane over what runs.
    pub const fn new(
        shared: Arc<Shared>,
        reloader: Arc<Reloader>,
        clerk: Arc<Clerk>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        Self { shared, reloader, clerk, phase }
    }

    async fn answer(&self, request: Request<Incoming>, bound: IpAddr, peer: IpAddr) -> Reply {
        let path = request.uri().path().to_owned();
        let Some((page, method, need)) = page(&path) else {
            return error(StatusCode::NOT_FOUND, "unknown_path", "not a path of the admin plane");
        };
        let token = self.shared.snapshot().model.server.admin_token.clone();
        if let Err(denied) = check(need, bound, peer, request.headers(), token.as_ref()) {
            return deny(denied);
        }
        if request.method() != method && !(method == Method::GET && request.method() == Method::HEAD) {
            let mut reply =
                error(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path takes another method");
            reply
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(if method == Method::GET { "GET" } else { "POST" }));
            return reply;
        }
        match page {
            Page::Metrics => self.metrics(),
            Page::Health => json(StatusCode::OK, &serde_json::json!({ "status": "ok" })),
            Page::Ready => self.ready(),
            Page::Endpoints => {
                json(StatusCode::OK, &views::endpoints(&self.shared.snapshot(), runtime::now(), runtime::wall_clock()))
            }
            Page::Policy => json(StatusCode::OK, &routes::policy(&self.shared.snapshot())),
            Page::Prices => json(StatusCode::OK, &prices::prices(&self.shared.snapshot(), &self.clerk)),
            Page::Refresh => self.refresh(request).await,
            Page::Reload => self.reload(),
            Page::Endpoint(id) => match body(request).await {
                Ok(wish) => wishes::grant(&self.shared.snapshot(), id, &wish, runtime::now()),
                Err(refusal) => refusal,
            },
        }
    }

    fn metrics(&self) -> Reply {
        let snapshot = self.shared.snapshot();
        let fill = |gauges: &_| {
            views::fill_gauges(&snapshot, gauges, runtime::now());
            prices::fill_ages(&snapshot, &self.clerk, gauges, runtime::wall_clock());
        };
        match self.shared.metrics.render_with(fill) {
            Ok(text) => reply(StatusCode::OK, METRICS_TYPE, text.into()),
            Err(failure) => error(StatusCode::INTERNAL_SERVER_ERROR, "metrics", &failure.to_string()),
        }
    }

    /// Never depends on upstreams or on a failed reload: taking the gateway away would not bring either back.
    fn ready(&self) -> Reply {
        let (status, ready) = match *self.phase.borrow() {
            Phase::Running => (StatusCode::OK, Ready::Yes),
            Phase::Draining | Phase::Stopped => (StatusCode::SERVICE_UNAVAILABLE, Ready::Draining),
        };
        json(status, &views::readiness(&self.shared.snapshot(), self.reloader.failure().as_deref(), ready))
    }

    fn reload(&self) -> Reply {
        match self.reloader.reload(Trigger::Request) {
            Outcome::Applied { generation, needs_restart } => json(
                StatusCode::OK,
                &serde_json::json!({ "result": "applied", "generation": generation, "needs_restart": needs_restart }),
            ),
            Outcome::Unchanged { generation } => {
                json(StatusCode::OK, &serde_json::json!({ "result": "unchanged", "generation": generation }))
            }
            Outcome::Repriced { generation, changed } => json(
                StatusCode::OK,
                &serde_json::json!({ "result": "repriced", "generation": generation, "prices_changed": changed }),
            ),
            Outcome::Rejected { diagnostics } => json(
                StatusCode::UNPROCESSABLE_ENTITY,
                &serde_json::json!({ "result": "rejected", "diagnostics": diagnostics }),
            ),
        }
    }

    /// Asks feeds for their lists now, whether they are due or not.
    async fn refresh(&self, request: Request<Incoming>) -> Reply {
        let wish: Refresh = match body(request).await {
            Ok(wish) => wish,
            Err(refusal) => return refusal,
        };
        let feeds = self.reloader.feeds();
        let asked = feeds.iter().filter(|feed| wish.feed.as_ref().is_none_or(|name| **name == *feed.name));
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            let known: Vec<_> = feeds.iter().map(|feed| &*feed.name).collect();
            let message = format!("no such feed; [[prices.feeds]] has: {}", known.join(", "));
            return error(StatusCode::NOT_FOUND, "unknown_feed", &message);
        }
        let vouched = if wish.accept { Vouched::Yes } else { Vouched::No };
        let mut results = Vec::new();
        for feed in asked {
            let done = refresh(&self.clerk, &self.reloader, feed, vouched).await;
            results.push(prices::Answer::new(feed, &done));
        }
        json(StatusCode::OK, &serde_json::json!({ "feeds": results }))
    }
}

/// The body of a request; an empty one is `{}`. Else what to answer.
async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Reply> {
    let invalid = |message: String| error(StatusCode::BAD_REQUEST, "invalid_request", &message);
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let body = body.map_err(|failure| invalid(failure.to_string()))?.to_bytes();
    let text: &[u8] = if body.is_empty() { b"{}" } else { &body };
    serde_json::from_slice(text).map_err(|failure| invalid(failure.to_string()))
}

fn page(path: &str) -> Option<(Page<'_>, Method, Need)> {
    Some(match path {
        "/metrics" => (Page::Metrics, Method::GET, Need::Nothing),
        "/healthz" => (Page::Health, Method::GET, Need::Nothing),
        "/readyz" => (Page::Ready, Method::GET, Need::Nothing),
        "/v1/endpoints" => (Page::Endpoints, Method::GET, Need::Operator),
        "/v1/policy" => (Page::Policy, Method::GET, Need::Operator),
        "/v1/prices" => (Page::Prices, Method::GET, Need::Operator),
        "/v1/prices/refresh" => (Page::Refresh, Method::POST, Need::Operator),
        "/v1/reload" => (Page::Reload, Method::POST, Need::Operator),
        _ => (Page::Endpoint(path.strip_prefix("/v1/endpoints/")?), Method::POST, Need::Operator),
    })
}

/// Accepts and serves, for as long as it is polled.
pub async fn serve(socket: TcpListener, plane: Plane) {
    let listener = match tokio::net::TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(failure) => return tracing::error!(%failure, "the admin plane cannot use its socket"),
    };
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(failure) => {
                tracing::warn!(%failure, "the admin plane cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Where the socket is bound, not where this connection arrived: a plane on all addresses is not on loopback.
        let Ok(bound) = listener.local_addr() else { continue };
        let plane = plane.clone();
        tokio::spawn(async move {
            let handle = service_fn(move |request| {
                let plane = plane.clone();
                async move { Ok::<_, Infallible>(plane.answer(request, bound.ip(), peer.ip()).await) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT);
            if let Err(failure) = builder.serve_connection(TokioIo::new(stream), handle).await {
                tracing::debug!(%failure, "admin connection ended");
            }
        });
    }
}

fn deny(denied: Denied) -> Reply {
    match denied {
        Denied::Token => error(
            StatusCode::UNAUTHORIZED,
            "invalid_admin_token",
            "send the token of server.admin_token as 'Authorization: Bearer …'",
        ),
        Denied::Foreign => {
            error(StatusCode::FORBIDDEN, "foreign_host", "the Host or Origin header does not name this machine")
        }
        Denied::NotConfigured => {
            error(StatusCode::FORBIDDEN, "no_admin_token", "set server.admin_token to use this path from elsewhere")
        }
    }
}
