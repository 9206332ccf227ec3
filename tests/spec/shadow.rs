//! Shadows: a share of what is answered goes to one more model as well, which no client ever notices.

use std::sync::Arc;
use std::time::Duration;

use faregate::simulated::{Canned, Fault, Lognormal, Profile, Provider};
use faregate::units::{Tokens, count_to_f64};
use parking_lot::Mutex;
use serde_json::json;

use crate::rig::{Rig, chat, post, provider, serving, streamed, upstream};

const OLD: u32 = 40;
const NEW: u32 = 20;

struct Stage {
    rig: Rig,
    old: Arc<Provider>,
    new: Arc<Provider>,
}

/// A route that `old` serves, with `new` as its shadow: half the price, half the length, and slower.
fn stage(share: &str, max_cost: &str, rest: &str) -> Stage {
    let profile = |tokens: u32, wait| Profile {
        output_tokens: Lognormal::fixed(Tokens(tokens.into())),
        first_token: Lognormal::fixed(Duration::from_millis(wait)),
        ..serving(&["m"])
    };
    let (old, new) = (provider(profile(OLD, 100)), provider(profile(NEW, 700)));
    let config = upstream("old", "m", "10", "10") + &upstream("new", "m", "5", "5");
    let policy = policy(share, max_cost, rest);
    let rig = Rig::new(&config, &policy, &[("old", &old), ("new", &new)]);
    Stage { rig, old, new }
}

fn policy(share: &str, max_cost: &str, rest: &str) -> String {
    format!(
        "[defaults]\nallow_headers = [\"only\"]\n[[routes]]\nname = \"chat\"\nmodels = [\"fast\"]\ncluster = [\"old/m\"]\n\
         shadow = {{ endpoint = \"new/m\", share = \"{share}\", max_cost = \"{max_cost}\" }}\n{rest}\n"
    )
}

impl Stage {
    /// One series of the shadow.
    fn shadow(&self, metric: &str, label: &str, value: &str) -> f64 {
        let mut labels = [("model", "m"), ("route", "chat"), ("upstream", "new"), (label, value)];
        labels.sort_unstable();
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
        self.rig.metric(&format!("faregate_shadow_{metric}{{{}}}", labels.join(",")))
    }
}

/// Until calls that nobody waits for have ended.
async fn settled() {
    tokio::time::sleep(Duration::from_secs(5)).await;
}

#[tokio::test(start_paused = true)]
async fn both_answers_are_compared_and_the_client_sees_one() {
    let stage = stage("100%", "1 USD/day", "");
    for mode in [chat("fast"), streamed("fast")] {
        let begun = faregate::runtime::now();
        let reply = stage.rig.post("/v1/chat/completions", &mode).await;
        assert_eq!((reply.status.as_u16(), reply.header("x-faregate-endpoint")), (200, "old/m"));
        assert_eq!(reply.header("x-faregate-attempts"), "1");
        assert!(faregate::runtime::now().since(begun) < Duration::from_millis(500), "it does not wait for its shadow");
        settled().await;
    }
    assert_eq!((stage.old.stats().answered, stage.new.stats().answered), (2, 2));
    assert_eq!(stage.shadow("requests_total", "result", "ok"), 2.0);
    let sides = |metric| [stage.shadow(metric, "side", "shadow"), stage.shadow(metric, "side", "live")];
    assert_eq!(sides("output_tokens_total"), [2.0 * f64::from(NEW), 2.0 * f64::from(OLD)]);
    assert_eq!(sides("duration_seconds_count"), [2.0, 2.0]);
    assert_eq!(sides("time_to_first_token_seconds_count"), [1.0, 1.0]);
    let [shadow, live] = sides("time_to_first_token_seconds_sum");
    assert!((shadow - 0.7).abs() < 0.01 && (live - 0.1).abs() < 0.01, "{shadow} {live}");
    let [shadow, live] = sides("cost_usd_total");
    assert!(live > 1.9 * shadow && shadow > 0.0, "{shadow} {live}");
    // What clients paid for is what answered them.
    let billed =
        stage.rig.metric("faregate_cost_usd_total{model=\"m\",route=\"chat\",tenant=\"none\",upstream=\"old\"}");
    assert!((billed - live).abs() < 1e-12);
    assert_eq!(stage.rig.log().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn it_follows_a_share_of_the_conversations_from_their_first_turn() {
    let stage = stage("30%", "1 USD/day", "");
    let talk = |number: u32, turns: u32| {
        let mut messages = vec![json!({ "role": "system", "content": format!("s{number}") })];
        for turn in 0..turns {
            messages.push(json!({ "role": "user", "content": format!("q{number}") }));
            messages.extend((turn + 1 < turns).then(|| json!({ "role": "assistant", "content": "a" })));
        }
        json!({ "model": "fast", "messages": messages })
    };
    let mut followed = 0;
    for number in 0..60 {
        let before = stage.new.stats().requests;
        for turns in 1..=3 {
            stage.rig.post("/v1/chat/completions", &talk(number, turns)).await;
            settled().await;
        }
        let turns = stage.new.stats().requests - before;
        assert!(turns == 0 || turns == 3, "conversation {number}: {turns} of 3 turns");
        followed += u32::from(turns == 3);
    }
    assert!((8..=30).contains(&followed), "{followed} of 60 at 30 %");
}

#[tokio::test(start_paused = true)]
async fn its_failures_are_its_own() {
    let stage = stage("100%", "1 USD/day", "");
    for (fault, class) in
        [(Fault::error_status(500), "server_error"), (Fault::CutAfter(3), "cut"), (Fault::HangBeforeHead, "timeout")]
    {
        stage.new.set_fault(Some(fault));
        let reply = stage.rig.stream("fast").await;
        assert_eq!((reply.status.as_u16(), reply.header("x-faregate-endpoint")), (200, "old/m"));
        tokio::time::sleep(Duration::from_mins(2)).await;
        assert_eq!(stage.shadow("requests_total", "result", class), 1.0, "{}", stage.rig.metrics());
    }
    assert_eq!(stage.rig.metric("faregate_failovers_total{from=\"new/m\",reason=\"server_error\"}"), 0.0);
    assert_eq!(stage.shadow("cost_usd_total", "side", "live"), 0.0, "nothing to compare with");
    // And what it answers without a counterpart is wasted.
    stage.new.set_fault(None);
    stage.old.set_fault(Some(Fault::CutAfter(3)));
    stage.rig.stream("fast").await;
    settled().await;
    assert!(stage.rig.metric("faregate_wasted_cost_usd_total{reason=\"shadow\"}") > 0.0);
    assert_eq!(stage.shadow("duration_seconds_count", "side", "live"), 0.0);
}

#[tokio::test(start_paused = true)]
async fn what_it_costs_a_day_is_bounded_and_a_reload_does_not_begin_a_day() {
    // A call is some 20 + 10 tokens at 5 dollars per million.
    let stage = stage("100%", "0.001 USD/day", "");
    for _ in 0..40 {
        stage.rig.chat("fast").await;
        settled().await;
    }
    let sent = stage.new.stats().requests;
    assert!((2..20).contains(&sent), "{sent}");
    assert_eq!(stage.shadow("requests_total", "result", "skipped") + count_to_f64(sent), 40.0);
    let config = upstream("old", "m", "10", "10") + &upstream("new", "m", "5", "5");
    stage.rig.reload(&config, &policy("50%", "0.001 USD/day", ""));
    for _ in 0..20 {
        stage.rig.chat("fast").await;
        settled().await;
    }
    assert_eq!(stage.new.stats().requests, sent);
    stage.rig.reload(&config, &policy("100%", "0.002 USD/day", ""));
    stage.rig.chat("fast").await;
    settled().await;
    assert_eq!(stage.new.stats().requests, sent + 1, "there is more to spend");
}

#[tokio::test(start_paused = true)]
async fn what_its_failures_cost_is_bounded_too() {
    for fault in [Fault::CutAfter(15), Fault::HangBeforeFirstToken] {
        let stage = stage("100%", "0.001 USD/day", "timeouts = { first_token = \"2s\" }");
        stage.new.set_fault(Some(fault.clone()));
        let mut body = streamed("fast");
        body["messages"][0]["content"] = "word ".repeat(100).into();
        for _ in 0..300 {
            stage.rig.post("/v1/chat/completions", &body).await;
            tokio::time::sleep(Duration::from_secs(70)).await;
        }
        let wasted = ["cut", "timeout"].map(|why| {
            stage.rig.metrics().lines().find_map(|line| {
                line.strip_prefix(&format!("faregate_wasted_cost_usd_total{{reason=\"{why}\"}} "))?.parse::<f64>().ok()
            })
        });
        let wasted: f64 = wasted.into_iter().flatten().sum();
        assert!((0.000_5..0.001_5).contains(&wasted), "{fault:?}: {wasted}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_broken_is_left_alone_and_comes_back() {
    let stage = stage("100%", "1 USD/day", "");
    stage.new.set_fault(Some(Fault::error_status(500)));
    for _ in 0..600 {
        stage.rig.chat("fast").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(stage.new.stats().requests < 40, "{} in a minute", stage.new.stats().requests);
    stage.new.set_fault(None);
    tokio::time::sleep(Duration::from_mins(1)).await;
    for _ in 0..5 {
        stage.rig.chat("fast").await;
        settled().await;
    }
    assert!(stage.shadow("requests_total", "result", "ok") >= 4.0);
}

#[tokio::test(start_paused = true)]
async fn it_is_not_the_request_that_an_idempotency_key_names() {
    let stage = stage("100%", "1 USD/day", "");
    let mut request = post("/v1/chat/completions", chat("fast").to_string());
    request.headers_mut().insert("idempotency-key", "abc".parse().unwrap());
    stage.rig.send(request).await.unwrap();
    settled().await;
    let has_key = |up: &Provider| up.recorded_requests().last().unwrap().headers.contains_key("idempotency-key");
    assert!(has_key(&stage.old) && !has_key(&stage.new));
}

#[tokio::test(start_paused = true)]
async fn it_gets_nothing_that_it_may_not_have() {
    // A region that the route requires, and a client's wish.
    let bound = stage("100%", "1 USD/day", "require = { regions = [\"old-land\"] }");
    assert_eq!(bound.rig.chat("fast").await.status, 200);
    settled().await;
    assert_eq!(bound.new.stats().requests, 0);

    let stage = stage("100%", "1 USD/day", "");
    let mut request = post("/v1/chat/completions", chat("fast").to_string());
    request.headers_mut().insert("x-faregate-only", "old".parse().unwrap());
    assert_eq!(stage.rig.send(request).await.unwrap().status, 200);
    settled().await;
    assert_eq!(stage.new.stats().requests, 0);
    assert_eq!(stage.rig.chat("fast").await.status, 200);
    settled().await;
    assert_eq!(stage.new.stats().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_answered_is_not_sent_on() {
    let stage = stage("100%", "1 USD/day", "");
    stage.old.set_fault(Some(Fault::error_status(400)));
    assert_eq!(stage.rig.chat("fast").await.status, 400);
    stage.old.set_fault(Some(Fault::Outage));
    assert_eq!(stage.rig.chat("fast").await.status, 502);
    settled().await;
    assert_eq!(stage.new.stats().requests, 0);
}

/// What is logged, in memory.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Journal {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_its_provider_quotes_is_not_logged() {
    let journal = Journal::default();
    let writer = journal.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (old, new) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("old", "m", "10", "10")
        + &upstream("new", "m", "5", "5").replace("keys = []", "keys = [\"literal:house-token\"]");
    let rig = Rig::new(&config, &policy("100%", "1 USD/day", ""), &[("old", &old), ("new", &new)]);
    let body = r#"{"error":{"message":"wrong key house-token"}}"#.to_owned();
    new.set_fault(Some(Fault::Reply(Canned { status: 401, headers: Vec::new(), body })));
    rig.chat("fast").await;
    settled().await;
    let text = String::from_utf8(journal.0.lock().clone()).unwrap();
    assert!(text.contains("shadow failed") && text.contains("[redacted]") && !text.contains("house-token"), "{text}");
}
