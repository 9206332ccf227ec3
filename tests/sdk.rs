//! Real clients against the real binary: the official `OpenAI` SDKs talk to `faregate serve`, which forwards to simulated
//! providers in processes of their own.
//!
//! Each suite gets a daemon to itself, so that a breaker opened by one does not meet the other.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what it needs by failing")]

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/files.rs"]
mod files;
#[path = "support/refusals.rs"]
mod refusals;
#[path = "support/sdks.rs"]
mod sdks;
#[path = "support/tools.rs"]
mod tools;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Command;

use daemon::{Daemon, address_in};
use files::project;
use tempfile::TempDir;

/// Everything a suite talks to. Ends when dropped.
struct Stage {
    faregate: Daemon,
    _providers: Vec<Daemon>,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut north = provider(&folder, "small,embedder", "north-secret");
        let mut south = provider(&folder, "small", "south-secret");
        let configuration = fs::read_to_string(project("tests/sdk/faregate.toml"))
            .unwrap()
            .replace("NORTH", &north.address("listening on"))
            .replace("SOUTH", &south.address("listening on"))
            .replace("FAULTS", &refusals::start());
        fs::write(folder.path().join("faregate.toml"), configuration).unwrap();
        fs::copy(project("tests/sdk/policy.toml"), folder.path().join("policy.toml")).unwrap();
        let faregate = Daemon::start(&["serve", "-c", "faregate.toml"], folder.path());
        Self { faregate, _providers: vec![north, south], _folder: folder }
    }

    /// Runs a suite to its end, and shows what it and the daemon said if it fails.
    fn run(mut self, suite: &mut Command) {
        suite.env("FAREGATE_BASE_URL", format!("http://{}", self.faregate.address("data plane listening")));
        suite.env("FAREGATE_ADMIN_URL", format!("http://{}", self.faregate.address("admin listening")));
        let output = suite.output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{said}\n--- faregate said:\n{}", self.faregate.log());
    }
}

fn provider(folder: &TempDir, models: &str, key: &str) -> Daemon {
    let arguments = ["mock-provider", "--listen", "127.0.0.1:0", "--models", models, "--key", key];
    Daemon::start(&arguments, folder.path())
}

#[test]
fn the_python_sdk_is_served_as_by_openai() {
    let Some(python) = sdks::python("the suite of the Python SDK") else { return };
    Stage::new().run(Command::new(python).arg(project("tests/sdk/python/suite.py")));
}

#[test]
fn the_node_sdk_is_served_as_by_openai() {
    let Some((node, folder)) = sdks::node("the suite of the Node SDK") else { return };
    Stage::new().run(Command::new(node).args(["--test", "suite.test.mjs"]).current_dir(folder));
}

/// OpenAI as it answers those whose country it does not serve, and three that do.
fn moving_house() -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let names = [
        ("zhipu", "glm-5.3,glm-5.3-flash"),
        ("dashscope", "qwen3.8-max,qwen3.5-flash"),
        ("qianfan", "ernie-5.0,ernie-4.5-turbo-128k"),
    ];
    let refusing = format!("{}/region", refusals::start());
    let upstream = |name: &str, address: &str| {
        format!(
            "[upstreams.{name}]\nprovider = \"{name}\"\nbase_url = \"http://{address}/v1\"\nkeys = [\"literal:sk-{name}\"]\n"
        )
    };
    let mut providers = names.map(|(name, models)| (name, provider(&folder, models, &format!("sk-{name}"))));
    let moved = providers.each_mut().map(|(name, one)| upstream(name, &one.address("listening on")));
    let head =
        "policy = \"builtin:migrate-from-openai\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n";
    let configuration = head.to_owned() + &upstream("openai", &refusing) + &moved.concat();
    fs::write(folder.path().join("faregate.toml"), configuration).unwrap();
    let faregate = Daemon::start(&["serve", "-c", "faregate.toml"], folder.path());
    Stage { faregate, _providers: providers.map(|(_, one)| one).into(), _folder: folder }
}

#[test]
fn an_application_of_openais_goes_on_where_openai_refuses_its_region() {
    let Some(python) = sdks::python("the application that moves house") else { return };
    let mut stage = moving_house();
    // All that its operator changes: what the SDK itself reads.
    let address = stage.faregate.address("data plane listening");
    let mut application = Command::new(python);
    application.env("OPENAI_BASE_URL", format!("http://{address}/v1")).env("OPENAI_API_KEY", "unused");
    stage.run(application.arg(project("tests/sdk/python/migration.py")));
}

#[test]
fn the_refusing_provider_answers_each_request_with_the_status_in_its_path() {
    let mut connection = TcpStream::connect(refusals::start()).unwrap();
    let mut statuses = Vec::new();
    for status in ["429", "500"] {
        let request = format!("POST /{status}/v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}");
        connection.write_all(request.as_bytes()).unwrap();
        let mut head = [0; 12];
        connection.read_exact(&mut head).unwrap();
        statuses.push(String::from_utf8_lossy(&head).into_owned());
        // The rest of this reply, so that the next read starts at a head.
        let mut rest = BufReader::new(&connection);
        let lines = rest.by_ref().lines().map(Result::unwrap).take_while(|line| !line.is_empty());
        let length = lines.filter_map(|line| line.strip_prefix("content-length: ").map(str::to_owned)).last();
        std::io::copy(&mut rest.take(length.unwrap().parse().unwrap()), &mut std::io::sink()).unwrap();
    }
    assert_eq!(statuses, ["HTTP/1.1 429", "HTTP/1.1 500"]);
}

#[test]
fn an_address_is_found_in_text_and_in_json() {
    let expected = Some("127.0.0.1:3273".to_owned());
    let text = "2026-11-23T08:00:00.5Z  INFO data plane listening addr=127.0.0.1:3273";
    let json = r#"{"level":"INFO","message":"data plane listening","addr":"127.0.0.1:3273"}"#;
    assert_eq!([text, json, "listening on 127.0.0.1:3273", "nothing"].map(address_in), {
        [expected.clone(), expected.clone(), expected, None]
    });
}
