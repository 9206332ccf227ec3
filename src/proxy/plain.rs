//! A plain answer, held whole while that is reasonable.
//!
//! Until a held answer is complete, a cut or an error inside a 200 can still fail over. Beyond a mebibyte (or at once
//! for what is not JSON) what was held goes on and the rest is relayed: a cut then aborts the client's connection.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Limited};
use hyper::body::Body;

use super::attempt::Trouble;
use super::pool::LeasedBody;
use super::stream::describe;
use super::worker::{Held, Room};
use crate::dialect::reply::{PlainReply, inspect_plain};
use crate::dialect::{Kind, WireError};
use crate::engine::{Failure, Usage};
use crate::units::Tokens;

/// The largest JSON answer that is held whole.
const MAX_HELD: usize = 1024 * 1024;
/// The most that is held of anything else.
const MAX_OTHER: usize = 64 * 1024;
/// The most that is read of an error's body, and for how long.
const MAX_ERROR: usize = 64 * 1024;
const ERROR_PATIENCE: Duration = Duration::from_secs(5);

/// A plain answer.
pub(super) enum Plain {
    /// All of it, looked through.
    Whole(Answer),
    /// The beginning of a large one, and where the rest comes from.
    Large(VecDeque<Bytes>, Box<LeasedBody>),
}

/// What came with status 200.
pub(super) enum Collected {
    /// An answer.
    Answer(Plain),
    /// An error, with all that was said.
    Error(WireError, Bytes),
}

/// A whole answer.
pub(super) struct Answer {
    /// As it came.
    pub body: Bytes,
    /// What it used, as reported.
    pub usage: Option<Usage>,
    /// Its length, estimated.
    pub output: Tokens,
}

/// Reads an answer as far as it is held.
pub(super) async fn collect(
    kind: Kind,
    headers: &HeaderMap,
    mut body: LeasedBody,
    held: &mut Held,
) -> Result<Collected, Trouble> {
    let most = if is_json(headers) { MAX_HELD } else { MAX_OTHER };
    let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    // What will not fit anyway is not held any longer than anything else.
    let most = if announced.is_some_and(|length| length > most) { MAX_OTHER } else { most };
    let mut chunks: VecDeque<Bytes> = VecDeque::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| broken(describe(&error)))?;
        let Ok(chunk) = frame.into_data() else { continue };
        length += chunk.len();
        let room = held.grow(chunk.len());
        chunks.push_back(chunk);
        let over = length > most || room == Room::No;
        if over && !body.is_end_stream() {
            return Ok(Collected::Answer(Plain::Large(chunks, Box::new(body))));
        }
    }
    judge(kind, headers, join(chunks, length))
}

fn judge(kind: Kind, headers: &HeaderMap, answer: Bytes) -> Result<Collected, Trouble> {
    match inspect_plain(kind, &answer) {
        PlainReply::Answer { usage, output } => Ok(whole(answer, usage, output)),
        PlainReply::Error(error) => Ok(Collected::Error(error, answer)),
        // A reply that claims to be JSON, or nothing, and is not: a cut or a broken gateway in between.
        PlainReply::NotJson if is_json(headers) || answer.is_empty() => {
            Err(broken("the answer is not JSON".to_owned()))
        }
        PlainReply::NotJson => Ok(whole(answer, None, Tokens::ZERO)),
    }
}

const fn whole(body: Bytes, usage: Option<Usage>, output: Tokens) -> Collected {
    Collected::Answer(Plain::Whole(Answer { body, usage, output }))
}

/// The body of an error reply, as far as it is worth reading. An error about an error says nothing new.
pub(super) async fn read_error(body: LeasedBody) -> Bytes {
    let read = Limited::new(body, MAX_ERROR).collect();
    match tokio::time::timeout(ERROR_PATIENCE, read).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) => {
            tracing::debug!(%error, "error body not read");
            Bytes::new()
        }
        Err(_elapsed) => Bytes::new(),
    }
}

fn join(chunks: VecDeque<Bytes>, length: usize) -> Bytes {
    let mut chunks = chunks.into_iter();
    match (chunks.next(), chunks.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => only,
        (Some(first), Some(second)) => {
            let mut whole = BytesMut::with_capacity(length);
            whole.extend([first, second].into_iter().chain(chunks));
            whole.freeze()
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().contains("json"))
}

fn broken(detail: String) -> Trouble {
    Trouble { fault: Failure::Reset.into(), retry_after: None, detail, deadline_passed: false }
}
