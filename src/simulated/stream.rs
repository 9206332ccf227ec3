//! A reply body that performs a script, in time.
//!
//! Waits are counted from when the step before was due, not from when it happened, so that a late timer does not make
//! the rest of the answer late as well. The call is settled with the last step rather than with the end of the body,
//! because a server that knows the length stops asking once it has all bytes.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Sleep;

use crate::simulated::call::{Call, Outcome};
use crate::simulated::script::{Ends, Script, Step};
use crate::simulated::wire::Wire;
use crate::units::{Tokens, len_to_u64};

/// A body in play.
pub(super) struct Playback {
    steps: VecDeque<Step>,
    remaining: Option<u64>,
    ends: Ends,
    /// When the current wait ends; its deadline is what the next wait counts from.
    due: Pin<Box<Sleep>>,
    waiting: Waiting,
    tokens: Option<Wire>,
    call: Option<Call>,
}

/// Whether a step must be waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    No,
    UntilDue,
    /// What was sent must reach the client before the connection breaks: one round through the server flushes it.
    ForFlush,
}

/// The connection breaks here, on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulated provider cuts the connection")]
pub(super) struct Cut;

impl Playback {
    /// Performs `script`, writing tokens with `tokens` and settling `call`, if that is still open, at the end.
    pub(super) fn new(script: Script, tokens: Option<Wire>, call: Option<Call>) -> Self {
        Self {
            steps: script.steps.into(),
            remaining: script.length,
            ends: script.ends,
            due: Box::pin(tokio::time::sleep(std::time::Duration::ZERO)),
            waiting: Waiting::No,
            tokens,
            call,
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        if let Some(call) = self.call.take() {
            call.settle(outcome);
        }
    }

    /// Hands `bytes` over; with the last step, the call is over.
    fn send(&mut self, bytes: Bytes) -> Frame<Bytes> {
        self.remaining = self.remaining.map(|left| left.saturating_sub(len_to_u64(bytes.len())));
        if self.steps.is_empty() {
            self.settle(match self.ends {
                Ends::Well => Outcome::Answered,
                Ends::Badly | Ends::WithNothing => Outcome::Failed,
            });
        }
        Frame::data(bytes)
    }

    fn send_token(&mut self, index: u64) -> Frame<Bytes> {
        if let Some(call) = &mut self.call {
            call.sent(Tokens(index + 1));
        }
        let bytes = self.tokens.as_ref().map(|wire| wire.token(index)).unwrap_or_default();
        self.send(bytes)
    }

    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match self.waiting {
            Waiting::No | Waiting::ForFlush => {}
            Waiting::UntilDue => ready!(self.due.as_mut().poll(context)),
        }
        Poll::Ready(())
    }
}

impl Body for Playback {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        loop {
            ready!(this.poll_waiting(context));
            let flushed = this.waiting == Waiting::ForFlush;
            this.waiting = Waiting::No;
            let Some(step) = this.steps.pop_front() else { return Poll::Ready(None) };
            match step {
                Step::Wait(span) => {
                    let deadline = this.due.deadline() + span;
                    this.due.as_mut().reset(deadline);
                    this.waiting = Waiting::UntilDue;
                }
                Step::Send(bytes) => return Poll::Ready(Some(Ok(this.send(bytes)))),
                Step::Token(index) => return Poll::Ready(Some(Ok(this.send_token(index)))),
                Step::Hang => {
                    this.steps.push_front(Step::Hang);
                    return Poll::Pending;
                }
                Step::Cut if flushed => {
                    this.settle(Outcome::Failed);
                    return Poll::Ready(Some(Err(Cut)));
                }
                Step::Cut => {
                    this.steps.push_front(Step::Cut);
                    this.waiting = Waiting::ForFlush;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.remaining.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
