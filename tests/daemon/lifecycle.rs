//! Start, load, loss of an upstream, drain and stop.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use faregate::control::{Daemon, StartError};
use http_body_util::BodyExt;

use crate::client::{chat, open, request, send};
use crate::stage::{Stage, source};
use crate::tools;

#[tokio::test]
async fn killing_one_of_three_upstreams_under_load_fails_no_plain_request() {
    let mut stage = Stage::new(3, 4, Duration::from_millis(5)).await;
    let data = stage.daemon.data;
    let done = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..12)
        .map(|_| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut failures = Vec::new();
                for _ in 0..40 {
                    match send(data, chat(false)).await {
                        Ok((200, _)) => {}
                        other => failures.push(other),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failures
            })
        })
        .collect();

    while done.load(Ordering::Relaxed) < 100 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let busy = stage.providers.iter().map(|(provider, _)| provider.stats().requests).collect::<Vec<_>>();
    stage.providers[1].1.take().unwrap().stop().await;

    for client in clients {
        let failures = client.await.unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }
    assert!(busy.iter().all(|requests| *requests > 0), "equals share: {busy:?}");
    let metrics = stage.admin("GET", "/metrics").await.1;
    assert!(metrics.contains("faregate_failovers_total{from=\"p1/m\""), "{metrics}");
    stage.daemon.stop();
}

#[tokio::test]
async fn a_drain_lets_running_streams_end_and_takes_nothing_new() {
    let mut stage = Stage::new(1, 30, Duration::from_millis(20)).await;
    let mut running = open(stage.daemon.data, chat(true)).await.unwrap().into_body();
    let first = running.frame().await.unwrap().unwrap();

    stage.daemon.drain();

    let (status, body) = stage.admin("GET", "/readyz").await;
    assert_eq!(status, 503, "{body}");
    let rest = running.collect().await.unwrap().to_bytes();
    assert!(!first.into_data().unwrap().is_empty() && rest.ends_with(b"data: [DONE]\n\n"));
    stage.daemon.drained().await;
    assert!(send(stage.daemon.data, chat(false)).await.unwrap_err().starts_with("connect"));
    stage.daemon.stop();
}

#[tokio::test]
async fn stopping_ends_what_still_runs_and_its_upstream_call() {
    let stage = Stage::new(1, 10_000, Duration::from_millis(20)).await;
    let mut running = open(stage.daemon.data, chat(true)).await.unwrap().into_body();
    running.frame().await.unwrap().unwrap();

    let provider = Arc::clone(&stage.providers[0].0);
    tokio::task::spawn_blocking(move || stage.daemon.stop()).await.unwrap();

    assert!(running.collect().await.is_err(), "a cut answer must not look whole");
    while provider.stats().in_flight > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(provider.stats().aborted, 1);
}

#[tokio::test]
async fn a_second_daemon_on_the_same_port_does_not_start() {
    let stage = Stage::new(1, 1, Duration::ZERO).await;
    let second = stage.folder.path().join("second.toml");
    let first = std::fs::read_to_string(stage.folder.path().join("faregate.toml")).unwrap();
    let taken = first.replacen("127.0.0.1:0", &stage.daemon.data.to_string(), 1);
    std::fs::write(&second, taken).unwrap();

    let Err(StartError::Listen { setting, .. }) = Daemon::start(source(&second)) else { panic!("it started") };

    assert_eq!(setting, "server.listen");
    stage.daemon.stop();
}

#[tokio::test]
async fn promtool_finds_nothing_wrong_with_the_metrics_after_traffic() {
    let Some(promtool) = tools::find("promtool", "the check of /metrics") else { return };
    let stage = Stage::new(2, 2, Duration::ZERO).await;
    for stream in [true, false, true] {
        send(stage.daemon.data, chat(stream)).await.unwrap();
    }
    send(stage.daemon.data, request("POST", "/v1/chat/completions", "{")).await.unwrap();
    let metrics = stage.admin("GET", "/metrics").await.1;
    stage.daemon.stop();

    let mut check = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    check.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = check.wait_with_output().unwrap();

    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
    assert!(metrics.contains("outcome=\"ok\"") && metrics.contains("outcome=\"client_error\""));
}
