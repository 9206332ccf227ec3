//! What an upstream's error means, and whom else it speaks about.

use std::sync::Arc;
use std::time::Duration;

use faregate::simulated::{Canned, Fault, Provider};

use crate::rig::{Reply, Rig, provider, serving, upstream};

fn says(status: u16, body: &str) -> Fault {
    Fault::Reply(Canned { status, headers: Vec::new(), body: body.to_owned() })
}

/// The cheaper one is asked first.
fn pair(cheap: &str, dear: &str, policy: &str) -> (Rig, Arc<Provider>, Arc<Provider>) {
    let (a, b) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("cheap", "m", "1", "1") + cheap + &upstream("dear", "m", "5", "5") + dear;
    let policy = format!(
        "[objective]\nspread = \"0%\"\n[[routes]]\nname = \"chat\"\nmodels = [\"fast\"]\ncluster = [[\"cheap/m\"], [\"dear/m\"]]\n{policy}"
    );
    (Rig::new(&config, &policy, &[("cheap", &a), ("dear", &b)]), a, b)
}

fn by(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.header("x-faregate-upstream"))
}

const TOO_LONG: &str =
    r#"{"error":{"code":"context_length_exceeded","message":"This model's maximum context length is 8192 tokens"}}"#;
const FILTERED: &str = r#"{"code":"DataInspectionFailed","message":"Input data may contain inappropriate content."}"#;

#[tokio::test(start_paused = true)]
async fn what_is_too_long_for_one_goes_to_a_longer_window_only() {
    for (cheap, dear, expected) in [(8_192, 32_768, (200, "dear")), (8_192, 8_192, (400, "cheap"))] {
        let (rig, a, b) = pair(&format!("context = {cheap}\n"), &format!("context = {dear}\n"), "");
        a.set_fault(Some(says(400, TOO_LONG)));

        let reply = rig.chat("fast").await;

        assert_eq!(by(&reply), expected);
        assert_eq!(b.stats().requests, u64::from(expected.0 == 200));
        if expected.0 == 400 {
            assert!(reply.text().contains("context_length_exceeded"), "the upstream's own words: {}", reply.text());
        }
        let class = "faregate_attempts_total{model=\"m\",result=\"context_exceeded\",upstream=\"cheap\"}";
        assert_eq!(rig.metric(class), 1.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_one_will_not_answer_is_asked_of_another_only_if_the_operator_says_so() {
    for (policy, expected) in [("", (400, "cheap")), ("failover_on = [\"content_filter\"]\n", (200, "dear"))] {
        let (rig, a, _) = pair("", "", policy);
        a.set_fault(Some(says(400, FILTERED)));
        assert_eq!(by(&rig.chat("fast").await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_is_gone_is_served_by_others_and_its_absence_told_if_there_are_none() {
    let gone = says(404, r#"{"error":{"code":"model_not_found","message":"The model `m` does not exist"}}"#);
    let (rig, a, b) = pair("", "", "");
    a.set_fault(Some(gone.clone()));
    assert_eq!(by(&rig.chat("fast").await), (200, "dear"));
    rig.chat("fast").await;
    rig.chat("fast").await;
    assert_eq!(a.stats().requests, 2, "twice is enough");

    b.set_fault(Some(gone));
    tokio::time::sleep(Duration::from_mins(2)).await;
    let reply = rig.chat("fast").await;
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("model_not_found"), "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_is_the_clients_and_nobody_elses() {
    let (rig, a, b) = pair("", "", "");
    a.set_fault(Some(says(400, r#"{"error":{"message":"messages must not be empty"}}"#)));
    assert_eq!(by(&rig.chat("fast").await), (400, "cheap"));
    assert_eq!(b.stats().requests, 0);
}

/// Two models, two keys of one account and one of another, and somebody else who is dearer.
fn house() -> String {
    let own = upstream("up", "m", "1", "1").replace(
        "keys = []",
        r#"keys = [
                { name = "one", key = "literal:k1", account = "acme" },
                { name = "two", key = "literal:k2", account = "acme" },
                { name = "three", key = "literal:k3" },
            ]"#,
    ) + "[upstreams.up.models.n]\nprice = { input = \"1 USD\", output = \"1 USD\" }\n";
    own + &upstream("other", "m", "9", "9")
        + "[upstreams.other.models.n]\nprice = { input = \"9 USD\", output = \"9 USD\" }\n"
}

async fn answers(rig: &Rig, models: &[&str], count: usize) -> Vec<String> {
    let mut answered = Vec::new();
    for turn in 0..count {
        let reply = rig.chat(models[turn % models.len()]).await;
        answered.push(reply.header("x-faregate-endpoint").to_owned());
    }
    answered
}

#[tokio::test(start_paused = true)]
async fn an_empty_account_benches_its_keys_and_no_other() {
    let (up, other) = (provider(serving(&["m", "n"])), provider(serving(&["m", "n"])));
    let rig = Rig::new(&house(), "[objective]\nspread = \"0%\"\n", &[("up", &up), ("other", &other)]);
    up.set_fault(Some(says(
        429,
        r#"{"error":{"type":"insufficient_quota","message":"You exceeded your current quota"}}"#,
    )));
    rig.chat("m").await;
    // One key of the account was refused, then the key of the other account.
    assert_eq!(up.stats().requests, 2);
    up.set_fault(None);

    let answered = answers(&rig, &["m", "n"], 6).await;

    assert!(answered.iter().all(|endpoint| endpoint.starts_with("other/")), "{answered:?}");
}

#[tokio::test(start_paused = true)]
async fn a_region_block_benches_the_whole_provider_for_a_minute_and_then_tries_once() {
    let (up, other) = (provider(serving(&["m", "n"])), provider(serving(&["m", "n"])));
    let rig = Rig::new(&house(), "[objective]\nspread = \"0%\"\n", &[("up", &up), ("other", &other)]);
    let blocked = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"}}"#;
    up.set_fault(Some(says(403, blocked)));

    let first = answers(&rig, &["m", "n"], 8).await;
    assert!(first.iter().all(|endpoint| endpoint.starts_with("other/")), "{first:?}");
    assert_eq!(up.stats().requests, 1, "one answer speaks for all keys and models");

    tokio::time::sleep(Duration::from_secs(61)).await;
    answers(&rig, &["m", "n"], 8).await;
    assert_eq!(up.stats().requests, 2, "one probe");
    tokio::time::sleep(Duration::from_secs(61)).await;
    answers(&rig, &["m", "n"], 8).await;
    assert_eq!(up.stats().requests, 2, "the next one later");

    up.set_fault(None);
    tokio::time::sleep(Duration::from_secs(61)).await;
    let back = answers(&rig, &["m", "n"], 12).await;
    assert!(back.iter().filter(|endpoint| endpoint.starts_with("up/")).count() > 8, "{back:?}");
}

#[tokio::test(start_paused = true)]
async fn an_overload_speaks_for_all_keys_of_the_model() {
    let (up, other) = (provider(serving(&["m", "n"])), provider(serving(&["m", "n"])));
    let rig = Rig::new(&house(), "[objective]\nspread = \"0%\"\n", &[("up", &up), ("other", &other)]);
    up.set_fault(Some(says(
        429,
        r#"{"error":{"type":"engine_overloaded_error","message":"The engine is currently overloaded"}}"#,
    )));
    let reply = rig.chat("m").await;
    assert_eq!((reply.header("x-faregate-upstream"), reply.header("x-faregate-attempts")), ("other", "2"));
}

fn events(frames: &[&str]) -> String {
    let body = frames.iter().map(|frame| format!("data: {frame}\n\n")).collect::<Vec<_>>().concat();
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_for_a_bad_reason_before_its_first_token_is_an_error() {
    let sensitive =
        r#"{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"sensitive"}]}"#;
    let broken = r#"{"id":"1","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"network_error"}]}"#;
    for (frame, expected) in [(sensitive, (400, "cheap")), (broken, (200, "dear"))] {
        let (rig, ..) = pair("", "", "");
        rig.plug_raw("cheap", events(&[frame, "[DONE]"]));
        assert_eq!(by(&rig.stream("fast").await), expected, "{frame}");
    }
    let (rig, ..) = pair("", "", "");
    let begun = r#"{"id":"1","choices":[{"index":0,"delta":{"content":"He"},"finish_reason":null}]}"#;
    rig.plug_raw("cheap", events(&[begun, sensitive, "[DONE]"]));
    let reply = rig.stream("fast").await;
    assert_eq!(by(&reply), (200, "cheap"));
    assert!(reply.text().contains("sensitive"), "after the first token it is told as it came");
}

#[tokio::test(start_paused = true)]
async fn pieces_of_tool_calls_reach_the_client_so_that_it_can_put_them_together() {
    let (rig, ..) = pair("", "", "");
    let begin = r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":-1,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]},"finish_reason":null}]}"#;
    let more = r#"{"id":"c","choices":[{"index":0,"delta":{"tool_calls":[{"index":-1,"id":"","function":{"name":"","arguments":"}"}}]},"finish_reason":null}]}"#;
    let end = r#"{"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#;
    rig.plug_raw("cheap", events(&[begin, more, end, "[DONE]"]));

    let text = rig.stream("fast").await.text();

    let frames: Vec<serde_json::Value> =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data: ")?).ok()).collect();
    let pieces = |frame: usize| frames[frame].pointer("/choices/0/delta/tool_calls").unwrap();
    let function = serde_json::json!({ "name": "f", "arguments": "{" });
    assert_eq!(*pieces(0), serde_json::json!([{ "index": 0, "id": "a", "type": "function", "function": function }]));
    assert_eq!(*pieces(1), serde_json::json!([{ "index": 0, "function": { "arguments": "}" } }]));
    assert!(text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_client_cannot_make_a_provider_say_that_its_key_is_bad() {
    // As providers word it: they quote the value.
    let quoting = |value: &str| {
        format!(
            r#"{{"error":{{"message":"Invalid value: '{value}'. Supported values are: 'low' and 'high'.","type":"invalid_request_error","param":"reasoning_effort","code":"invalid_value"}}}}"#
        )
    };
    for value in ["insufficient balance", "invalid api key", "Service Unavailable", "not available in your region"] {
        let (rig, a, b) = pair("", "", "");
        let mut bad = crate::rig::chat("fast");
        bad["reasoning_effort"] = value.into();
        for up in [&a, &b] {
            up.set_fault(Some(says(400, &quoting(value))));
        }
        let reply = rig.post("/v1/chat/completions", &bad).await;
        assert_eq!((by(&reply), b.stats().requests), ((400, "cheap"), 0), "{value}");
        a.set_fault(None);
        assert_eq!(by(&rig.chat("fast").await), (200, "cheap"), "{value}: others are served");

        // Whoever did not say so is told by the provider.
        a.set_fault(Some(says(400, &quoting(value))));
        rig.chat("fast").await;
        assert_eq!(b.stats().requests, 1, "{value}");
    }
}

const BLOCKED: &str = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported"}}"#;

#[tokio::test(start_paused = true)]
async fn a_region_block_at_one_address_says_nothing_of_a_relay_at_another() {
    let (direct, relay) = (provider(serving(&["gpt-4o"])), provider(serving(&["gpt-4o"])));
    let up = |name: &str| {
        format!("[upstreams.{name}]\nprovider = \"openai\"\nbase_url = \"http://{name}/v1\"\nkeys = [\"literal:sk\"]\n")
    };
    let policy = "[[routes]]\nname = \"r\"\nmodels = [\"gpt\"]\ncluster = [[\"direct/gpt-4o\"], [\"relay/gpt-4o\"]]\n";
    let rig = Rig::new(&(up("direct") + &up("relay")), policy, &[("direct", &direct), ("relay", &relay)]);
    direct.set_fault(Some(says(403, BLOCKED)));
    for _ in 0..240 {
        assert_eq!(by(&rig.stream("gpt").await), (200, "relay"));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!((2..=6).contains(&direct.stats().requests), "probed sparingly: {}", direct.stats().requests);
}

#[tokio::test(start_paused = true)]
async fn a_region_block_of_all_there_is_is_probed_by_one_model_at_a_time() {
    let names: Vec<_> = (0..10).map(|number| format!("m{number}")).collect();
    let up = provider(serving(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let table =
        |name: &String| format!("[upstreams.up.models.{name}]\nprice = {{ input = \"1 USD\", output = \"1 USD\" }}\n");
    let models: String = names.iter().map(table).collect();
    let config = format!("[upstreams.up]\nbase_url = \"http://up/v1\"\nkeys = []\n{models}");
    let cluster: Vec<_> = names.iter().map(|name| format!("\"up/{name}\"")).collect();
    let policy = format!("[[routes]]\nname = \"r\"\nmodels = [\"x\"]\ncluster = [{}]\n", cluster.join(","));
    let rig = Rig::new(&config, &policy, &[("up", &up)]);
    up.set_fault(Some(says(403, BLOCKED)));
    for _ in 0..300 {
        rig.chat("x").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(up.stats().requests <= 12, "{} in half a minute", up.stats().requests);
}
