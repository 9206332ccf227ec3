//! A client that notes when each piece of an answer arrives.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::simulated::{Length, Profile, Provider, Quota, Spread};
use crate::units::Timestamp;

/// First token after 100 ms, then one every 10 ms, five in all.
pub(super) fn profile() -> Profile {
    Profile {
        first_token: Spread { median: Duration::from_millis(100), sigma: 0.0 },
        per_token: Spread { median: Duration::from_millis(10), sigma: 0.0 },
        output_tokens: Length { median: 5.0, sigma: 0.0 },
        ..Profile::default()
    }
}

pub(super) fn limited(quota: Quota) -> Profile {
    Profile { quota: Some(quota), ..profile() }
}

pub(super) fn chat() -> Value {
    json!({ "model": "sim-1", "messages": [{ "role": "user", "content": "hello" }] })
}

pub(super) fn streamed() -> Value {
    with(&chat(), &json!({ "stream": true }))
}

pub(super) fn with(body: &Value, fields: &Value) -> Value {
    let mut body = body.clone();
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// Milliseconds from the request to the head.
    pub(super) head_at: u64,
    /// Each piece and the milliseconds from the request to it.
    pub(super) pieces: Vec<(u64, String)>,
    /// Whether the connection broke inside the body.
    pub(super) broken: Option<hyper::Error>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        self.pieces.iter().map(|(_, piece)| piece.as_str()).collect()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    /// The JSON of each event, without the closing `[DONE]`.
    pub(super) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        data.filter(|event| *event != "[DONE]").map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(super) async fn connect(provider: &Arc<Provider>) -> SendRequest<Full<Bytes>> {
    let (near, far) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Arc::clone(provider).serve_connection(far));
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    sender
}

pub(super) fn request(path: &str, body: &str) -> Request<Full<Bytes>> {
    let method = if body.is_empty() { "GET" } else { "POST" };
    Request::builder().method(method).uri(path).body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

/// Sends one request on a connection of its own.
pub(super) async fn send(provider: &Arc<Provider>, request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
    let start = crate::runtime::now();
    let mut sender = connect(provider).await;
    let response = sender.send_request(request).await?;
    let head_at = millis_since(start);
    let (head, body) = response.into_parts();
    let (pieces, broken) = read(body, start).await;
    Ok(Answer { status: head.status, headers: head.headers, head_at, pieces, broken })
}

pub(super) async fn post(provider: &Arc<Provider>, path: &str, body: &Value) -> hyper::Result<Answer> {
    send(provider, request(path, &body.to_string())).await
}

pub(super) async fn ask(provider: &Arc<Provider>, body: &Value) -> hyper::Result<Answer> {
    post(provider, "/v1/chat/completions", body).await
}

async fn read(mut body: Incoming, start: Timestamp) -> (Vec<(u64, String)>, Option<hyper::Error>) {
    let mut pieces = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => {
                let bytes = frame.into_data().unwrap();
                pieces.push((millis_since(start), String::from_utf8(bytes.to_vec()).unwrap()));
            }
            Err(error) => return (pieces, Some(error)),
        }
    }
    (pieces, None)
}

fn millis_since(start: Timestamp) -> u64 {
    u64::try_from(crate::runtime::now().since(start).as_millis()).unwrap()
}

/// Lets all tasks run until nothing is left to do but wait.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}
