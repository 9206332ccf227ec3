//! A streamed answer, frame by frame.
//!
//! Only whole frames go on, so a cut never leaves half an event on the client's side, and what is said about the cut
//! begins where an event may begin. Frames are slices of the upstream's chunks: nothing is copied unless a frame
//! straddles two chunks, and nothing is parsed into a tree.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::Body;

use super::pool::LeasedBody;
use crate::dialect::sse::{Frame, Inspection, Splitter, error_of, inspect};
use crate::dialect::{ToolCalls, WireError};
use crate::engine::Usage;
use crate::units::Tokens;

/// What the client asked for concerning the usage chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UsageChunk {
    /// It asked for it: pass it on.
    Wanted,
    /// Only faregate asked for it: keep it back.
    Withheld,
}

/// What has been learned by reading on.
#[derive(Debug)]
pub(super) enum Step {
    /// Frames are ready to go on; the first content is among them or went before.
    Content,
    /// Frames are ready, none of them with content yet.
    Preamble,
    /// Nothing but keep-alives.
    Silence,
    /// An error event. It is the last frame that is ready.
    Error(WireError),
    /// The upstream has ended the stream.
    Ended(Ending),
    /// The connection failed, or what came is no event stream.
    Broken(String),
}

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// With a finish reason or `[DONE]`.
    Complete,
    /// Without either.
    Truncated,
}

/// Reads a streamed answer.
pub(super) struct Reader {
    body: LeasedBody,
    splitter: Splitter,
    ready: VecDeque<Bytes>,
    usage_chunk: UsageChunk,
    usage: Option<Usage>,
    output: Tokens,
    calls: ToolCalls,
    content: bool,
    /// Whether a frame was of this API.
    understood: bool,
    /// Answers that are still to end.
    open: u64,
    done: bool,
}

impl Reader {
    /// A reader of `body`, in which `choices` answers come.
    pub(super) fn new(body: LeasedBody, usage_chunk: UsageChunk, choices: u64) -> Self {
        Self {
            body,
            splitter: Splitter::new(),
            ready: VecDeque::new(),
            usage_chunk,
            usage: None,
            output: Tokens::ZERO,
            calls: ToolCalls::default(),
            content: false,
            understood: false,
            open: choices,
            done: false,
        }
    }

    /// The next frame that may go on.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.ready.pop_front()
    }

    /// Bytes that are ready to go on.
    pub(super) fn held(&self) -> usize {
        self.ready.iter().map(Bytes::len).sum::<usize>() + self.splitter.pending()
    }

    /// What the upstream reported, if it did.
    pub(super) const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Output seen so far, estimated from its text.
    pub(super) const fn output(&self) -> Tokens {
        self.output
    }

    /// Whether content, reasoning or a tool call has arrived.
    pub(super) const fn has_content(&self) -> bool {
        self.content
    }

    /// Whether anything has arrived that is of this API.
    pub(super) const fn is_understood(&self) -> bool {
        self.understood
    }

    /// Whether the answer is whole, though the stream may go on.
    pub(super) const fn is_complete(&self) -> bool {
        self.open == 0 || self.done
    }

    /// Whether `[DONE]` was seen.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Reads the next chunk and makes its frames ready.
    pub(super) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else { return Poll::Pending };
            return Poll::Ready(match frame {
                None => self.end(),
                Some(Err(error)) => Step::Broken(describe(&error)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(chunk) => self.absorb(chunk),
                    // Trailers say nothing here.
                    Err(_trailers) => continue,
                },
            });
        }
    }

    fn absorb(&mut self, chunk: Bytes) -> Step {
        self.splitter.push(chunk);
        let mut step = Step::Silence;
        loop {
            match self.splitter.next_frame() {
                Ok(Some(frame)) => match self.take(frame, &mut step) {
                    None => {}
                    Some(error) => return Step::Error(error),
                },
                Ok(None) => return step,
                Err(error) => return Step::Broken(error.to_string()),
            }
        }
    }

    /// A last frame without its blank line counts: some servers end that way.
    fn end(&mut self) -> Step {
        let mut step = Step::Silence;
        if let Some(rest) = self.splitter.rest().filter(|rest| inspect(rest).kind != Frame::Other)
            && let Some(error) = self.take(terminated(&rest), &mut step)
        {
            return Step::Error(error);
        }
        Step::Ended(if self.is_complete() { Ending::Complete } else { Ending::Truncated })
    }

    /// Notes what `bytes` says and makes it ready, unless it is to be kept back.
    fn take(&mut self, bytes: Bytes, step: &mut Step) -> Option<WireError> {
        let Inspection { kind, usage, output, finishes, calls_tools, ends_badly } = inspect(&bytes);
        if ends_badly && !self.content && output == Tokens::ZERO {
            let error = error_of(&bytes);
            self.ready.push_back(bytes);
            return Some(error);
        }
        let bytes = if calls_tools { self.calls.repair(&bytes).unwrap_or(bytes) } else { bytes };
        if let Some(usage) = usage {
            self.usage = Some(usage);
        }
        self.output += output;
        self.understood |= !matches!(kind, Frame::KeepAlive | Frame::Other);
        match kind {
            Frame::KeepAlive => {
                // Before the first content a comment would only fill what is held.
                if self.content {
                    self.ready.push_back(bytes);
                }
                return None;
            }
            Frame::Usage if self.usage_chunk == UsageChunk::Withheld => return None,
            Frame::Error(error) => {
                self.ready.push_back(bytes);
                return Some(error);
            }
            Frame::Content => self.content = true,
            // A finish is worth committing to, but it is no token unless it carries one.
            Frame::Finish => {
                self.open = self.open.saturating_sub(finishes);
                self.content |= output > Tokens::ZERO;
            }
            Frame::Done => self.done = true,
            Frame::Usage | Frame::Preamble | Frame::Other => {}
        }
        *step = if self.content || finishes > 0 || self.done { Step::Content } else { Step::Preamble };
        self.ready.push_back(bytes);
        None
    }
}

/// A frame with the blank line that it lacks: parsers drop what has none.
fn terminated(frame: &Bytes) -> Bytes {
    let end: &[u8] = if frame.ends_with(b"\n") { b"\n" } else { b"\n\n" };
    [frame, end].concat().into()
}

/// An error with its causes: hyper's own text alone is "error reading a body from connection".
pub(super) fn describe(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
