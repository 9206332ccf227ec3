//! A simulated provider's HTTP: authentication, validation, quota, faults, and then an answer in its time.
#![expect(clippy::unnecessary_box_returns, reason = "a reply is large, and stands here in the error of a Result")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use super::answer::{Ask, at, delays, embeddings, error, prompt_tokens};
use super::profile::{Fault, Profile};
use super::provider::{Provider, Recorded, Visit};
use super::quota::put;
use super::script::{Act, Script, Step};
use crate::units::Tokens;

type Body = BoxBody<Bytes, io::Error>;
/// A reply that is ready, where a request cannot be answered.
type Refusal = Box<Response<Body>>;

impl Provider {
    /// Serves one connection to its end.
    pub async fn serve_connection<I>(self: Arc<Self>, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        if self.refuses() {
            return;
        }
        let handle = service_fn(move |request| {
            let provider = Arc::clone(&self);
            async move { provider.answer(request).await }
        });
        let mut builder = hyper::server::conn::http1::Builder::new();
        if let Err(error) = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(io), handle).await {
            tracing::debug!(%error, "simulated provider: connection ended");
        }
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let path = head.uri.path().to_owned();
        if path == "/stats" {
            return Ok(json(StatusCode::OK, &serde_json::to_value(self.stats())?));
        }
        let record = Recorded {
            method: head.method.clone(),
            path: path.clone(),
            headers: head.headers.clone(),
            body: body.clone(),
        };
        let mut rng = self.arrive(record);
        let profile = self.profile();
        let fault = self.fault(&mut rng);
        match fault {
            Some(Fault::Refuse) => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::HangBeforeHead) => std::future::pending().await,
            Some(Fault::Status { status, body, retry_after }) => return Ok(status_reply(status, body, retry_after)),
            _ => {}
        }
        let reply = authorise(&profile, &head.headers).and_then(|()| match path.strip_prefix("/v1").unwrap_or(&path) {
            "/models" if head.method == Method::GET => Ok(Planned::Done(models(&profile))),
            "/chat/completions" | "/completions" | "/embeddings" if head.method == Method::POST => {
                self.plan(&profile, &path, &body, fault.as_ref(), &mut rng)
            }
            _ => Err(refuse(
                StatusCode::NOT_FOUND,
                &error("Unknown path", "invalid_request_error", None, Some("unknown_url")),
            )),
        });
        Ok(match reply {
            Ok(Planned::Done(reply)) => reply,
            Ok(Planned::Script(headers, script)) => {
                let (parts, ()) = Response::new(()).into_parts();
                let mut reply = Response::from_parts(parts, script.boxed());
                *reply.headers_mut() = headers;
                reply
            }
            Ok(Planned::Later(wait, headers, value, visit)) => {
                let mut pending = Script::new([], Arc::clone(&self), visit);
                tokio::time::sleep(wait).await;
                pending.complete();
                let mut reply = json(StatusCode::OK, &value);
                reply.headers_mut().extend(headers);
                reply
            }
            Err(refusal) => *refusal,
        })
    }

    fn plan(
        self: &Arc<Self>,
        profile: &Profile,
        path: &str,
        body: &Bytes,
        fault: Option<&Fault>,
        rng: &mut StdRng,
    ) -> Result<Planned, Refusal> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| bad_request("We could not parse the JSON body of your request.", None))?;
        let model = validate(profile, &body)?;
        let prompt = prompt_tokens(&body);
        let wanted = profile.output_tokens.draw(rng);
        let reserve = prompt + Tokens(at(&body, "/max_tokens").as_u64().unwrap_or(wanted.0));
        let in_flight = self.stats().in_flight;
        let mut headers = self.enter(reserve).map_err(|(throttled, headers)| throttle(throttled.wait, headers))?;
        let number = self.stats().requests;
        put(&mut headers, "x-request-id", &format!("req_sim_{number}"));
        let visit = Visit { model: model.clone(), prompt, produced: Tokens::ZERO, completed: false, broken: false };
        let slow = if let Some(Fault::Slow { factor }) = fault { *factor } else { 1.0 };
        let (wait, per_token) = delays(profile, prompt, in_flight, slow, rng);
        if path.ends_with("/embeddings") {
            return Ok(Planned::Later(wait, headers, embeddings(&body, &model, prompt), visit));
        }
        let ask = Ask { chat: path.ends_with("/chat/completions"), body, model, prompt, wanted, number };
        Ok(self.speak(&ask, headers, wait, per_token, fault, visit))
    }

    fn speak(
        self: &Arc<Self>,
        ask: &Ask,
        mut headers: HeaderMap,
        wait: Duration,
        per_token: Duration,
        fault: Option<&Fault>,
        visit: Visit,
    ) -> Planned {
        if ask.streams() && !matches!(fault, Some(Fault::ErrorIn200 | Fault::GarbageJson)) {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            let steps = ask.stream(wait, per_token, fault);
            return Planned::Script(headers, Script::new(steps, Arc::clone(self), visit));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let (answer, output) = ask.plain();
        let text = answer.to_string();
        let half = text.get(..text.len() / 2).unwrap_or_default().to_owned();
        let whole = wait + per_token * u32::try_from(output.saturating_sub(1)).unwrap_or(u32::MAX);
        let say = |text: String| Step::send(whole, text.into(), Tokens(output));
        let steps = match fault {
            Some(Fault::ErrorIn200) => {
                vec![say(error("The server is overloaded", "server_error", None, Some("503")).to_string())]
            }
            Some(Fault::GarbageJson) => vec![say(half)],
            Some(Fault::CutBeforeContent | Fault::CutAfter { .. }) => vec![say(half), Step::next(Act::Break)],
            Some(Fault::HangBeforeFirstToken) => vec![Step::next(Act::Hang)],
            Some(Fault::KeepAlives { count, every }) => {
                let blank = Step::send(*every, Bytes::from_static(b"\n"), Tokens::ZERO);
                vec![blank; *count].into_iter().chain([say(text)]).collect()
            }
            _ => vec![say(text)],
        };
        Planned::Script(headers, Script::new(steps, Arc::clone(self), visit))
    }
}

/// What is going to be answered.
enum Planned {
    Done(Response<Body>),
    Script(HeaderMap, Script),
    Later(Duration, HeaderMap, Value, Visit),
}

fn authorise(profile: &Profile, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(key) = &profile.api_key else { return Ok(()) };
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if presented == format!("Bearer {key}") {
        return Ok(());
    }
    let message = format!("Incorrect API key provided: {}.", presented.trim_start_matches("Bearer "));
    Err(refuse(StatusCode::UNAUTHORIZED, &error(&message, "invalid_request_error", None, Some("invalid_api_key"))))
}

fn validate(profile: &Profile, body: &Value) -> Result<String, Refusal> {
    let model = at(body, "/model").as_str().unwrap_or_default();
    if !profile.models.iter().any(|entry| entry.id == model) {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        return Err(refuse(
            StatusCode::NOT_FOUND,
            &error(&message, "invalid_request_error", None, Some("model_not_found")),
        ));
    }
    if at(body, "/temperature").as_f64().is_some_and(|value| !(0.0..=2.0).contains(&value)) {
        return Err(bad_request("Invalid 'temperature': expected a value between 0 and 2.", Some("temperature")));
    }
    Ok(model.to_owned())
}

fn bad_request(message: &str, param: Option<&str>) -> Refusal {
    refuse(StatusCode::BAD_REQUEST, &error(message, "invalid_request_error", param, None))
}

fn throttle(wait: Duration, headers: HeaderMap) -> Refusal {
    let mut reply = json(
        StatusCode::TOO_MANY_REQUESTS,
        &error("Rate limit reached for requests", "requests", None, Some("rate_limit_exceeded")),
    );
    reply.headers_mut().extend(headers);
    set_retry_after(reply.headers_mut(), wait);
    Box::new(reply)
}

fn set_retry_after(headers: &mut HeaderMap, wait: Duration) {
    put(headers, "retry-after", &wait.as_millis().div_ceil(1_000).to_string());
    put(headers, "retry-after-ms", &wait.as_millis().to_string());
}

fn status_reply(status: u16, body: Option<String>, retry_after: Option<Duration>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let value = error("The server had an error while processing your request", "server_error", None, None);
    let mut reply = json(status, &value);
    if let Some(body) = body {
        *reply.body_mut() = full(body.into());
    }
    if let Some(wait) = retry_after {
        set_retry_after(reply.headers_mut(), wait);
    }
    reply
}

fn models(profile: &Profile) -> Response<Body> {
    let data: Vec<_> = profile
        .models
        .iter()
        .map(|model| serde_json::json!({ "id": model.id, "object": "model", "created": 0, "owned_by": profile.name }))
        .collect();
    json(StatusCode::OK, &serde_json::json!({ "object": "list", "data": data }))
}

fn refuse(status: StatusCode, value: &Value) -> Refusal {
    Box::new(json(status, value))
}

fn json(status: StatusCode, value: &Value) -> Response<Body> {
    let mut reply = Response::new(full(value.to_string().into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
