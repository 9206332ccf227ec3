//! What the admin plane answers with.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

/// An answer.
pub(super) type Reply = Response<Full<Bytes>>;

/// An error, for people and programs.
pub(super) fn error(status: StatusCode, code: &str, message: &str) -> Reply {
    json(status, &serde_json::json!({ "error": { "message": message, "code": code } }))
}

/// A value.
pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Reply {
    let body = serde_json::to_vec_pretty(value).unwrap_or_default();
    reply(status, "application/json", body.into())
}

/// A whole reply of this content type.
pub(super) fn reply(status: StatusCode, kind: &'static str, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
