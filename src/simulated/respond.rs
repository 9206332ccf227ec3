//! Responses that are no planned answer: what they end a visit as is decided here, so that no refusal is an abort.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use super::quota::{Refusal, write_retry_after};
use super::refuse::Refused;
use super::script::{Act, Beat, Script};
use super::tally::{End, Visit};

pub(super) fn refusal(mut visit: Visit, refused: &Refused) -> Response<Script> {
    visit.end(End::Failed);
    json_response(visit, refused.status, &refused.json())
}

pub(super) fn rate_limited(mut visit: Visit, over: &Refusal) -> Response<Script> {
    visit.end(End::RefusedByQuota);
    let refused = Refused::rate_limited(over.limit);
    let mut response = json_response(visit, refused.status, &refused.json());
    over.standing.write(response.headers_mut());
    write_retry_after(response.headers_mut(), over.retry_after);
    response
}

/// A number that is no status code is answered as 500: the fault is still a fault.
pub(super) fn failure(mut visit: Visit, status: u16, body: Option<String>) -> Response<Script> {
    visit.end(End::Failed);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = body.unwrap_or_else(|| Refused::server(status).json().to_string());
    whole(visit, status, body)
}

pub(super) fn json_response(visit: Visit, status: StatusCode, body: &Value) -> Response<Script> {
    whole(visit, status, body.to_string())
}

fn whole(visit: Visit, status: StatusCode, body: String) -> Response<Script> {
    let length = u64::try_from(body.len()).ok();
    let beats = vec![Beat::now(Act::Text(Bytes::from(body)))];
    with_type(Script::start(visit, beats, length), status, "application/json")
}

pub(super) fn with_type(script: Script, status: StatusCode, content_type: &'static str) -> Response<Script> {
    let mut response = Response::new(script);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
