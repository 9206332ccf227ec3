//! A whole answer as the stream that the client asked for: some providers cannot stream, or not with tools, and some
//! answer as if they had not been asked to.

use bytes::Bytes;
use serde_json::{Map, Value, json};

/// The events of the completion in `body`, of a chat or a text, which is to end with a usage chunk if `usage_wanted`; `None` if it is
/// none.
pub fn events_of(body: &[u8], usage_wanted: bool) -> Option<Bytes> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let choices = answer.get("choices")?.as_array()?;
    let mut common: Map<String, Value> = answer.as_object()?.clone();
    let usage = common.remove("usage").filter(|usage| !usage.is_null());
    if common.get("object").is_none_or(|object| object != "text_completion") {
        common.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let mut text = String::with_capacity(body.len() * 2);
    let mut event = |choices: Vec<Value>, usage: Option<&Value>| {
        let mut chunk = common.clone();
        chunk.insert("choices".to_owned(), choices.into());
        if let Some(usage) = usage {
            chunk.insert("usage".to_owned(), usage.clone());
        }
        text.push_str("data: ");
        text.push_str(&Value::Object(chunk).to_string());
        text.push_str("\n\n");
    };
    event(choices.iter().map(content).collect::<Option<_>>()?, None);
    event(choices.iter().map(end).collect(), None);
    if let (Some(usage), true) = (&usage, usage_wanted) {
        event(Vec::new(), Some(usage));
    }
    text.push_str("data: [DONE]\n\n");
    Some(text.into())
}

/// All of a choice in one piece.
fn content(choice: &Value) -> Option<Value> {
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        let text = choice.get("text").and_then(Value::as_str)?;
        return Some(json!({ "index": number(choice), "text": text, "logprobs": null, "finish_reason": null }));
    };
    let mut delta = message.clone();
    let calls = delta.get_mut("tool_calls").and_then(Value::as_array_mut);
    for (index, call) in calls.into_iter().flatten().enumerate() {
        call.as_object_mut()?.insert("index".to_owned(), index.into());
    }
    Some(json!({ "index": number(choice), "delta": delta, "finish_reason": null }))
}

fn end(choice: &Value) -> Value {
    let reason = choice.get("finish_reason").cloned().unwrap_or_else(|| "stop".into());
    if !choice.get("message").is_some_and(Value::is_object) {
        return json!({ "index": number(choice), "text": "", "logprobs": null, "finish_reason": reason });
    }
    json!({ "index": number(choice), "delta": {}, "finish_reason": reason })
}

fn number(choice: &Value) -> Value {
    choice.get("index").cloned().unwrap_or_else(|| 0.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_counts_more_than_an_empty_text_beside_it() {
        let body =
            br#"{"id":"1","choices":[{"index":0,"text":null,"message":{"content":"hello"},"finish_reason":"stop"}]}"#;
        let events = events_of(&Bytes::from_static(body), false).unwrap();
        let text = String::from_utf8_lossy(&events);
        assert!(text.contains(r#""delta":{"content":"hello"}"#) && !text.contains("\"text\""), "{text}");
    }

    #[test]
    fn a_whole_answer_becomes_a_stream() {
        let body = json!({
            "id": "1", "object": "chat.completion", "created": 5, "model": "m",
            "choices": [{ "index": 0, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": null, "reasoning_content": "hm",
                "tool_calls": [{ "id": "a", "type": "function", "function": { "name": "f", "arguments": "{}" } }],
            } }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3 },
        });
        let events = |wanted| {
            let bytes = events_of(body.to_string().as_bytes(), wanted).unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(text.ends_with("data: [DONE]\n\n"));
            text.lines()
                .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
                .collect::<Vec<_>>()
        };
        let found = events(true);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == "1"));
        let delta = &found[0]["choices"][0]["delta"];
        assert_eq!((&delta["tool_calls"][0]["index"], &delta["reasoning_content"]), (&json!(0), &json!("hm")));
        assert_eq!(found[1]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!((&found[2]["choices"], &found[2]["usage"]["total_tokens"]), (&json!([]), &json!(3)));
        assert!(events(false).iter().all(|chunk| chunk.get("usage").is_none()));
        assert!(events_of(b"{\"data\": []}", true).is_none());
    }

    #[test]
    fn a_text_becomes_a_stream_of_texts() {
        let body = json!({ "object": "text_completion", "choices": [{ "index": 0, "text": "hi", "finish_reason": "length" }] });
        let bytes = events_of(body.to_string().as_bytes(), true).unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let found: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
        assert!(found.iter().all(|chunk| chunk["object"] == "text_completion"));
        let choice = |at: usize| found[at]["choices"][0].clone();
        assert_eq!((choice(0)["text"].clone(), choice(1)["finish_reason"].clone()), (json!("hi"), json!("length")));
    }
}
