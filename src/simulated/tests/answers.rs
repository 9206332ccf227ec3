//! Plain answers, embeddings, models, and the errors of requests that are wrong.

use http::{HeaderValue, header::AUTHORIZATION};
use serde_json::{Value, json};

use super::client::{ask, chat, post, profile, request, send, with};
use crate::simulated::{Fault, Profile, Provider};

#[tokio::test(start_paused = true)]
async fn a_plain_answer_comes_whole_when_its_last_token_is_made() {
    let provider = Provider::new(profile(), 1);
    let answer = ask(&provider, &chat()).await.unwrap();
    assert_eq!((answer.head_at, answer.pieces.len()), (140, 1));
    let body = answer.json();
    assert_eq!(body["object"], "chat.completion");
    assert_eq!(body["choices"][0]["message"]["content"], "tok tok tok tok tok ");
    assert_eq!((&body["usage"]["prompt_tokens"], &body["usage"]["completion_tokens"]), (&json!(9), &json!(5)));
    assert!(answer.header("x-request-id").unwrap().starts_with("req_"));
    assert_eq!(answer.header("content-length"), Some(answer.text().len().to_string().as_str()));
}

#[tokio::test(start_paused = true)]
async fn paths_work_with_and_without_their_version() {
    let provider = Provider::new(profile(), 1);
    for path in ["/v1/chat/completions", "/chat/completions"] {
        assert_eq!(post(&provider, path, &chat()).await.unwrap().status.as_u16(), 200);
    }
    let paths: Vec<String> = provider.take_requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/chat/completions", "/chat/completions"]);
    assert!(provider.take_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tools_are_called_when_chosen_or_when_it_is_about_the_weather() {
    let provider = Provider::new(profile(), 1);
    let tools = json!({ "tools": [{ "type": "function", "function": { "name": "look_up" } }] });
    let about =
        |text: &str| with(&with(&chat(), &tools), &json!({ "messages": [{ "role": "user", "content": text }] }));
    let choosing = |choice: &str| with(&about("weather"), &json!({ "tool_choice": choice }));
    for (body, called) in [
        (about("the weather?"), true),
        (about("hello"), false),
        (choosing("none"), false),
        (with(&about("hello"), &json!({ "tool_choice": "required" })), true),
    ] {
        let message = ask(&provider, &body).await.unwrap().json()["choices"][0].clone();
        assert_eq!(message["finish_reason"] == "tool_calls", called, "{body}");
        let arguments = &message["message"]["tool_calls"][0]["function"]["arguments"];
        assert_eq!(*arguments, if called { json!(r#"{"city":"Paris"}"#) } else { Value::Null });
    }
}

#[tokio::test(start_paused = true)]
async fn embeddings_in_base64_are_the_same_numbers() {
    let provider = Provider::new(profile(), 1);
    let body = json!({ "model": "sim-1", "input": ["a", "b"] });
    let floats = post(&provider, "/v1/embeddings", &body).await.unwrap();
    assert_eq!(floats.head_at, 100);
    let floats = floats.json();
    let encoded = with(&body, &json!({ "encoding_format": "base64" }));
    let encoded = post(&provider, "/v1/embeddings", &encoded).await.unwrap().json();
    for index in 0..2 {
        let numbers: Vec<f32> = serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        assert_eq!(numbers.len(), 8);
        let text = encoded["data"][index]["embedding"].as_str().unwrap();
        assert_eq!(decoded(text), numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());
    }
    assert_ne!(floats["data"][0]["embedding"], floats["data"][1]["embedding"]);
}

/// Written the other way round than the encoder, bit by bit, so that both cannot share a mistake.
fn decoded(text: &str) -> Vec<u8> {
    let value = |letter: char| match letter {
        'A'..='Z' => u32::from(letter) - 65,
        'a'..='z' => u32::from(letter) - 71,
        '0'..='9' => u32::from(letter) + 4,
        '+' => 62,
        other => u32::from(other) + 16,
    };
    let bits: Vec<u32> = text
        .trim_end_matches('=')
        .chars()
        .flat_map(|letter| (0..6).rev().map(move |bit| value(letter) >> bit & 1))
        .collect();
    bits.chunks_exact(8).map(|byte| u8::try_from(byte.iter().fold(0, |sum, bit| sum * 2 + bit)).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_and_found_by_their_id() {
    let provider = Provider::new(profile(), 1);
    let list = send(&provider, request("/v1/models", "")).await.unwrap().json();
    assert_eq!(list["data"][0]["id"], "sim-1");
    assert_eq!(send(&provider, request("/models/sim-1", "")).await.unwrap().json(), list["data"][0]);
    assert_eq!(send(&provider, request("/models/other", "")).await.unwrap().status.as_u16(), 404);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_request_is_told_what_is_wrong() {
    let provider = Provider::new(profile(), 1);
    let hot = with(&chat(), &json!({ "temperature": 2.5 })).to_string();
    let unknown = with(&chat(), &json!({ "model": "nobody" })).to_string();
    for (body, status, code, param) in [
        (hot.as_str(), 400, Value::Null, json!("temperature")),
        (unknown.as_str(), 404, json!("model_not_found"), json!("model")),
        ("{", 400, Value::Null, Value::Null),
        (r#"{"messages":[]}"#, 400, Value::Null, json!("model")),
        (r#"{"model":"sim-1"}"#, 400, Value::Null, json!("messages")),
    ] {
        let answer = send(&provider, request("/v1/chat/completions", body)).await.unwrap();
        let error = &answer.json()["error"];
        assert_eq!((answer.status.as_u16(), &error["code"], &error["param"]), (status, &code, &param), "{body}");
    }
    assert_eq!(provider.stats().billed.0, 0);
}

#[tokio::test(start_paused = true)]
async fn only_the_right_key_opens() {
    let provider = Provider::new(Profile { api_key: Some("right".to_owned()), ..profile() }, 1);
    for (key, status) in [(None, 401), (Some("Bearer wrong"), 401), (Some("Bearer right"), 200)] {
        let mut request = request("/v1/models", "");
        if let Some(key) = key {
            request.headers_mut().insert(AUTHORIZATION, HeaderValue::from_static(key));
        }
        let answer = send(&provider, request).await.unwrap();
        assert_eq!(answer.status.as_u16(), status);
        assert!(status == 200 || answer.json()["error"]["code"] == "invalid_api_key");
    }
}

#[tokio::test(start_paused = true)]
async fn the_counts_can_be_read_over_http() {
    let provider = Provider::new(profile(), 1);
    ask(&provider, &chat()).await.unwrap();
    let stats = send(&provider, request("/stats", "")).await.unwrap().json();
    assert_eq!((&stats["answered"], &stats["output_tokens"]), (&json!(1), &json!(5)));
    assert_eq!(stats["billed_pico_usd"], 9 * 1_000_000 + 5 * 4_000_000);
    assert_eq!(stats["requests"], 1, "looking does not count");
    provider.set_fault(Some(Fault::Refuse));
    assert_eq!(send(&provider, request("/stats", "")).await.unwrap().json(), stats);
}
