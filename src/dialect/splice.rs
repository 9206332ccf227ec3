//! The client's body on its way to an upstream: the model's name replaced, all else byte for byte.
//!
//! One more thing may be added: `stream_options.include_usage`, without which many providers never say what a stream
//! used. The chunk that this causes is kept back from a client that did not ask for it.

use std::ops::Range;

use bytes::Bytes;

/// Whether to ask for the usage chunk on the client's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InjectUsage {
    /// Ask.
    Yes,
    /// The client asked by itself, or there is no stream.
    No,
}

/// Where a body changes. Outlives the head that was borrowed from the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplicePoints {
    pub(super) model: Range<usize>,
    pub(super) usage: UsagePoint,
    /// Whether the name of a field is written with escapes, so that its bytes do not tell it.
    pub(super) has_escaped_names: bool,
}

/// Where the usage chunk is asked for, and what is written there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UsagePoint {
    span: Range<usize>,
    text: String,
}

impl UsagePoint {
    /// `open` is just after the object's brace; `present` is the value of `stream_options`, if there is one.
    pub(super) fn new(open: usize, present: Option<(Range<usize>, &str)>) -> Self {
        let Some((span, value)) = present else {
            return Self { span: open..open, text: "\"stream_options\":{\"include_usage\":true},".to_owned() };
        };
        let mut options: serde_json::Map<String, serde_json::Value> = serde_json::from_str(value).unwrap_or_default();
        options.insert("include_usage".to_owned(), true.into());
        Self { span, text: serde_json::Value::Object(options).to_string() }
    }
}

/// `body` for an upstream that calls the model `model`. Slices of the original: nothing is copied.
pub fn splice(body: &Bytes, points: &SplicePoints, model: &str, inject: InjectUsage) -> Vec<Bytes> {
    let name = serde_json::Value::from(model).to_string();
    let mut edits = vec![(points.model.clone(), Bytes::from(name))];
    if inject == InjectUsage::Yes {
        edits.push((points.usage.span.clone(), Bytes::from(points.usage.text.clone())));
        edits.sort_by_key(|(span, _)| span.start);
    }
    let mut segments = Vec::with_capacity(edits.len() * 2 + 1);
    let mut done = 0;
    for (span, text) in edits {
        segments.push(body.slice(done..span.start));
        segments.push(text);
        done = span.end;
    }
    segments.push(body.slice(done..));
    segments
}
