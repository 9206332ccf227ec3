//! One try at one endpoint, up to the commit point.
//!
//! A try ends in a verdict before a byte has reached the client: commit to this reply, pass the upstream's refusal on,
//! or fail so that another endpoint may be tried. It never decides what comes next.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode, response};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::error_reply::ErrorReply;
use super::outgoing::{self, Payload};
use super::plain::{self, Collected, Form, Plain};
use super::pool::{Lease, LeasedBody, Pool, Reuse};
use super::stream::{Ending, Reader, Step, UsageChunk, describe};
use super::worker::Held;
use crate::dialect::faults::FaultTable;
use crate::dialect::retry_hint::retry_hint;
use crate::dialect::{Asked, Kind, WireError, error_body};
use crate::engine::{Failure, Fault, Usage, Verdict as Consequence};
use crate::policy::model::Timeouts;
use crate::state::Target;

/// A connection that had been closed already shows it at once. Later, the upstream may have been at work.
const STALE_SHOWS: Duration = Duration::from_secs(1);
/// Reply bytes held while waiting for the first content of a stream.
const MAX_PREAMBLE: usize = 64 * 1024;

/// What is sent, whoever it is sent to.
pub(super) struct Letter<'a> {
    /// Which API is called.
    pub kind: Kind,
    /// The client's headers.
    pub headers: &'a HeaderMap,
    /// What the client asks, as it came.
    pub asked: &'a [u8],
    /// The body for this endpoint.
    pub payload: Payload,
    /// What to do with the usage chunk.
    pub usage_chunk: UsageChunk,
    /// In which form the client wants an answer that comes in one piece.
    pub form: Form,
    /// How many answers are asked for.
    pub choices: u64,
}

/// How long this try may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The policy's bounds.
    pub timeouts: Timeouts,
    /// For the first token of a stream, or the whole of a plain answer.
    pub answer: Duration,
    /// When the request as a whole has to be over.
    pub deadline: Instant,
}

/// What a try came to.
pub(super) enum Verdict {
    /// A stream whose first content has arrived.
    Stream(response::Parts, Box<Reader>),
    /// A plain answer, whole or too large to hold.
    Plain(response::Parts, Plain),
    /// The upstream says that the request is wrong, or that it is wrong for it.
    Refused(Box<Objection>),
    /// Something else may be tried.
    Failed(Trouble),
}

/// An upstream's words to the client.
pub(super) struct Objection {
    /// The head of the reply.
    pub parts: response::Parts,
    /// Its body.
    pub body: Bytes,
    /// What it means.
    pub fault: Fault,
    /// In words, without secrets.
    pub detail: String,
}

/// Why a try failed.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// What it is.
    pub fault: Fault,
    /// When the provider wants to be asked again.
    pub retry_after: Option<Duration>,
    /// What the provider says was used nevertheless.
    pub usage: Option<Usage>,
    /// In words, without secrets.
    pub detail: String,
    /// Whether the clock that ran out was the whole request's.
    pub deadline_passed: bool,
}

impl From<&Objection> for Trouble {
    fn from(objection: &Objection) -> Self {
        Self::new(objection.fault, objection.detail.clone())
    }
}

impl Trouble {
    /// A mistake in here, which no upstream is to blame for.
    pub(super) fn of_ours() -> Self {
        Self::new(Failure::Reset, "no call was under way")
    }

    fn new(fault: impl Into<Fault>, detail: impl Into<String>) -> Self {
        Self { fault: fault.into(), retry_after: None, usage: None, detail: detail.into(), deadline_passed: false }
    }
}

/// What errors mean where this was asked.
struct Judge<'a> {
    faults: &'a FaultTable,
    asked: Asked<'a>,
}

impl Judge<'_> {
    fn judge(&self, status: StatusCode, error: &WireError) -> Fault {
        self.faults.classify(status.as_u16(), error, &self.asked)
    }
}

/// Told of a reply's headers as soon as they are there, whatever becomes of the reply.
pub(super) type Heard<'a> = dyn FnMut(&HeaderMap) + Send + 'a;

/// Sends `letter` to `target` and reads on to the commit point.
pub(super) async fn attempt(
    pool: &Arc<Pool>,
    target: &Target,
    letter: Letter<'_>,
    limits: Limits,
    held: &mut Held,
    heard: &mut Heard<'_>,
) -> Verdict {
    let checkout = pool.checkout(&target.url, limits.timeouts.connect);
    let lease = match tokio::time::timeout_at(limits.deadline, checkout).await {
        Ok(Ok(lease)) => lease,
        Ok(Err(error)) => return Verdict::Failed(Trouble::new(Failure::Unreachable, error.to_string())),
        Err(_elapsed) => {
            let trouble = Trouble::new(Failure::Unreachable, "no connection before the request's time ran out");
            return Verdict::Failed(Trouble { deadline_passed: true, ..trouble });
        }
    };
    let soft = crate::runtime::instant() + limits.answer;
    let sent = crate::runtime::now();
    let answer = exchange(pool, lease, target, letter, limits, held, heard);
    match tokio::time::timeout_at(soft.min(limits.deadline), answer).await {
        Ok(verdict) => verdict,
        Err(_elapsed) => {
            let waited = crate::runtime::now().since(sent);
            let detail = format!("no answer within {:.1} s", waited.as_secs_f64());
            let deadline_passed = limits.deadline <= soft;
            Verdict::Failed(Trouble { deadline_passed, ..Trouble::new(Failure::Timeout, detail) })
        }
    }
}

async fn exchange(
    pool: &Arc<Pool>,
    lease: Lease,
    target: &Target,
    letter: Letter<'_>,
    limits: Limits,
    held: &mut Held,
    heard: &mut Heard<'_>,
) -> Verdict {
    let (kind, form, usage_chunk, choices) = (letter.kind, letter.form, letter.usage_chunk, letter.choices);
    let judge = Judge { faults: &target.faults, asked: Asked::new(letter.asked) };
    let (response, lease) = match send(pool, lease, target, letter, limits).await {
        Ok(sent) => sent,
        Err(trouble) => return Verdict::Failed(trouble),
    };
    let (parts, incoming) = response.into_parts();
    heard(&parts.headers);
    let body = LeasedBody::new(incoming, lease);
    if !parts.status.is_success() {
        return refused_or_failed(parts, ErrorReply::read(body).await, &judge);
    }
    if let Some(coding) = coding(&parts.headers) {
        let detail = format!("an answer that is encoded, which was not asked for: {coding}");
        return Verdict::Failed(Trouble::new(Failure::Reset, detail));
    }
    if is_event_stream(&parts.headers) {
        return open_stream(parts, Reader::new(body, usage_chunk, choices), held, &judge).await;
    }
    match plain::collect(kind, form, &parts.headers, body, held).await {
        Ok(Collected::Error(error, body)) => disguised(parts, &error, body, &judge),
        Ok(Collected::Answer(answer)) => Verdict::Plain(parts, answer),
        Err(trouble) => Verdict::Failed(trouble),
    }
}

/// Sends, once more on a fresh connection where a reused one turns out to have been closed: nothing has happened then.
async fn send(
    pool: &Arc<Pool>,
    mut lease: Lease,
    target: &Target,
    letter: Letter<'_>,
    limits: Limits,
) -> Result<(Response<Incoming>, Lease), Trouble> {
    let make = |payload: Payload| {
        outgoing::request(target.uri(letter.kind), letter.headers, &target.host, target.authorization.as_ref(), payload)
    };
    if lease.reused == Reuse::Reused {
        let sent = crate::runtime::now();
        match lease.sender.send_request(make(letter.payload.clone())).await {
            Ok(response) => return Ok((response, lease)),
            Err(error) if nothing_came(&error) && crate::runtime::now().since(sent) < STALE_SHOWS => {
                tracing::debug!(%error, "reused connection was closed; sending on a fresh one");
                lease = pool
                    .connect(&target.url, limits.timeouts.connect)
                    .await
                    .map_err(|error| Trouble::new(Failure::Unreachable, error.to_string()))?;
            }
            Err(error) => return Err(Trouble::new(Failure::Reset, describe(&error))),
        }
    }
    match lease.sender.send_request(make(letter.payload)).await {
        Ok(response) => Ok((response, lease)),
        Err(error) => Err(Trouble::new(Failure::Reset, describe(&error))),
    }
}

/// Whether the connection ended without a byte of reply.
fn nothing_came(error: &hyper::Error) -> bool {
    error.is_canceled() || error.is_closed() || error.is_incomplete_message() || is_broken_pipe(error)
}

fn is_broken_pipe(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<std::io::Error>()).is_some_and(|cause| {
        // TLS calls a connection that was closed without a farewell an unexpected end.
        matches!(cause.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
    })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().get(..17))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

/// How an answer is encoded, if it is.
fn coding(headers: &HeaderMap) -> Option<&str> {
    let coding = headers.get(CONTENT_ENCODING)?.to_str().ok()?.trim();
    (!coding.is_empty() && !coding.eq_ignore_ascii_case("identity")).then_some(coding)
}

fn refused_or_failed(mut parts: response::Parts, reply: ErrorReply, judge: &Judge<'_>) -> Verdict {
    let error = reply.error();
    let fault = judge.judge(parts.status, &error);
    let detail = format!("{}: {}", parts.status.as_u16(), error.redacted_message());
    match fault.failure.verdict() {
        Consequence::ReturnToClient | Consequence::Contested => {
            let body = reply.for_client(&error, &mut parts.headers);
            Verdict::Refused(Box::new(Objection { parts, body, fault, detail }))
        }
        Consequence::TryElsewhere => {
            let retry_after = retry_after(&parts.headers, reply.bytes());
            Verdict::Failed(Trouble { retry_after, ..Trouble::new(fault, detail) })
        }
    }
}

/// An error that came with status 200.
fn disguised(mut parts: response::Parts, error: &WireError, body: Bytes, judge: &Judge<'_>) -> Verdict {
    let fault = judge.judge(parts.status, error);
    let detail = format!("an error inside a 200: {}", error.redacted_message());
    match fault.failure.verdict() {
        Consequence::ReturnToClient | Consequence::Contested => {
            let status = error.status().and_then(|status| StatusCode::from_u16(status).ok());
            let usual =
                if fault.failure == Failure::NotFound { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
            parts.status = status.filter(StatusCode::is_client_error).unwrap_or(usual);
            parts.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Verdict::Refused(Box::new(Objection { parts, body, fault, detail }))
        }
        Consequence::TryElsewhere => {
            let retry_after = retry_after(&parts.headers, &body);
            Verdict::Failed(Trouble { retry_after, usage: error.usage, ..Trouble::new(fault, detail) })
        }
    }
}

/// Holds the reply back until there is something to show.
async fn open_stream(parts: response::Parts, mut reader: Reader, held: &mut Held, judge: &Judge<'_>) -> Verdict {
    let mut counted = 0;
    loop {
        match poll_fn(|cx| reader.poll_step(cx)).await {
            // A stream that is complete without content is a success.
            Step::Content | Step::Ended(Ending::Complete) => break,
            Step::Preamble => {
                let now_held = reader.held();
                let room = held.grow(now_held.saturating_sub(counted));
                counted = now_held;
                if counted > MAX_PREAMBLE || room == super::worker::Room::No {
                    if !reader.is_understood() {
                        let detail = "an event stream without an event of this API";
                        return Verdict::Failed(Trouble::new(Failure::Reset, detail));
                    }
                    break;
                }
            }
            Step::Silence => {}
            Step::Error(error) => {
                let kind = error.kind.as_deref().unwrap_or("api_error");
                let code = error.code.as_deref().unwrap_or_default();
                return disguised(parts, &error, error_body(&error.message, kind, None, code), judge);
            }
            Step::Ended(Ending::Truncated) => {
                return Verdict::Failed(Trouble::new(Failure::Reset, "the stream ended before its first token"));
            }
            Step::Broken(reason) => return Verdict::Failed(Trouble::new(Failure::Reset, reason)),
        }
    }
    Verdict::Stream(parts, Box::new(reader))
}

/// What `retry-after-ms` or `Retry-After` (seconds or an HTTP date) asks for, or else the words of `body`. Zero, less, and
/// a time that has passed (clocks differ) ask for nothing.
fn retry_after(headers: &HeaderMap, body: &[u8]) -> Option<Duration> {
    let told = asked_wait(headers).filter(|wait| !wait.is_zero());
    told.or_else(|| retry_hint(body, crate::runtime::wall_clock().try_into().ok()?))
}

fn asked_wait(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(millis) = text("retry-after-ms").and_then(|value| value.parse::<f64>().ok()) {
        return Some(crate::units::seconds(millis / 1000.0));
    }
    let value = text("retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Some(crate::units::seconds(seconds));
    }
    let when = httpdate::parse_http_date(value).ok()?;
    Some(when.duration_since(crate::runtime::wall_clock()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        assert_eq!(retry_after(&headers("retry-after", "7"), b""), Some(Duration::from_secs(7)));
        assert_eq!(retry_after(&headers("retry-after", "0.5"), b"try again in 9s"), Some(Duration::from_millis(500)));
        assert_eq!(retry_after(&headers("retry-after-ms", "120"), b""), Some(Duration::from_millis(120)));
        for past in ["0", "-1", "Wed, 21 Oct 2015 07:28:00 GMT"] {
            assert_eq!(retry_after(&headers("retry-after", past), b""), None, "{past}");
        }
        assert_eq!(retry_after(&headers("retry-after", "soon"), b"try again in 9s"), Some(Duration::from_secs(9)));
    }

    #[test]
    fn an_event_stream_is_known_by_its_type_whatever_its_parameters() {
        assert!(is_event_stream(&headers("content-type", "text/event-stream; charset=utf-8")));
        assert!(is_event_stream(&headers("content-type", "Text/Event-Stream")));
        assert!(!is_event_stream(&headers("content-type", "application/json")));
    }
}
