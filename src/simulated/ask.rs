//! What a request asks for, read as leniently as a provider reads it: what it does not act on, it does not refuse.

use http::StatusCode;
use serde_json::Value;

use super::refuse::Refused;
use crate::units::{Tokens, len_to_u64};

/// The three kinds of generating endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `chat/completions`
    Chat,
    /// `completions`
    Text,
    /// `embeddings`
    Embedding,
}

/// A request body that makes sense.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) kind: Kind,
    pub(super) model: String,
    pub(super) prompt: Tokens,
    pub(super) most: Option<Tokens>,
    pub(super) delivery: Delivery,
    /// The name of the tool to call.
    pub(super) tool: Option<String>,
    /// What to embed, one text (or list of tokens, as JSON) each.
    pub(super) inputs: Vec<String>,
    pub(super) encoding: Encoding,
}

/// How the answer travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// One JSON body.
    Plain,
    /// Events, without a word about usage.
    Stream,
    /// Events, and the usage in one of its own.
    StreamWithUsage,
}

/// How vectors are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// A list of numbers.
    Float,
    /// Little-endian f32, in base64.
    Base64,
}

impl Ask {
    /// Reads a body.
    pub(super) fn read(kind: Kind, body: &[u8]) -> Result<Self, Refused> {
        let bad = |message: &str, param| Refused::invalid(StatusCode::BAD_REQUEST, message, param);
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| bad(&format!("We could not parse the JSON body of your request: {error}"), None))?;
        let Some(model) = body.get("model").and_then(Value::as_str) else {
            return Err(bad("you must provide a model parameter", Some("model")));
        };
        let prompt = match kind {
            Kind::Chat => body.get("messages").filter(|messages| messages.is_array()),
            Kind::Text => body.get("prompt"),
            Kind::Embedding => body.get("input"),
        };
        let Some(prompt) = prompt else {
            let param = kind.prompt_field();
            return Err(bad(&format!("Missing required parameter: '{param}'."), Some(param)));
        };
        if body.get("temperature").and_then(Value::as_f64).is_some_and(|heat| !(0.0..=2.0).contains(&heat)) {
            return Err(bad("Invalid 'temperature': expected a value between 0 and 2.", Some("temperature")));
        }
        Ok(Self {
            kind,
            model: model.to_owned(),
            prompt: tokens_of(prompt),
            most: cap(&body),
            delivery: if kind == Kind::Embedding { Delivery::Plain } else { delivery(&body) },
            tool: (kind == Kind::Chat).then(|| tool(&body)).flatten(),
            inputs: inputs(prompt),
            encoding: match body.get("encoding_format").and_then(Value::as_str) {
                Some("base64") => Encoding::Base64,
                Some(_) | None => Encoding::Float,
            },
        })
    }
}

impl Kind {
    fn prompt_field(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Text => "prompt",
            Self::Embedding => "input",
        }
    }
}

/// A quarter of the bytes of its JSON, rounded up.
fn tokens_of(prompt: &Value) -> Tokens {
    Tokens(len_to_u64(prompt.to_string().len()).div_ceil(4))
}

/// The newer name wins over the older.
fn cap(body: &Value) -> Option<Tokens> {
    let fields = ["max_completion_tokens", "max_tokens"];
    fields.iter().find_map(|field| body.get(field).and_then(Value::as_u64)).map(Tokens)
}

fn delivery(body: &Value) -> Delivery {
    let usage = body.pointer("/stream_options/include_usage").and_then(Value::as_bool) == Some(true);
    match (body.get("stream").and_then(Value::as_bool) == Some(true), usage) {
        (false, _) => Delivery::Plain,
        (true, false) => Delivery::Stream,
        (true, true) => Delivery::StreamWithUsage,
    }
}

fn tool(body: &Value) -> Option<String> {
    let name = body.pointer("/tools/0/function/name").and_then(Value::as_str)?;
    let choice = body.get("tool_choice").filter(|choice| !choice.is_null());
    let wanted = choice.map_or_else(|| asks_for_weather(body), |choice| choice.as_str() != Some("none"));
    wanted.then(|| name.to_owned())
}

fn asks_for_weather(body: &Value) -> bool {
    let messages = body.get("messages").and_then(Value::as_array);
    let last = messages.and_then(|messages| {
        messages.iter().rev().find(|message| message.get("role").and_then(Value::as_str) == Some("user"))
    });
    // The content is a string or a list of parts: as JSON, both show the word.
    last.and_then(|message| message.get("content")).is_some_and(|content| content.to_string().contains("weather"))
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(prompt: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match prompt.as_array() {
        Some(many) if !many.iter().all(Value::is_number) => many.iter().map(text).collect(),
        Some(_) | None => vec![text(prompt)],
    }
}
