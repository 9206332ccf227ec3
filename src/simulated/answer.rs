//! What a simulated provider says: OpenAI's shapes, built with a JSON library and nothing of faregate's.

use std::time::Duration;

use bytes::Bytes;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::profile::{Fault, Profile};
use super::script::{Act, Step};
use crate::units::{Tokens, len_to_f64, len_to_u64, seconds};

/// A request that was understood.
pub(super) struct Ask {
    pub(super) body: Value,
    pub(super) model: String,
    pub(super) chat: bool,
    pub(super) prompt: Tokens,
    pub(super) wanted: Tokens,
    pub(super) number: u64,
}

/// The value at a JSON pointer; null where there is none.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn set(object: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(name.to_owned(), value);
    }
}

/// What the answer consists of.
pub(super) enum Saying {
    /// So many tokens of text, and whether the limit cut them.
    Words(u64, &'static str),
    /// A call of this function.
    Call(String),
}

impl Ask {
    pub(super) fn streams(&self) -> bool {
        at(&self.body, "/stream") == true
    }

    fn wants_usage(&self) -> bool {
        at(&self.body, "/stream_options/include_usage") == true
    }

    /// Text, or a call of the first tool if the client insists or talks about the weather.
    pub(super) fn saying(&self) -> Saying {
        let tool = at(&self.body, "/tools/0/function/name").as_str();
        let choice = at(&self.body, "/tool_choice");
        let last = at(&self.body, "/messages").as_array().and_then(|messages| messages.last());
        let weather =
            last.is_some_and(|message| at(message, "/role") == "user" && message.to_string().contains("weather"));
        let insists = choice == "required" || choice.is_object();
        if let Some(tool) = tool
            && choice != "none"
            && (insists || weather)
        {
            return Saying::Call(at(choice, "/function/name").as_str().unwrap_or(tool).to_owned());
        }
        let most = ["/max_completion_tokens", "/max_tokens"].iter().find_map(|name| at(&self.body, name).as_u64());
        match most {
            Some(most) if most <= self.wanted.0 => Saying::Words(most, "length"),
            Some(_) | None => Saying::Words(self.wanted.0, "stop"),
        }
    }

    fn usage(&self, output: u64) -> Value {
        json!({ "prompt_tokens": self.prompt.0, "completion_tokens": output, "total_tokens": self.prompt.0 + output,
            "prompt_tokens_details": { "cached_tokens": 0 }, "completion_tokens_details": { "reasoning_tokens": 0 } })
    }

    /// The answer in one piece, and how many tokens it has.
    pub(super) fn plain(&self) -> (Value, u64) {
        let (message, reason, output) = match self.saying() {
            Saying::Words(count, reason) => {
                let text = "tok ".repeat(usize::try_from(count).unwrap_or(0));
                (json!({ "role": "assistant", "content": text }), reason, count)
            }
            Saying::Call(name) => {
                let call = json!({ "id": format!("call_{}", self.number), "type": "function",
                    "function": { "name": name, "arguments": "{\"city\":\"Paris\"}" } });
                (json!({ "role": "assistant", "content": null, "tool_calls": [call] }), "tool_calls", 8)
            }
        };
        let choice = if self.chat {
            json!({ "index": 0, "message": message, "logprobs": null, "finish_reason": reason })
        } else {
            json!({ "index": 0, "text": at(&message, "/content"), "logprobs": null, "finish_reason": reason })
        };
        let object = if self.chat { "chat.completion" } else { "text_completion" };
        let mut body = self.envelope(object);
        set(&mut body, "choices", json!([choice]));
        set(&mut body, "usage", self.usage(output));
        (body, output)
    }

    fn envelope(&self, object: &str) -> Value {
        json!({ "id": format!("sim-{}", self.number), "object": object, "created": 1_763_870_000, "model": self.model })
    }

    fn event(&self, choices: &Value, usage: Option<&Value>) -> Bytes {
        let mut chunk = self.envelope(if self.chat { "chat.completion.chunk" } else { "text_completion" });
        set(&mut chunk, "choices", choices.clone());
        if self.wants_usage() {
            set(&mut chunk, "usage", usage.cloned().unwrap_or(Value::Null));
        }
        format!("data: {chunk}\n\n").into()
    }

    fn piece(&self, delta: &Value, reason: Option<&str>) -> Bytes {
        let choice = if self.chat {
            json!({ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason })
        } else {
            json!({ "index": 0, "text": at(delta, "/content").as_str().unwrap_or(""), "logprobs": null, "finish_reason": reason })
        };
        self.event(&json!([choice]), None)
    }

    /// The pieces of a streamed answer: the tokens one by one, then how it ends.
    fn pieces(&self) -> (Vec<Bytes>, &'static str) {
        match self.saying() {
            Saying::Words(count, reason) => {
                ((0..count).map(|_| self.piece(&json!({ "content": "tok " }), None)).collect(), reason)
            }
            Saying::Call(name) => {
                let call = |fields: Value| self.piece(&json!({ "tool_calls": [fields] }), None);
                let id = format!("call_{}", self.number);
                let begin =
                    json!({ "index": 0, "id": id, "type": "function", "function": { "name": name, "arguments": "" } });
                let arguments = ["{\"city\":", "\"Paris\"", "}"];
                let rest = arguments.map(|part| call(json!({ "index": 0, "function": { "arguments": part } })));
                (std::iter::once(call(begin)).chain(rest).collect(), "tool_calls")
            }
        }
    }

    /// The answer as a stream, with `wait` before the first token and `per_token` between tokens.
    pub(super) fn stream(&self, wait: Duration, per_token: Duration, fault: Option<&Fault>) -> Vec<Step> {
        let (pieces, reason) = self.pieces();
        let output = len_to_u64(pieces.len());
        let mut steps = vec![Step::send(
            Duration::ZERO,
            self.piece(&json!({ "role": "assistant", "content": "" }), None),
            Tokens::ZERO,
        )];
        if !self.chat {
            steps.clear();
        }
        for (index, piece) in pieces.into_iter().enumerate() {
            steps.push(Step::send(if index == 0 { wait } else { per_token }, piece, Tokens(1)));
        }
        steps.push(Step::send(Duration::ZERO, self.piece(&json!({}), Some(reason)), Tokens::ZERO));
        if self.wants_usage() {
            steps.push(Step::send(Duration::ZERO, self.event(&json!([]), Some(&self.usage(output))), Tokens::ZERO));
        }
        steps.push(Step::send(Duration::ZERO, Bytes::from_static(b"data: [DONE]\n\n"), Tokens::ZERO));
        break_with(&mut steps, usize::from(self.chat), fault);
        steps
    }
}

/// Puts the fault into the steps. `first` is the position of the first token.
fn break_with(steps: &mut Vec<Step>, first: usize, fault: Option<&Fault>) {
    let told = error("The server had an error", "server_error", None, None);
    let event = Step::send(Duration::ZERO, format!("data: {told}\n\n").into(), Tokens::ZERO);
    let (from, last) = match fault {
        Some(Fault::HangBeforeFirstToken) => (first, Step::next(Act::Hang)),
        Some(Fault::CutBeforeContent) => (first, Step::next(Act::Break)),
        Some(Fault::CutAfter { tokens }) => (first + tokens, Step::next(Act::Break)),
        Some(Fault::ErrorEventFirst) => (0, event),
        Some(Fault::ErrorEventAfter { tokens }) => (first + tokens, event),
        Some(Fault::KeepAlives { count, every }) => {
            let comment = Step::send(*every, Bytes::from_static(b": keep-alive\n\n"), Tokens::ZERO);
            steps.splice(0..0, vec![comment; *count]);
            return;
        }
        // These never get as far as a stream.
        Some(
            Fault::Refuse
            | Fault::Status { .. }
            | Fault::Slow { .. }
            | Fault::HangBeforeHead
            | Fault::ErrorIn200
            | Fault::GarbageJson,
        )
        | None => return,
    };
    steps.truncate(from);
    steps.push(last);
}

/// An error in OpenAI's shape.
pub(super) fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } })
}

/// Embeddings that depend on nothing but their position.
pub(super) fn embeddings(body: &Value, model: &str, prompt: Tokens) -> Value {
    let count = match at(body, "/input") {
        Value::Array(items) if items.first().is_some_and(|item| !item.is_number()) => items.len(),
        _ => 1,
    };
    let vector: [f32; 8] = [0.5, -0.25, 0.125, 1.0, -1.0, 0.75, 0.0, 0.25];
    let embedding = if at(body, "/encoding_format") == "base64" {
        Value::from(base64(&vector.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()))
    } else {
        json!(vector)
    };
    let data: Vec<_> =
        (0..count).map(|index| json!({ "object": "embedding", "index": index, "embedding": embedding })).collect();
    json!({ "object": "list", "data": data, "model": model,
        "usage": { "prompt_tokens": prompt.0, "total_tokens": prompt.0 } })
}

/// RFC 4648, for the vectors that SDKs ask for in this form.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit =
        |value: u32| ALPHABET.get(usize::try_from(value & 63).unwrap_or(0)).map_or('=', |digit| char::from(*digit));
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let padded = [chunk.first(), chunk.get(1), chunk.get(2)].map(|byte| u32::from(byte.copied().unwrap_or(0)));
        let [a, b, c] = padded;
        let bits = a << 16 | b << 8 | c;
        for (position, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            text.push(if position <= chunk.len() { digit(bits >> shift) } else { '=' });
        }
    }
    text
}

/// How long the first token of an answer takes, and each of the rest.
pub(super) fn delays(
    profile: &Profile,
    prompt: Tokens,
    in_flight: u32,
    slow: f64,
    rng: &mut StdRng,
) -> (Duration, Duration) {
    let wait = profile.first_token.draw(rng).as_secs_f64()
        + profile.per_prompt_token.as_secs_f64() * prompt.as_f64()
        + profile.load.as_secs_f64() * f64::from(in_flight);
    let pace = profile.per_token.draw(rng).as_secs_f64();
    (seconds(wait * slow), seconds(pace * slow))
}

/// About four bytes to a token.
pub(super) fn prompt_tokens(body: &Value) -> Tokens {
    let text = ["/messages", "/prompt", "/input"].iter().map(|name| at(body, name)).find(|value| !value.is_null());
    Tokens::from_estimate((len_to_f64(text.map_or(0, |text| text.to_string().len())) / 4.0).ceil())
}
