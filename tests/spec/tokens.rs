//! How many tokens a prompt is: estimated before it is sent, learned from what providers report.

use std::sync::Arc;

use faregate::simulated::{Canned, Fault, Provider};
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, post, provider, serving, upstream};

/// Bytes of the prompt.
const PROMPT: usize = 8_000;
/// The choice is by price alone.
const POLICY: &str = "[defaults]\nallow_headers = [\"explain\", \"only\"]\n\
    [objective]\nvalue_of_second = \"0 USD\"\nlate_cost = \"0 USD\"\nspread = \"0%\"\n";

/// One that says that the prompt was of so many tokens.
fn counting(prompt_tokens: usize) -> Arc<Provider> {
    let host = provider(serving(&["m"]));
    let body = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "yes" } }],
        "usage": { "prompt_tokens": prompt_tokens, "completion_tokens": 1, "total_tokens": prompt_tokens + 1 }
    });
    host.set_fault(Some(Fault::Reply(Canned { status: 200, headers: Vec::new(), body: body.to_string() })));
    host
}

fn body(fields: &Value) -> Value {
    let mut body = json!({
        "model": "m", "max_tokens": 16, "messages": [{ "role": "user", "content": "word ".repeat(PROMPT / 5) }]
    });
    body.as_object_mut().unwrap().extend(fields.as_object().cloned().unwrap());
    body
}

async fn ask(rig: &Rig, fields: &Value, headers: &[(&'static str, &str)]) -> Reply {
    let mut request = post("/v1/chat/completions", body(fields).to_string());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    rig.send(request).await.unwrap()
}

/// The bill that was expected of the endpoint that was chosen, in dollars.
fn expected_bill(reply: &Reply) -> f64 {
    let terms = reply.header("x-faregate-explain");
    let bill = terms.split_once("usd=").and_then(|(_, rest)| rest.split(' ').next());
    bill.and_then(|bill| bill.parse().ok()).unwrap_or_else(|| panic!("no bill in '{terms}'"))
}

fn error_sum(rig: &Rig) -> f64 {
    rig.metric(r#"faregate_prompt_estimate_error_ratio_sum{model="m",upstream="talker"}"#)
}

#[tokio::test(start_paused = true)]
async fn a_model_that_makes_twice_the_tokens_is_estimated_and_priced_so() {
    let talker = counting(PROMPT / 2);
    let rig = Rig::new(&upstream("talker", "m", "1", "1"), POLICY, &[("talker", &talker)]);
    let explain = [("x-faregate-explain", "1")];

    let first = expected_bill(&ask(&rig, &json!({}), &explain).await);
    let first_error = error_sum(&rig);
    for _ in 0..60 {
        ask(&rig, &json!({}), &[]).await;
    }
    let before = error_sum(&rig);
    let last = expected_bill(&ask(&rig, &json!({}), &explain).await);
    let last_error = error_sum(&rig) - before;

    assert!((first_error - 0.5).abs() < 0.02, "half of what was reported: {first_error}");
    assert!(last_error < 0.04, "{last_error}");
    assert!((1.8..2.05).contains(&(last / first)), "{first} became {last}");
}

#[tokio::test(start_paused = true)]
async fn the_cheaper_price_list_loses_where_its_model_makes_more_tokens_of_the_same_text() {
    let (talker, other) = (counting(PROMPT / 2), counting(PROMPT / 4));
    let config = upstream("talker", "m", "1", "1") + &upstream("other", "m", "1.5", "1.5");
    let rig = Rig::new(&config, POLICY, &[("talker", &talker), ("other", &other)]);

    assert_eq!(ask(&rig, &json!({}), &[]).await.header("x-faregate-upstream"), "talker");
    for _ in 0..40 {
        ask(&rig, &json!({}), &[("x-faregate-only", "talker")]).await;
    }

    assert_eq!(ask(&rig, &json!({}), &[]).await.header("x-faregate-upstream"), "other");
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_model_share_what_is_known_of_its_tokens() {
    let talker = counting(PROMPT / 2);
    let key = |name: &str| format!("{{ name = \"{name}\", key = \"literal:{name}\" }}");
    let config = |keys: &str| upstream("talker", "m", "1", "1").replace("keys = []", &format!("keys = [{keys}]"));
    let rig = Rig::new(&config(&key("one")), POLICY, &[("talker", &talker)]);
    for _ in 0..60 {
        ask(&rig, &json!({}), &[]).await;
    }
    let known = expected_bill(&ask(&rig, &json!({}), &[("x-faregate-explain", "1")]).await);

    rig.reload(&config(&key("two")), POLICY);

    let reply = ask(&rig, &json!({}), &[("x-faregate-explain", "1")]).await;
    assert_eq!(reply.header("x-faregate-endpoint"), "talker/m#two");
    assert!((expected_bill(&reply) / known - 1.0).abs() < 0.05, "{} after {known}", expected_bill(&reply));
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_no_thinking_is_expected_to_pay_for_none() {
    let host = counting(PROMPT / 4);
    let config =
        upstream("talker", "m", "1", "1") + "tiers = [{ thinking = true, input = \"1 USD\", output = \"500 USD\" }]\n";
    let rig = Rig::new(&config, POLICY, &[("talker", &host)]);
    let mut bills = Vec::new();
    for fields in [
        json!({ "enable_thinking": false }),
        json!({ "reasoning_effort": "high" }),
        json!({ "thinking": { "type": "enabled" } }),
        json!({}),
    ] {
        bills.push(expected_bill(&ask(&rig, &fields, &[("x-faregate-explain", "1")]).await));
    }

    assert!(bills[1..].iter().all(|dear| *dear > 2.0 * bills[0]), "{bills:?}");
}
