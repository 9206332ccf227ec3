//! Requests as clients of `OpenAI` send them, from the simplest to all that its API has.

use serde_json::{Value, json};

use crate::client::{question, with};

/// A picture of one dot.
const DOT: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// Each with a name for people: in words only, with all that is large, with all that is small.
pub(crate) fn plain_ones(model: &str, own: &Value) -> [(&'static str, Value); 3] {
    [
        ("a simple one", question(model, "Say hello to the world.")),
        ("the most", most(model, own)),
        ("the least", least(model)),
    ]
}

/// Every parameter that `OpenAI` knows, as large as it may be, and those of the provider's own.
fn most(model: &str, own: &Value) -> Value {
    let body = json!({
        "model": model,
        "messages": [
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "name": "ann", "content": [
                { "type": "text", "text": "Say hello" }, { "type": "text", "text": " to the world." },
            ] },
        ],
        "max_completion_tokens": 4000, "temperature": 2, "top_p": 1, "presence_penalty": 2, "frequency_penalty": 2,
        "seed": 7, "user": "u-1", "n": 1, "logit_bias": { "50256": -100 }, "logprobs": true, "top_logprobs": 2,
        "stop": ["END"], "service_tier": "auto", "store": false, "metadata": { "app": "test" },
        "reasoning_effort": "low", "response_format": { "type": "text" },
    });
    with(body, own)
}

fn least(model: &str) -> Value {
    let more = json!({
        "max_tokens": 4000, "temperature": 0, "top_p": 0, "presence_penalty": -2, "frequency_penalty": 0, "n": 1,
    });
    with(question(model, "Say hello to the world."), &more)
}

/// Two answers at once.
pub(crate) fn two_answers(model: &str) -> Value {
    with(question(model, "Say hello to the world."), &json!({ "n": 2 }))
}

/// One that has to be answered by calling tools.
pub(crate) fn tools(model: &str) -> Value {
    let tool = |name: &str, field: &str| {
        let fields = json!({ field: { "type": "string" } });
        let schema =
            json!({ "type": "object", "properties": fields, "required": [field], "additionalProperties": false });
        json!({ "type": "function", "function": { "name": name, "description": name, "strict": true, "parameters": schema } })
    };
    let tools = json!([tool("weather", "city"), tool("clock", "zone")]);
    let more = json!({ "tools": tools, "tool_choice": "required", "parallel_tool_calls": true });
    with(question(model, "How is the weather in Paris, and how late is it?"), &more)
}

/// The turn after it: the tools have answered. With the thoughts of that turn, or without them, as after a model of
/// another provider.
pub(crate) fn results(model: &str, calls: &Value, thoughts: Option<&str>) -> Value {
    let mut body = tools(model);
    let mut called = json!({ "role": "assistant", "content": null, "tool_calls": calls });
    if let Some(thoughts) = thoughts {
        called["reasoning_content"] = thoughts.into();
    }
    let mut messages = vec![body["messages"][0].clone(), called];
    for call in calls.as_array().into_iter().flatten() {
        messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "21" }));
    }
    body["messages"] = messages.into();
    body["tool_choice"] = "auto".into();
    body
}

/// The same calls with ids as another provider gives them.
pub(crate) fn as_elsewhere(calls: &Value) -> Value {
    let mut calls = calls.clone();
    for (at, call) in calls.as_array_mut().into_iter().flatten().enumerate() {
        call["id"] = format!("call_{at}_8fJq-Qm3vXbYt7LcPzRk2W").into();
    }
    calls
}

/// One with a picture.
pub(crate) fn picture(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": [
        { "type": "text", "text": "What is this?" }, { "type": "image_url", "image_url": { "url": DOT } },
    ] }] })
}

/// One that wants an object of a schema.
pub(crate) fn schema(model: &str) -> Value {
    let fields = json!({ "city": { "type": "string" }, "degrees": { "type": "integer" } });
    let schema = json!({
        "type": "object", "properties": fields, "required": ["city", "degrees"], "additionalProperties": false,
    });
    let format =
        json!({ "type": "json_schema", "json_schema": { "name": "weather", "strict": true, "schema": schema } });
    with(question(model, "The weather in Paris as JSON."), &json!({ "response_format": format }))
}
