//! What a request asks for, read from its body as OpenAI reads it: unknown fields are ignored, wrong ones refused.

use serde::Deserialize;
use serde_json::Value;

use crate::simulated::refusal::Refusal;
use crate::units::{Tokens, len_to_u64};

/// Which of the two text surfaces is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    Chat,
    Completion,
}

/// How the answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Plain,
    Stream,
    StreamWithUsage,
}

/// A tool that is to be called, with its arguments as JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ToolCall {
    pub(super) name: String,
    pub(super) arguments: String,
}

/// A request for text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextAsk {
    pub(super) surface: Surface,
    pub(super) model: String,
    pub(super) prompt: Tokens,
    pub(super) max_output: Option<Tokens>,
    pub(super) delivery: Delivery,
    pub(super) tool: Option<ToolCall>,
}

#[derive(Deserialize)]
struct RawText {
    model: Option<String>,
    messages: Option<Vec<Value>>,
    prompt: Option<Value>,
    stream: Option<bool>,
    stream_options: Option<RawStreamOptions>,
    max_tokens: Option<i64>,
    max_completion_tokens: Option<i64>,
    temperature: Option<f64>,
    n: Option<u64>,
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
}

#[derive(Deserialize)]
struct RawStreamOptions {
    include_usage: Option<bool>,
}

impl TextAsk {
    pub(super) fn parse(surface: Surface, body: &[u8]) -> Result<Self, Refusal> {
        let raw: RawText = serde_json::from_slice(body).map_err(|error| Refusal::NotJson(error.to_string()))?;
        let prompt = raw.prompt_tokens(surface)?;
        let max_output = raw.max_output()?;
        raw.check_ranges()?;
        let tool = raw.tool_to_call();
        Ok(Self { surface, prompt, max_output, delivery: raw.delivery()?, tool, model: required(raw.model, "model")? })
    }
}

impl RawText {
    fn prompt_tokens(&self, surface: Surface) -> Result<Tokens, Refusal> {
        match surface {
            Surface::Chat => match self.messages.as_deref() {
                None => Err(Refusal::Missing("messages")),
                Some([]) => Err(Refusal::BadValue { param: "messages", rule: "empty array" }),
                Some(messages) => Ok(tokens_of(messages)),
            },
            Surface::Completion => self.prompt.as_ref().map(prompt_tokens).ok_or(Refusal::Missing("prompt")),
        }
    }

    fn max_output(&self) -> Result<Option<Tokens>, Refusal> {
        let Some(limit) = self.max_completion_tokens.or(self.max_tokens) else { return Ok(None) };
        match u64::try_from(limit) {
            Ok(limit @ 1..) => Ok(Some(Tokens(limit))),
            _ => Err(Refusal::BadValue { param: "max_tokens", rule: "integer below the minimum of 1" }),
        }
    }

    fn check_ranges(&self) -> Result<(), Refusal> {
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err(Refusal::BadValue { param: "temperature", rule: "must be between 0 and 2" });
        }
        if self.n.is_some_and(|n| n != 1) {
            return Err(Refusal::BadValue { param: "n", rule: "this provider gives one choice" });
        }
        Ok(())
    }

    fn delivery(&self) -> Result<Delivery, Refusal> {
        let usage = self.stream_options.as_ref().map(|options| options.include_usage.unwrap_or(false));
        match (self.stream.unwrap_or(false), usage) {
            (false, None) => Ok(Delivery::Plain),
            (false, Some(_)) => Err(Refusal::BadValue { param: "stream_options", rule: "only allowed with stream" }),
            (true, Some(true)) => Ok(Delivery::StreamWithUsage),
            (true, Some(false) | None) => Ok(Delivery::Stream),
        }
    }

    /// The first tool (or the one that `tool_choice` names), if the choice forces a call, or leaves it open and the
    /// last message speaks of the tool.
    fn tool_to_call(&self) -> Option<ToolCall> {
        let functions: Vec<&Value> = self.tools.iter().flatten().filter_map(|tool| tool.get("function")).collect();
        let first = functions.first().copied()?;
        let function = match &self.tool_choice {
            Some(Value::String(choice)) if choice == "none" => return None,
            Some(Value::String(choice)) if choice == "required" => first,
            Some(choice @ Value::Object(_)) => {
                let name = choice.pointer("/function/name")?;
                functions.into_iter().find(|function| function.get("name") == Some(name))?
            }
            _ => self.mentions(first).then_some(first)?,
        };
        let name = function.get("name")?.as_str()?.to_owned();
        Some(ToolCall { name, arguments: arguments_for(function.get("parameters")).to_string() })
    }

    fn mentions(&self, function: &Value) -> bool {
        let Some(last) = self.messages.as_deref().and_then(<[Value]>::last) else { return false };
        let text = last.get("content").map(Value::to_string).unwrap_or_default();
        let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
        // A tool's result answers the call: calling again would never end.
        last.get("role").and_then(Value::as_str) == Some("user") && (text.contains("tool") || text.contains(name))
    }
}

/// An object that satisfies the simple part of a JSON schema: its required properties, by type.
fn arguments_for(schema: Option<&Value>) -> Value {
    let required = schema.and_then(|schema| schema.get("required")).and_then(Value::as_array);
    let names = required.into_iter().flatten().filter_map(Value::as_str);
    let value = |name: &str| {
        let property = schema.and_then(|schema| schema.get("properties")?.get(name));
        let choice = property.and_then(|property| property.get("enum")?.get(0)).cloned();
        choice.unwrap_or_else(|| match property.and_then(|property| property.get("type")?.as_str()) {
            Some("number" | "integer") => Value::from(1),
            Some("boolean") => Value::from(true),
            Some("array") => Value::Array(Vec::new()),
            Some("object") => arguments_for(property),
            _ => Value::from("Beijing"),
        })
    };
    Value::Object(names.map(|name| (name.to_owned(), value(name))).collect())
}

pub(super) fn required<T>(value: Option<T>, name: &'static str) -> Result<T, Refusal> {
    value.ok_or(Refusal::Missing(name))
}

/// A prompt is text, a list of texts, a list of tokens, or a list of such lists.
pub(super) fn prompt_tokens(prompt: &Value) -> Tokens {
    tokens_of(std::slice::from_ref(prompt))
}

/// Four bytes of text are one token, as is a number; at least one.
fn tokens_of(values: &[Value]) -> Tokens {
    fn quarters(value: &Value) -> u64 {
        match value {
            Value::Null | Value::Bool(_) => 0,
            Value::Number(_) => 4,
            Value::String(text) => len_to_u64(text.len()),
            Value::Array(items) => items.iter().map(quarters).sum(),
            Value::Object(fields) => fields.values().map(quarters).sum(),
        }
    }
    Tokens(values.iter().map(quarters).sum::<u64>().div_ceil(4).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(body: &Value) -> Result<TextAsk, Refusal> {
        TextAsk::parse(Surface::Chat, body.to_string().as_bytes())
    }

    fn with_tool(choice: &Value, text: &str) -> Option<ToolCall> {
        let body = json!({
            "model": "m", "messages": [{ "role": "user", "content": text }], "tool_choice": choice,
            "tools": [{ "type": "function", "function": { "name": "weather", "parameters": {
                "type": "object", "required": ["city", "days"],
                "properties": { "city": { "type": "string" }, "days": { "type": "integer" } },
            }}}],
        });
        parse(&body).unwrap().tool
    }

    #[test]
    fn four_bytes_of_prompt_text_are_a_token() {
        let ask = parse(&json!({ "model": "m", "messages": [{ "content": "x".repeat(400) }] })).unwrap();
        assert_eq!(ask.prompt, Tokens(100));
        assert_eq!(prompt_tokens(&json!([1, 2, 3])), Tokens(3));
    }

    #[test]
    fn a_wrong_parameter_is_refused_by_name() {
        let refused = |field: &str, value: Value| {
            let mut body = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
            body[field] = value;
            parse(&body).unwrap_err().body()["error"]["param"].clone()
        };
        assert_eq!(refused("temperature", json!(2.1)), "temperature");
        assert_eq!(refused("max_tokens", json!(0)), "max_tokens");
        assert_eq!(refused("messages", json!([])), "messages");
        assert_eq!(refused("model", Value::Null), "model");
        assert_eq!(refused("stream_options", json!({ "include_usage": true })), "stream_options");
    }

    #[test]
    fn a_tool_is_called_when_forced_or_spoken_of_and_never_when_forbidden() {
        let call = Some(ToolCall { name: "weather".into(), arguments: r#"{"city":"Beijing","days":1}"#.into() });
        assert_eq!(with_tool(&json!("required"), "hi"), call);
        assert_eq!(with_tool(&json!({ "type": "function", "function": { "name": "weather" } }), "hi"), call);
        assert_eq!(with_tool(&json!("auto"), "use the weather tool"), call);
        assert_eq!(with_tool(&Value::Null, "hi"), None);
        assert_eq!(with_tool(&json!("none"), "use the weather tool"), None);
    }
}
