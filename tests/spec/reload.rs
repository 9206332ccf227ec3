//! A reload keeps what was learned about what stays, and requests in flight keep what they began with.

use std::time::Duration;

use faregate::simulated::{Canned, Fault, Lognormal, Profile};

use crate::rig::{Rig, post, provider, serving, streamed, upstream};

#[tokio::test(start_paused = true)]
async fn quotas_blocks_and_circuits_outlive_a_reload() {
    let (limited, blocked, broken) = (provider(serving(&["m"])), provider(serving(&["m"])), provider(serving(&["m"])));
    let quota = upstream("limited", "m", "1", "1").replace("keys = []", "keys = []\nlimits = { rpm = 2 }");
    let config = quota + &upstream("blocked", "m", "2", "2") + &upstream("broken", "m", "3", "3");
    let rig = Rig::new(&config, "", &[("limited", &limited), ("blocked", &blocked), ("broken", &broken)]);
    let headers = vec![("retry-after".to_owned(), "50".to_owned())];
    blocked.set_fault(Some(Fault::Reply(Canned { status: 429, headers, body: String::new() })));
    broken.set_fault(Some(Fault::Outage));
    for _ in 0..4 {
        rig.chat("m").await;
    }
    let asked = [&limited, &blocked, &broken].map(|provider| provider.stats().requests);

    rig.reload(&config, "[objective]\nfailure_cost = \"2 USD\"\n");
    let reply = rig.chat("m").await;

    assert_ne!(reply.status, 200, "nobody could have answered");
    let now = [&limited, &blocked, &broken].map(|provider| provider.stats().requests);
    assert_eq!((now[0], now[1]), (asked[0], asked[1]), "what was known was forgotten");
    assert_eq!((limited.stats().requests, blocked.stats().requests), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_upstream_is_taken_out_goes_on_to_its_end() {
    let slow = provider(Profile { time_per_token: Duration::from_secs(1), ..serving(&["m"]) });
    let other = provider(serving(&["m"]));
    let rig = Rig::new(&upstream("slow", "m", "1", "1"), "", &[("slow", &slow), ("other", &other)]);
    let response = rig.open(post("/v1/chat/completions", streamed("m").to_string())).await.unwrap();

    rig.reload(&upstream("other", "m", "1", "1"), "");
    let next = rig.chat("m").await;
    let body = http_body_util::BodyExt::collect(response.into_body()).await.unwrap().to_bytes();

    assert_eq!(next.header("x-faregate-endpoint"), "other/m");
    assert!(String::from_utf8_lossy(&body).ends_with("data: [DONE]\n\n"));
    assert_eq!((slow.stats().answered, slow.stats().requests), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_new_price_counts_from_the_next_request_on() {
    let profile = || Profile { first_token: Lognormal::fixed(Duration::from_millis(100)), ..serving(&["m"]) };
    let (a, b) = (provider(profile()), provider(profile()));
    let hosts = [("a", &a), ("b", &b)];
    let rig = Rig::new(&(upstream("a", "m", "1", "1") + &upstream("b", "m", "9", "9")), "", &hosts);
    assert_eq!(rig.chat("m").await.header("x-faregate-endpoint"), "a/m");

    rig.reload(&(upstream("a", "m", "9", "9") + &upstream("b", "m", "1", "1")), "");

    let reply = rig.chat("m").await;
    assert_eq!(reply.header("x-faregate-endpoint"), "b/m");
    assert!(rig.log()[1]["cost_usd"].as_f64().unwrap() < 2e-5);
}

#[tokio::test(start_paused = true)]
async fn a_tightened_limit_holds_at_once() {
    let up = provider(serving(&["m"]));
    let plain = upstream("up", "m", "1", "1");
    let rig = Rig::new(&plain, "", &[("up", &up)]);
    for _ in 0..5 {
        assert_eq!(rig.chat("m").await.status, 200);
    }

    rig.reload(&plain.replace("keys = []", "keys = []\nlimits = { rpm = 5 }"), "");

    assert_eq!(rig.chat("m").await.code(), "rate_limited", "what was sent before counts");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_is_tried_at_once() {
    let up = provider(Profile { api_key: Some("sk-new".to_owned()), ..serving(&["m"]) });
    let config = |key: &str| {
        upstream("up", "m", "1", "1")
            .replace("keys = []", &format!("keys = [{{ name = \"k\", key = \"literal:{key}\" }}]"))
    };
    let rig = Rig::new(&config("sk-old"), "", &[("up", &up)]);
    for _ in 0..5 {
        assert_eq!(rig.chat("m").await.status, 502);
        tokio::time::sleep(Duration::from_secs(6)).await;
    }

    rig.reload(&config("sk-new"), "");

    assert_eq!(rig.chat("m").await.status, 200);
}
