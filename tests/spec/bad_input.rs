//! Bad input: an OpenAI-shaped error with the right status and a closed code, and the connection lives on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faregate::simulated::{Fault, Provider};
use http::{Method, Request};
use http_body_util::Full;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::rig::{Rig, chat, get, post, provider, serving, upstream};

fn rig(config: &str) -> (Rig, Arc<Provider>) {
    let up = provider(serving(&["m"]));
    let rig = Rig::new(&(config.to_owned() + &upstream("up", "m", "1", "1")), "", &[("up", &up)]);
    (rig, up)
}

async fn refused(rig: &Rig, request: Request<Full<Bytes>>) -> (u16, String) {
    let reply = rig.send(request).await.unwrap();
    let body = reply.json();
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(body["error"]["type"].is_string(), "{body}");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(reply.header("x-faregate-request-id").len(), 16, "every reply can be found in the log");
    (reply.status.as_u16(), reply.code())
}

#[tokio::test(start_paused = true)]
async fn bodies_that_cannot_be_read_are_refused_with_a_code() {
    let (rig, up) = rig("[server]\nmax_body = \"64KB\"\n");
    let nested = format!("{{\"model\":\"m\",\"messages\":[],\"x\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let cases: [(Bytes, u16, &str); 11] = [
        (Bytes::new(), 400, "invalid_request"),
        ("{".into(), 400, "invalid_request"),
        ("[1,2]".into(), 400, "invalid_request"),
        ("\"model\"".into(), 400, "invalid_request"),
        (json!({"messages": []}).to_string().into(), 400, "invalid_request"),
        (json!({"model": 7, "messages": []}).to_string().into(), 400, "invalid_request"),
        ("{\"model\":\"m\",\"model\":\"other\",\"messages\":[]}".into(), 400, "invalid_request"),
        (nested.into(), 400, "invalid_request"),
        (Bytes::from_static(b"{\"model\":\"m\",\"messages\":[\"\xff\xfe\"]}"), 400, "invalid_request"),
        (json!({"model": "unheard-of", "messages": []}).to_string().into(), 404, "no_route"),
        (chat(&"m".repeat(70_000)).to_string().into(), 413, "request_too_large"),
    ];
    for (body, status, code) in cases {
        let shown = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
        assert_eq!(refused(&rig, post("/v1/chat/completions", body)).await, (status, code.to_owned()), "{shown}");
    }
    assert_eq!(up.stats().requests, 0);
    assert_eq!(rig.chat("m").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_field_to_blame_is_named() {
    let (rig, _) = rig("");
    for (body, param) in [
        (json!({"messages": []}), json!("model")),
        (json!({"model": "m"}), json!("messages")),
        (json!({"model": "m", "messages": [], "stream": "yes"}), json!("stream")),
        (json!({"model": "m", "messages": [], "max_tokens": -1}), json!("max_tokens")),
        (json!({"model": "unheard-of", "messages": []}), json!("model")),
    ] {
        let reply = rig.post("/v1/chat/completions", &body).await;
        assert_eq!(reply.json()["error"]["param"], param, "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn wrong_methods_and_paths_are_told_what_is_right() {
    let (rig, _) = rig("");
    let with = |method: Method, path: &str| {
        let mut request = get(path);
        *request.method_mut() = method;
        request
    };

    let method = rig.send(get("/v1/chat/completions")).await.unwrap();
    assert_eq!((method.status.as_u16(), method.code().as_str()), (405, "method_not_allowed"));
    assert_eq!(method.header("allow"), "POST");
    assert_eq!(rig.send(with(Method::DELETE, "/v1/models")).await.unwrap().header("allow"), "GET");
    for path in ["/", "/v1", "/v2/chat/completions", "/v1/chat/completions/x", "/v1/audio/speech", "/metrics"] {
        assert_eq!(refused(&rig, with(Method::POST, path)).await, (404, "unsupported_endpoint".to_owned()), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_costs_no_connection() {
    let (rig, _) = rig("");
    let mut connection = rig.connect();
    let ask = |body: &str| {
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    };
    let mut seen = String::new();

    for body in ["{", "{\"model\":\"unheard-of\",\"messages\":[]}", &chat("m").to_string()] {
        connection.write_all(ask(body).as_bytes()).await.unwrap();
        let mut part = vec![0; 8192];
        let length = connection.read(&mut part).await.unwrap();
        seen += &String::from_utf8_lossy(&part[..length]);
    }

    let statuses: Vec<_> = seen.split("HTTP/1.1 ").skip(1).filter_map(|reply| reply.split(' ').next()).collect();
    assert_eq!(statuses, ["400", "404", "200"], "{seen}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
    let (rig, _) = rig("[server]\nbody_timeout = \"20s\"\n");
    let mut connection = rig.connect();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 100\r\n\r\n{\"model\":";
    connection.write_all(head.as_bytes()).await.unwrap();
    let began = faregate::runtime::now();

    let mut reply = String::new();
    connection.read_to_string(&mut reply).await.unwrap();

    assert!(reply.starts_with("HTTP/1.1 408") && reply.contains("request_timeout"), "{reply}");
    assert_eq!(faregate::runtime::now().since(began).as_secs(), 20);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_stalls_or_never_ends_is_given_up() {
    let (rig, _) = rig("[server]\nheader_timeout = \"10s\"\n");
    let mut stalled = rig.connect();
    stalled.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\n").await.unwrap();
    let mut endless = rig.connect();
    let began = faregate::runtime::now();

    let mut reply = Vec::new();
    stalled.read_to_end(&mut reply).await.unwrap();
    assert!(faregate::runtime::now().since(began) <= Duration::from_secs(11));
    let head = format!("GET /v1/models HTTP/1.1\r\nhost: g\r\nx-long: {}\r\n\r\n", "y".repeat(1 << 20));
    endless.write_all(head.as_bytes()).await.ok();
    let mut reply = String::new();
    endless.read_to_string(&mut reply).await.ok();

    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 431"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_http_is_hung_up_on_and_the_next_client_is_served() {
    let (rig, _) = rig("");
    for noise in
        [b"\x16\x03\x01\x02\x00\x01\x00".as_slice(), b"SSH-2.0-OpenSSH\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", &[0; 512]]
    {
        let mut connection = rig.connect();
        connection.write_all(noise).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut reply = Vec::new();
        connection.read_to_end(&mut reply).await.unwrap();
        assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&reply));
    }
    assert_eq!(rig.chat("m").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn two_lengths_are_not_one_request() {
    let (rig, up) = rig("");
    let mut connection = rig.connect();
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n\
                    0\r\n\r\nPOST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-length: 2\r\n\r\n{}";
    connection.write_all(smuggled.as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    let mut reply = String::new();
    connection.read_to_string(&mut reply).await.unwrap();

    assert!(!reply.contains("200 OK"), "{reply}");
    assert_eq!(up.stats().requests, 0);
}

#[tokio::test(start_paused = true)]
async fn what_only_one_account_has_is_not_asked_of_others() {
    let (a, b) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("a", "m", "1", "1") + &upstream("b", "m", "5", "5");
    let policy = "[[routes]]\nname = \"chat\"\nmodels = [\"fast\"]\ncluster = [\"a/m\", \"b/m\"]\n";
    let rig = Rig::new(&config, policy, &[("a", &a), ("b", &b)]);
    let ask = |model: &str| {
        let file = json!([{ "type": "file", "file": { "file_id": "file-1" } }]);
        json!({ "model": model, "messages": [{ "role": "user", "content": file }] })
    };
    let anyone = rig.post("/v1/chat/completions", &ask("fast")).await;
    assert_eq!((anyone.status.as_u16(), anyone.code().as_str()), (400, "pinned_unavailable"));
    assert!(anyone.text().contains("any of a, b; ask for the model as 'upstream/model'\""), "{}", anyone.text());
    assert_eq!(a.stats().requests + b.stats().requests, 0);

    let named = rig.post("/v1/chat/completions", &ask("b/m")).await;
    assert_eq!((named.status.as_u16(), named.header("x-faregate-upstream")), (200, "b"));
    b.set_fault(Some(Fault::Outage));
    assert_eq!(rig.post("/v1/chat/completions", &ask("b/m")).await.status, 502);
    assert_eq!(a.stats().requests, 0, "never elsewhere");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_compressed_is_refused_by_that_name() {
    let up = provider(serving(&["m"]));
    let rig = Rig::new(&upstream("up", "m", "1", "1"), "", &[("up", &up)]);
    let mut request = post("/v1/chat/completions", &b"\x1f\x8b\x08"[..]);
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let reply = rig.send(request).await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.json()["error"]["param"].as_str()), (400, Some("content-encoding")));
    assert!(reply.text().contains("`gzip` is not taken"), "{}", reply.text());
}
