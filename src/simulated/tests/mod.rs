//! The provider as a client sees it: in virtual time, over in-memory pipes.

mod faults;
mod replies;
mod tcp;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::engine::Price;
use crate::simulated::{Profile, Provider};
use crate::units::{PricePerMtok, Timestamp};

const MODEL: &str = "sim-1";
const MS: Duration = Duration::from_millis(1);

fn profile() -> Profile {
    let price = Price::new(PricePerMtok(1_000_000), PricePerMtok(2_000_000));
    Profile::named("p").with_model(MODEL, price)
}

fn provider() -> Arc<Provider> {
    Provider::new(profile(), 1)
}

/// A client with one connection of its own.
struct Client {
    sender: SendRequest<Full<Bytes>>,
}

impl Client {
    async fn of(provider: &Arc<Provider>) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(Arc::clone(provider).serve_connection(theirs));
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(ours)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> hyper::Result<Response<Incoming>> {
        self.sender.send_request(request).await
    }

    async fn post(&mut self, path: &str, body: &Value) -> hyper::Result<Response<Incoming>> {
        self.send(Request::post(path).body(Full::from(body.to_string())).unwrap()).await
    }

    async fn chat(&mut self, body: &Value) -> hyper::Result<Response<Incoming>> {
        self.post("/v1/chat/completions", body).await
    }
}

fn plain() -> Value {
    json!({ "model": MODEL, "messages": [{ "role": "user", "content": "12345678" }] })
}

fn stream() -> Value {
    with(plain(), "stream", json!(true))
}

fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

async fn json_of(response: Response<Incoming>) -> Value {
    serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

/// The data of each event with the time since `began` at which it came; comments are kept as they are.
async fn events_of(response: Response<Incoming>, began: Timestamp) -> (Vec<(Duration, String)>, bool) {
    let mut body = response.into_body();
    let mut events = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return (events, false) };
        let text = String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap();
        let elapsed = crate::runtime::now().since(began);
        events.extend(
            text.split_terminator("\n\n")
                .map(|event| (elapsed, event.strip_prefix("data: ").unwrap_or(event).to_owned())),
        );
    }
    (events, true)
}

fn contents(events: &[(Duration, String)]) -> Vec<String> {
    let chunks = events.iter().filter_map(|(_, event)| serde_json::from_str::<Value>(event).ok());
    let deltas = chunks.filter_map(|chunk| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned()));
    deltas.filter(|content| !content.is_empty()).collect()
}
