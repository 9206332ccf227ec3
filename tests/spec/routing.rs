//! Who is asked: the cheapest that will do, tiers, quotas that are never overrun, and circuits that recover.

use std::sync::Arc;
use std::time::Duration;

use faregate::simulated::{Canned, Fault, Lognormal, Profile, Provider, Quota};
use faregate::units::Tokens;
use serde_json::json;

use crate::rig::{Rig, chat, provider, serving, upstream};

fn delayed(millis: u64) -> Arc<Provider> {
    provider(Profile { first_token: Lognormal::fixed(Duration::from_millis(millis)), ..serving(&["m"]) })
}

async fn sent(rig: &Rig, count: usize) {
    for _ in 0..count {
        assert_eq!(rig.stream("m").await.status, 200);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Equal upstreams `a`, `b` … at 1 dollar, each limited as `limits` says.
fn equals(count: usize, limits: &str) -> (Vec<Arc<Provider>>, String) {
    let names = ["a", "b", "c"];
    let config = names.iter().take(count).map(|name| {
        let table = upstream(name, "m", "1", "1");
        if limits.is_empty() { table } else { table.replace("keys = []", &format!("keys = []\nlimits = {limits}")) }
    });
    ((0..count).map(|_| delayed(50)).collect(), config.collect())
}

#[tokio::test(start_paused = true)]
async fn the_cheapest_of_those_as_fast_gets_the_traffic() {
    let (cheap, dear) = (delayed(200), delayed(200));
    let config = upstream("dear", "m", "5", "15") + &upstream("cheap", "m", "1", "3");
    let rig = Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]);

    sent(&rig, 60).await;

    assert!(cheap.stats().requests >= 57, "{} of 60", cheap.stats().requests);
}

#[tokio::test(start_paused = true)]
async fn a_little_cheaper_is_not_worth_a_long_wait() {
    let (slow, quick) = (delayed(9_000), delayed(200));
    let config = upstream("slow", "m", "1.0", "3.0") + &upstream("quick", "m", "1.1", "3.3");
    let rig = Rig::new(&config, "", &[("slow", &slow), ("quick", &quick)]);

    sent(&rig, 60).await;

    assert!(quick.stats().requests >= 54, "{} of 60", quick.stats().requests);
}

#[tokio::test(start_paused = true)]
async fn the_second_tier_waits_for_the_first_to_be_unable() {
    let (first, second) = (delayed(800), delayed(10));
    let policy = "[[routes]]\nname = \"r\"\nmodels = [\"m\"]\ncluster = [[\"first/m\"], [\"second/m\"]]\n";
    let config = upstream("first", "m", "9", "9") + &upstream("second", "m", "1", "1");
    let rig = Rig::new(&config, policy, &[("first", &first), ("second", &second)]);

    sent(&rig, 20).await;
    assert_eq!((first.stats().requests, second.stats().requests), (20, 0));

    first.set_fault(Some(Fault::error_status(503)));
    sent(&rig, 20).await;
    assert_eq!(second.stats().answered, 20);
    assert!(first.stats().failed < 15, "its circuit never opened: {:?}", first.stats());
}

#[tokio::test(start_paused = true)]
async fn equals_share() {
    let (providers, config) = equals(3, "");
    let hosts: Vec<_> = ["a", "b", "c"].into_iter().zip(&providers).collect();
    let rig = Rig::new(&config, "", &hosts);

    sent(&rig, 150).await;

    for provider in &providers {
        assert!((25..=85).contains(&provider.stats().requests), "{:?}", provider.stats());
    }
}

#[tokio::test(start_paused = true)]
async fn equals_with_good_days_and_bad_days_share_as_well() {
    let profile = || Profile {
        first_token: Lognormal { median: Duration::from_millis(400), sigma: 0.4 },
        time_per_token: Duration::from_millis(10),
        output_tokens: Lognormal { median: Tokens(100), sigma: 0.4 },
        ..serving(&["m"])
    };
    let providers: Vec<_> = (0..3).map(|seed| Provider::new(profile(), seed)).collect();
    let config: String = ["a", "b", "c"].map(|name| upstream(name, "m", "1", "1")).concat();
    let hosts: Vec<_> = ["a", "b", "c"].into_iter().zip(&providers).collect();
    let rig = Rig::new(&config, "", &hosts);

    sent(&rig, 300).await;

    let each: Vec<_> = providers.iter().map(|provider| provider.stats().requests).collect();
    assert!(each.iter().all(|count| *count >= 40), "{each:?}");
}

#[tokio::test(start_paused = true)]
async fn a_configured_quota_is_never_overrun_and_the_rest_spills() {
    let limited = Quota { rpm: Some(10), ..Quota::default() };
    let cheap = provider(Profile { quota: limited, ..serving(&["m"]) });
    let dear = delayed(10);
    let config = upstream("cheap", "m", "1", "1").replace("keys = []", "keys = []\nlimits = { rpm = 10 }")
        + &upstream("dear", "m", "5", "5");
    let rig = Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]);

    sent(&rig, 100).await;
    tokio::time::sleep(Duration::from_mins(2)).await;
    sent(&rig, 20).await;

    assert_eq!(cheap.stats().rejected_429, 0, "a known quota was overrun");
    assert!(cheap.stats().answered >= 16, "a quota that has come back is used again: {:?}", cheap.stats());
    assert_eq!(cheap.stats().answered + dear.stats().answered, 120);
}

#[tokio::test(start_paused = true)]
async fn one_after_the_other_or_all_at_once_a_concurrency_limit_holds() {
    let limited = Quota { concurrency: Some(3), ..Quota::default() };
    let cheap =
        provider(Profile { quota: limited, first_token: Lognormal::fixed(Duration::from_secs(1)), ..serving(&["m"]) });
    let dear = delayed(10);
    let config = upstream("cheap", "m", "1", "1").replace("keys = []", "keys = []\nlimits = { concurrency = 3 }")
        + &upstream("dear", "m", "5", "5");
    let rig = Arc::new(Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]));

    let asking: Vec<_> = (0..20)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.chat("m").await.status })
        })
        .collect();
    for answer in asking {
        assert_eq!(answer.await.unwrap(), 200);
    }

    assert_eq!(cheap.stats().rejected_429, 0);
    assert_eq!(cheap.stats().answered + dear.stats().answered, 20);
    assert!(cheap.stats().answered >= 1);
}

/// A chat whose prompt is about this many tokens.
fn lengthy(tokens: usize) -> serde_json::Value {
    json!({ "model": "m", "stream": true, "messages": [{ "role": "user", "content": "word ".repeat(tokens) }] })
}

#[tokio::test(start_paused = true)]
async fn scarce_requests_go_to_those_who_save_most_by_them() {
    let (cheap, dear) = (delayed(100), delayed(100));
    let config = upstream("cheap", "m", "1", "1").replace("keys = []", "keys = []\nlimits = { rpm = 60 }")
        + &upstream("dear", "m", "3", "3");
    let rig = Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]);

    let mut long_at_cheap = [0, 0];
    for round in 0..300 {
        for tokens in [40, 4_000] {
            let before = cheap.stats().requests;
            assert_eq!(rig.post("/v1/chat/completions", &lengthy(tokens)).await.status, 200);
            if round >= 60 && cheap.stats().requests > before {
                long_at_cheap[usize::from(tokens > 1_000)] += 1;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    let [short, long] = long_at_cheap;
    assert!(long >= 10 * short.max(1), "{long} long ones and {short} short ones had the scarce quota");
    assert!(long >= 100, "and it was used: {long}");
}

#[tokio::test(start_paused = true)]
async fn when_every_quota_is_used_up_the_client_learns_when_it_is_not() {
    let (providers, config) = equals(2, "{ rpm = 5 }");
    let hosts: Vec<_> = ["a", "b"].into_iter().zip(&providers).collect();
    let rig = Rig::new(&config, "", &hosts);
    sent(&rig, 10).await;

    let reply = rig.chat("m").await;

    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (429, "rate_limited"));
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    tokio::time::sleep(Duration::from_secs(wait)).await;
    assert_eq!(rig.chat("m").await.status, 200, "the wait that was promised was enough");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_kept_to_the_second() {
    let (cheap, dear) = (delayed(10), delayed(10));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let rig = Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]);
    sent(&rig, 5).await;
    let headers = vec![("retry-after".to_owned(), "30".to_owned())];
    cheap.fault_next(Fault::Reply(Canned { status: 429, headers, body: String::new() }));
    sent(&rig, 1).await;
    let asked = cheap.stats().requests;

    sent(&rig, 250).await;
    assert_eq!(cheap.stats().requests, asked, "it was asked before its time");
    tokio::time::sleep(Duration::from_secs(6)).await;
    sent(&rig, 20).await;

    assert!(cheap.stats().requests >= asked + 10, "it was forgotten");
}

#[tokio::test(start_paused = true)]
async fn a_circuit_closes_again_by_live_traffic_that_no_client_pays_for() {
    let (cheap, dear) = (delayed(100), delayed(100));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let rig = Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]);
    sent(&rig, 20).await;

    cheap.set_fault(Some(Fault::error_status(500)));
    sent(&rig, 600).await;
    let while_down = cheap.stats().failed;
    cheap.set_fault(None);
    sent(&rig, 600).await;
    let before = cheap.stats().answered;
    sent(&rig, 100).await;

    assert!((3..40).contains(&while_down), "probed too eagerly or never: {while_down}");
    assert!(cheap.stats().answered >= before + 90, "it never came back: {:?}", cheap.stats());
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_tried_and_kept_if_it_is_better() {
    let (old, new) = (delayed(100), delayed(100));
    let hosts = [("old", &old), ("new", &new)];
    let before = upstream("old", "m", "5", "5");
    let rig = Rig::new(&before, "", &hosts);
    sent(&rig, 50).await;

    rig.reload(&(before + &upstream("new", "m", "1", "1")), "");
    sent(&rig, 50).await;

    assert!(new.stats().answered >= 45, "{:?}", new.stats());
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failures_is_stopped_by_the_retry_budget() {
    let (providers, config) = equals(3, "");
    let hosts: Vec<_> = ["a", "b", "c"].into_iter().zip(&providers).collect();
    let policy = "[defaults]\nretry = { attempts = 3, budget = \"10%\", floor = \"0/s\" }\n";
    let rig = Arc::new(Rig::new(&config, policy, &hosts));
    for provider in &providers {
        provider.set_fault(Some(Fault::error_status(429)));
    }

    let asking: Vec<_> = (0..100)
        .map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.chat("m").await.status })
        })
        .collect();
    for answer in asking {
        assert!(answer.await.unwrap().as_u16() >= 429);
    }

    let calls: u64 = providers.iter().map(|provider| provider.stats().requests).sum();
    assert!(calls <= 110, "{calls} calls for 100 requests");
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_must_be_offered() {
    let (plain, seeing) = (delayed(10), delayed(10));
    let capabilities = "capabilities = [\"tools\", \"vision\", \"json_schema\"]";
    let config = upstream("plain", "m", "1", "1").replace(capabilities, "capabilities = []\ncontext = 1000")
        + &upstream("seeing", "m", "5", "5");
    let rig = Rig::new(&config, "", &[("plain", &plain), ("seeing", &seeing)]);
    let tools = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]);
    let image = json!([{"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]);

    let text = rig.chat("m").await;
    let mut with_tools = chat("m");
    with_tools["tools"] = tools;
    let mut with_image = chat("m");
    with_image["messages"][0]["content"] = image;
    let mut long = chat("m");
    long["messages"][0]["content"] = "many words ".repeat(2_000).into();

    assert_eq!(text.header("x-faregate-upstream"), "plain");
    for body in [&with_tools, &with_image, &long] {
        let reply = rig.post("/v1/chat/completions", body).await;
        assert_eq!(reply.header("x-faregate-upstream"), "seeing", "{}", reply.text());
    }
    let mut pinned = with_image.clone();
    pinned["model"] = "plain/m".into();
    let refused = rig.post("/v1/chat/completions", &pinned).await;
    assert_eq!((refused.status.as_u16(), refused.code().as_str()), (400, "no_capable_endpoint"));
}
