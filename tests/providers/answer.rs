//! What a simulated model says, and a whole answer in the provider's form.

use serde_json::{Map, Value, json};

use crate::facts::{Facts, Thoughts};

/// To a plain question. Two scripts, so that pieces are cut between letters of several bytes.
pub(crate) const TEXT: &str = "Hello to the world, 世界你好!";
/// What it thinks before.
pub(crate) const THOUGHT: &str = "A greeting is asked for.";
/// To a picture.
pub(crate) const PICTURE: &str = "A picture of a cat.";
/// Where a schema is asked for.
pub(crate) const OBJECT: &str = r#"{"city":"Paris","degrees":21}"#;
/// The tools that it calls, and with what.
pub(crate) const CALLS: [(&str, &str); 2] =
    [("weather", r#"{"city":"Paris"}"#), ("clock", r#"{"zone":"Europe/Paris"}"#)];
/// When it was asked.
const CREATED: u64 = 1_763_870_000;

/// What is said to one request.
pub(crate) struct Answer {
    /// Under which field.
    pub(crate) thoughts: Option<&'static str>,
    pub(crate) text: String,
    pub(crate) calls: bool,
}

impl Answer {
    /// To this request.
    pub(crate) fn to(body: &Value, facts: &Facts) -> Self {
        let calls = wants_tools(body);
        let mut text = if calls { String::new() } else { text_for(body).to_owned() };
        let model = body["model"].as_str().unwrap_or_default();
        let thinks = facts.answer.thinks.iter().any(|name| model.starts_with(name.as_str()));
        let place = thinks.then(|| place(facts.answer.thoughts, body)).flatten();
        if place == Some("") {
            text = format!("<think>{THOUGHT}</think>{text}");
        }
        Self { thoughts: place.filter(|name| !name.is_empty()), text, calls }
    }

    /// All of it.
    pub(crate) fn whole(&self, body: &Value, facts: &Facts) -> String {
        let mut message = json!({ "role": "assistant", "content": self.text });
        if let Some(name) = self.thoughts {
            message[name] = thoughts(name);
        }
        if self.calls {
            message["content"] = Value::Null;
            let call = |(at, (name, arguments)): (usize, &(&str, &str))| json!({ "id": id(at), "type": "function", "function": { "name": name, "arguments": arguments } });
            message["tool_calls"] = CALLS.iter().enumerate().map(call).collect();
        }
        let reason = if self.calls && !facts.calls.ends_with_stop { "tool_calls" } else { "stop" };
        let choice = |index| json!({ "index": index, "message": message, "finish_reason": reason });
        let mut object = common(body, facts);
        object.insert("object".to_owned(), "chat.completion".into());
        object.insert("choices".to_owned(), (0..body["n"].as_u64().unwrap_or(1)).map(choice).collect());
        object.insert("usage".to_owned(), facts.usage.report.0.clone());
        facts.answer.before.clone() + &Value::Object(object).to_string()
    }
}

/// The fields that an answer and all its chunks have.
pub(crate) fn common(body: &Value, facts: &Facts) -> Map<String, Value> {
    let usual = json!({ "id": "chat-1", "created": CREATED, "model": body["model"] });
    let beside = facts.answer.beside.as_ref().map(|beside| beside.0.clone());
    let all = [Some(usual), beside].into_iter().flatten();
    all.filter_map(|value| value.as_object().cloned()).flatten().collect()
}

/// The id of a call.
pub(crate) fn id(at: usize) -> String {
    format!("callAb12{at}")
}

/// Thoughts as they stand in this field.
pub(crate) fn thoughts(name: &str) -> Value {
    match name {
        "reasoning_details" => json!([{ "type": "reasoning.text", "text": THOUGHT }]),
        _ => THOUGHT.into(),
    }
}

/// The field of the thoughts; an empty name for the text itself.
fn place(thoughts: Thoughts, body: &Value) -> Option<&'static str> {
    match thoughts {
        Thoughts::ReasoningContent => Some("reasoning_content"),
        Thoughts::TagsUnlessSplit if body["reasoning_split"] == true => Some("reasoning_details"),
        Thoughts::TagsUnlessSplit => Some(""),
        Thoughts::ReasoningUnlessDeepseekStyle if body["reasoning_format"] == "deepseek-style" => {
            Some("reasoning_content")
        }
        Thoughts::Reasoning | Thoughts::ReasoningUnlessDeepseekStyle => Some("reasoning"),
        Thoughts::Hidden => None,
    }
}

fn wants_tools(body: &Value) -> bool {
    let answered = body["messages"].as_array().into_iter().flatten().any(|message| message["role"] == "tool");
    body["tools"].is_array() && !answered && body["tool_choice"] != "none"
}

fn text_for(body: &Value) -> &'static str {
    let has_picture = |message: &Value| {
        let url = message.pointer("/content/1/image_url/url").and_then(Value::as_str);
        url.is_some_and(|url| url.starts_with("data:image/png;base64,"))
    };
    if body["messages"].as_array().into_iter().flatten().any(has_picture) {
        PICTURE
    } else if body["response_format"]["type"] == "json_schema" {
        OBJECT
    } else {
        TEXT
    }
}
