//! The request path: which API is meant, who asks, what for, and who serves it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, request};
use hyper::body::Incoming;
use parking_lot::Mutex;
use rand::{Rng, RngExt as _};

use super::admission;
use super::call::{Call, Purpose, Side};
use super::conversation::conversation;
use super::exchange::Exchange;
use super::failover::{self, refuse};
use super::listing;
use super::overrides;
use super::patience::Running;
use super::relay::ReplyBody;
use super::reply::Refusal;
use super::worker::Worker;
use crate::dialect::{Adjustments, Head, InjectUsage, Kind, UsageWish, read_head};
use crate::engine::{self, Mode};
use crate::ids::RouteIx;
use crate::policy::model::UNLISTED;
use crate::state::Conversation;
use crate::units::{Tokens, count_to_f64};

/// What a path of the API is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Api<'a> {
    /// Something that a model answers.
    Ask(Kind),
    /// The list of models.
    Models,
    /// One model.
    Model(&'a str),
}

/// Answers one request.
pub(super) async fn answer(worker: &Arc<Worker>, request: Request<Incoming>, running: Running) -> Response<ReplyBody> {
    let id = format!("{:016x}", worker.rng.lock().next_u64());
    let exchange = Exchange::begin(Arc::clone(worker), id, running);
    let (head, body) = request.into_parts();
    let api = match route_path(&head) {
        Ok(api) => api,
        Err(refusal) => return refuse(exchange, &refusal),
    };
    match api {
        Api::Ask(kind) => ask(exchange, kind, head, body).await,
        Api::Models | Api::Model(_) => list(exchange, &head.headers, api),
    }
}

/// Paths work with and without `/v1`: clients differ in what they take for the base URL.
fn route_path(head: &request::Parts) -> Result<Api<'_>, Refusal> {
    let path = head.uri.path();
    let tail = path.strip_prefix("/v1").unwrap_or(path);
    let (api, method) = match tail {
        "/chat/completions" => (Api::Ask(Kind::Chat), Method::POST),
        "/completions" => (Api::Ask(Kind::Completion), Method::POST),
        "/embeddings" => (Api::Ask(Kind::Embedding), Method::POST),
        "/models" => (Api::Models, Method::GET),
        _ => match tail.strip_prefix("/models/") {
            Some(id) if !id.is_empty() => (Api::Model(id), Method::GET),
            Some(_) | None => return Err(Refusal::UnsupportedEndpoint { path: path.chars().take(200).collect() }),
        },
    };
    if head.method == method {
        Ok(api)
    } else {
        Err(Refusal::WrongMethod { allowed: if method == Method::POST { "POST" } else { "GET" } })
    }
}

async fn ask(mut exchange: Exchange, kind: Kind, head: request::Parts, body: Incoming) -> Response<ReplyBody> {
    let waited_from = crate::runtime::now();
    let admitted = admission::admit(&mut exchange, &head.headers, body).await;
    exchange.waited(crate::runtime::now().since(waited_from));
    let call = admitted.and_then(|body| prepare(&mut exchange, kind, head.headers, body));
    match call {
        Ok(call) => failover::run(exchange, call).await,
        Err(refusal) => refuse(exchange, &refusal),
    }
}

/// Reads what has to be known of the body and finds the route.
fn prepare(exchange: &mut Exchange, kind: Kind, headers: HeaderMap, body: Bytes) -> Result<Call, Refusal> {
    let head = read_head(kind, &body)
        .map_err(|error| Refusal::Invalid { message: error.to_string(), param: error.param() })?;
    exchange.requested_model = Some(head.model.clone().into_owned());
    exchange.stream = head.stream;
    let overrides = overrides::read(&headers, exchange.snapshot.model.allow_headers)?;
    exchange.tag.clone_from(&overrides.tag);
    let route = resolve(exchange, &head, overrides.route.as_deref())?;
    exchange.route = Some(route);
    overrides.check(&exchange.snapshot.model, route)?;
    let params = &exchange.snapshot.model.routes[route].params;
    let request = engine_request(kind, &head, params);
    let inject_usage = match head.usage_wish {
        UsageWish::NotAsked => InjectUsage::Yes,
        UsageWish::NotStream | UsageWish::Asked => InjectUsage::No,
    };
    let conversation = conversation(exchange, route, &headers, &head, overrides.session.as_deref());
    let warmth = conversation.as_ref().map(|known| exchange.snapshot.conversations.find(known)).unwrap_or_default();
    let side = side(exchange, route, conversation.as_ref());
    let splice = head.splice_points();
    let (choices, is_pinned, asked) = (head.choices, head.is_pinned, Arc::from(&*head.model));
    let call = Call {
        kind,
        headers,
        body,
        splice,
        inject_usage,
        choices,
        request,
        asked,
        route,
        conversation,
        warmth,
        overrides,
        side,
        told: Mutex::default(),
        is_pinned,
        purpose: Purpose::Answer,
    };
    call.check_pin(&exchange.snapshot)?;
    Ok(call)
}

fn resolve(exchange: &Exchange, head: &Head<'_>, wanted: Option<&str>) -> Result<RouteIx, Refusal> {
    let model = &exchange.snapshot.model;
    let named = || head.model.chars().take(200).collect();
    let found = match wanted {
        Some(name) => {
            model.routes.iter().find(|(_, route)| &*route.name == name && name != UNLISTED).map(|(route, _)| route)
        }
        None => model.names.resolve(&head.model),
    };
    let route = found.ok_or_else(|| match wanted {
        Some(route) => Refusal::UnknownRoute { route: route.to_owned() },
        None => Refusal::NoRoute { model: named() },
    })?;
    let allowed = exchange.tenant.is_none_or(|tenant| model.tenants[tenant].may_use(&model.routes[route]));
    if !allowed {
        return Err(Refusal::Forbidden { model: named() });
    }
    if model.routes[route].knows(&head.model) { Ok(route) } else { Err(Refusal::NoRoute { model: named() }) }
}

/// On which side of its route's canary a request is: the whole of a conversation on one, others by lot.
fn side(exchange: &Exchange, route: RouteIx, conversation: Option<&Conversation>) -> Side {
    let Some(canary) = &exchange.snapshot.model.routes[route].canary else { return Side::Usual };
    let lot = conversation.map_or_else(|| exchange.worker.rng.lock().random::<f64>(), |one| lot(one.lot));
    if lot < canary.share.0 { Side::Canary } else { Side::Usual }
}

/// A hash as a number between 0 and 1.
pub(super) fn lot(hash: u64) -> f64 {
    count_to_f64(hash >> 11) / count_to_f64(1 << 53)
}

fn engine_request(kind: Kind, head: &Head<'_>, params: &Adjustments) -> engine::Request {
    let mode = match (kind, head.stream) {
        (Kind::Embedding, _) => Mode::Embedding,
        (Kind::Chat | Kind::Completion, true) => Mode::Stream,
        (Kind::Chat | Kind::Completion, false) => Mode::Plain,
    };
    engine::Request {
        prompt: head.content.usual_tokens(),
        content: head.content,
        max_output: match kind {
            Kind::Chat | Kind::Completion => {
                let each = head.max_output.map(|all| all.0 / head.choices);
                params.answer_bound(each).map(|each| Tokens(each.saturating_mul(head.choices)))
            }
            Kind::Embedding => head.max_output,
        },
        mode,
        needs: head.needs,
        thinking: head.thinking,
    }
}

fn list(mut exchange: Exchange, headers: &HeaderMap, api: Api<'_>) -> Response<ReplyBody> {
    if let Err(refusal) = admission::identify(&mut exchange, headers) {
        return refuse(exchange, &refusal);
    }
    let body = match api {
        Api::Model(id) => match listing::one(&exchange, id) {
            Ok(body) => body,
            Err(refusal) => return refuse(exchange, &refusal),
        },
        Api::Models | Api::Ask(_) => listing::all(&exchange),
    };
    exchange.ended(crate::observe::Outcome::Ok);
    exchange.replied(200);
    let mut response = Response::new(ReplyBody::whole(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    exchange.describe(response.headers_mut());
    response
}
