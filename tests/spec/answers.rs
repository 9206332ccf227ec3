//! What counts as an answer, and what reaches the client of one that breaks off.

use std::sync::Arc;

use faregate::simulated::{Canned, Fault, Provider};
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, provider, serving, streamed, upstream};

fn says(status: u16, headers: &[(&str, &str)], body: impl Into<String>) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Reply(Canned { status, headers, body: body.into() })
}

/// `a` is asked first, then `b`.
fn pair() -> (Rig, Arc<Provider>) {
    let (a, b) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("a", "m", "1", "1") + &upstream("b", "m", "5", "5");
    let rig = Rig::new(&config, "[objective]\nspread = \"0%\"\n", &[("a", &a), ("b", &b)]);
    (rig, a)
}

fn sole(quirks: &str) -> (Rig, Arc<Provider>) {
    let up = provider(serving(&["m"]));
    let config = upstream("up", "m", "1", "1").replace("keys = []", &format!("keys = []\nquirks = [{quirks}]"));
    (Rig::new(&config, "", &[("up", &up)]), up)
}

fn raw_stream(headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}connection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn by(reply: &Reply) -> (u16, &str) {
    (reply.status.as_u16(), reply.header("x-faregate-upstream"))
}

fn whole(content: &str) -> Value {
    json!({ "id": "1", "choices": [
        { "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": content } },
    ] })
}

#[tokio::test(start_paused = true)]
async fn what_is_not_json_is_no_answer_whatever_it_says_it_is() {
    let page = "<html>please sign in</html>";
    let long = format!("<html>{}</html>", "x".repeat(3 << 20));
    for (kind, body) in [("text/html", page), ("text/plain", "upstream connect error"), ("text/html", &long)] {
        for stream in [false, true] {
            let (rig, a) = pair();
            a.set_fault(Some(says(200, &[("content-type", kind)], body)));
            let reply = if stream { rig.stream("m").await } else { rig.chat("m").await };
            assert_eq!(by(&reply), (200, "b"), "{kind}, stream: {stream}");
            let failed = "faregate_attempts_total{model=\"m\",result=\"reset\",upstream=\"a\"}";
            assert_eq!(rig.metric(failed), 1.0, "its health gets worse");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_one_though_it_says_that_it_is_text() {
    let (rig, a) = pair();
    a.set_fault(Some(says(200, &[("content-type", "text/plain")], whole("hi").to_string())));
    assert_eq!(by(&rig.chat("m").await), (200, "a"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_in_an_error_fails_over() {
    for reason in ["error", "network_error"] {
        let (rig, a) = pair();
        let body = format!(
            r#"{{"id":"1","choices":[{{"index":0,"finish_reason": "{reason}","message":{{"role":"assistant","content":""}}}}]}}"#
        );
        a.set_fault(Some(says(200, &[], body)));
        assert_eq!(by(&rig.chat("m").await), (200, "b"), "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_that_cannot_be_read_fails_over() {
    let noise: Vec<u8> = (0..80_000_u32)
        .flat_map(|n| if n % 97 == 0 { *b"\n\n" } else { [n.wrapping_mul(2_654_435_761).to_be_bytes()[0] | 1, 200] })
        .collect();
    let events = format!("data: {}\n\ndata: [DONE]\n\n", json!({ "choices": [{ "delta": { "content": "hi" } }] }));
    for reply in [raw_stream("", &noise), raw_stream("content-encoding: gzip\r\n", events.as_bytes())] {
        let (rig, _) = pair();
        rig.plug_raw("a", reply);
        let reply = rig.stream("m").await;
        assert_eq!(by(&reply), (200, "b"));
        assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_cut_reaches_the_client() {
    let event = |text: &str| {
        let chunk = json!({ "id": "1", "choices": [{ "index": 0, "delta": { "content": text } }] });
        format!("data: {chunk}\n\n")
    };
    let unended = event("one") + event("two").trim_end();
    let endless = event("one") + &event("two") + &"x".repeat(5 << 20);
    for body in [unended, endless] {
        let (rig, _) = sole("");
        rig.plug_raw("up", raw_stream("", body.as_bytes()));
        let text = rig.stream("m").await.text();
        let events: Vec<_> = text.split_terminator("\n\n").collect();
        let last = events.last().unwrap();
        assert!(events[1].contains("two") && last.contains("upstream_cut"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_asked_for_a_stream_never_gets_json() {
    let faked = "{ fake_stream = \"always\" }";
    for (quirks, size) in [("", 10), ("", 1_100_000), (faked, 10), (faked, 1_100_000)] {
        let (rig, up) = sole(quirks);
        up.set_fault(Some(says(200, &[], whole(&"x".repeat(size)).to_string())));
        let reply = rig.stream("m").await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "text/event-stream"), "{size}");
        let text = reply.text();
        assert!(text.len() > size && text.ends_with("data: [DONE]\n\n"), "{size} bytes became {}", text.len());
    }
    let (rig, up) = sole(faked);
    up.set_fault(Some(says(200, &[], whole(&"x".repeat(17 << 20)).to_string())));
    let reply = rig.stream("m").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (502, "upstream_failed".to_owned()));
    assert!(reply.text().contains("too large"), "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn a_text_that_comes_whole_becomes_the_stream_that_was_asked_for() {
    let (rig, up) = sole("");
    let body =
        json!({ "object": "text_completion", "choices": [{ "index": 0, "text": "hi", "finish_reason": "stop" }] });
    up.set_fault(Some(says(200, &[], body.to_string())));
    let reply = rig.post("/v1/completions", &json!({ "model": "m", "prompt": "once", "stream": true })).await;
    assert_eq!(reply.header("content-type"), "text/event-stream");
    assert!(reply.text().contains("\"text\":\"hi\"") && reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn an_error_is_understood_though_it_is_too_long_to_be_read() {
    let code = "context_length_exceeded";
    let input = "x".repeat(70_000);
    let error = json!({ "error": { "code": code, "input": input, "message": "maximum context length is 8192" } });
    let (rig, up) = sole("");
    up.set_fault(Some(says(400, &[], error.to_string())));

    let reply = rig.chat("m").await;

    assert_eq!((reply.status.as_u16(), reply.code()), (400, code.to_owned()));
    assert!(reply.text().contains("it begins with"), "{}", reply.text());
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(rig.metric("faregate_attempts_total{model=\"m\",result=\"context_exceeded\",upstream=\"up\"}"), 1.0);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_a_200_with_names_without_end_is_one_all_the_same() {
    let (rig, up) = sole("");
    let details: Vec<_> = (0..50_000).map(|number| json!({ "code": format!("a{number}") })).collect();
    up.set_fault(Some(says(200, &[], json!({ "error": { "message": "m", "details": details } }).to_string())));
    assert_eq!(rig.chat("m").await.status, 502);
}

#[tokio::test(start_paused = true)]
async fn an_empty_error_beside_an_answer_is_none() {
    let (rig, up) = sole("");
    for error in [json!(false), json!(0), json!([]), json!(" "), json!({}), json!({ "message": "" })] {
        let mut body = whole("hi");
        body["error"] = error;
        up.set_fault(Some(says(200, &[], body.to_string())));
        assert_eq!(rig.chat("m").await.status, 200, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn fewer_answers_than_were_asked_for_are_whole_if_no_more_were_asked_of_the_provider() {
    let (rig, _) = sole("{ bounds = { n = { max = 1 } } }");
    let event = |text: &str, reason: Value| {
        let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": reason });
        format!("data: {}\n\n", json!({ "id": "1", "choices": [choice] }))
    };
    let events = event("one", Value::Null) + &event("", "stop".into());
    rig.plug_raw("up", raw_stream("", events.as_bytes()));
    let mut body = streamed("m");
    body["n"] = 2.into();
    let reply = rig.post("/v1/chat/completions", &body).await;
    assert_eq!(reply.text(), events);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_quotes_the_request_does_not_end_reports_of_usage() {
    let (rig, up) = sole("");
    let quoted = r#"{"detail":[{"loc":["body","temperature"],"msg":"must be below 2",
        "input":{"stream_options":{"include_usage":true},"temperature":9}}]}"#;
    up.set_fault(Some(says(422, &[], quoted)));
    assert_eq!(rig.stream("m").await.status, 422);
    up.set_fault(None);
    rig.stream("m").await;
    let sent: Value = serde_json::from_slice(&up.recorded_requests().last().unwrap().body).unwrap();
    assert_eq!(sent["stream_options"], json!({ "include_usage": true }));
}

#[tokio::test(start_paused = true)]
async fn a_call_with_an_absurd_number_is_the_first_one() {
    let call = json!({ "index": 900_000_000_000_u64, "id": "a", "function": { "name": "f", "arguments": "{}" } });
    let chunk = |delta: Value, reason: Value| json!({ "id": "1", "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] });
    let events = format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        chunk(json!({ "tool_calls": [call] }), Value::Null),
        chunk(json!({}), "tool_calls".into())
    );
    let (rig, _) = sole("");
    rig.plug_raw("up", raw_stream("", events.as_bytes()));
    let text = rig.stream("m").await.text();
    assert_eq!(text, events.replace("900000000000", "0"));
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_answer_has_used_is_counted_as_wasted() {
    let up = provider(serving(&["m"]));
    let rig = Rig::new(&upstream("up", "m", "10", "10"), "", &[("up", &up)]);
    let body = r#"{"choices":[],"usage":{"prompt_tokens":100000,"completion_tokens":0}}"#.to_owned();
    up.fault_next(Fault::Reply(Canned { status: 200, headers: Vec::new(), body }));
    assert_eq!(rig.chat("m").await.status, 200, "the second time");
    let wasted = rig.metric("faregate_wasted_cost_usd_total{reason=\"cut\"}");
    assert!((wasted - 1.0).abs() < 1e-9, "{wasted}");
}
