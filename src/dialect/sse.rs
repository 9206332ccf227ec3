//! A streamed reply: cut into frames, and each frame read just far enough to know what it is.
//!
//! Frames are slices of what arrived. Reading one allocates nothing: the fields of interest are borrowed, and the list
//! of choices is folded while it is parsed.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;
use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::choice_end::ChoiceEnd;
use super::error::{WireError, is_filled, is_told};
use super::estimate::delta_tokens;
use super::usage;
use crate::engine::Usage;
use crate::units::Tokens;

/// No event of this API comes near; more than this without a blank line is no event stream.
const MAX_FRAME: usize = 4 * 1024 * 1024;

/// A frame that grows without end.
#[derive(Debug, thiserror::Error)]
#[error("an event of more than {MAX_FRAME} bytes")]
pub struct FrameTooLarge;

/// Cuts a byte stream into frames, each with the blank line that ends it.
#[derive(Debug, Default)]
pub struct Splitter {
    pending: Bytes,
    line: usize,
    scanned: usize,
}

impl Splitter {
    /// A splitter at the beginning of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what has arrived. Copies only if a frame had begun before.
    pub fn push(&mut self, chunk: Bytes) {
        if self.pending.is_empty() {
            self.pending = chunk;
            return;
        }
        // What nobody else holds grows in place, so that an event in many pieces is not copied for each of them.
        let mut joined = std::mem::take(&mut self.pending).try_into_mut().unwrap_or_else(BytesMut::from);
        joined.extend_from_slice(&chunk);
        self.pending = joined.freeze();
    }

    /// Bytes of a frame that has begun.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The next complete frame, if there is one.
    pub fn next_frame(&mut self) -> Result<Option<Bytes>, FrameTooLarge> {
        while let Some((end, next)) = self.line_end() {
            let blank = end == self.line;
            self.line = next;
            self.scanned = next;
            if blank {
                self.line = 0;
                self.scanned = 0;
                return Ok(Some(self.pending.split_to(next)));
            }
        }
        if self.pending.len() > MAX_FRAME { Err(FrameTooLarge) } else { Ok(None) }
    }

    /// Where the current line ends and the next begins. Lines end with LF, CRLF or CR.
    fn line_end(&mut self) -> Option<(usize, usize)> {
        let rest = self.pending.get(self.scanned..)?;
        let Some(at) = memchr2(b'\n', b'\r', rest).map(|at| self.scanned + at) else {
            self.scanned = self.pending.len();
            return None;
        };
        if self.pending.get(at) == Some(&b'\n') {
            return Some((at, at + 1));
        }
        match self.pending.get(at + 1) {
            Some(b'\n') => Some((at, at + 2)),
            Some(_) => Some((at, at + 1)),
            // Whether a line feed belongs to it is not known yet.
            None => {
                self.scanned = at;
                None
            }
        }
    }

    /// What is left when the stream has ended: a last frame without its blank line, if anything.
    pub fn rest(&mut self) -> Option<Bytes> {
        self.line = 0;
        self.scanned = 0;
        let rest = std::mem::take(&mut self.pending);
        (!rest.is_empty()).then_some(rest)
    }
}

/// What a frame is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Comments and blank lines: somebody is alive, nothing is said.
    KeepAlive,
    /// Nothing a user would see: the role, filter results, empty deltas.
    Preamble,
    /// Text, reasoning, or part of a tool call.
    Content,
    /// The end of the answer, with its reason; it may carry content.
    Finish,
    /// A chunk that only tells usage.
    Usage,
    /// An error.
    Error(WireError),
    /// `[DONE]`.
    Done,
    /// Not of this API. Passed on.
    Other,
}

/// What reading a frame found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// What it is.
    pub kind: Frame,
    /// Usage, if told; cumulative where told more than once.
    pub usage: Option<Usage>,
    /// Output in it, estimated.
    pub output: Tokens,
    /// How many choices end with it.
    pub finishes: u64,
    /// Whether pieces of tool calls are in it.
    pub calls_tools: bool,
    /// Whether a choice ends with it for a reason that no client of OpenAI's knows, and that is an error.
    pub ends_badly: bool,
}

impl Inspection {
    const fn of(kind: Frame) -> Self {
        Self { kind, usage: None, output: Tokens::ZERO, finishes: 0, calls_tools: false, ends_badly: false }
    }
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<Choices<'a>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    x_groq: Option<Groq<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    error_code: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    audio: Option<&'a RawValue>,
}

/// All choices of a chunk, folded into one.
#[derive(Default)]
struct Choices<'a> {
    output: Tokens,
    finishes: u64,
    worst_end: ChoiceEnd,
    usage: Option<&'a RawValue>,
    any: bool,
    calls_tools: bool,
}

impl<'a> Choices<'a> {
    fn add(&mut self, choice: &Choice<'a>) {
        let delta = choice.delta.as_ref();
        let parts = delta
            .map(|d| [d.content, d.reasoning_content, d.reasoning, d.tool_calls, d.function_call, d.refusal, d.audio]);
        for part in parts.into_iter().flatten().chain([choice.text]).flatten().map(RawValue::get) {
            if !matches!(part, "\"\"" | "[]" | "{}") {
                self.output += delta_tokens(part);
            }
        }
        self.any = true;
        let calls = delta.and_then(|delta| delta.tool_calls);
        self.calls_tools |= calls.is_some_and(|raw| !matches!(raw.get(), "[]" | "null"));
        // Some servers send an empty reason, or the word, with every chunk.
        let reason = choice.finish_reason.map(RawValue::get).filter(|reason| !matches!(*reason, "\"\"" | "\"null\""));
        self.finishes += u64::from(reason.is_some());
        self.worst_end = self.worst_end.max(ChoiceEnd::of(reason));
        self.usage = self.usage.or(choice.usage);
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Choices<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fold;

        impl<'de> Visitor<'de> for Fold {
            type Value = Choices<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of choices")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Choices::default();
                while let Some(choice) = list.next_element::<Choice<'de>>()? {
                    all.add(&choice);
                }
                Ok(all)
            }
        }

        from.deserialize_seq(Fold)
    }
}

/// The error that a frame tells of by its end.
pub fn error_of(frame: &[u8]) -> WireError {
    let data =
        std::str::from_utf8(frame).ok().and_then(|text| text.lines().find_map(|line| line.strip_prefix("data:")));
    WireError::parse(data.unwrap_or_default().trim().as_bytes())
}

/// Reads a frame.
pub fn inspect(frame: &[u8]) -> Inspection {
    let Ok(text) = std::str::from_utf8(frame) else { return Inspection::of(Frame::Other) };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut data = None;
    let mut failed = false;
    for line in text.split(['\n', '\r']) {
        if let Some(value) = line.strip_prefix("data:") {
            if data.is_some() {
                return inspect_joined(text);
            }
            data = Some(value.trim_ascii());
        } else if let Some(event) = line.strip_prefix("event:") {
            failed = event.trim_ascii() == "error";
        }
    }
    inspect_data(data, failed)
}

/// An event whose data stands on several lines: legal, and never seen on a hot path.
fn inspect_joined(text: &str) -> Inspection {
    let lines: Vec<&str> = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("data:")).collect();
    let failed = text
        .split(['\n', '\r'])
        .any(|line| line.strip_prefix("event:").is_some_and(|event| event.trim_ascii() == "error"));
    inspect_data(Some(lines.join("\n").trim_ascii()), failed)
}

fn inspect_data(data: Option<&str>, failed: bool) -> Inspection {
    match data {
        None | Some("") => Inspection::of(Frame::KeepAlive),
        Some("[DONE]") => Inspection::of(Frame::Done),
        Some(data) if failed => Inspection::of(Frame::Error(WireError::parse(data.as_bytes()))),
        Some(data) => match serde_json::from_str::<Chunk<'_>>(data) {
            Ok(chunk) => inspect_chunk(&chunk, data),
            Err(_) => Inspection::of(Frame::Other),
        },
    }
}

fn inspect_chunk(chunk: &Chunk<'_>, data: &str) -> Inspection {
    let none = Choices::default();
    let choices = chunk.choices.as_ref().unwrap_or(&none);
    // Beside no choices a number tells of an error as well.
    let alone = chunk.choices.is_none() && (chunk.error_code.is_some() || chunk.error.is_some_and(is_filled));
    if choices.worst_end == ChoiceEnd::Failed || chunk.error.is_some_and(is_told) || alone {
        return Inspection::of(Frame::Error(WireError::parse(data.as_bytes())));
    }
    let reported = [chunk.usage, chunk.x_groq.as_ref().and_then(|groq| groq.usage), choices.usage];
    let usage = reported.into_iter().flatten().find_map(|raw| usage::parse(raw.get()));
    let kind = if choices.finishes > 0 {
        Frame::Finish
    } else if choices.output > Tokens::ZERO {
        Frame::Content
    } else if !choices.any && usage.is_some() {
        Frame::Usage
    } else {
        Frame::Preamble
    };
    Inspection {
        kind,
        usage,
        output: choices.output,
        finishes: choices.finishes,
        calls_tools: choices.calls_tools,
        ends_badly: choices.worst_end == ChoiceEnd::Bad,
    }
}
