//! Quotas, and what leaves a mark in the counts.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::advance;

use super::client::{ask, chat, connect, limited, profile, request, settle, streamed};
use crate::engine::Price;
use crate::simulated::{Provider, Quota};
use crate::units::{PicoUsd, PricePerMtok, Tokens};

#[tokio::test(start_paused = true)]
async fn a_request_above_the_quota_is_refused_until_the_window_has_passed() {
    let provider = Provider::new(limited(Quota { rpm: Some(1), ..Quota::default() }), 1);
    let first = ask(&provider, &chat()).await.unwrap();
    assert_eq!(first.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(first.header("x-ratelimit-reset-requests"), Some("1m0s"));

    let refused = ask(&provider, &chat()).await.unwrap();
    assert_eq!(refused.status.as_u16(), 429);
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    // The first took 140 ms.
    assert_eq!([refused.header("retry-after"), refused.header("retry-after-ms")], [Some("60"), Some("59860")]);
    assert_eq!(refused.header("x-ratelimit-limit-requests"), Some("1"));

    advance(Duration::from_millis(59_859)).await;
    assert_eq!(ask(&provider, &chat()).await.unwrap().status.as_u16(), 429);
    advance(Duration::from_millis(1)).await;
    assert_eq!(ask(&provider, &chat()).await.unwrap().status.as_u16(), 200);
    assert_eq!((provider.stats().refused_by_quota, provider.stats().answered), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_limited_by_prompt_and_answer_together() {
    // 9 prompt tokens and 5 of the answer, twice.
    let provider = Provider::new(limited(Quota { tpm: Some(28), ..Quota::default() }), 1);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let answer = ask(&provider, &streamed()).await.unwrap();
        statuses.push((answer.status.as_u16(), answer.header("x-ratelimit-remaining-tokens").unwrap().to_owned()));
    }
    assert_eq!(statuses, [(200, "14".to_owned()), (200, "0".to_owned()), (429, "0".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_limited_and_given_back() {
    let provider = Provider::new(limited(Quota { concurrency: Some(1), ..Quota::default() }), 1);
    let (body, other) = (chat(), chat());
    let (first, second) = tokio::join!(ask(&provider, &body), ask(&provider, &other));
    assert_eq!([first.unwrap().status.as_u16(), second.unwrap().status.as_u16()], [200, 429]);
    assert_eq!(ask(&provider, &chat()).await.unwrap().status.as_u16(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_a_stream_is_counted_and_billed_for_what_was_made() {
    let provider = Provider::new(profile(), 1);
    let mut sender = connect(&provider).await;
    let response = sender.send_request(request("/v1/chat/completions", &streamed().to_string())).await.unwrap();
    let mut body = response.into_body();
    let mut seen = 0;
    while seen < 2 {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        seen += usize::from(frame.windows(4).any(|piece| piece == b"tok "));
    }
    drop((body, sender));
    settle().await;
    let stats = provider.stats();
    assert_eq!((stats.aborted, stats.answered, stats.in_flight), (1, 0, 0));
    assert_eq!((stats.input_tokens, stats.output_tokens), (Tokens(9), Tokens(2)));
    assert_eq!(stats.billed, PicoUsd(9 * 1_000_000 + 2 * 4_000_000));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_wait_for_a_plain_answer_is_counted_too() {
    let provider = Provider::new(profile(), 1);
    // Tokens are made at 100, 110, 120 ms.
    let gone = tokio::time::timeout(Duration::from_millis(115), ask(&provider, &chat())).await;
    assert!(gone.is_err());
    settle().await;
    let stats = provider.stats();
    assert_eq!((stats.aborted, stats.in_flight, stats.output_tokens), (1, 0, Tokens(2)));
}

#[tokio::test(start_paused = true)]
async fn whole_answers_are_no_aborts_even_when_the_client_leaves_after_the_last_byte() {
    let provider = Provider::new(profile(), 1);
    for body in [chat(), streamed()] {
        ask(&provider, &body).await.unwrap();
    }
    settle().await;
    let stats = provider.stats();
    assert_eq!((stats.requests, stats.answered, stats.aborted, stats.in_flight), (2, 2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_new_price_holds_from_the_next_request_on() {
    let provider = Provider::new(profile(), 1);
    let price = Price { input: PricePerMtok(7_000_000), ..Price::default() };
    provider.set_price("sim-1", price);
    ask(&provider, &chat()).await.unwrap();
    assert_eq!(provider.stats().billed, PicoUsd(9 * 7_000_000));
}

#[tokio::test]
async fn a_killed_provider_severs_its_connections_and_refuses_new_ones() {
    let provider = Provider::new(profile(), 1);
    let listening = Arc::clone(&provider).listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let stream = tokio::net::TcpStream::connect(listening.addr).await.unwrap();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let models = sender.send_request(request("/v1/models", "")).await.unwrap();
    assert_eq!(models.status().as_u16(), 200);
    drop(models.into_body().collect().await.unwrap());

    listening.kill();

    assert!(tokio::net::TcpStream::connect(listening.addr).await.is_err());
    assert!(sender.send_request(request("/v1/models", "")).await.is_err());
}
