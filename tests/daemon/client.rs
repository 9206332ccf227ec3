//! A client that sends one request over a connection of its own and reads the reply to its end.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// What came back, or why nothing did.
pub(crate) type Outcome = Result<(u16, String), String>;

/// Sends a request; the body is still to be read.
pub(crate) async fn open(to: SocketAddr, request: Request<Full<Bytes>>) -> Result<http::Response<Incoming>, String> {
    let stream = TcpStream::connect(to).await.map_err(|error| format!("connect: {error}"))?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    sender.send_request(request).await.map_err(|error| error.to_string())
}

/// Sends a request and reads the whole reply.
pub(crate) async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Outcome {
    let (parts, body) = open(to, request).await?.into_parts();
    let body = body.collect().await.map_err(|error| format!("body: {error}"))?.to_bytes();
    Ok((parts.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
}

/// A chat.
pub(crate) fn chat(stream: bool) -> Request<Full<Bytes>> {
    let body = serde_json::json!({ "model": "m", "stream": stream, "messages": [{ "role": "user", "content": "hi" }] });
    request("POST", "/v1/chat/completions", &body.to_string())
}

/// A request with a body.
pub(crate) fn request(method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::builder().method(method).uri(path).header("host", "127.0.0.1");
    request.header("content-type", "application/json").body(Full::new(body.to_owned().into())).unwrap()
}

/// Whether a streamed answer is whole.
pub(crate) fn is_whole_stream(outcome: &Outcome) -> bool {
    matches!(outcome, Ok((200, text)) if text.ends_with("data: [DONE]\n\n") && !text.contains("\"error\""))
}
