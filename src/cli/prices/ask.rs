//! Asks the running daemon to refresh its prices.

use std::fmt::Write as _;
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
use tokio::net::TcpStream;

use crate::policy::model::Server;

/// What the daemon said.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) exit_code: u8,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    feeds: Vec<FeedReply>,
    error: Option<ErrorReply>,
}

#[derive(Deserialize)]
struct FeedReply {
    feed: String,
    result: String,
    models: Option<usize>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct ErrorReply {
    message: String,
}

/// Asks the daemon of this configuration; `None` if none is listening.
pub(super) async fn daemon(server: &Server, feed: Option<&str>, accept: bool) -> anyhow::Result<Option<Answer>> {
    let address = reachable(server.admin);
    let stream = match TcpStream::connect(address).await {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("the daemon at {address} cannot be asked")),
    };
    let wish = serde_json::json!({ "feed": feed, "accept": accept }).to_string();
    let mut request = Request::post("/v1/prices/refresh").header(HOST, address.to_string());
    request = request.header(CONTENT_TYPE, "application/json");
    if let Some(token) = &server.admin_token {
        request = request.header(AUTHORIZATION, format!("Bearer {}", token.0.expose_secret()));
    }
    let text = exchange(stream, request.body(Full::new(Bytes::from(wish)))?).await;
    let text = text.with_context(|| format!("the daemon at {address} broke off"))?;
    let reply: Reply = serde_json::from_slice(&text)
        .with_context(|| format!("whatever listens at {address} does not answer like faregate's admin plane"))?;
    Ok(Some(reply.into()))
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

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        if let Some(error) = reply.error {
            return Self { text: format!("the daemon refuses: {}\n", error.message), exit_code: 1 };
        }
        let mut text = String::new();
        for feed in &reply.feeds {
            let models = feed.models.map(|models| format!(", {models} models")).unwrap_or_default();
            let message = feed.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            let written = writeln!(text, "{}: {}{models}{message}", feed.feed, feed.result);
            debug_assert!(written.is_ok(), "writing to a string does not fail");
        }
        let failed = reply.feeds.iter().any(|feed| feed.message.is_some());
        Self { text, exit_code: u8::from(failed) }
    }
}
