//! One GET of something small, such as a price list: no redirects, no cookies, a bound on time and size.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, ETAG, HOST, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION, USER_AGENT,
};
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::policy::model::BaseUrl;
use crate::proxy::dial::{ConnectError, Connector};

/// For everything: name, connection, body.
const LIMIT: Duration = Duration::from_secs(30);

/// What to get.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Where from, with the path of the list.
    pub(super) url: BaseUrl,
    /// What follows `?`.
    pub(super) query: Option<Arc<str>>,
    /// Who asks.
    pub(super) authorization: Option<HeaderValue>,
}

/// What came back.
#[derive(Debug)]
pub(super) enum Fetched {
    /// It is what it was.
    NotModified,
    /// What is there.
    Body {
        /// Its bytes.
        bytes: Bytes,
        /// What to ask with the next time.
        etag: Option<String>,
    },
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The conversation failed.
    #[error("it cannot be fetched: {0}")]
    Http(#[from] hyper::Error),
    /// The address cannot be asked for.
    #[error("this address cannot be asked for: {0}")]
    Request(#[from] http::Error),
    /// It is elsewhere.
    #[error("it has moved: the server answered {status} and names {location}; set the url to it")]
    Moved {
        /// The status.
        status: StatusCode,
        /// Where to.
        location: String,
    },
    /// It was refused.
    #[error("the server answered {0}")]
    Status(StatusCode),
    /// It is too large.
    #[error("it is larger than {} bytes", .0)]
    TooLarge(usize),
    /// It was cut.
    #[error("the answer broke off: {0}")]
    Body(String),
    /// It took too long.
    #[error("no answer within {} seconds", LIMIT.as_secs())]
    Timeout,
}

/// Gets at most `largest` bytes of it, unless it still has the tag `etag`.
pub(super) async fn get(
    connector: &Connector,
    from: &Address,
    etag: Option<&str>,
    largest: usize,
) -> Result<Fetched, FetchError> {
    tokio::time::timeout(LIMIT, attempt(connector, from, etag, largest)).await.unwrap_or(Err(FetchError::Timeout))
}

async fn attempt(
    connector: &Connector,
    from: &Address,
    etag: Option<&str>,
    largest: usize,
) -> Result<Fetched, FetchError> {
    let stream = connector.connect(&from.url).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = request(from, etag)?;
    // Polled beside the exchange, and dropped with it.
    let exchange = async {
        let reply = sender.send_request(request).await?;
        let (head, body) = reply.into_parts();
        match head.status {
            StatusCode::OK => {
                let collected = Limited::new(body, largest).collect().await;
                let collected = collected.map_err(|error| broken(&*error, largest))?;
                let etag = head.headers.get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
                Ok(Fetched::Body { bytes: collected.to_bytes(), etag })
            }
            StatusCode::NOT_MODIFIED => Ok(Fetched::NotModified),
            status => Err(refusal(status, &head.headers)),
        }
    };
    tokio::pin!(exchange, connection);
    tokio::select! {
        done = &mut exchange => done,
        failed = &mut connection => match failed {
            Err(error) => Err(error.into()),
            // The connection may end before its last bytes have been looked at.
            Ok(()) => exchange.await,
        },
    }
}

fn request(from: &Address, etag: Option<&str>) -> Result<Request<Empty<Bytes>>, http::Error> {
    let query = from.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
    let path = if from.url.path.is_empty() { "/" } else { &from.url.path };
    let request = Request::get(format!("{path}{query}"))
        .header(HOST, from.url.authority())
        .header(USER_AGENT, concat!("faregate/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "application/json, text/plain, */*")
        .header(ACCEPT_ENCODING, "identity");
    let mut request = match etag {
        Some(tag) => request.header(IF_NONE_MATCH, tag),
        None => request,
    }
    .body(Empty::new())?;
    if let Some(authorization) = &from.authorization {
        request.headers_mut().insert(AUTHORIZATION, authorization.clone());
    }
    Ok(request)
}

fn refusal(status: StatusCode, headers: &HeaderMap) -> FetchError {
    match headers.get(LOCATION).and_then(|location| location.to_str().ok()) {
        Some(location) if status.is_redirection() => {
            FetchError::Moved { status, location: without_query(location).to_owned() }
        }
        Some(_) | None => FetchError::Status(status),
    }
}

/// An address as it may be shown: a query may hold a token.
pub(super) fn without_query(address: &str) -> &str {
    address.split('?').next().unwrap_or_default()
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static), largest: usize) -> FetchError {
    if error.is::<LengthLimitError>() { FetchError::TooLarge(largest) } else { FetchError::Body(error.to_string()) }
}
