//! The program itself: its signals, its exit codes, and what it says.

use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::Duration;

use http_body_util::BodyExt;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::client::{chat, open, request, send};
use crate::process::Daemon;
use crate::stage::policy;

/// The program, serving one slow provider, which is a program too.
struct Pair {
    faregate: Daemon,
    _provider: Daemon,
    data: SocketAddr,
    admin: SocketAddr,
    folder: TempDir,
}

fn faregate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_faregate")).args(arguments).env_remove("FAREGATE_LOG").output().unwrap()
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slow = ["--models", "m", "--output-tokens", "40", "--per-token", "50ms"];
        let mut provider =
            Daemon::start(&[&["mock-provider", "--listen", "127.0.0.1:0"], &slow[..]].concat(), folder.path());
        let config = format!(
            "policy = \"policy.toml\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\ndrain = \"30s\"\n\
             admin_token = \"literal:let-me-in\"\n[upstreams.up]\ndialect = \"openai\"\nbase_url = \"http://{}/v1\"\n\
             keys = [\"literal:sk-not-to-be-seen\"]\n[upstreams.up.models.m]\nprice = {{ input = \"1 USD\", output = \"2 USD\" }}\n",
            provider.address("listening on"),
        );
        std::fs::write(folder.path().join("faregate.toml"), config).unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy(1)).unwrap();
        let mut faregate = Daemon::start(&["serve", "-c", "faregate.toml"], folder.path());
        let data = faregate.address("data plane listening").parse().unwrap();
        let admin = faregate.address("admin listening").parse().unwrap();
        Self { faregate, _provider: provider, data, admin, folder }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.faregate.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    async fn ended(&mut self) -> std::process::ExitStatus {
        loop {
            if let Some(status) = self.faregate.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_metrics_have(&self, series: &str) {
        let mut metrics = request("GET", "/metrics", "");
        metrics.headers_mut().insert("authorization", "Bearer let-me-in".parse().unwrap());
        while !send(self.admin, metrics.clone()).await.unwrap().1.contains(series) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn hangup_reloads_and_terminate_drains() {
    let mut pair = Pair::new();
    pair.signal("HUP");
    pair.until_metrics_have("faregate_config_reloads_total{result=\"ok\"} 1").await;
    let mut running = open(pair.data, chat(true)).await.unwrap().into_body();
    running.frame().await.unwrap().unwrap();

    pair.signal("TERM");

    let rest = running.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"data: [DONE]\n\n"), "a drain cut a stream");
    assert!(pair.ended().await.success());
    assert!(pair.faregate.log().contains("draining"));
}

#[tokio::test]
async fn a_second_terminate_ends_at_once() {
    let mut pair = Pair::new();
    let mut running = open(pair.data, chat(true)).await.unwrap().into_body();
    running.frame().await.unwrap().unwrap();
    pair.signal("TERM");
    while TcpStream::connect(pair.data).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    pair.signal("TERM");

    assert!(pair.ended().await.success());
    assert!(running.collect().await.is_err(), "half an answer looked whole");
}

#[tokio::test]
async fn a_foreign_page_may_change_nothing_and_no_key_is_ever_said() {
    let mut pair = Pair::new();
    let with = |method: &str, path: &str, name: &'static str, value: &str| {
        let mut request = request(method, path, "");
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    let reload = |name, value| send(pair.admin, with("POST", "/v1/reload", name, value));

    // A page that a browser on this machine shows, by way of a name that resolves to it.
    assert_eq!(reload("host", "rebound.example").await.unwrap().0, 403);
    assert_eq!(reload("origin", "https://rebound.example").await.unwrap().0, 403);
    assert_eq!(reload("host", "localhost").await.unwrap().0, 200);
    assert_eq!(reload("authorization", "Bearer let-me-in").await.unwrap().0, 200);
    let with_token = |path| with("GET", path, "authorization", "Bearer let-me-in");
    assert_eq!(send(pair.admin, request("GET", "/healthz", "")).await.unwrap().0, 200);
    send(pair.data, chat(false)).await.unwrap();
    let mut said = String::new();
    for path in ["/metrics", "/readyz", "/v1/endpoints", "/v1/policy"] {
        let (status, body) = send(pair.admin, with_token(path)).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        said += &body;
    }
    said += &pair.faregate.log();
    assert!(said.contains("up/m") && !said.contains("not-to-be-seen") && !said.contains("let-me-in"), "{said}");
}

#[tokio::test]
async fn check_says_all_that_is_wrong_and_a_start_says_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faregate.toml");
    std::fs::write(&path, "[server]\nlisten = \"nowhere\"\nworkrs = 2\n[upstreams.x]\nbase_url = \"ftp://x\"\n")
        .unwrap();
    let path = path.to_str().unwrap();

    let (check, serve) = (faregate(&["check", path]), faregate(&["serve", "-c", path]));
    let json = faregate(&["check", "--format", "json", path]);

    for output in [&check, &serve] {
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        for word in ["nowhere", "did you mean `workers`", "ftp", ":2:", "^"] {
            assert!(said.contains(word), "no {word} in\n{said}");
        }
    }
    let diagnostics: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(diagnostics.to_string().contains("workers"), "{diagnostics}");
}

#[tokio::test]
async fn a_reload_that_fails_is_said_and_the_old_policy_stays() {
    let mut pair = Pair::new();
    std::fs::write(pair.folder.path().join("policy.toml"), "[objective]\nfailure_cots = \"1 USD\"\n").unwrap();
    pair.signal("HUP");
    pair.until_metrics_have("faregate_config_last_reload_successful 0").await;

    let (status, ready) = send(pair.admin, request("GET", "/readyz", "")).await.unwrap();

    assert_eq!(status, 200, "what ran runs on");
    assert!(ready.contains("failure_cost"), "{ready}");
    assert_eq!(send(pair.data, chat(false)).await.unwrap().0, 200);
    assert!(pair.faregate.log().contains("reload refused"));
}

/// Tells the daemon of `known` something of its endpoints.
async fn tell_more(wish: &[&str], known: &str) -> Output {
    let all: Vec<String> = ["endpoint"].iter().chain(wish).chain(&["-c", known]).map(ToString::to_string).collect();
    let run = move || faregate(&all.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test]
async fn endpoints_are_taken_out_and_brought_back_by_name() {
    let pair = Pair::new();
    let config = std::fs::read_to_string(pair.folder.path().join("faregate.toml")).unwrap();
    let config = config.replace("admin = \"127.0.0.1:0\"", &format!("admin = \"{}\"", pair.admin));
    let known = pair.folder.path().join("known.toml");
    std::fs::write(&known, config).unwrap();
    let known = known.to_str().unwrap();
    let tell = |wish: &'static str, name: &'static str, config: String| {
        tokio::task::spawn_blocking(move || faregate(&["endpoint", wish, name, "-c", &config]))
    };
    for name in ["up", "up/m", "up/m#literal"] {
        let output = tell("disable", name, known.to_owned()).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "up/m#literal: disabled\n", "{output:?}");
        assert_eq!(send(pair.data, chat(false)).await.unwrap().0, 503);
        assert!(tell("enable", name, known.to_owned()).await.unwrap().status.success());
        assert_eq!(send(pair.data, chat(false)).await.unwrap().0, 200);
    }
    // The variables of keys may be set for the daemon alone: those of the tenants, and the admin token, which is not asked
    // for on loopback.
    let text = std::fs::read_to_string(known).unwrap();
    let text = text.replace("literal:let-me-in", "env:FAREGATE_NOT_SET_0");
    let tenants = "\n[[tenants]]\nname = \"a\"\nkeys = [\"env:FAREGATE_NOT_SET_1\"]\n[[tenants]]\nname = \"b\"\nkeys = [\"env:FAREGATE_NOT_SET_2\"]\n";
    std::fs::write(known, text + tenants).unwrap();
    let reset = tell("reset", "up", known.to_owned()).await.unwrap();
    assert!(reset.status.success(), "{reset:?}");
    assert!(tell("drain", "up", known.to_owned()).await.unwrap().status.success());
    let reset = tell("reset", "up", known.to_owned()).await.unwrap();
    assert!(String::from_utf8_lossy(&reset.stdout).contains("still is: enable it"), "{reset:?}");
    assert!(tell("enable", "up", known.to_owned()).await.unwrap().status.success());
    let disabled = tell_more(&["disable", "up", "--for", "1s"], known).await;
    assert!(disabled.status.success(), "{disabled:?}");
    assert_eq!(send(pair.data, chat(false)).await.unwrap().0, 503);
    while send(pair.data, chat(false)).await.unwrap().0 != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (wish, complaint) in
        [(["disable", "up", "--for", "soon"], "`for`: "), (["drain", "up", "--for", "0s"], "`for`: no time at all")]
    {
        let refused = tell_more(&wish, known).await;
        assert!(String::from_utf8_lossy(&refused.stderr).contains(complaint), "{refused:?}");
    }
    let unknown = tell("reset", "u", known.to_owned()).await.unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("no endpoint, model or upstream has this name"));
    let nobody = pair.folder.path().join("faregate.toml").to_str().unwrap().to_owned();
    let nobody = tell("reset", "up", nobody).await.unwrap();
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("error: "), "{nobody:?}");
    assert_eq!(nobody.status.code(), Some(1));
}
