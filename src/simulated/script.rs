//! A reply body that plays a list of steps in time, and knows how far it was heard.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame};
use tokio::time::Sleep;

use super::provider::{Provider, Visit};
use crate::runtime;
use crate::units::Tokens;

/// One step of a reply.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The wait before it.
    pub(super) after: Duration,
    /// What is done then.
    pub(super) act: Act,
}

/// What a step does.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Sends bytes that hold this much of the answer.
    Send(Bytes, Tokens),
    /// Breaks the connection.
    Break,
    /// Does nothing, for ever.
    Hang,
}

impl Step {
    /// Sends `bytes` after a wait.
    pub(super) const fn send(after: Duration, bytes: Bytes, tokens: Tokens) -> Self {
        Self { after, act: Act::Send(bytes, tokens) }
    }

    /// Does something once what went before has been flushed: a connection that breaks takes its buffer with it.
    pub(super) const fn next(act: Act) -> Self {
        Self { after: Duration::from_millis(1), act }
    }
}

/// A body that plays steps.
pub(super) struct Script {
    steps: VecDeque<Step>,
    timer: Option<Pin<Box<Sleep>>>,
    provider: Arc<Provider>,
    visit: Visit,
}

impl Script {
    /// A body that plays `steps` as the answer to `visit`.
    pub(super) fn new(steps: impl IntoIterator<Item = Step>, provider: Arc<Provider>, visit: Visit) -> Self {
        let mut script = Self { steps: steps.into_iter().collect(), timer: None, provider, visit };
        script.arm();
        script
    }

    /// The answer went out by other means.
    pub(super) fn complete(&mut self) {
        self.visit.completed = true;
    }

    fn arm(&mut self) {
        self.timer = self
            .steps
            .front()
            .filter(|step| step.after > Duration::ZERO)
            .map(|step| Box::pin(tokio::time::sleep_until(runtime::instant() + step.after)));
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        if matches!(self.steps.front(), Some(Step { act: Act::Hang, .. })) {
            return Poll::Pending;
        }
        let step = self.steps.pop_front();
        self.arm();
        Poll::Ready(match step {
            None => {
                self.visit.completed = true;
                None
            }
            Some(Step { act: Act::Send(bytes, tokens), .. }) => {
                self.visit.produced += tokens;
                self.visit.completed = self.steps.is_empty();
                Some(Ok(Frame::data(bytes)))
            }
            Some(Step { act: Act::Break | Act::Hang, .. }) => {
                self.visit.broken = true;
                Some(Err(io::Error::from(io::ErrorKind::ConnectionReset)))
            }
        })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.provider.leave(&self.visit);
    }
}
