//! What passes through untouched, what is changed on the way, and what stays behind.

use bytes::Bytes;
use faregate::engine::Price;
use faregate::simulated::{Canned, Fault, Lognormal, Profile, Provider};
use faregate::units::{PricePerMtok, Tokens};
use http_body_util::BodyExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use crate::rig::{Rig, chat, get, post, provider, serving, streamed, upstream};

struct One {
    rig: Rig,
    up: Arc<Provider>,
}

/// One upstream, whose model `m` is called `fast` by clients, at 1 and 2 dollars per million tokens.
fn one() -> One {
    with(serving(&["m"]))
}

fn with(profile: Profile) -> One {
    let up = provider(profile);
    let policy = "[[routes]]\nname = \"r\"\nmodels = [\"fast\"]\ncluster = [[\"up/m\"]]\n";
    let config = upstream("up", "m", "1", "2").replace("keys = []", "keys = [\"literal:sk-upstream-1\"]");
    One { rig: Rig::new(&config, policy, &[("up", &up)]), up }
}

fn events(text: &str) -> Vec<&str> {
    text.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect()
}

#[tokio::test(start_paused = true)]
async fn only_the_models_name_changes_in_a_body() {
    let One { rig, up } = one();
    let body = "{ \"messages\" : [ {\"role\":\"user\",\"content\":\"caf\\u00e9 \\\"x\\\" \u{4ef7}\"} ],\n\t\"seed\":18446744073709551616, \
                \"top_p\":1.0e0,\"model\" :\"fast\", \"extra_vendor_field\":{\"a\":[1.50,null]} }\n";

    let reply = rig.send(post("/v1/chat/completions", body)).await.unwrap();

    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = up.recorded_requests().pop().unwrap();
    assert_eq!(String::from_utf8_lossy(&seen.body), body.replace("\"fast\"", "\"m\""));
    assert_eq!(seen.path, "/v1/chat/completions");
}

#[tokio::test(start_paused = true)]
async fn the_upstream_sees_its_own_host_and_key_and_nothing_of_the_clients() {
    let One { rig, up } = one();
    let mut request = post("/v1/chat/completions", chat("fast").to_string());
    for (name, value) in [
        ("authorization", "Bearer client-secret"),
        ("cookie", "session=client-secret"),
        ("x-api-key", "client-secret"),
        ("connection", "keep-alive, x-hop"),
        ("x-hop", "client-secret"),
        ("te", "trailers"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }

    rig.send(request).await.unwrap();

    let seen = up.recorded_requests().pop().unwrap();
    assert_eq!(seen.headers["host"], "up");
    assert_eq!(seen.headers["authorization"], "Bearer sk-upstream-1");
    assert!(seen.headers.contains_key("traceparent"));
    assert!(!format!("{:?}", seen.headers).contains("client-secret"), "{:?}", seen.headers);
    assert!(!seen.headers.contains_key("te") && !seen.headers.contains_key("x-hop"));
}

#[tokio::test(start_paused = true)]
async fn the_reply_says_what_faregate_did_and_drops_cookies_and_hop_by_hop_headers() {
    let One { rig, up } = one();
    let headers = [("content-type", "application/json"), ("set-cookie", "a=b"), ("x-request-id", "up-7")];
    let answer = json!({"id":"c","object":"chat.completion","choices":[{"index":0,"finish_reason":"stop",
        "message":{"role":"assistant","content":"hi"}}],
        "usage":{"prompt_tokens":1000,"completion_tokens":500,"total_tokens":1500}});
    up.fault_next(Fault::Reply(Canned {
        status: 200,
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        body: answer.to_string(),
    }));

    let reply = rig.chat("fast").await;

    assert_eq!(reply.text(), answer.to_string(), "byte for byte");
    let named = ["route", "endpoint", "upstream", "model", "attempts", "cost-usd"];
    let said = named.map(|name| reply.header(&format!("x-faregate-{name}")).to_owned());
    // 1,000 tokens at 1 USD and 500 at 2 USD per million.
    assert_eq!(said, ["r", "up/m#literal", "up", "m", "1", "0.002"]);
    assert_eq!(reply.header("x-faregate-request-id").len(), 16);
    assert_eq!(reply.header("x-request-id"), "up-7");
    assert!(!reply.headers.contains_key("set-cookie"));
    assert_eq!(rig.log()[0]["cost_usd"], json!(0.002));
}

#[tokio::test(start_paused = true)]
async fn a_usage_chunk_that_only_faregate_asked_for_stays_behind() {
    let One { rig, up } = one();

    let silent = rig.stream("fast").await;
    let mut asking = streamed("fast");
    asking["stream_options"] = json!({"include_usage": true});
    let asked = rig.post("/v1/chat/completions", &asking).await;

    let usage = |event: &&str| serde_json::from_str::<Value>(event).is_ok_and(|event| event["usage"].is_object());
    let counts = [&silent, &asked].map(|reply| events(&reply.text()).iter().filter(|event| usage(event)).count());
    assert_eq!(counts, [0, 1], "{}", silent.text());
    let bodies: Vec<Value> =
        up.recorded_requests().iter().map(|seen| serde_json::from_slice(&seen.body).unwrap()).collect();
    assert!(bodies.iter().all(|body| body["stream_options"]["include_usage"] == true));
    let log = rig.log();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|line| line["output_tokens"] == 10), "counted by the provider's report: {log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_passes_event_for_event_as_it_comes() {
    let profile = Profile {
        first_token: Lognormal::fixed(Duration::from_secs(2)),
        time_per_token: Duration::from_secs(1),
        output_tokens: Lognormal::fixed(Tokens(5)),
        ..serving(&["m"])
    };
    let One { rig, .. } = with(profile);
    let began = faregate::runtime::now();

    let mut body = rig.open(post("/v1/chat/completions", streamed("fast").to_string())).await.unwrap().into_body();
    let mut arrivals = Vec::new();
    while let Some(frame) = body.frame().await {
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        let second = faregate::runtime::now().since(began).as_secs();
        arrivals.extend(events(&text).iter().filter(|event| event.contains("{\"content\":\"")).map(|_| second));
    }

    assert_eq!(arrivals, [2, 3, 4, 5, 6], "each token came when the provider sent it");
}

#[tokio::test(start_paused = true)]
async fn completions_and_embeddings_are_served_with_and_without_v1() {
    let One { rig, .. } = one();
    for prefix in ["/v1", ""] {
        let text = rig.post(&format!("{prefix}/completions"), &json!({"model": "fast", "prompt": "once"})).await;
        let vector = rig.post(&format!("{prefix}/embeddings"), &json!({"model": "fast", "input": ["a", "b"]})).await;
        let chat = rig.post(&format!("{prefix}/chat/completions"), &chat("fast")).await;

        assert!(text.json()["choices"][0]["text"].is_string(), "{}", text.text());
        assert_eq!(vector.json()["data"].as_array().unwrap().len(), 2, "{}", vector.text());
        assert_eq!(chat.status, 200);
        for reply in [&text, &vector, &chat] {
            assert_eq!(reply.header("x-faregate-upstream"), "up");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_by_the_names_that_may_be_asked_for() {
    let One { rig, up } = one();

    let all = rig.send(get("/v1/models")).await.unwrap();
    let one = rig.send(get("/v1/models/fast")).await.unwrap();
    let none = rig.send(get("/v1/models/unheard-of")).await.unwrap();

    let listed = all.json();
    let ids: Vec<_> = listed["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert!(ids.contains(&"fast"), "{ids:?}");
    assert_eq!(listed["object"], "list");
    assert_eq!(one.json()["id"], "fast");
    assert_eq!((none.status.as_u16(), none.code()), (404, "no_route".to_owned()));
    assert_eq!(up.stats().requests, 0, "a listing asks nobody");
}

#[tokio::test(start_paused = true)]
async fn a_reply_too_large_to_hold_is_relayed_and_a_cut_in_it_is_seen() {
    let One { rig, up } = one();
    let usage = json!({"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16});
    let large = json!({"choices": [{"message": {"content": "x".repeat(3 << 20)}}], "usage": usage}).to_string();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    up.fault_next(Fault::Reply(Canned { status: 200, headers, body: large.clone() }));
    let whole = rig.chat("fast").await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", large.len());
    rig.plug_raw("up", [head.as_bytes(), &large.as_bytes()[..2 << 20]].concat());
    // The connection to the host that was there before is still open.
    up.set_fault(Some(Fault::Outage));

    let cut = rig.send(post("/v1/chat/completions", chat("fast").to_string())).await;

    assert_eq!(whole.body.len(), large.len());
    assert!(cut.is_err(), "half an answer was passed off as a whole one");
    let log = rig.log();
    assert_eq!([&log[0]["outcome"], &log[1]["outcome"]], ["ok", "cut"], "{log:?}");
    assert_eq!(
        (&log[0]["output_tokens"], &log[0]["usage_estimated"]),
        (&json!(9), &json!(false)),
        "from its last bytes"
    );
}

#[tokio::test(start_paused = true)]
async fn http_2_clients_are_served_side_by_side_on_one_connection() {
    let One { rig, up } = with(Profile { first_token: Lognormal::fixed(Duration::from_secs(3)), ..serving(&["m"]) });
    let (sender, connection) = hyper::client::conn::http2::handshake::<_, _, http_body_util::Full<Bytes>>(
        TokioExecutor::new(),
        TokioIo::new(rig.connect()),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let began = faregate::runtime::now();

    let asking = (0..8).map(|number| {
        let mut sender = sender.clone();
        let body = if number % 2 == 0 { chat("fast") } else { streamed("fast") };
        async move {
            let response =
                sender.send_request(post("http://gateway/v1/chat/completions", body.to_string())).await.unwrap();
            assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
            response.into_body().collect().await.unwrap().to_bytes()
        }
    });
    let asking: Vec<_> = asking.map(tokio::spawn).collect();
    for answer in asking {
        assert!(!answer.await.unwrap().is_empty());
    }

    assert_eq!(up.stats().answered, 8);
    assert!(faregate::runtime::now().since(began) < Duration::from_secs(5), "they waited for one another");
}

#[tokio::test(start_paused = true)]
async fn what_is_paid_for_is_what_the_provider_bills() {
    let price = Price::new(PricePerMtok(1_000_000), PricePerMtok(2_000_000));
    let One { rig, up } = with(Profile::named("up").with_model("m", price));
    for _ in 0..3 {
        rig.chat("fast").await;
        rig.stream("fast").await;
    }

    let ours: f64 = rig.log().iter().map(|line| line["cost_usd"].as_f64().unwrap()).sum();
    let theirs = up.stats().billed.as_dollars().0;
    assert!((ours - theirs).abs() < 1e-12 && theirs > 0.0, "{ours} against {theirs}");
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_refuses_to_be_asked_for_usage_is_served_without() {
    let One { rig, up } = one();
    up.fault_next(Fault::status(422, r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"]}]}"#));

    let first = rig.stream("fast").await;
    let second = rig.stream("fast").await;

    assert!(
        first.text().ends_with("data: [DONE]\n\n") && second.text().ends_with("data: [DONE]\n\n"),
        "{}",
        first.text()
    );
    let asked: Vec<bool> = up
        .recorded_requests()
        .iter()
        .map(|seen| serde_json::from_slice::<Value>(&seen.body).unwrap()["stream_options"].is_object())
        .collect();
    assert_eq!(asked, [true, false, false]);
    assert_eq!(rig.log()[1]["usage_estimated"], true);
}
