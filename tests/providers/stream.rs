//! A stream as a client puts it together, by the rules of `OpenAI`'s own: texts are joined, calls by their number.

use serde_json::{Value, json};

/// What a stream came to.
pub(crate) struct Told {
    pub(crate) chunks: Vec<Value>,
    /// As a whole answer would have it.
    pub(crate) message: Value,
    pub(crate) reason: String,
    /// The last usage that it had.
    pub(crate) usage: Value,
}

/// What these chunks come to.
pub(crate) fn told(chunks: Vec<Value>) -> Result<Told, String> {
    let mut told = Told { chunks: Vec::new(), message: json!({}), reason: String::new(), usage: Value::Null };
    for chunk in &chunks {
        if chunk.get("error").is_some() {
            return Err(format!("an error: {chunk}"));
        }
        if chunk["usage"].is_object() {
            told.usage = chunk["usage"].clone();
        }
        let choice = &chunk["choices"][0];
        if let Some(reason) = choice["finish_reason"].as_str() {
            reason.clone_into(&mut told.reason);
        }
        for name in ["content", "reasoning_content", "reasoning"] {
            join(&mut told.message, name, &choice["delta"][name]);
        }
        for piece in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            add(&mut told.message, piece)?;
        }
    }
    told.chunks = chunks;
    Ok(told)
}

fn add(message: &mut Value, piece: &Value) -> Result<(), String> {
    let index = piece["index"].as_u64().and_then(|index| usize::try_from(index).ok());
    let index = index.ok_or_else(|| format!("a piece of a call has no number: {piece}"))?;
    if message["tool_calls"].is_null() {
        message["tool_calls"] = json!([]);
    }
    let calls = message["tool_calls"].as_array_mut().ok_or("calls are no list")?;
    while calls.len() <= index {
        calls.push(json!({ "function": {} }));
    }
    let call = &mut calls[index];
    join(call, "id", &piece["id"]);
    join(&mut call["function"], "name", &piece["function"]["name"]);
    join(&mut call["function"], "arguments", &piece["function"]["arguments"]);
    Ok(())
}

fn join(to: &mut Value, name: &str, text: &Value) {
    let Some(text) = text.as_str() else { return };
    let known = to[name].as_str().unwrap_or_default();
    to[name] = (known.to_owned() + text).into();
}
