//! Answers and refusals.

use super::*;
use crate::engine::Usage;
use crate::runtime::now;
use crate::simulated::{Fault, Quota};
use crate::units::{PicoUsd, Tokens};

#[tokio::test(start_paused = true)]
async fn a_plain_answer_comes_whole_when_its_last_token_would() {
    let provider = provider();
    let mut client = Client::of(&provider).await;
    let began = now();

    let response = client.chat(&plain()).await.unwrap();

    assert_eq!(now().since(began), 50 * MS + 19 * 2 * MS);
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-request-id"], "req_p_00000000");
    let body = json_of(response).await;
    assert_eq!(body["usage"]["total_tokens"], 3 + 20);
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(start_paused = true)]
async fn a_stream_sends_each_token_by_itself_at_its_time() {
    let provider = provider();
    let mut client = Client::of(&provider).await;
    let began = now();

    let response = client.chat(&with(stream(), "max_tokens", json!(3))).await.unwrap();
    let (events, clean) = events_of(response, began).await;

    let times: Vec<u128> = events.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [0, 50, 52, 54, 54, 54], "role, three tokens, finish, [DONE]");
    assert!(clean && events[5].1 == "[DONE]");
    assert!(events[0].1.contains(r#""role":"assistant""#));
    assert!(events[4].1.contains(r#""finish_reason":"length""#));
    assert!(!events.iter().any(|(_, event)| event.contains("usage")));
}

#[tokio::test(start_paused = true)]
async fn a_stream_tells_its_usage_only_if_asked_and_before_it_ends() {
    let provider = provider();
    let mut client = Client::of(&provider).await;

    let asked = with(stream(), "stream_options", json!({ "include_usage": true }));
    let (events, _) = events_of(client.chat(&asked).await.unwrap(), now()).await;

    let usage: Value = serde_json::from_str(&events[events.len() - 2].1).unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 20);
}

#[tokio::test(start_paused = true)]
async fn a_stream_and_a_plain_answer_of_one_number_have_the_same_text() {
    let (first, second) = (provider(), provider());
    let body = json_of(Client::of(&first).await.chat(&plain()).await.unwrap()).await;
    let response = Client::of(&second).await.chat(&stream()).await.unwrap();
    let (events, _) = events_of(response, now()).await;
    assert_eq!(contents(&events).concat(), body["choices"][0]["message"]["content"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_bytes() {
    let mut replies = Vec::new();
    for _ in 0..2 {
        let spread =
            Profile { output_tokens: crate::simulated::Lognormal { median: Tokens(30), sigma: 1.0 }, ..profile() };
        let mut client = Client::of(&Provider::new(spread, 7)).await;
        let mut texts = Vec::new();
        for _ in 0..5 {
            texts.push(json_of(client.chat(&plain()).await.unwrap()).await.to_string());
        }
        replies.push(texts);
    }
    assert_eq!(replies[0], replies[1]);
    assert!(replies[0].windows(2).any(|pair| pair[0].len() != pair[1].len()), "but lengths vary");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_tool_call_joins_to_the_arguments_of_a_plain_one() {
    let provider = provider();
    let tool = json!({ "type": "function", "function": { "name": "weather", "parameters": {
        "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] } } });
    let forced = |body| with(with(body, "tools", json!([tool])), "tool_choice", json!("required"));

    let whole = json_of(Client::of(&provider).await.chat(&forced(plain())).await.unwrap()).await;
    let response = Client::of(&provider).await.chat(&forced(stream())).await.unwrap();
    let (events, _) = events_of(response, now()).await;

    let deltas = events.iter().filter_map(|(_, event)| serde_json::from_str::<Value>(event).ok());
    let parts = deltas.filter_map(|chunk| {
        let function = &chunk["choices"][0]["delta"]["tool_calls"][0]["function"];
        Some(function["arguments"].as_str()?.to_owned())
    });
    let call = &whole["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call["name"], "weather");
    assert_eq!(call["arguments"], parts.collect::<String>());
    assert_eq!(whole["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test(start_paused = true)]
async fn embeddings_come_as_numbers_or_as_base64_of_the_same_numbers() {
    let provider = provider();
    let mut client = Client::of(&provider).await;
    let ask = |format: &str| json!({ "model": MODEL, "input": "hi", "encoding_format": format });

    let numbers = json_of(client.post("/v1/embeddings", &ask("float")).await.unwrap()).await;
    let text = json_of(client.post("/v1/embeddings", &ask("base64")).await.unwrap()).await;

    assert_eq!(numbers["data"][0]["embedding"].as_array().unwrap().len(), 8);
    // 8 numbers of 4 bytes are 32 bytes, which base64 writes as 44 characters.
    assert_eq!(text["data"][0]["embedding"].as_str().unwrap().len(), 44);
    assert_eq!(provider.stats().billed, PicoUsd(2 * 1_000_000), "a prompt without an answer is billed");
}

#[tokio::test(start_paused = true)]
async fn refusals_are_shaped_as_openai_shapes_them() {
    let keyed = Provider::new(Profile { api_key: Some("k".to_owned()), ..profile() }, 1);
    let cases = [
        (Some("Bearer k"), "/v1/chat/completions", with(plain(), "temperature", json!(3)), 400, "invalid_value"),
        (Some("Bearer k"), "/v1/chat/completions", with(plain(), "model", json!("x")), 404, "model_not_found"),
        (Some("Bearer k"), "/chat/completions", with(plain(), "model", json!("x")), 404, "model_not_found"),
        (Some("Bearer wrong"), "/v1/chat/completions", plain(), 401, "invalid_api_key"),
    ];
    for (key, path, body, status, code) in cases {
        let mut request = Request::post(path);
        if let Some(key) = key {
            request = request.header("authorization", key);
        }
        let request = request.body(Full::from(body.to_string())).unwrap();
        let response = Client::of(&keyed).await.send(request).await.unwrap();
        assert_eq!(response.status(), status);
        let error = json_of(response).await["error"].clone();
        assert_eq!((&error["code"], &error["type"]), (&json!(code), &json!("invalid_request_error")));
    }
    assert_eq!(keyed.stats().refused, 4);
}

#[tokio::test(start_paused = true)]
async fn the_quota_is_told_with_each_answer_and_kept() {
    let provider = Provider::new(Profile { quota: Quota { rpm: Some(2), ..Quota::default() }, ..profile() }, 1);
    let mut client = Client::of(&provider).await;

    let first = client.chat(&plain()).await.unwrap();
    assert_eq!(first.headers()["x-ratelimit-limit-requests"], "2");
    assert_eq!(first.headers()["x-ratelimit-remaining-requests"], "1");
    json_of(first).await;
    json_of(client.chat(&plain()).await.unwrap()).await;

    let refused = client.chat(&plain()).await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait = 60_000 - 2 * 88;
    assert_eq!(refused.headers()["retry-after-ms"], wait.to_string().as_str());
    assert_eq!(refused.headers()["retry-after"], "60");
    assert_eq!(json_of(refused).await["error"]["code"], "rate_limit_exceeded");

    tokio::time::sleep(wait * MS).await;
    assert_eq!(client.chat(&plain()).await.unwrap().status(), 200);
    assert_eq!(provider.stats().rejected_429, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_counted_and_billed_for_what_was_made() {
    let provider = provider();
    for (body, wait) in [(plain(), 55), (stream(), 55)] {
        let mut client = Client::of(&provider).await;
        let reading = async {
            let response = client.chat(&body).await.unwrap();
            response.into_body().collect().await.unwrap();
        };
        tokio::time::timeout(wait * MS, reading).await.unwrap_err();
        drop(client);
        tokio::time::sleep(MS / 10).await;
    }

    let stats = provider.stats();
    assert_eq!((stats.aborted, stats.in_flight, stats.answered), (2, 0, 0));
    // At 55 ms, tokens of 50, 52 and 54 ms exist.
    let each = Usage { input: Tokens(3), output: Tokens(3), ..Usage::default() };
    assert_eq!(stats.billed, profile().models[0].price.bill(&each) + profile().models[0].price.bill(&each));
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_is_recorded_byte_for_byte() {
    let provider = provider();
    let body = br#"{ "model":"sim-1",  "messages":[{"role":"user","content":"\u4f60"}], "unknown": 1.50 }"#;
    let request = Request::post("/v1/chat/completions?x=1").header("x-test", "1").body(Full::from(&body[..])).unwrap();
    json_of(Client::of(&provider).await.send(request).await.unwrap()).await;

    let recorded = provider.recorded_requests();
    assert_eq!(recorded[0].body, &body[..]);
    assert_eq!(recorded[0].path, "/v1/chat/completions?x=1");
    assert_eq!(recorded[0].headers["x-test"], "1");
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_slow_the_next_one_down() {
    let provider = Provider::new(Profile { per_request_in_flight: 10 * MS, ..profile() }, 1);
    let _hung = {
        provider.fault_next(Fault::HangBeforeHead);
        let mut client = Client::of(&provider).await;
        tokio::spawn(async move { client.chat(&plain()).await })
    };
    tokio::time::sleep(MS).await;

    let began = now();
    Client::of(&provider).await.chat(&plain()).await.unwrap();
    assert_eq!(now().since(began), (50 + 10 + 38) * MS);
}

#[tokio::test(start_paused = true)]
async fn the_models_can_be_listed_and_asked_for_by_name() {
    let provider = provider();
    let mut client = Client::of(&provider).await;
    let mut fetch = async |path: &str| {
        let request = Request::get(path).body(Full::default()).unwrap();
        json_of(client.send(request).await.unwrap()).await
    };
    assert_eq!(fetch("/v1/models").await["data"][0]["id"], MODEL);
    assert_eq!(fetch("/v1/models/sim-1").await["id"], MODEL);
    assert_eq!(fetch("/v1/models/sim-2").await["error"]["code"], "model_not_found");
}

#[tokio::test(start_paused = true)]
async fn http2_is_spoken_to_those_who_begin_with_it() {
    let provider = provider();
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    tokio::spawn(Arc::clone(&provider).serve_connection(theirs));
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, TokioIo::new(ours)).await.unwrap();
    tokio::spawn(connection);

    let request =
        Request::post("http://p/v1/chat/completions").body(Full::<Bytes>::from(stream().to_string())).unwrap();
    let (events, clean) = events_of(sender.send_request(request).await.unwrap(), now()).await;
    assert!(clean && contents(&events).len() == 20);
}
