//! A plain answer, held whole while that is reasonable.
//!
//! Until a held answer is complete, a cut or an error inside a 200 can still fail over. Beyond a mebibyte what was held
//! goes on and the rest is relayed: a cut then aborts the client's connection. Who asked for a stream gets events or
//! nothing, so what those are made of is held to its end. What is not JSON is no answer of this API, whatever it says
//! it is: it comes from a portal or a proxy on the way.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use hyper::body::Body;

use super::attempt::Trouble;
use super::pool::LeasedBody;
use super::stream::{UsageChunk, describe};
use super::worker::{Held, Room};
use crate::dialect::reply::{PlainReply, inspect_plain};
use crate::dialect::{Kind, WireError, events_of};
use crate::engine::{Failure, Usage};
use crate::units::Tokens;

/// The largest answer that is held whole.
const MAX_HELD: usize = 1024 * 1024;
/// The largest one that is made into a stream.
const MAX_EVENTS: usize = 16 * 1024 * 1024;
/// What will not fit anyway is not held any longer.
const MAX_DOOMED: usize = 64 * 1024;

/// In which form the client wants an answer that comes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it comes.
    AsItComes,
    /// As a stream.
    Events(UsageChunk),
}

impl Form {
    const fn most(self) -> usize {
        match self {
            Self::AsItComes => MAX_HELD,
            Self::Events(_) => MAX_EVENTS,
        }
    }
}

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
    /// As it came, or as events.
    pub body: Bytes,
    /// Which of them.
    pub form: Form,
    /// What it used, as reported.
    pub usage: Option<Usage>,
    /// Its length, estimated.
    pub output: Tokens,
}

/// Reads an answer as far as it is held.
pub(super) async fn collect(
    kind: Kind,
    form: Form,
    headers: &HeaderMap,
    mut body: LeasedBody,
    held: &mut Held,
) -> Result<Collected, Trouble> {
    let announced = body.size_hint().exact().and_then(|length| usize::try_from(length).ok());
    let most = if announced.is_some_and(|length| length > form.most()) { MAX_DOOMED } else { form.most() };
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
            return match form {
                Form::Events(_) => Err(broken("the answer is too large to be made into a stream".to_owned())),
                Form::AsItComes if !begins_object(&chunks) => Err(not_json(headers)),
                Form::AsItComes => Ok(Collected::Answer(Plain::Large(chunks, Box::new(body)))),
            };
        }
    }
    judge(kind, form, headers, join(chunks, length))
}

fn judge(kind: Kind, form: Form, headers: &HeaderMap, body: Bytes) -> Result<Collected, Trouble> {
    let (usage, output) = match inspect_plain(kind, &body) {
        PlainReply::Answer { usage, output } => (usage, output),
        PlainReply::Error(error) => return Ok(Collected::Error(error, body)),
        PlainReply::NotJson => return Err(not_json(headers)),
    };
    let body = match form {
        Form::AsItComes => body,
        Form::Events(usage_chunk) => events_of(&body, usage_chunk == UsageChunk::Wanted)
            .ok_or_else(|| broken("the answer cannot be made into a stream".to_owned()))?,
    };
    Ok(Collected::Answer(Plain::Whole(Answer { body, form, usage, output })))
}

/// Whether an object begins in what came so far.
fn begins_object(chunks: &VecDeque<Bytes>) -> bool {
    chunks.iter().flatten().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{')
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

/// Says what it claims to be and not how it begins: it may be half of an answer.
fn not_json(headers: &HeaderMap) -> Trouble {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("nothing");
    broken(format!("the answer is not JSON; it claims to be {kind}"))
}

fn broken(detail: String) -> Trouble {
    Trouble { fault: Failure::Reset.into(), retry_after: None, usage: None, detail, deadline_passed: false }
}
