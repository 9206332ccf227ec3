//! A plain answer that is too large to hold, relayed as it comes.
//!
//! Large answers are embeddings mostly, and their usage comes last: the tail is kept as it passes.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use hyper::body::{Body, SizeHint};

use super::ending::End;
use super::exchange::Exchange;
use super::guard::Guard;
use super::pool::LeasedBody;
use super::relay::{Broken, OUT_OF_TIME};
use super::stream::describe;
use super::watchdog::{Expire, WaitingFor};
use crate::dialect::{relayed_tokens, usage_in_tail};
use crate::observe::Outcome;
use crate::units::len_to_u64;

/// More than any usage object has.
const TAIL: usize = 4 * 1024;

/// What has passed of an answer.
#[derive(Default)]
pub(super) struct Passed {
    length: u64,
    tail: BytesMut,
}

impl Passed {
    /// A piece of it.
    pub(super) fn note(&mut self, bytes: &Bytes) {
        self.length += len_to_u64(bytes.len());
        let last = bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or_default();
        self.tail.extend_from_slice(last);
        let surplus = self.tail.len().saturating_sub(TAIL);
        drop(self.tail.split_to(surplus));
    }

    /// Tells the call what it has used, as far as the answer says.
    pub(super) fn measure(&self, call: &mut Guard) {
        call.measured(relayed_tokens(self.length), usage_in_tail(&self.tail));
    }
}

/// Relays a plain answer.
pub(super) struct PlainRelay {
    exchange: Exchange,
    held: VecDeque<Bytes>,
    body: Option<LeasedBody>,
    length: Option<u64>,
    passed: Passed,
    expired: bool,
}

impl PlainRelay {
    /// Relays `held`, then what `body` brings.
    pub(super) fn new(exchange: Exchange, held: VecDeque<Bytes>, body: LeasedBody) -> Self {
        let so_far: usize = held.iter().map(Bytes::len).sum();
        let length = body.size_hint().exact().map(|rest| rest + len_to_u64(so_far));
        Self { exchange, held, body: Some(body), length, passed: Passed::default(), expired: false }
    }

    /// What is still to come, where the upstream has said so.
    pub(super) fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, |length| SizeHint::with_exact(length.saturating_sub(self.passed.length)))
    }

    /// The next piece.
    pub(super) fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if let Some(bytes) = self.held.pop_front() {
            return Poll::Ready(Some(Ok(self.passing(bytes))));
        }
        loop {
            if self.expired {
                return Poll::Ready(Some(Err(Broken { reason: OUT_OF_TIME.to_owned() })));
            }
            let Some(body) = &mut self.body else { return Poll::Ready(None) };
            match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => self.complete(),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(self.cut(describe(&error))))),
                Poll::Ready(Some(Ok(frame))) => {
                    let is_last = body.is_end_stream();
                    let bytes = frame.into_data().ok().map(|bytes| self.passing(bytes));
                    // hyper does not ask again once a body of known length is complete.
                    if is_last {
                        self.complete();
                    }
                    if let Some(bytes) = bytes {
                        return Poll::Ready(Some(Ok(bytes)));
                    }
                }
            }
        }
    }

    fn passing(&mut self, bytes: Bytes) -> Bytes {
        self.passed.note(&bytes);
        bytes
    }

    fn settle(&mut self, end: End) {
        if let Some(call) = self.exchange.call() {
            self.passed.measure(call);
        }
        self.exchange.settle(end);
    }

    fn complete(&mut self) {
        self.settle(End::Answered);
        self.exchange.ended(Outcome::Ok);
        self.body = None;
    }

    fn cut(&mut self, reason: String) -> Broken {
        tracing::warn!(reason, "plain answer cut after it had begun");
        self.settle(End::Cut);
        self.exchange.ended(Outcome::Cut);
        self.exchange.note_error("upstream_cut");
        self.body = None;
        Broken { reason }
    }
}

impl Expire for PlainRelay {
    fn expire(&mut self, _waiting_for: WaitingFor) {
        if self.body.is_some() {
            self.cut(OUT_OF_TIME.to_owned());
            self.held.clear();
            self.expired = true;
        }
    }
}
