//! The reply body that a client reads: complete from the start, or relayed while it arrives.
//!
//! A relay owns the exchange: when the client goes, hyper drops the body, the body drops the exchange, and that settles
//! the call and closes the upstream's connection at once.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::ending::End;
use super::exchange::Exchange;
use super::large::PlainRelay;
use super::stream::{Ending, Reader, Step};
use super::watchdog::{Expire, WaitingFor, Watched};
use crate::dialect;
use crate::observe::Outcome;
use crate::runtime;

/// After the answer is whole, how long to wait for the upstream to end the message, so that its connection can be
/// used again.
pub(super) const LINGER: Duration = Duration::from_millis(500);

/// Why a relay ends at its deadline.
pub(super) const OUT_OF_TIME: &str = "the time for the whole request (timeouts.total) ran out";

/// A reply body.
pub(super) enum ReplyBody {
    /// All of it.
    Whole(Option<Bytes>),
    /// Events as they come.
    Stream(Watched<StreamRelay>),
    /// A large plain answer as it comes.
    Plain(Watched<PlainRelay>),
}

/// Why a plain reply ends early. The client sees its connection cut.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's reply broke off: {reason}")]
pub(super) struct Broken {
    pub(super) reason: String,
}

impl ReplyBody {
    /// A body that is all there.
    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self::Whole(Some(bytes))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(relay) => {
                relay.poll(cx, StreamRelay::poll_bytes).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
            }
            Self::Plain(relay) => {
                relay.poll(cx, PlainRelay::poll_bytes).map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(crate::units::len_to_u64(bytes.as_ref().map_or(0, Bytes::len))),
            Self::Stream(_) => SizeHint::default(),
            Self::Plain(relay) => relay.look(PlainRelay::size_hint),
        }
    }
}

/// Relays a stream.
pub(super) struct StreamRelay {
    exchange: Exchange,
    reader: Option<Box<Reader>>,
    last_words: Option<Bytes>,
    idle: Duration,
    quiet_since: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl StreamRelay {
    /// Relays what `reader` has ready and what it will read, unless there is no content for as long as `idle`.
    pub(super) fn new(mut exchange: Exchange, reader: Box<Reader>, idle: Duration) -> Self {
        note_first_token(&mut exchange, &reader);
        let now = runtime::instant();
        let alarm = Box::pin(tokio::time::sleep_until(now + idle));
        Self { exchange, reader: Some(reader), last_words: None, idle, quiet_since: now, alarm }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            let Some(reader) = &mut self.reader else { return Poll::Ready(self.last_words.take()) };
            if let Some(frame) = reader.pop() {
                return Poll::Ready(Some(frame));
            }
            let Poll::Ready(step) = reader.poll_step(cx) else {
                if self.poll_alarm(cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            };
            self.follow(step);
        }
    }

    fn follow(&mut self, step: Step) {
        match step {
            Step::Content | Step::Preamble => {
                self.quiet_since = runtime::instant();
                if let Some(reader) = &self.reader {
                    note_first_token(&mut self.exchange, reader);
                }
            }
            Step::Silence => {}
            Step::Error(error) => {
                // The event itself is the explicit end; it is among the frames that are ready.
                let said = self.exchange.conceal(error.redacted_message().into());
                tracing::warn!(error = %said.escape_ascii(), "upstream sent an error after its answer had begun");
                let rest = self.drain();
                let rest = self.exchange.conceal(rest);
                self.cut_off(rest);
            }
            Step::Ended(Ending::Complete) => self.complete(),
            Step::Ended(Ending::Truncated) => self.cut("the upstream ended its answer early"),
            Step::Broken(reason) => self.cut(&reason),
        }
        if self.reader.as_deref().is_some_and(Reader::is_done) {
            self.idle = LINGER;
            self.rearm(runtime::instant() + LINGER);
        }
    }

    /// Moves only when it must: a stream that flows costs no timer work per event.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        std::task::ready!(self.alarm.as_mut().poll(cx));
        let now = runtime::instant();
        let quiet_end = self.quiet_since + self.idle;
        if now < quiet_end {
            self.rearm(quiet_end);
        } else if self.reader.as_deref().is_some_and(Reader::is_complete) {
            self.complete();
        } else {
            self.cut("the upstream sent no token for longer than timeouts.idle");
        }
        Poll::Ready(())
    }

    fn rearm(&mut self, at: Instant) {
        self.alarm.as_mut().reset(at);
    }

    /// The frames that are ready.
    fn drain(&mut self) -> Bytes {
        let reader = self.reader.as_deref_mut();
        reader.map(|reader| std::iter::from_fn(|| reader.pop()).flatten().collect()).unwrap_or_default()
    }

    fn complete(&mut self) {
        let rest = self.drain();
        self.settle(End::Answered);
        self.exchange.ended(Outcome::Ok);
        self.reader = None;
        self.last_words = Some(rest).filter(|rest| !rest.is_empty());
    }

    fn cut(&mut self, reason: &str) {
        if self.reader.as_deref().is_some_and(Reader::is_complete) {
            // All that was asked for has been said; only the formalities are missing.
            return self.complete();
        }
        tracing::warn!(reason, "stream cut after its answer had begun");
        let message = format!("the answer broke off: {reason}");
        let event = dialect::error_event(&message, "api_error", "upstream_cut");
        // What came whole before the cut is the client's.
        let rest = self.drain();
        self.cut_off([rest, event].concat().into());
    }

    fn cut_off(&mut self, last_words: Bytes) {
        self.settle(End::Cut);
        self.exchange.ended(Outcome::Cut);
        self.exchange.note_error("upstream_cut");
        self.reader = None;
        self.last_words = Some(last_words).filter(|words| !words.is_empty());
    }

    fn settle(&mut self, end: End) {
        if let (Some(reader), Some(call)) = (&self.reader, self.exchange.call()) {
            call.measured(reader.output(), reader.usage());
        }
        self.exchange.settle(end);
    }
}

impl Expire for StreamRelay {
    fn expire(&mut self, waiting_for: WaitingFor) {
        match waiting_for {
            _ if self.reader.is_none() => {}
            WaitingFor::Upstream => self.cut(OUT_OF_TIME),
            WaitingFor::Client => {
                // The client has stopped reading, which says nothing about the upstream.
                tracing::warn!("the client did not read its answer before timeouts.total ran out");
                self.settle(End::Abandoned);
                self.reader = None;
            }
        }
    }
}

impl Drop for StreamRelay {
    /// The client left, perhaps right after `[DONE]`, as SDKs do.
    fn drop(&mut self) {
        if self.reader.as_deref().is_some_and(Reader::is_complete) {
            self.complete();
        } else {
            self.settle(End::Abandoned);
        }
    }
}

fn note_first_token(exchange: &mut Exchange, reader: &Reader) {
    if reader.has_content()
        && let Some(call) = exchange.call()
    {
        call.first_token();
    }
}
