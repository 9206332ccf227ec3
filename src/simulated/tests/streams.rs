//! What comes when in a stream.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, AsyncWriteExt, join};
use tokio::time::timeout;

use super::client::{ask, chat, post, profile, streamed, with};
use crate::simulated::{Length, Profile, Provider, Spread};

fn contents(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_token_arrives_by_itself_at_its_own_time() {
    let provider = Provider::new(profile(), 1);
    let answer = ask(&provider, &streamed()).await.unwrap();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(answer.head_at, 0);
    let tokens: Vec<u64> =
        answer.pieces.iter().filter(|(_, piece)| piece.contains("tok ")).map(|(at, _)| *at).collect();
    assert_eq!(tokens, [100, 110, 120, 130, 140]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_a_role_then_tokens_then_a_reason_then_done() {
    let provider = Provider::new(profile(), 1);
    let answer = ask(&provider, &streamed()).await.unwrap();
    let events = answer.events();
    assert_eq!(events[0]["choices"][0]["delta"], json!({ "role": "assistant", "content": "" }));
    assert_eq!(contents(&events), ["", "tok ", "tok ", "tok ", "tok ", "tok "]);
    assert_eq!(events[6]["choices"][0]["finish_reason"], "stop");
    assert_eq!(events.len(), 7);
    assert!(answer.text().ends_with("data: [DONE]\n\n"));
    assert!(answer.broken.is_none());
}

/// Looks at what the provider writes: a reader may find several writes at once, and shows clumped ones one by one.
#[tokio::test(start_paused = true)]
async fn tokens_without_time_between_them_are_still_flushed_one_by_one() {
    let at_once = Spread::default();
    let provider = Provider::new(Profile { first_token: at_once, per_token: at_once, ..profile() }, 1);
    let body = streamed().to_string();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n\r\n", body.len());
    let writes = Writes::default();

    let (mut near, far) = tokio::io::duplex(4_096);
    near.write_all(format!("{head}{body}").as_bytes()).await.unwrap();

    // It then waits for another request.
    let served = timeout(Duration::from_secs(1), provider.serve_connection(join(far, writes.clone()))).await;

    assert!(served.is_err());
    let mut tokens: Vec<usize> = writes.0.lock().iter().map(|write| write.matches("tok ").count()).collect();
    tokens.retain(|count| *count > 0);
    assert_eq!(tokens, [1, 1, 1, 1, 1]);
}

/// Keeps each write by itself.
#[derive(Clone, Debug, Default)]
struct Writes(Arc<Mutex<Vec<String>>>);

impl AsyncWrite for Writes {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.0.lock().push(String::from_utf8(bytes.to_vec()).unwrap());
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn usage_comes_only_when_asked_for_and_then_every_chunk_has_the_field() {
    let provider = Provider::new(profile(), 1);
    let silent = ask(&provider, &streamed()).await.unwrap();
    assert!(silent.events().iter().all(|event| event.get("usage").is_none()));

    let asked = with(&streamed(), &json!({ "stream_options": { "include_usage": true } }));
    let events = ask(&provider, &asked).await.unwrap().events();
    let (last, others) = events.split_last().unwrap();
    assert!(others.iter().all(|event| event.get("usage") == Some(&Value::Null)));
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 5);
    // [{"content":"hello","role":"user"}] is 35 bytes.
    assert_eq!(last["usage"]["prompt_tokens"], 9);
    assert_eq!(last["usage"]["total_tokens"], 14);
}

#[tokio::test(start_paused = true)]
async fn a_tool_call_streams_its_name_and_then_its_arguments() {
    let provider = Provider::new(profile(), 1);
    let tools = json!([{ "type": "function", "function": { "name": "weather_in" } }]);
    let body = with(&streamed(), &json!({ "tools": tools, "tool_choice": "required" }));
    let events = ask(&provider, &body).await.unwrap().events();
    let calls: Vec<&Value> = events
        .iter()
        .map(|event| &event["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| !call.is_null())
        .collect();
    assert_eq!(calls[0]["function"], json!({ "name": "weather_in", "arguments": "" }));
    let arguments: String = calls.iter().map(|call| call["function"]["arguments"].as_str().unwrap()).collect();
    assert_eq!(arguments, r#"{"city":"Paris"}"#);
    assert!(calls.len() > 2, "the arguments come in fragments");
    assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test(start_paused = true)]
async fn a_cap_shortens_the_answer_and_is_its_reason() {
    let provider = Provider::new(profile(), 1);
    for cap in ["max_tokens", "max_completion_tokens"] {
        let events = ask(&provider, &with(&streamed(), &json!({ cap: 2 }))).await.unwrap().events();
        assert_eq!(contents(&events), ["", "tok ", "tok "]);
        assert_eq!(events.last().unwrap()["choices"][0]["finish_reason"], "length");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_completion_streams_text() {
    let provider = Provider::new(profile(), 1);
    let body = json!({ "model": "sim-1", "prompt": "hello", "stream": true });
    let events = post(&provider, "/v1/completions", &body).await.unwrap().events();
    let text: String = events.iter().map(|event| event["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, "tok tok tok tok tok ");
    assert!(events.iter().all(|event| event["object"] == "text_completion"));
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_a_run_and_another_seed_makes_another() {
    let noisy = Profile {
        output_tokens: Length { median: 20.0, sigma: 0.8 },
        first_token: Spread { sigma: 0.5, ..profile().first_token },
        ..profile()
    };
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let provider = Provider::new(noisy.clone(), seed);
        let first = ask(&provider, &streamed()).await.unwrap();
        let second = ask(&provider, &chat()).await.unwrap();
        assert_ne!(first.events()[0]["id"], second.json()["id"]);
        runs.push((first.pieces, second.pieces));
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn load_and_long_prompts_delay_the_first_token() {
    let load = Duration::from_millis(40);
    let per_prompt_token = Duration::from_millis(1);
    let provider = Provider::new(Profile { per_prompt_token, load, ..profile() }, 1);
    let (body, other) = (streamed(), streamed());
    let (first, second) = tokio::join!(ask(&provider, &body), ask(&provider, &other));
    let first_token = |answer: &super::client::Answer| {
        answer.pieces.iter().find(|(_, piece)| piece.contains("tok ")).map(|(at, _)| *at).unwrap()
    };
    // 9 prompt tokens; the second finds the first in flight.
    assert_eq!([first_token(&first.unwrap()), first_token(&second.unwrap())], [109, 149]);
}
