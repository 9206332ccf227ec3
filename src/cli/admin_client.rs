//! Asks the daemon that runs with a configuration, over its admin plane.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::policy::model::Server;
use crate::policy::stood_in;

/// What the daemon said.
#[derive(Debug)]
pub(super) enum Said<T> {
    /// It did what it was asked for.
    Done(T),
    /// It did not, for this reason.
    Refused(String),
    /// None is listening.
    Nobody,
}

#[derive(Deserialize)]
struct Refusal {
    error: Complaint,
}

#[derive(Deserialize)]
struct Complaint {
    message: String,
}

/// Posts `wish` to the daemon of this configuration.
pub(super) async fn post<T: DeserializeOwned>(
    server: &Server,
    path: &str,
    wish: &serde_json::Value,
) -> anyhow::Result<Said<T>> {
    let address = reachable(server.admin);
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(Said::Nobody),
        Err(error) => return Err(error).with_context(|| format!("the daemon at {address} cannot be asked")),
    };
    let mut request = Request::post(path).header(HOST, address.to_string()).header(CONTENT_TYPE, "application/json");
    let token = server.admin_token.as_ref().map(|token| token.0.expose_secret());
    let missing = token.and_then(stood_in);
    if let Some(token) = token.filter(|_| missing.is_none()) {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let text = exchange(stream, request.body(Full::new(Bytes::from(wish.to_string())))?).await;
    let text = text.with_context(|| format!("the daemon at {address} broke off"))?;
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(&text) {
        let token = missing.map(|name| format!(" (no token was sent: {name} is not set here)")).unwrap_or_default();
        return Ok(Said::Refused(refusal.error.message + &token));
    }
    let said = serde_json::from_slice(&text)
        .with_context(|| format!("whatever listens at {address} does not answer like faregate's admin plane"))?;
    Ok(Said::Done(said))
}

/// An address to listen on all interfaces is called on this one.
const fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
    address
}

async fn exchange(stream: TcpStream, request: Request<Full<Bytes>>) -> Result<Bytes, hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let exchange = async { Ok(sender.send_request(request).await?.into_body().collect().await?.to_bytes()) };
    tokio::pin!(exchange, connection);
    tokio::select! {
        done = &mut exchange => done,
        ended = &mut connection => {
            ended?;
            exchange.await
        }
    }
}
