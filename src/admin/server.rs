//! The admin plane's HTTP: a handful of paths, small bodies, no streaming.

use std::convert::Infallible;
use std::net::{IpAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Deserialize;
use tokio::sync::watch;

use super::access::{Denied, Need, check};
use super::views::{self, Ready};
use crate::control::{Outcome, Reloader, Trigger};
use crate::observe::metrics::CONTENT_TYPE as METRICS_TYPE;
use crate::proxy::listener::Phase;
use crate::proxy::worker::Shared;
use crate::runtime;
use crate::state::Override;

/// Heads must arrive within this time.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// The largest body that any path takes.
const MAX_BODY: usize = 64 * 1024;

/// What the admin plane shows and changes.
#[derive(Clone)]
pub struct Plane {
    shared: Arc<Shared>,
    reloader: Arc<Reloader>,
    phase: watch::Receiver<Phase>,
}

/// What a path is for.
enum Page<'a> {
    Metrics,
    Health,
    Ready,
    Endpoints,
    Policy,
    Reload,
    Endpoint(&'a str),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    state: WishedState,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WishedState {
    Enabled,
    Draining,
    Disabled,
    Reset,
}

type Reply = Response<Full<Bytes>>;

impl Plane {
    /// A plane over what runs.
    pub const fn new(shared: Arc<Shared>, reloader: Arc<Reloader>, phase: watch::Receiver<Phase>) -> Self {
        Self { shared, reloader, phase }
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
            Page::Endpoints => json(StatusCode::OK, &views::endpoints(&self.shared.snapshot(), runtime::now())),
            Page::Policy => json(StatusCode::OK, &views::policy(&self.shared.snapshot())),
            Page::Reload => self.reload(),
            Page::Endpoint(id) => self.wish(id, request).await,
        }
    }

    fn metrics(&self) -> Reply {
        let snapshot = self.shared.snapshot();
        match self.shared.metrics.render_with(|gauges| views::fill_gauges(&snapshot, gauges, runtime::now())) {
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

    async fn wish(&self, id: &str, request: Request<Incoming>) -> Reply {
        let body = match Limited::new(request.into_body(), MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(failure) => return error(StatusCode::BAD_REQUEST, "invalid_request", &failure.to_string()),
        };
        let wish: Wish = match serde_json::from_slice(&body) {
            Ok(wish) => wish,
            Err(failure) => return error(StatusCode::BAD_REQUEST, "invalid_request", &failure.to_string()),
        };
        let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
        let snapshot = self.shared.snapshot();
        let Some(seat) = snapshot.seats.values().find(|seat| seat.cell.id.as_str() == id) else {
            return error(
                StatusCode::NOT_FOUND,
                "unknown_endpoint",
                "no endpoint has this id; GET /v1/endpoints lists them",
            );
        };
        match wish.state {
            WishedState::Enabled => seat.cell.set_wish(Override::Enabled),
            WishedState::Draining => seat.cell.set_wish(Override::Draining),
            WishedState::Disabled => seat.cell.set_wish(Override::Disabled),
            WishedState::Reset => seat.cell.reset(),
        }
        tracing::info!(endpoint = %id, state = %String::from_utf8_lossy(&body), "endpoint changed by an operator");
        json(StatusCode::OK, &serde_json::json!({ "endpoint": id }))
    }
}

fn page(path: &str) -> Option<(Page<'_>, Method, Need)> {
    Some(match path {
        "/metrics" => (Page::Metrics, Method::GET, Need::Nothing),
        "/healthz" => (Page::Health, Method::GET, Need::Nothing),
        "/readyz" => (Page::Ready, Method::GET, Need::Nothing),
        "/v1/endpoints" => (Page::Endpoints, Method::GET, Need::Operator),
        "/v1/policy" => (Page::Policy, Method::GET, Need::Operator),
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

fn error(status: StatusCode, code: &str, message: &str) -> Reply {
    json(status, &serde_json::json!({ "error": { "message": message, "code": code } }))
}

fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    let body = serde_json::to_vec_pretty(value).unwrap_or_default();
    reply(status, "application/json", body.into())
}

fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
