//! Each fault as a client sees it.

use super::*;
use crate::runtime::now;
use crate::simulated::{Canned, Fault, PriceChange, Schedule};
use crate::units::PicoUsd;

/// What a client saw of one stream: its contents, the last event, and whether the body ended cleanly.
async fn streamed_under(fault: Fault) -> (usize, String, bool) {
    let provider = provider();
    provider.set_fault(Some(fault));
    let response = Client::of(&provider).await.chat(&stream()).await.unwrap();
    assert_eq!(response.status(), 200);
    let (events, clean) = events_of(response, now()).await;
    assert_eq!(provider.stats().in_flight, 0);
    (contents(&events).len(), events.last().map(|(_, event)| event.clone()).unwrap_or_default(), clean)
}

async fn body_under(fault: Fault, ask: &Value) -> (u16, Result<Bytes, ()>) {
    let provider = provider();
    provider.set_fault(Some(fault));
    let response = Client::of(&provider).await.chat(ask).await.unwrap();
    let status = response.status().as_u16();
    (status, response.into_body().collect().await.map(http_body_util::Collected::to_bytes).map_err(|_| ()))
}

#[tokio::test(start_paused = true)]
async fn an_outage_closes_new_connections_and_cuts_requests_on_open_ones() {
    let provider = provider();
    let mut open = Client::of(&provider).await;
    json_of(open.chat(&plain()).await.unwrap()).await;
    provider.set_fault(Some(Fault::Outage));

    assert!(open.chat(&plain()).await.is_err());
    assert!(Client::of(&provider).await.chat(&plain()).await.is_err());
    assert_eq!(provider.stats().failed, 1, "a refused connection brings no request");

    provider.set_fault(None);
    assert_eq!(Client::of(&provider).await.chat(&plain()).await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_reset_reads_the_request_and_answers_nothing() {
    let provider = provider();
    provider.set_fault(Some(Fault::Reset));
    assert!(Client::of(&provider).await.chat(&plain()).await.is_err());
    assert_eq!((provider.stats().requests, provider.recorded_requests().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_fixed_reply_is_sent_as_it_was_given() {
    let canned = Canned { status: 402, headers: vec![("retry-after".into(), "7".into())], body: "no money".into() };
    let provider = provider();
    provider.fault_next(Fault::Reply(canned));
    let mut client = Client::of(&provider).await;

    let response = client.chat(&plain()).await.unwrap();
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (402, &"7".parse().unwrap()));
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "no money");
    assert_eq!(client.chat(&plain()).await.unwrap().status(), 200, "the fault was for one request");
}

#[tokio::test(start_paused = true)]
async fn hangs_last_for_ever_with_and_without_a_head() {
    let day = Duration::from_hours(24);
    let provider = provider();
    provider.set_fault(Some(Fault::HangBeforeHead));
    assert!(tokio::time::timeout(day, Client::of(&provider).await.chat(&plain())).await.is_err());

    provider.set_fault(Some(Fault::HangBeforeFirstToken));
    for ask in [plain(), stream()] {
        let mut client = Client::of(&provider).await;
        let response = client.chat(&ask).await.unwrap();
        assert!(tokio::time::timeout(day, response.into_body().collect()).await.is_err());
    }
    tokio::time::sleep(MS).await;
    assert_eq!((provider.stats().aborted, provider.stats().billed), (3, PicoUsd::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_cut_stream_ends_uncleanly_after_what_was_sent() {
    let (tokens, last, clean) = streamed_under(Fault::CutBeforeContent).await;
    assert_eq!((tokens, clean), (0, false));
    assert!(last.contains("role"), "the role came through: {last}");
    let (tokens, last, clean) = streamed_under(Fault::CutAfter(5)).await;
    assert_eq!((tokens, clean), (5, false));
    assert!(!last.contains("[DONE]"));
}

#[tokio::test(start_paused = true)]
async fn an_error_event_ends_a_stream_without_done() {
    for (fault, expected) in [(Fault::ErrorEventFirst, 0), (Fault::ErrorEventAfter(5), 5)] {
        let (tokens, last, clean) = streamed_under(fault).await;
        assert_eq!((tokens, clean), (expected, true));
        assert!(last.contains("server_error"), "{last}");
    }
}

#[tokio::test(start_paused = true)]
async fn garbage_is_not_json() {
    let (tokens, last, _) = streamed_under(Fault::GarbageJson).await;
    assert!(tokens == 0 && serde_json::from_str::<Value>(&last).is_err());
    let (_, body) = body_under(Fault::GarbageJson, &plain()).await;
    assert!(serde_json::from_slice::<Value>(&body.unwrap()).is_err());
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_come_before_the_first_token_and_delay_it() {
    let provider = provider();
    provider.set_fault(Some(Fault::KeepAliveComments(2, 100 * MS)));
    let began = now();
    let (events, _) = events_of(Client::of(&provider).await.chat(&stream()).await.unwrap(), began).await;
    let times: Vec<u128> = events.iter().take(4).map(|(at, _)| at.as_millis()).collect();
    assert_eq!(times, [100, 200, 200, 250], "two comments, the role, the first token");
    assert_eq!(events[0].1, ": keep-alive");

    let (_, body) = body_under(Fault::KeepAliveComments(2, 100 * MS), &plain()).await;
    assert!(body.unwrap().starts_with(b"\n\n{"));
}

#[tokio::test(start_paused = true)]
async fn an_error_under_status_200_is_plain_json_for_streams_too() {
    for ask in [plain(), stream()] {
        let (status, body) = body_under(Fault::ErrorIn200, &ask).await;
        let body: Value = serde_json::from_slice(&body.unwrap()).unwrap();
        assert_eq!((status, &body["error"]["type"]), (200, &json!("server_error")));
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_streams_have_their_kin_on_plain_replies() {
    let (_, body) = body_under(Fault::ErrorEventAfter(3), &plain()).await;
    assert!(body.unwrap().starts_with(b"{\"error\""));
    for fault in [Fault::CutBeforeContent, Fault::CutAfter(3)] {
        let (status, body) = body_under(fault, &plain()).await;
        assert_eq!((status, body), (200, Err(())));
    }
}

#[tokio::test(start_paused = true)]
async fn a_brownout_takes_so_many_times_as_long() {
    let provider = provider();
    provider.set_fault(Some(Fault::Slow(3.0)));
    let began = now();
    Client::of(&provider).await.chat(&plain()).await.unwrap();
    assert_eq!(now().since(began), 3 * 88 * MS);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_breaks_and_reprices_at_its_times() {
    let free = PriceChange { at: Duration::from_secs(20), model: MODEL.to_owned(), price: Price::default() };
    let schedule = Schedule { spells: vec!["status:503@10s-20s".parse().unwrap()], prices: vec![free] };
    let provider = Provider::scheduled(profile(), schedule, 1);
    let mut client = Client::of(&provider).await;
    let mut status = async || {
        let response = client.chat(&plain()).await.unwrap();
        let status = response.status().as_u16();
        response.into_body().collect().await.unwrap();
        status
    };

    assert_eq!(status().await, 200);
    let billed = provider.stats().billed;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(status().await, 503);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(status().await, 200);
    assert_eq!(provider.stats().billed, billed, "free by now");
}
