//! Who may ask, and how much: tenants, and the bounds on a body.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use super::exchange::Exchange;
use super::headers;
use super::reply::Refusal;

/// Lets a request in and reads its body.
pub(super) async fn admit(exchange: &mut Exchange, headers: &HeaderMap, body: Incoming) -> Result<Bytes, Refusal> {
    // Before the body: a stranger shall not make us read 32 MiB.
    identify(exchange, headers)?;
    refuse_encoded(headers)?;
    let server = &exchange.snapshot.model.server;
    read_body(body, server.max_body, server.body_timeout).await
}

/// Bodies are read, and none of the providers takes others than plain ones.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Refusal> {
    let coding = headers.get(CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or("identity");
    if coding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    let coding = coding.chars().take(40).collect::<String>();
    Err(Refusal::Invalid {
        message: format!("content-encoding: `{coding}` is not taken; send the body as it is"),
        param: Some("content-encoding"),
    })
}

/// Finds out whose request it is.
pub(super) fn identify(exchange: &mut Exchange, headers: &HeaderMap) -> Result<(), Refusal> {
    let tenants = &exchange.snapshot.tenants;
    if tenants.is_open() {
        return Ok(());
    }
    let tenant = headers::presented_key(headers).and_then(|key| tenants.identify(key)).ok_or(Refusal::Unauthorized)?;
    exchange.tenant = Some(tenant);
    Ok(())
}

/// The whole body, at most `limit` bytes, none of its parts later than `patience` after the last.
async fn read_body<B>(mut body: B, limit: usize, patience: Duration) -> Result<Bytes, Refusal>
where
    B: Body<Data = Bytes, Error = hyper::Error> + Unpin,
{
    let too_large = Refusal::TooLarge { limit };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(too_large);
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut length: usize = 0;
    while let Some(frame) = tokio::time::timeout(patience, body.frame()).await.map_err(|_| Refusal::BodyTimeout)? {
        let frame = frame.map_err(|error| Refusal::Invalid {
            message: format!("the request body broke off: {error}"),
            param: None,
        })?;
        let Ok(chunk) = frame.into_data() else { continue };
        length += chunk.len();
        if length > limit {
            return Err(too_large);
        }
        // Most bodies come in one piece, which then is not copied.
        if first.is_empty() {
            first = chunk;
        } else {
            if whole.is_empty() {
                whole.reserve(announced.max(length));
                whole.extend_from_slice(&first);
            }
            whole.extend_from_slice(&chunk);
        }
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}
