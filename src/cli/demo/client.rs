//! A client that knows nothing of routers: it asks as an application would, and notes what it saw.
//!
//! A connection per request: what is measured then includes what an application's first request pays, and one broken
//! connection cannot spoil the next request.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::cli::demo::traffic::{Delivery, Drawn};
use crate::runtime;

/// Far beyond any answer: whoever waits so long has been failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// In an event, what comes right before the content of a token (the role's event has the role there).
const TOKEN: &[u8] = br#""delta":{"content":"#;
const DONE: &[u8] = b"data: [DONE]";
const ERROR: &[u8] = br#""error":"#;

/// What a client saw of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// From sending to the first token; plain answers have none.
    pub(super) first_token: Option<Duration>,
    /// The upstreams that were tried, as the reply says; 0 if it does not.
    pub(super) attempts: u64,
    /// Why it failed, if it did.
    pub(super) failure: Option<Failure>,
}

/// Why a client was failed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub(super) enum Failure {
    /// The router could not be spoken to, or broke off.
    #[error("the connection broke ({0})")]
    Connection(String),
    /// A status that is not 200.
    #[error("status {0}")]
    Status(u16),
    /// A stream without an end, or with an error in it.
    #[error("the answer was cut short")]
    CutShort,
    /// Nothing for a minute.
    #[error("no answer within a minute")]
    NoAnswer,
}

/// Asks for `drawn` and reads the answer to its end.
pub(super) async fn ask(router: SocketAddr, drawn: Drawn) -> Seen {
    let mut seen = Seen { first_token: None, attempts: 0, failure: None };
    match tokio::time::timeout(PATIENCE, watch(router, drawn, &mut seen)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => seen.failure = Some(failure),
        Err(_) => seen.failure = Some(Failure::NoAnswer),
    }
    seen
}

async fn watch(router: SocketAddr, drawn: Drawn, seen: &mut Seen) -> Result<(), Failure> {
    let began = runtime::now();
    let response = send(router, Method::POST, "/v1/chat/completions", drawn.body()).await?;
    seen.attempts = attempts(response.headers());
    if response.status() != StatusCode::OK {
        return Err(Failure::Status(response.status().as_u16()));
    }
    let mut body = response.into_body();
    let mut text = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::Connection(error.to_string()))?;
        text.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        if seen.first_token.is_none() && memchr::memmem::find(&text, TOKEN).is_some() {
            seen.first_token = Some(runtime::now().since(began));
        }
    }
    let has = |needle| memchr::memmem::find(&text, needle).is_some();
    let whole = match drawn.delivery {
        Delivery::Stream => has(DONE),
        Delivery::Plain => serde_json::from_slice::<serde::de::IgnoredAny>(&text).is_ok(),
    };
    if whole && !has(ERROR) { Ok(()) } else { Err(Failure::CutShort) }
}

/// One request on a connection of its own, for the admin plane: the whole body, if the status is 200.
pub(super) async fn fetch(server: SocketAddr, method: Method, path: &str) -> Result<Bytes, Failure> {
    let response = send(server, method, path, String::new()).await?;
    if response.status() != StatusCode::OK {
        return Err(Failure::Status(response.status().as_u16()));
    }
    let body = response.into_body().collect().await.map_err(|error| Failure::Connection(error.to_string()))?;
    Ok(body.to_bytes())
}

async fn send(server: SocketAddr, method: Method, path: &str, body: String) -> Result<Response<Incoming>, Failure> {
    let broke = |error: &dyn std::error::Error| Failure::Connection(error.to_string());
    let stream = TcpStream::connect(server).await.map_err(|error| broke(&error))?;
    stream.set_nodelay(true).map_err(|error| broke(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| broke(&error))?;
    // Ends with the response's body; what breaks it is seen by whoever reads that.
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, server.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| broke(&error))?;
    sender.send_request(request).await.map_err(|error| broke(&error))
}

fn attempts(headers: &HeaderMap) -> u64 {
    let told = headers.get("x-faregate-attempts").and_then(|value| value.to_str().ok());
    told.and_then(|value| value.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulated::{Fault, Profile, Provider};
    use crate::units::Tokens;

    async fn seen_under(fault: Option<Fault>, delivery: Delivery) -> Seen {
        let profile =
            Profile::named("p").with_model(super::super::traffic::ASKED_MODEL, crate::engine::Price::default());
        let instant = Profile {
            first_token: crate::simulated::Lognormal::fixed(Duration::ZERO),
            time_per_token: Duration::ZERO,
            ..profile
        };
        let provider = Provider::new(instant, 1);
        provider.set_fault(fault);
        let listening = provider.listen(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        ask(listening.addr, Drawn { at: Duration::ZERO, prompt: Tokens(5), max_tokens: Tokens(5), delivery }).await
    }

    #[tokio::test]
    async fn a_whole_answer_is_no_failure_and_only_a_stream_has_a_first_token() {
        let (stream, plain) = (seen_under(None, Delivery::Stream).await, seen_under(None, Delivery::Plain).await);
        assert_eq!((stream.failure, stream.first_token.is_some()), (None, true));
        assert_eq!((plain.failure, plain.first_token.is_some()), (None, false));
    }

    #[tokio::test]
    async fn whatever_a_client_would_call_a_failure_is_one() {
        let cases = [
            (Fault::error_status(503), Delivery::Plain, "status 503"),
            (Fault::ErrorEventAfter(2), Delivery::Stream, "the answer was cut short"),
            (Fault::ErrorIn200, Delivery::Plain, "the answer was cut short"),
            (Fault::GarbageJson, Delivery::Plain, "the answer was cut short"),
        ];
        for (fault, delivery, expected) in cases {
            assert_eq!(
                seen_under(Some(fault), delivery).await.failure.map(|failure| failure.to_string()).as_deref(),
                Some(expected)
            );
        }
        for fault in [Fault::Outage, Fault::CutAfter(2)] {
            let failure = seen_under(Some(fault), Delivery::Stream).await.failure;
            assert!(matches!(failure, Some(Failure::Connection(_))), "{failure:?}");
        }
    }
}
