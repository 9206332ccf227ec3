//! Each fault, as a client sees it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::client::{Answer, ask, chat, connect, profile, request, send, settle, streamed};
use crate::simulated::{Fault, Provider};

const LONG: Duration = Duration::from_hours(1);

fn faulty(fault: Fault) -> Arc<Provider> {
    let provider = Provider::new(profile(), 1);
    provider.set_fault(Some(fault));
    provider
}

fn tokens(answer: &Answer) -> usize {
    answer.text().matches("tok ").count()
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_has_no_answer() {
    let provider = faulty(Fault::Refuse);
    assert!(ask(&provider, &chat()).await.is_err());
    assert_eq!(provider.stats().aborted, 0, "the provider left, not the client");
}

#[tokio::test(start_paused = true)]
async fn a_status_comes_at_once_with_its_body_and_when_to_retry() {
    let retry_after = Some(Duration::from_millis(1_500));
    let provider = faulty(Fault::Status { status: 503, body: Some("busy".to_owned()), retry_after });
    let answer = ask(&provider, &streamed()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.head_at, answer.text().as_str()), (503, 0, "busy"));
    assert_eq!([answer.header("retry-after"), answer.header("retry-after-ms")], [Some("2"), Some("1500")]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_provider_takes_a_multiple_of_every_wait() {
    let answer = ask(&faulty(Fault::Slow { factor: 3.0 }), &chat()).await.unwrap();
    assert_eq!(answer.head_at, 3 * (100 + 4 * 10));
}

#[tokio::test(start_paused = true)]
async fn a_hang_before_the_head_lasts() {
    for body in [chat(), streamed()] {
        assert!(timeout(LONG, ask(&faulty(Fault::HangBeforeHead), &body)).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_takes_the_list_of_models_with_it() {
    let list = || request("/v1/models", "");
    assert!(timeout(LONG, send(&faulty(Fault::HangBeforeHead), list())).await.is_err());
    assert!(send(&faulty(Fault::Refuse), list()).await.is_err());
    assert!(send(&faulty(Fault::CutBeforeContent), list()).await.unwrap().broken.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_hang_before_the_first_token_gives_a_head() {
    for body in [chat(), streamed()] {
        let provider = faulty(Fault::HangBeforeFirstToken);
        let mut sender = connect(&provider).await;
        let response = sender.send_request(request("/v1/chat/completions", &body.to_string())).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let rest = http_body_util::BodyExt::collect(response.into_body());
        assert!(timeout(LONG, rest).await.is_err());
        settle().await;
        assert_eq!(provider.stats().aborted, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_before_content_breaks_after_the_head() {
    for body in [chat(), streamed()] {
        let answer = ask(&faulty(Fault::CutBeforeContent), &body).await.unwrap();
        assert_eq!((answer.status.as_u16(), tokens(&answer)), (200, 0));
        assert!(answer.broken.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_leaves_the_tokens_before_it_and_bills_them() {
    let provider = faulty(Fault::CutAfter { tokens: 3 });
    let answer = ask(&provider, &streamed()).await.unwrap();
    assert_eq!(tokens(&answer), 3);
    assert_eq!(answer.pieces.last().unwrap().0, 120);
    assert!(answer.broken.is_some());
    assert_eq!(provider.stats().output_tokens.0, 3);
}

#[tokio::test(start_paused = true)]
async fn a_plain_answer_is_cut_in_the_middle_of_its_body() {
    let answer = ask(&faulty(Fault::CutAfter { tokens: 3 }), &chat()).await.unwrap();
    assert_eq!((answer.head_at, answer.status.as_u16()), (120, 200));
    assert!(answer.broken.is_some());
    assert!(!answer.text().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_error_event_comes_first_or_after_tokens_and_ends_the_stream() {
    for (fault, before) in [(Fault::ErrorEventFirst, 0), (Fault::ErrorEventAfter { tokens: 2 }, 2)] {
        let answer = ask(&faulty(fault), &streamed()).await.unwrap();
        let events = answer.events();
        assert_eq!(tokens(&answer), before);
        assert_eq!(events.last().unwrap()["error"]["type"], "server_error");
        assert!(before > 0 || events.len() == 1, "nothing comes before the first event");
        assert!(answer.broken.is_none() && !answer.text().contains("[DONE]"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_may_hide_in_a_200() {
    for body in [chat(), streamed()] {
        let answer = ask(&faulty(Fault::ErrorIn200), &body).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, Some("application/json")));
        assert_eq!(answer.json()["error"]["type"], "server_error");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_is_no_json() {
    for body in [chat(), streamed()] {
        let text = ask(&faulty(Fault::GarbageJson), &body).await.unwrap().text();
        let last = text.trim_end().rsplit("data: ").next().unwrap().to_owned();
        assert!(serde_json::from_str::<serde_json::Value>(&last).is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn keep_alives_precede_a_whole_answer() {
    let fault = Fault::KeepAlives { count: 2, every: Duration::from_secs(1) };
    let answer = ask(&faulty(fault.clone()), &streamed()).await.unwrap();
    let comments = answer.pieces.iter().filter(|(_, piece)| piece.starts_with(": "));
    assert_eq!(comments.map(|(at, _)| *at).collect::<Vec<_>>(), [1_000, 2_000]);
    assert_eq!(tokens(&answer), 5);

    let plain = ask(&faulty(fault), &chat()).await.unwrap();
    assert_eq!((plain.head_at, plain.pieces.last().unwrap().0), (0, 2_140));
    assert_eq!(plain.json()["choices"][0]["finish_reason"], "stop");
}

#[tokio::test(start_paused = true)]
async fn a_share_of_the_requests_meets_the_fault() {
    let provider = faulty(Fault::Status { status: 500, body: None, retry_after: None });
    provider.set_fault_share(0.25);
    let mut failed = 0;
    for _ in 0..400 {
        failed += usize::from(ask(&provider, &chat()).await.unwrap().status.is_server_error());
    }
    assert!((70..130).contains(&failed), "{failed} of 400");
    provider.set_fault(None);
    assert_eq!(ask(&provider, &chat()).await.unwrap().status.as_u16(), 200);
}
