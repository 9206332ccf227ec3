//! An answer's bytes: chunks of a stream and whole replies, as OpenAI writes them.
//!
//! Tokens are written one event each and only when they are due, so that a long answer costs nothing until it is read.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::engine::Usage;
use crate::simulated::Answer;
use crate::simulated::answer::Ending;
use crate::simulated::ask::{Delivery, Surface, TextAsk, ToolCall};
use crate::simulated::refusal::error_object;
use crate::units::{Tokens, len_to_u64};

/// Tokens of the answers: several scripts, and characters that JSON must escape.
const WORDS: [&str; 16] = [
    "The", " fare", " is", " paid", " in", " tokens", ",", " 票价", "由", "距离", "决定", " \"off\"", " peak", "\n",
    " ✓", ".",
];
const TOOL_FRAGMENT: usize = 4;

/// Writes one answer.
#[derive(Debug)]
pub(super) struct Wire {
    id: String,
    created: u64,
    model: String,
    surface: Surface,
    delivery: Delivery,
    tool: Option<ToolCall>,
    /// What all chunks begin with.
    head: String,
    first_word: usize,
}

impl Wire {
    /// Answers by the same provider differ in their `number`, which is where their text begins as well.
    pub(super) fn new(ask: TextAsk, provider: &str, number: u64, created: u64) -> Self {
        let (prefix, object) = match ask.surface {
            Surface::Chat => ("chatcmpl", "chat.completion.chunk"),
            Surface::Completion => ("cmpl", "text_completion"),
        };
        let id = format!("{prefix}-{provider}-{number}");
        let model = Value::from(ask.model.as_str());
        let id_text = Value::from(id.as_str());
        let head = format!(r#"data: {{"id":{id_text},"object":"{object}","created":{created},"model":{model}"#);
        let first_word = usize::try_from(number % 16).unwrap_or(0);
        Self {
            id,
            created,
            head,
            first_word,
            model: ask.model,
            surface: ask.surface,
            delivery: ask.delivery,
            tool: ask.tool,
        }
    }

    /// How many tokens a tool call takes: its name, and its arguments in fragments.
    pub(super) fn tool_tokens(tool: &ToolCall) -> Tokens {
        Tokens(1 + len_to_u64(tool.arguments.chars().count().div_ceil(TOOL_FRAGMENT)))
    }

    pub(super) fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// The chunk that names the role and carries no content. The completions surface has none.
    pub(super) fn preamble(&self) -> Option<Bytes> {
        match self.surface {
            Surface::Chat => {
                let content = if self.tool.is_some() { "null" } else { r#""""# };
                Some(self.chunk(&format!(r#"{{"role":"assistant","content":{content},"refusal":null}}"#), "null"))
            }
            Surface::Completion => None,
        }
    }

    /// The chunk of one token, counted from 0.
    pub(super) fn token(&self, index: u64) -> Bytes {
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        match (&self.tool, self.surface) {
            (Some(tool), Surface::Chat) => self.chunk(&tool_delta(tool, &self.call_id(), index).to_string(), "null"),
            (_, Surface::Chat) => self.chunk(&format!(r#"{{"content":{}}}"#, Value::from(self.word(index))), "null"),
            (_, Surface::Completion) => self.text_chunk(self.word(index), "null"),
        }
    }

    /// The chunk that tells why the answer ends.
    pub(super) fn finish(&self, answer: &Answer) -> Bytes {
        let reason = format!("\"{}\"", self.finish_reason(answer));
        match self.surface {
            Surface::Chat => self.chunk("{}", &reason),
            Surface::Completion => self.text_chunk("", &reason),
        }
    }

    /// The chunk without choices that reports usage, if it was asked for.
    pub(super) fn usage(&self, answer: &Answer) -> Option<Bytes> {
        match self.delivery {
            Delivery::StreamWithUsage => {
                Some(format!("{},\"choices\":[],\"usage\":{}}}\n\n", self.head, usage_object(&answer.usage())).into())
            }
            Delivery::Stream | Delivery::Plain => None,
        }
    }

    /// The whole reply.
    pub(super) fn whole(&self, answer: &Answer) -> Bytes {
        let reason = self.finish_reason(answer);
        let text: String = (0..usize::try_from(answer.output.0).unwrap_or(0)).map(|index| self.word(index)).collect();
        let (object, choice) = match (&self.tool, self.surface) {
            (Some(tool), Surface::Chat) => {
                let function = json!({ "name": tool.name, "arguments": tool.arguments });
                let call = json!({ "id": self.call_id(), "type": "function", "function": function });
                let message = json!({ "role": "assistant", "content": null, "refusal": null, "tool_calls": [call] });
                (
                    "chat.completion",
                    json!({ "index": 0, "message": message, "finish_reason": reason, "logprobs": null }),
                )
            }
            (_, Surface::Chat) => {
                let message = json!({ "role": "assistant", "content": text, "refusal": null });
                (
                    "chat.completion",
                    json!({ "index": 0, "message": message, "finish_reason": reason, "logprobs": null }),
                )
            }
            (_, Surface::Completion) => {
                ("text_completion", json!({ "index": 0, "text": text, "finish_reason": reason, "logprobs": null }))
            }
        };
        let reply = json!({
            "id": self.id, "object": object, "created": self.created, "model": self.model,
            "choices": [choice], "usage": usage_object(&answer.usage()),
        });
        reply.to_string().into()
    }

    fn word(&self, index: usize) -> &'static str {
        WORDS.get(self.first_word.wrapping_add(index) % WORDS.len()).copied().unwrap_or_default()
    }

    fn call_id(&self) -> String {
        format!("call_{}", self.id)
    }

    fn finish_reason(&self, answer: &Answer) -> &'static str {
        match (&self.tool, answer.ending) {
            (Some(_), _) => "tool_calls",
            (None, Ending::Stop) => "stop",
            (None, Ending::Length) => "length",
        }
    }

    fn chunk(&self, delta: &str, reason: &str) -> Bytes {
        self.event(&format!(r#"{{"index":0,"delta":{delta},"logprobs":null,"finish_reason":{reason}}}"#))
    }

    fn text_chunk(&self, text: &str, reason: &str) -> Bytes {
        let text = Value::from(text);
        self.event(&format!(r#"{{"index":0,"text":{text},"logprobs":null,"finish_reason":{reason}}}"#))
    }

    fn event(&self, choice: &str) -> Bytes {
        let usage = match self.delivery {
            Delivery::StreamWithUsage => r#","usage":null"#,
            Delivery::Stream | Delivery::Plain => "",
        };
        format!("{},\"choices\":[{choice}]{usage}}}\n\n", self.head).into()
    }
}

/// The event that ends a stream.
pub(super) const DONE: Bytes = Bytes::from_static(b"data: [DONE]\n\n");
/// A sign of life in a stream.
pub(super) const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");
/// A sign of life in front of a plain reply.
pub(super) const BLANK_LINE: Bytes = Bytes::from_static(b"\n");
/// An event that is not JSON.
pub(super) const GARBAGE_EVENT: Bytes = Bytes::from_static(b"data: {\"id\":\"chatcmpl-\",\"choices\":[{\"ind\n\n");
/// A reply that is not JSON.
pub(super) const GARBAGE: Bytes = Bytes::from_static(b"{\"id\":\"chatcmpl-\",\"choices\":[{\"ind");

/// What a provider says when it breaks under status 200.
pub(super) fn server_error() -> Bytes {
    let message = "The server had an error while processing your request.";
    error_object(message, "server_error", None, None).to_string().into()
}

/// The same as an event.
pub(super) fn server_error_event() -> Bytes {
    let message = "The server had an error while processing your request.";
    format!("data: {}\n\n", error_object(message, "server_error", None, None)).into()
}

fn tool_delta(tool: &ToolCall, call_id: &str, index: usize) -> Value {
    let Some(fragment) = index.checked_sub(1) else {
        let function = json!({ "name": tool.name, "arguments": "" });
        return json!({ "tool_calls": [{ "index": 0, "id": call_id, "type": "function", "function": function }] });
    };
    let characters: Vec<char> = tool.arguments.chars().collect();
    let part: String = characters.chunks(TOOL_FRAGMENT).nth(fragment).unwrap_or_default().iter().collect();
    json!({ "tool_calls": [{ "index": 0, "function": { "arguments": part } }] })
}

fn usage_object(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input.0,
        "completion_tokens": usage.output.0,
        "total_tokens": (usage.input + usage.output).0,
        "prompt_tokens_details": { "cached_tokens": usage.cached_input.0, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning.0, "audio_tokens": 0 },
    })
}
