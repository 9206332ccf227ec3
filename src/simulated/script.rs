//! An answer is a script: what happens, each after its wait. The same script plays before the head and in the body.
//!
//! Each act is due a fixed time after the one before was due, not after it was done, so that timer rounding and slow
//! readers do not add up over an answer. Between two frames the body yields once: hyper then flushes, and a token
//! never waits in a buffer for the next one, not even when there is no time between them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::tally::{End, Visit};

/// Something that happens, `wait` after the act before.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Beat {
    pub(super) wait: Duration,
    pub(super) act: Act,
}

/// What may happen in an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// The status line and the headers go out.
    Head,
    /// Bytes go out.
    Text(Bytes),
    /// A token is made; before the head, it is kept for later.
    Token(Bytes),
    /// The connection breaks.
    Break,
    /// Nothing more happens, for ever.
    Hang,
    /// The answer is over.
    Finish(End),
}

/// A script that is being played for one visit.
#[derive(Debug)]
pub(super) struct Script {
    beats: VecDeque<Beat>,
    visit: Visit,
    timer: Pin<Box<Sleep>>,
    timed: Timed,
    flush: Flush,
    /// The length of the whole body, where it is announced.
    length: Option<u64>,
}

/// Whether the timer runs for the first beat in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timed {
    No,
    Yes,
}

/// Whether the head or the last frame may still be in hyper's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flush {
    Done,
    Due,
}

impl Beat {
    /// At once.
    pub(super) fn now(act: Act) -> Self {
        Self { wait: Duration::ZERO, act }
    }

    /// `wait` after the act before.
    pub(super) fn after(wait: Duration, act: Act) -> Self {
        Self { wait, act }
    }
}

impl Script {
    /// Starts the clock. `length` is announced as the body's length.
    pub(super) fn start(visit: Visit, beats: Vec<Beat>, length: Option<u64>) -> Self {
        let timer = Box::pin(sleep(Duration::ZERO));
        Self { beats: beats.into(), visit, timer, timed: Timed::No, flush: Flush::Done, length }
    }

    /// Plays to the head; `Err`: the connection breaks before it.
    pub(super) async fn play_to_head(mut self) -> io::Result<Self> {
        loop {
            match poll_fn(|context| self.poll_act(context)).await {
                Some(Act::Head) => {
                    // A head that nothing follows must go out before the connection breaks.
                    if self.beats.front().is_some_and(|beat| beat.act == Act::Break) {
                        self.flush = Flush::Due;
                    }
                    return Ok(self);
                }
                // A token made before the head has no frame of its own: the whole body follows the head.
                Some(Act::Token(_) | Act::Text(_)) => {}
                Some(Act::Break | Act::Hang | Act::Finish(_)) | None => return Err(self.break_off()),
            }
        }
    }

    /// The next act when it is due; `None` after the last.
    fn poll_act(&mut self, context: &mut Context<'_>) -> Poll<Option<Act>> {
        let Some(beat) = self.beats.front() else { return Poll::Ready(None) };
        if beat.act == Act::Hang {
            return Poll::Pending;
        }
        if self.timed == Timed::No {
            let due = self.timer.deadline() + beat.wait;
            self.timer.as_mut().reset(due);
            self.timed = Timed::Yes;
        }
        ready!(self.timer.as_mut().poll(context));
        self.timed = Timed::No;
        let act = self.beats.pop_front().map(|beat| beat.act);
        match act {
            Some(Act::Token(_)) => self.visit.produced_token(),
            Some(Act::Finish(end)) => self.visit.end(end),
            Some(Act::Head | Act::Text(_) | Act::Break | Act::Hang) | None => {}
        }
        Poll::Ready(act)
    }

    fn break_off(&mut self) -> io::Error {
        self.visit.end(End::Failed);
        self.beats.clear();
        io::Error::new(io::ErrorKind::ConnectionAborted, "the simulated provider broke the connection")
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.flush == Flush::Due {
            self.flush = Flush::Done;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            match ready!(self.poll_act(context)) {
                // A token of a plain answer has no bytes of its own, and an empty chunk would end a chunked body.
                Some(Act::Text(bytes) | Act::Token(bytes)) if bytes.is_empty() => {}
                Some(Act::Text(bytes) | Act::Token(bytes)) => {
                    self.flush = Flush::Due;
                    self.settle_early();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Act::Break) => return Poll::Ready(Some(Err(self.break_off()))),
                Some(Act::Head | Act::Hang | Act::Finish(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.beats.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Script {
    /// Ends with the last frame rather than after it: once all announced bytes are out, hyper drops a body unpolled.
    fn settle_early(&mut self) {
        if let [Beat { wait: Duration::ZERO, act: Act::Finish(end) }] = self.beats.make_contiguous() {
            let end = *end;
            self.beats.clear();
            self.visit.end(end);
        }
    }
}
