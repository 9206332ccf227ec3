//! Conversations stay where their beginning is cached, as long as that pays and no longer.

use std::sync::Arc;
use std::time::Duration;

use faregate::simulated::{Canned, Fault, Provider};
use serde_json::{Value, json};

use crate::rig::{Rig, provider, serving, upstream};

/// One that bills 1,900 of 2,000 prompt tokens as cached.
fn caching() -> Arc<Provider> {
    let host = provider(serving(&["m"]));
    let body = json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": "yes" } }],
        "usage": { "prompt_tokens": 2000, "completion_tokens": 10, "total_tokens": 2010,
                   "prompt_tokens_details": { "cached_tokens": 1900 } }
    });
    host.set_fault(Some(Fault::Reply(Canned { status: 200, headers: Vec::new(), body: body.to_string() })));
    host
}

fn priced(name: &str, input: &str, cached: &str) -> String {
    upstream(name, "m", input, "1")
        .replace("output = \"1 USD\"", &format!("output = \"1 USD\", cached_input = \"{cached} USD\""))
}

/// The turn of a conversation whose opening names `who`.
fn turn(who: &str, number: usize) -> Value {
    let opening = format!("I am {who}. {}", "Let us talk about it. ".repeat(400));
    let mut messages = vec![json!({ "role": "user", "content": opening })];
    for _ in 0..number {
        messages.push(json!({ "role": "assistant", "content": "yes" }));
        messages.push(json!({ "role": "user", "content": "and?" }));
    }
    json!({ "model": "m", "messages": messages })
}

async fn ask(rig: &Rig, who: &str, number: usize) -> String {
    let reply = rig.post("/v1/chat/completions", &turn(who, number)).await;
    assert_eq!(reply.status, 200);
    tokio::time::sleep(Duration::from_millis(300)).await;
    reply.header("x-faregate-upstream").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_conversation_stays_where_it_is_cached_and_others_are_free() {
    let hosts = ["a", "b"].map(|name| (name, caching()));
    let config = priced("a", "1.00", "0.10") + &priced("b", "1.02", "0.10");
    let rig = Rig::new(&config, "", &[("a", &hosts[0].1), ("b", &hosts[1].1)]);

    for person in 0..20 {
        let who = format!("person {person}");
        let first = ask(&rig, &who, 0).await;
        for number in 1..5 {
            assert_eq!(ask(&rig, &who, number).await, first, "{who}, turn {number}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cached_beginning_is_left_where_reading_it_anew_costs_less() {
    let hosts = ["a", "b"].map(|name| (name, caching()));
    let before = priced("a", "1.00", "0.90") + &priced("b", "1.20", "1.00");
    let rig = Rig::new(&before, "", &[("a", &hosts[0].1), ("b", &hosts[1].1)]);
    for number in 0..10 {
        ask(&rig, "somebody", number).await;
    }
    assert_eq!(ask(&rig, "somebody", 10).await, "a");

    rig.reload(&(priced("a", "1.00", "0.90") + &priced("b", "0.20", "0.10")), "");

    assert_eq!(ask(&rig, "somebody", 11).await, "b");
}

#[tokio::test(start_paused = true)]
async fn a_header_or_the_user_can_name_the_conversation_instead() {
    for affinity in ["user", "header:x-session-id"] {
        let hosts = ["a", "b"].map(|name| (name, caching()));
        let config = priced("a", "1.00", "0.10") + &priced("b", "1.01", "0.10");
        let policy = format!(
            "[[routes]]\nname = \"r\"\nmodels = [\"m\"]\ncluster = [\"a/m\", \"b/m\"]\naffinity = \"{affinity}\"\n"
        );
        let rig = Rig::new(&config, &policy, &[("a", &hosts[0].1), ("b", &hosts[1].1)]);
        let mut served = Vec::new();
        for number in 0..8 {
            // The text is another one each time.
            let mut body = turn(&format!("person {number}"), 0);
            body["user"] = "u-1".into();
            let mut request = crate::rig::post("/v1/chat/completions", body.to_string());
            request.headers_mut().insert("x-session-id", "s-1".parse().unwrap());
            let reply = rig.send(request).await.unwrap();
            served.push(reply.header("x-faregate-upstream").to_owned());
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        assert!(served.iter().all(|one| *one == served[0]), "{affinity}: {served:?}");
    }
}
