//! What an answer says, in the shapes of `OpenAI`. The words mean nothing; their number and the fields around them do.

use bytes::Bytes;
use serde_json::{Value, json};

use super::ask::{Ask, Delivery, Encoding, Kind};
use super::vector;
use crate::units::{Tokens, len_to_u64};

const WORD: &str = "tok ";
/// The arguments of every tool call, cut as a tokenizer might cut them.
const ARGUMENTS: [&str; 5] = ["{\"", "city", "\":\"", "Paris", "\"}"];

/// Everything in an answer that does not depend on time.
#[derive(Clone, Debug)]
pub(super) struct Words<'a> {
    pub(super) ask: &'a Ask,
    /// The random part of all ids.
    pub(super) id: u64,
    /// `created`, in seconds since 1970.
    pub(super) created: u64,
    /// Tokens of the answer.
    pub(super) output: Tokens,
    pub(super) reason: &'static str,
}

impl<'a> Words<'a> {
    /// Decides how long the answer is, given how long it would like to be, and why it stops there.
    pub(super) fn new(ask: &'a Ask, wished: Tokens, id: u64, created: u64) -> Self {
        let wished = match (ask.kind, &ask.tool) {
            (Kind::Embedding, _) => Tokens::ZERO,
            // The name is a token too.
            (Kind::Chat | Kind::Text, Some(_)) => Tokens(len_to_u64(ARGUMENTS.len()) + 1),
            (Kind::Chat | Kind::Text, None) => wished,
        };
        let output = ask.most.map_or(wished, |most| wished.min(most));
        let whole = if ask.tool.is_some() { "tool_calls" } else { "stop" };
        Self { ask, id, created, output, reason: if output < wished { "length" } else { whole } }
    }

    /// The body of a plain answer.
    pub(super) fn plain(&self) -> Bytes {
        let mut body = match self.ask.kind {
            Kind::Chat => json!({ "choices": [{ "index": 0, "message": self.message(), "logprobs": null,
                "finish_reason": self.reason }] }),
            Kind::Text => json!({ "choices": [{ "index": 0, "text": self.text(), "logprobs": null,
                "finish_reason": self.reason }] }),
            Kind::Embedding => return self.embeddings(),
        };
        self.envelope(&mut body, Frame::Whole);
        insert(&mut body, "usage", self.usage());
        Bytes::from(body.to_string())
    }

    /// What comes before the first token of a stream.
    pub(super) fn preamble(&self) -> Option<Bytes> {
        let content = if self.ask.tool.is_some() { Value::Null } else { json!("") };
        (self.ask.kind == Kind::Chat).then(|| self.chunk(&json!({ "role": "assistant", "content": content })))
    }

    /// One event for each token.
    pub(super) fn token_events(&self) -> Vec<Bytes> {
        let count = usize::try_from(self.output.0).unwrap_or(usize::MAX);
        let Some(tool) = &self.ask.tool else {
            let event = match self.ask.kind {
                Kind::Chat | Kind::Embedding => self.chunk(&json!({ "content": WORD })),
                Kind::Text => self.event(&json!([{ "index": 0, "text": WORD, "logprobs": null,
                    "finish_reason": null }])),
            };
            return vec![event; count];
        };
        let name = json!({ "tool_calls": [{ "index": 0, "id": self.call_id(), "type": "function",
            "function": { "name": tool, "arguments": "" } }] });
        let fragments =
            ARGUMENTS.map(|fragment| json!({ "tool_calls": [{ "index": 0, "function": { "arguments": fragment } }] }));
        std::iter::once(name).chain(fragments).take(count).map(|delta| self.chunk(&delta)).collect()
    }

    /// What comes after the last token of a stream.
    pub(super) fn closing(&self) -> Vec<Bytes> {
        let last = match self.ask.kind {
            Kind::Chat | Kind::Embedding => json!([{ "index": 0, "delta": {}, "logprobs": null,
                "finish_reason": self.reason }]),
            Kind::Text => json!([{ "index": 0, "text": "", "logprobs": null, "finish_reason": self.reason }]),
        };
        let mut events = vec![self.event(&last)];
        if self.ask.delivery == Delivery::StreamWithUsage {
            let mut body = json!({ "choices": [], "usage": self.usage() });
            self.envelope(&mut body, Frame::Chunk);
            events.push(data(&body.to_string()));
        }
        events.push(data("[DONE]"));
        events
    }

    fn chunk(&self, delta: &Value) -> Bytes {
        self.event(&json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": null }]))
    }

    fn event(&self, choices: &Value) -> Bytes {
        let mut body = json!({ "choices": choices });
        self.envelope(&mut body, Frame::Chunk);
        if self.ask.delivery == Delivery::StreamWithUsage {
            insert(&mut body, "usage", Value::Null);
        }
        data(&body.to_string())
    }

    fn envelope(&self, body: &mut Value, frame: Frame) {
        let (prefix, object) = match (self.ask.kind, frame) {
            (Kind::Chat | Kind::Embedding, Frame::Whole) => ("chatcmpl", "chat.completion"),
            (Kind::Chat | Kind::Embedding, Frame::Chunk) => ("chatcmpl", "chat.completion.chunk"),
            (Kind::Text, Frame::Whole | Frame::Chunk) => ("cmpl", "text_completion"),
        };
        insert(body, "id", json!(format!("{prefix}-{:016x}", self.id)));
        insert(body, "object", json!(object));
        insert(body, "created", json!(self.created));
        insert(body, "model", json!(self.ask.model));
    }

    fn message(&self) -> Value {
        let Some(tool) = &self.ask.tool else {
            return json!({ "role": "assistant", "content": self.text(), "refusal": null });
        };
        let fragments = usize::try_from(self.output.0).unwrap_or(usize::MAX).saturating_sub(1);
        let arguments: String = ARGUMENTS.into_iter().take(fragments).collect();
        json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [{ "id": self.call_id(),
            "type": "function", "function": { "name": tool, "arguments": arguments } }] })
    }

    fn text(&self) -> String {
        WORD.repeat(usize::try_from(self.output.0).unwrap_or_default())
    }

    fn call_id(&self) -> String {
        format!("call_{:016x}", self.id)
    }

    fn usage(&self) -> Value {
        let (input, output) = (self.ask.prompt, self.output);
        json!({ "prompt_tokens": input.0, "completion_tokens": output.0, "total_tokens": (input + output).0,
            "prompt_tokens_details": { "cached_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0 } })
    }

    fn embeddings(&self) -> Bytes {
        let embedding = |(index, text): (usize, &String)| {
            let vector = vector::of(&self.ask.model, text);
            let written = match self.ask.encoding {
                Encoding::Float => json!(vector),
                Encoding::Base64 => json!(vector::base64(&vector)),
            };
            json!({ "object": "embedding", "index": index, "embedding": written })
        };
        let data: Vec<Value> = self.ask.inputs.iter().enumerate().map(embedding).collect();
        let input = self.ask.prompt.0;
        let usage = json!({ "prompt_tokens": input, "total_tokens": input });
        Bytes::from(json!({ "object": "list", "data": data, "model": self.ask.model, "usage": usage }).to_string())
    }
}

/// Whether an object is the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    Whole,
    Chunk,
}

fn insert(body: &mut Value, field: &str, value: Value) {
    if let Some(fields) = body.as_object_mut() {
        fields.insert(field.to_owned(), value);
    }
}

/// One server-sent event.
pub(super) fn data(text: &str) -> Bytes {
    Bytes::from(format!("data: {text}\n\n"))
}
