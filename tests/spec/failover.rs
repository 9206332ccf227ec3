//! Failover: what a client never notices, what it is told, and what is never tried twice.
use std::sync::Arc;
use std::time::Duration;

use crate::rig::{Rig, chat, post, provider, serving, streamed, upstream};
use faregate::simulated::{Canned, Fault, Lognormal, Profile, Provider};
use faregate::units::Tokens;
use serde_json::json;

const POLICY: &str = r#"
[defaults]
timeouts = { connect = "1s", first_token = "4s", idle = "5s", total = "60s" }
retry = { attempts = 3, budget = "20%", floor = "1/s" }
[[routes]]
name = "chat"
models = ["fast"]
cluster = [["cheap/m"], ["dear/m"]]
"#;

struct Pair {
    rig: Rig,
    cheap: Arc<Provider>,
    dear: Arc<Provider>,
}

fn pair() -> Pair {
    let (cheap, dear) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let rig = Rig::new(&config, POLICY, &[("cheap", &cheap), ("dear", &dear)]);
    Pair { rig, cheap, dear }
}

fn faults_before_content() -> Vec<Fault> {
    let status = Fault::error_status;
    vec![
        Fault::Outage,
        status(408),
        status(429),
        status(500),
        status(503),
        status(401),
        status(302),
        Fault::Reset,
        Fault::HangBeforeHead,
        Fault::HangBeforeFirstToken,
        Fault::CutBeforeContent,
        Fault::ErrorIn200,
        Fault::GarbageJson,
    ]
}

#[tokio::test(start_paused = true)]
async fn a_plain_request_survives_every_failure_of_its_first_endpoint() {
    for fault in faults_before_content().into_iter().chain([Fault::CutAfter(3)]) {
        let Pair { rig, cheap, .. } = pair();
        cheap.set_fault(Some(fault.clone()));

        let reply = rig.chat("fast").await;

        assert_eq!(
            (reply.status.as_u16(), reply.header("x-faregate-endpoint")),
            (200, "dear/m"),
            "{fault:?}: {}",
            reply.text()
        );
        assert_eq!(reply.header("x-faregate-attempts"), "2", "{fault:?}");
        assert!(reply.json()["choices"][0]["message"]["content"].as_str().unwrap().contains("tok"), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_survives_every_failure_before_its_first_token() {
    for fault in faults_before_content().into_iter().chain([Fault::ErrorEventFirst, Fault::CutAfter(0)]) {
        let Pair { rig, cheap, .. } = pair();
        cheap.set_fault(Some(fault.clone()));

        let reply = rig.stream("fast").await;

        assert_eq!((reply.status.as_u16(), reply.header("x-faregate-endpoint")), (200, "dear/m"), "{fault:?}");
        assert!(
            reply.text().ends_with("data: [DONE]\n\n") && !reply.text().contains("error"),
            "{fault:?}: {}",
            reply.text()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_cannot_be_reached_is_left_at_once() {
    let Pair { rig, .. } = pair();
    rig.unplug("cheap");

    let reply = rig.chat("fast").await;

    assert_eq!(reply.header("x-faregate-endpoint"), "dear/m");
    assert_eq!(rig.metric(r#"faregate_failovers_total{from="cheap/m",reason="unreachable"}"#), 1.0);
    assert_eq!(rig.metric(r#"faregate_attempts_total{model="m",result="unreachable",upstream="cheap"}"#), 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_cut_after_its_first_token_ends_in_an_error_event_and_never_in_done() {
    for fault in [Fault::CutAfter(3), Fault::ErrorEventAfter(3)] {
        let Pair { rig, cheap, dear } = pair();
        cheap.set_fault(Some(fault.clone()));

        let reply = rig.stream("fast").await;

        let text = reply.text();
        let last = text.trim_end().rsplit("data: ").next().unwrap();
        assert!(
            serde_json::from_str::<serde_json::Value>(last).unwrap()["error"]["message"].is_string(),
            "{fault:?}: {text}"
        );
        assert_eq!(text.matches("delta").count(), 4, "the role and three tokens; {fault:?}: {text}");
        assert!(!text.contains("[DONE]"), "{fault:?}");
        assert_eq!(dear.stats().requests, 0, "after the first byte there is no failover");
        assert_eq!(rig.log()[0]["outcome"], "cut");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_falls_silent_is_ended_by_the_idle_timeout_which_comments_do_not_extend() {
    let Pair { rig, cheap, .. } = pair();
    cheap.set_fault(Some(Fault::KeepAliveComments(30, Duration::from_secs(1))));

    let reply = rig.stream("fast").await;

    assert_eq!(reply.header("x-faregate-endpoint"), "dear/m", "comments were taken for a first token");
}

#[tokio::test(start_paused = true)]
async fn the_clients_own_mistakes_come_back_as_the_upstream_said_and_are_not_retried() {
    let Pair { rig, cheap, dear } = pair();
    let mut body = chat("fast");
    body["temperature"] = json!(7);

    let reply = rig.post("/v1/chat/completions", &body).await;

    assert_eq!(reply.status, 400);
    assert_eq!(reply.json()["error"]["param"], "temperature");
    assert_eq!((cheap.stats().requests, dear.stats().requests), (1, 0));
    assert_eq!(reply.header("x-faregate-endpoint"), "cheap/m");
}

#[tokio::test(start_paused = true)]
async fn what_has_failed_is_not_tried_again_and_the_client_is_told_not_to_retry() {
    let Pair { rig, cheap, dear } = pair();
    for provider in [&cheap, &dear] {
        provider.set_fault(Some(Fault::error_status(500)));
    }

    let reply = rig.chat("fast").await;

    assert_eq!((reply.status.as_u16(), reply.code()), (502, "upstream_failed".to_owned()));
    assert_eq!(reply.header("x-should-retry"), "false");
    assert_eq!((cheap.stats().requests, dear.stats().requests), (1, 1));
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("cheap/m: server_error") && message.contains("dear/m: server_error"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn when_every_endpoint_is_throttled_the_client_learns_when_to_come_back() {
    let Pair { rig, cheap, dear } = pair();
    for (provider, wait) in [(&cheap, 20), (&dear, 7)] {
        let headers = vec![("retry-after".to_owned(), wait.to_string())];
        provider.set_fault(Some(Fault::Reply(Canned { status: 429, headers, body: String::new() })));
    }

    let first = rig.chat("fast").await;
    let second = rig.chat("fast").await;

    for reply in [&first, &second] {
        assert_eq!((reply.status.as_u16(), reply.code()), (429, "rate_limited".to_owned()));
        assert_eq!(reply.header("retry-after"), "7");
    }
    assert_eq!(
        (cheap.stats().requests, dear.stats().requests),
        (1, 1),
        "a throttled endpoint was asked before its time"
    );
}

#[tokio::test(start_paused = true)]
async fn attempts_are_never_exceeded() {
    let providers: Vec<_> = (0..5).map(|_| provider(serving(&["m"]))).collect();
    let names = ["a", "b", "c", "d", "e"];
    let config: String = names.iter().map(|name| upstream(name, "m", "1", "1")).collect();
    let hosts: Vec<_> = names.iter().copied().zip(&providers).collect();
    let rig = Rig::new(&config, "[defaults]\nretry = { attempts = 3, budget = \"20%\", floor = \"1/s\" }\n", &hosts);
    for provider in &providers {
        provider.set_fault(Some(Fault::error_status(500)));
    }

    rig.chat("m").await;

    assert_eq!(providers.iter().map(|provider| provider.stats().requests).sum::<u64>(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_out_of_time_says_so() {
    let (cheap, dear) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let policy = POLICY.replace("60s", "6s");
    let rig = Rig::new(&config, &policy, &[("cheap", &cheap), ("dear", &dear)]);
    for provider in [&cheap, &dear] {
        provider.set_fault(Some(Fault::HangBeforeHead));
    }
    let begun = faregate::runtime::now();

    let reply = rig.stream("fast").await;

    assert_eq!((reply.status.as_u16(), reply.code()), (504, "upstream_timeout".to_owned()));
    assert_eq!(faregate::runtime::now().since(begun).as_secs(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_failures_is_stopped_by_the_retry_budget_but_one_broken_upstream_is_not() {
    let Pair { rig, cheap, dear } = pair();
    cheap.set_fault(Some(Fault::error_status(400)));
    for _ in 0..3 {
        rig.chat("fast").await;
    }
    cheap.set_fault(Some(Fault::Outage));
    for _ in 0..8 {
        assert_eq!(rig.chat("fast").await.status, 200, "a single broken upstream must not use the budget up");
    }
    assert!(dear.stats().answered >= 8);
}

#[tokio::test(start_paused = true)]
async fn a_reused_connection_that_was_closed_costs_no_attempt() {
    let Pair { rig, cheap, .. } = pair();
    rig.chat("fast").await;
    cheap.fault_next(Fault::Outage);

    let reply = rig.chat("fast").await;

    assert_eq!((reply.header("x-faregate-endpoint"), reply.header("x-faregate-attempts")), ("cheap/m", "1"));
}

#[tokio::test(start_paused = true)]
async fn when_the_client_leaves_the_upstream_call_is_cancelled_at_once() {
    let profile = Profile {
        time_per_token: Duration::from_secs(1),
        output_tokens: Lognormal::fixed(Tokens(1_000)),
        ..serving(&["m"])
    };
    let slow = provider(profile);
    let rig = Rig::new(&upstream("slow", "m", "1", "1"), "", &[("slow", &slow)]);
    let response = rig.open(post("/v1/chat/completions", streamed("m").to_string())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;

    drop(response);
    tokio::time::sleep(Duration::from_millis(10)).await;

    let stats = slow.stats();
    assert_eq!((stats.aborted, stats.in_flight), (1, 0));
    assert!(stats.tokens.0 <= 30, "prompt and some five tokens: {stats:?}");
    let line = &rig.log()[0];
    assert_eq!((line["outcome"].as_str(), line["status"].as_u64()), (Some("cancelled"), Some(200)));
    assert!(line["output_tokens"].as_u64().unwrap() >= 5, "what was streamed was billed: {line}");
}

#[tokio::test(start_paused = true)]
async fn a_throttled_endpoint_that_says_come_back_at_once_is_left_alone_for_a_while() {
    let Pair { rig, cheap, dear } = pair();
    let headers = vec![("retry-after".to_owned(), "0".to_owned())];
    cheap.set_fault(Some(Fault::Reply(Canned { status: 429, headers, body: String::new() })));

    for _ in 0..20 {
        assert_eq!(rig.chat("fast").await.status, 200);
    }

    assert_eq!((cheap.stats().requests, dear.stats().answered), (1, 20));
}

#[tokio::test(start_paused = true)]
async fn who_is_asked_last_is_given_all_the_time_there_is() {
    let profile = Profile { first_token: Lognormal::fixed(Duration::from_millis(100)), ..serving(&["m"]) };
    let (cheap, dear) = (provider(profile.clone()), provider(profile));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let policy = POLICY.replace("attempts = 3", "attempts = 1").replace("4s", "9s");
    let rig = Rig::new(&config, &policy, &[("cheap", &cheap), ("dear", &dear)]);
    for _ in 0..20 {
        assert_eq!(rig.stream("fast").await.status, 200);
    }
    cheap.set_fault(Some(Fault::Slow(80.0)));

    let reply = rig.stream("fast").await;

    assert_eq!(reply.status, 200, "cut off after far less than the policy's nine seconds: {}", reply.text());
}

/// The events of a stream that an upstream sends before it hangs up.
fn raw_stream(events: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{events}")
}

fn chunk(index: u32, content: &str, finish: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{content}\"}},\"finish_reason\":{finish}}}]}}"
    )
}

fn single() -> Rig {
    Rig::new(&upstream("up", "m", "1", "1"), "", &[])
}

#[tokio::test(start_paused = true)]
async fn a_last_event_without_its_blank_line_still_reaches_the_client() {
    for line_end in ["", "\n"] {
        let rig = single();
        let events = chunk(0, "first", "null") + "\n\n" + &chunk(0, "last", "\"stop\"") + line_end;
        rig.plug_raw("up", raw_stream(&events));

        let text = rig.stream("m").await.text();

        assert!(text.contains("first") && text.contains("last") && text.ends_with("\n\n"), "{text:?}");
        assert_eq!(rig.log()[0]["outcome"], "ok");
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_reason_to_finish_is_none_and_half_an_event_is_a_cut() {
    for (reason, rest) in [("\"\"", ""), ("\"null\"", ""), ("null", "data: {\"choices\":[{\"ind")] {
        let rig = single();
        rig.plug_raw("up", raw_stream(&(chunk(0, "first", reason) + "\n\n" + rest)));

        let text = rig.stream("m").await.text();

        assert_eq!((text.contains("upstream_cut"), text.matches("\"ind").count()), (true, 1), "{reason}: {text}");
        assert_eq!(rig.log()[0]["outcome"], "cut");
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_answers_both_have_to_end() {
    for (second, outcome) in [("null", "cut"), ("\"stop\"", "ok")] {
        let rig = single();
        let events = [chunk(0, "a", "\"stop\""), chunk(1, "b", second), String::new()].join("\n\n");
        rig.plug_raw("up", raw_stream(&events));
        let mut body = streamed("m");
        body["n"] = json!(2);

        rig.post("/v1/chat/completions", &body).await;

        assert_eq!(rig.log()[0]["outcome"], outcome);
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_inside_a_200_that_is_the_clients_fault_comes_back_as_such() {
    for stream in [false, true] {
        let Pair { rig, cheap, dear } = pair();
        let error =
            json!({"error": {"message": "the context is too long", "type": "invalid_request_error", "code": 400}});
        let (kind, body) = if stream {
            ("text/event-stream", format!("data: {error}\n\n"))
        } else {
            ("application/json", error.to_string())
        };
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        cheap.set_fault(Some(Fault::Reply(Canned { status: 200, headers, body })));

        let reply = if stream { rig.stream("fast").await } else { rig.chat("fast").await };

        assert_eq!(reply.status, 400, "{}", reply.text());
        assert!(reply.json()["error"]["message"].as_str().unwrap().contains("too long"));
        assert_eq!((cheap.stats().requests, dear.stats().requests), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_200_without_an_answer_is_a_failure_whatever_its_shape() {
    for body in [r#"{"code":"rpm_rate_limit_exceeded","msg":"slow down"}"#, r#"{"detail":"Not here"}"#, "{}"] {
        let Pair { rig, cheap, .. } = pair();
        cheap.set_fault(Some(Fault::status(200, body)));
        assert_eq!(rig.chat("fast").await.header("x-faregate-endpoint"), "dear/m", "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_refused_is_not_tried_again_through_its_other_models() {
    let (refusing, healthy) = (provider(serving(&["m1", "m2", "m3"])), provider(serving(&["m"])));
    refusing.set_fault(Some(Fault::error_status(401)));
    let models = ["m1", "m2", "m3"].map(|model| {
        format!("[upstreams.refusing.models.{model}]\nprice = {{ input = \"1 USD\", output = \"1 USD\" }}\n")
    });
    let config = "[upstreams.refusing]\ndialect = \"openai\"\nbase_url = \"http://refusing/v1\"\nkeys = []\n"
        .to_owned()
        + &models.concat()
        + &upstream("healthy", "m", "9", "9");
    let policy = "[defaults]\nretry = { attempts = 2, budget = \"20%\", floor = \"1/s\" }\n[[routes]]\nname = \"r\"\nmodels = [\"fast\"]\n\
                  cluster = [[\"refusing/m1\", \"refusing/m2\", \"refusing/m3\", \"healthy/m\"]]\n";
    let rig = Rig::new(&config, policy, &[("refusing", &refusing), ("healthy", &healthy)]);

    let reply = rig.chat("fast").await;

    assert_eq!((reply.status.as_u16(), reply.header("x-faregate-endpoint")), (200, "healthy/m"), "{}", reply.text());
    assert_eq!(refusing.stats().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_holds_no_upstream_beyond_the_deadline() {
    let profile = Profile {
        time_per_token: Duration::from_millis(1),
        output_tokens: Lognormal::fixed(Tokens(10_000_000)),
        ..serving(&["m"])
    };
    let endless = provider(profile);
    let rig =
        Rig::new(&upstream("up", "m", "1", "1"), "[defaults]\ntimeouts = { total = \"60s\" }\n", &[("up", &endless)]);
    let unread = rig.open(post("/v1/chat/completions", streamed("m").to_string())).await.unwrap();
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert_eq!(endless.stats().in_flight, 1);

    tokio::time::sleep(Duration::from_secs(11)).await;

    assert_eq!((endless.stats().in_flight, endless.stats().aborted), (0, 1));
    drop(unread);
}
