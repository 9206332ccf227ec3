//! Price feeds on real sockets and files: what they say counts on the next request, and what they break is told.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use faregate::control::Daemon;
use faregate::engine::Price;
use faregate::simulated::{Listening, Profile, Provider};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::client::{chat, request, send};
use crate::stage::{policy, source};

type Handler = Box<dyn Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send>;

/// A server of price lists, which remembers what it was asked.
struct Shop {
    addr: SocketAddr,
    handler: Arc<Mutex<Handler>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Shop {
    async fn open(handler: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let shop = Self { addr, handler: Arc::clone(&handler), asked: Arc::clone(&asked) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, asked) = (Arc::clone(&handler), Arc::clone(&asked));
                let service = service_fn(move |request: Request<Incoming>| {
                    let tag = request.headers().get("if-none-match").map(|tag| tag.to_str().unwrap().to_owned());
                    asked.lock().push(format!("{} {}", request.uri(), tag.unwrap_or_default()));
                    let reply = handler.lock()(&request);
                    async move { Ok::<_, Infallible>(reply) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        shop
    }

    fn now(&self, handler: impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + 'static) {
        *self.handler.lock() = Box::new(handler);
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock())
    }
}

fn reply(status: u16, body: &str) -> Response<Full<Bytes>> {
    Response::builder().status(status).body(Full::new(body.to_owned().into())).unwrap()
}

/// A list with a tag, and 304 for whoever has it.
fn tagged(tag: &'static str, body: String) -> impl Fn(&Request<Incoming>) -> Response<Full<Bytes>> + Send + 'static {
    move |request| {
        if request.headers().get("if-none-match").is_some_and(|known| known == tag) {
            return reply(304, "");
        }
        let mut reply = reply(200, &body);
        reply.headers_mut().insert("etag", tag.parse().unwrap());
        reply
    }
}

struct Stage {
    daemon: Daemon,
    folder: TempDir,
    _providers: Vec<Listening>,
}

impl Stage {
    /// Two equal providers, and a feed for each one's own price list.
    async fn new(feeds: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = format!(
            "policy = \"policy.toml\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\naccess_log = \"off\"\n\
             [prices]\nkeep = \"kept\"\n{feeds}\n"
        );
        let mut providers = Vec::new();
        for name in ["a", "b"] {
            let profile = Profile { ..Profile::named(name).with_model("m", Price::default()) };
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listening = Provider::new(profile, 1).listen(addr).await.unwrap();
            write!(
                config,
                "[upstreams.{name}]\nbase_url = \"http://{}/v1\"\nkeys = []\n[upstreams.{name}.models.m]\n",
                listening.addr
            )
            .unwrap();
            providers.push(listening);
        }
        fs::write(folder.path().join("faregate.toml"), config).unwrap();
        fs::write(folder.path().join("policy.toml"), policy(1) + "unknown_price = \"last_resort\"\n").unwrap();
        let daemon = Daemon::start(source(&folder.path().join("faregate.toml"))).unwrap();
        Self { daemon, folder, _providers: providers }
    }

    async fn refresh(&self, wish: &str) -> Value {
        let (_, text) = send(self.daemon.admin, request("POST", "/v1/prices/refresh", wish)).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    async fn get(&self, path: &str) -> String {
        send(self.daemon.admin, request("GET", path, "")).await.unwrap().1
    }

    /// What an upstream's model costs, per million input tokens.
    async fn input(&self, upstream: &str) -> Option<f64> {
        let prices: Value = serde_json::from_str(&self.get("/v1/prices").await).unwrap();
        let mut rows = prices.pointer("/prices").and_then(Value::as_array).unwrap().iter();
        rows.find(|row| row.pointer("/upstream").is_some_and(|name| name == upstream))?
            .pointer("/price/input")?
            .as_f64()
    }

    /// Waits for the first refresh, which nobody asks for.
    async fn until_read(&self) {
        while self.input("a").await.is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn feed(name: &str, url: &str, upstream: &str) -> String {
    format!(
        "[[prices.feeds]]\nname = \"{name}\"\nurl = \"{url}\"\nformat = \"litellm\"\nevery = \"1h\"\nupstream = \"{upstream}\"\n"
    )
}

fn litellm(rows: &[(&str, f64)]) -> String {
    let row = |(id, dollars): &(&str, f64)| {
        let each = dollars / 1e6;
        format!(
            "\"{id}\": {{\"litellm_provider\": \"x\", \"mode\": \"chat\", \"input_cost_per_token\": {each:e}, \
             \"output_cost_per_token\": {each:e}}}"
        )
    };
    format!("{{{}}}", rows.iter().map(row).collect::<Vec<_>>().join(","))
}

#[tokio::test]
async fn a_new_price_counts_on_the_next_request() {
    let shop = Shop::open(tagged("\"1\"", litellm(&[("m", 1.0)]))).await;
    let dear = Shop::open(tagged("\"1\"", litellm(&[("m", 5.0)]))).await;
    let feeds = feed("fa", &format!("http://{}/a.json?x=1", shop.addr), "a")
        + &feed("fb", &format!("http://{}", dear.addr), "b");
    let stage = Stage::new(&feeds).await;
    stage.until_read().await;
    while stage.input("b").await.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(shop.asked(), ["/a.json?x=1 "]);
    let served = || async {
        let reply = crate::client::open(stage.daemon.data, chat(false)).await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.headers()["x-faregate-upstream"].to_str().unwrap().to_owned()
    };
    assert_eq!(served().await, "a");

    shop.now(tagged("\"2\"", litellm(&[("m", 500.0)])));
    let answer = stage.refresh("{\"feed\": \"fa\"}").await;

    assert_eq!(answer["feeds"][0]["result"], "read");
    assert_eq!(served().await, "b");
    let metrics = stage.get("/metrics").await;
    assert!(
        metrics.contains("faregate_price_usd_per_mtok{kind=\"input\",model=\"m\",upstream=\"a\"} 500"),
        "{metrics}"
    );
    assert!(metrics.contains("faregate_price_feed_refreshes_total{result=\"read\",source=\"fa\"} 2"));
    assert!(metrics.contains("faregate_price_age_seconds{source=\"fa\"}"));
    stage.daemon.stop();
}

#[tokio::test]
async fn a_list_that_is_not_one_changes_nothing_and_is_told() {
    let shop = Shop::open(tagged("\"1\"", litellm(&[("m", 1.0), ("n", 1.0), ("o", 1.0)]))).await;
    let stage = Stage::new(&feed("f", &format!("http://{}/p", shop.addr), "a")).await;
    stage.until_read().await;
    let failure = |answer: Value| {
        let one = &answer["feeds"][0];
        format!("{}: {}", one["result"].as_str().unwrap(), one["message"].as_str().unwrap_or_default())
    };

    shop.now(|_| reply(503, "busy"));
    assert_eq!(failure(stage.refresh("").await), "failed: the server answered 503 Service Unavailable");
    shop.now(|_| reply(200, "<html>"));
    assert!(failure(stage.refresh("").await).starts_with("failed: this is not JSON"));
    shop.now(|_| {
        let mut reply = reply(301, "");
        reply.headers_mut().insert("location", "https://elsewhere.example/p?token=s3cret".parse().unwrap());
        reply
    });
    assert!(failure(stage.refresh("").await).contains("names https://elsewhere.example/p; set the url to it"));
    shop.now(tagged("\"2\"", litellm(&[("m", 2.0)])));
    assert!(failure(stage.refresh("").await).starts_with("refused: the list has 1 models where it had 3"));

    assert_eq!(stage.input("a").await, Some(1.0));
    let prices: Value = serde_json::from_str(&stage.get("/v1/prices").await).unwrap();
    assert!(prices["feeds"][0]["failure"].as_str().unwrap().starts_with("the list has 1 models"));
    assert_eq!(failure(stage.refresh("{\"accept\": true}").await), "read: ");
    assert_eq!(stage.input("a").await, Some(2.0));
    let (status, _) = send(stage.daemon.admin, request("POST", "/v1/prices/refresh", "{\"fed\": 1}")).await.unwrap();
    assert_eq!(status, 400);
    stage.daemon.stop();
}

#[tokio::test]
async fn a_list_is_asked_for_by_its_tag_and_kept_for_a_start_without_a_network() {
    let shop = Shop::open(tagged("\"v7\"", litellm(&[("m", 3.0)]))).await;
    let stage = Stage::new(&feed("f", &format!("http://{}/p", shop.addr), "a")).await;
    stage.until_read().await;
    assert_eq!(stage.refresh("").await["feeds"][0]["result"], "unchanged");
    assert_eq!(shop.asked(), ["/p ", "/p \"v7\""]);

    shop.now(|_| reply(500, ""));
    stage.daemon.stop();
    let again = Daemon::start(source(&stage.folder.path().join("faregate.toml"))).unwrap();
    let (_, prices) = send(again.admin, request("GET", "/v1/prices", "")).await.unwrap();
    let prices: Value = serde_json::from_str(&prices).unwrap();
    assert_eq!(prices["prices"][0]["price"]["input"], 3.0, "at once, from what was kept");
    assert_eq!(prices["prices"][0]["price"]["source"], "f");
    again.stop();
}

#[tokio::test]
async fn all_pages_of_a_list_are_read() {
    let page = |id: &str, next: &str| {
        format!(
            "{{\"data\": [{{\"id\": \"{id}\", \"pricing\": {{\"prompt\": \"0.000001\", \"completion\": \"0.000002\"}}}}], \
             \"links\": {{\"next\": {next}}}}}"
        )
    };
    let (first, second) = (page("x", "\"/p?offset=1\""), page("m", "null"));
    let shop =
        Shop::open(move |request| reply(200, if request.uri().query().is_some() { &second } else { &first })).await;
    let url = format!("http://{}/p", shop.addr);
    let stage = Stage::new(&feed("f", &url, "a").replace("litellm", "openrouter")).await;
    stage.until_read().await;
    assert_eq!(shop.asked(), ["/p ", "/p?offset=1 "]);

    let circle = page("m", "\"/p\"");
    shop.now(move |_| reply(200, &circle));
    let answer = stage.refresh("").await;
    assert!(answer["feeds"][0]["message"].as_str().unwrap().contains("there are more than"), "{answer}");
    stage.daemon.stop();
}

#[tokio::test]
async fn a_file_is_read_beside_the_configuration() {
    let stage = Stage::new(
        "[[prices.feeds]]\nurl = \"file:list.toml\"\nformat = \"faregate\"\nupstream = \"a\"\nevery = \"1h\"\n",
    )
    .await;
    let list = |price: &str| format!("[models.m]\nprice = {{ input = \"{price}\", output = \"{price}\" }}\n");
    fs::write(Path::new(stage.folder.path()).join("list.toml"), list("4 USD")).unwrap();
    stage.refresh("").await;
    assert_eq!(stage.input("a").await, Some(4.0));

    fs::write(Path::new(stage.folder.path()).join("list.toml"), list("4 USd oops")).unwrap();
    let answer = stage.refresh("").await;
    assert!(answer["feeds"][0]["message"].as_str().unwrap().contains("faregate:2:"), "{answer}");
    assert_eq!(stage.input("a").await, Some(4.0));
    stage.daemon.stop();
}

#[tokio::test]
async fn the_command_line_lists_compares_and_refreshes_prices() {
    let folder = tempfile::tempdir().unwrap();
    let shop = Shop::open(tagged("\"1\"", openai("2.6e-06", "1.04e-05"))).await;
    // No daemon listens at this address: nobody else can have it while this test does.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[server]\nadmin = \"{nobody}\"\n[upstreams.openai]\nprovider = \"openai\"\nkeys = [\"env:NOT_SET_HERE\"]\n\
         [prices]\nkeep = \"kept\"\n[[prices.feeds]]\nurl = \"http://{}/p\"\nformat = \"litellm\"\n",
        shop.addr
    );
    fs::write(folder.path().join("faregate.toml"), config).unwrap();
    let run = |arguments: &'static [&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_faregate"));
        command.arg("prices").args(arguments).current_dir(folder.path()).env_remove("STATE_DIRECTORY");
        tokio::task::spawn_blocking(move || {
            let output = command.output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
            (output.status.code(), said)
        })
    };

    let (code, said) = run(&["list", "gpt-4o-mini"]).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("openai/gpt-4o-mini") && said.contains("catalogue"), "{said}");
    let (_, said) = run(&["diff"]).await.unwrap();
    assert!(
        said.contains("openai/gpt-4o       ") && said.contains("2.5 / 10 -> 2.6 / 10.4  +4% / +4%  litellm"),
        "{said}"
    );
    assert!(!folder.path().join("kept").exists(), "looking keeps nothing");

    let (code, said) = run(&["refresh"]).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.starts_with("litellm: read, 1 models") && said.contains("no daemon answers"), "{said}");
    let (_, said) = run(&["list", "gpt-4o", "--format", "json"]).await.unwrap();
    let rows: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&rows[0]["input_usd_per_mtok"], &rows[0]["source"]), (&"2.6".into(), &"litellm".into()));

    fs::write(folder.path().join("list.json"), openai("2.5e-09", "1e-08")).unwrap();
    let (_, said) = run(&["diff", "list.json", "--format", "litellm"]).await.unwrap();
    assert!(said.contains("held: list.json says 0.0025 USD / 0.01 USD"), "{said}");
    let with_cache =
        openai("2.6e-06", "1.04e-05").replace("\"mode\"", "\"cache_read_input_token_cost\": 1e-06, \"mode\"");
    fs::write(folder.path().join("list.json"), with_cache).unwrap();
    let (_, said) = run(&["diff", "list.json", "--format", "litellm"]).await.unwrap();
    assert!(said.contains("with cached input  list.json"), "what changes besides the two is named: {said}");
    let (code, said) = run(&["refresh", "--feed", "nothing"]).await.unwrap();
    assert_eq!(code, Some(2));
    assert!(said.contains("has: litellm"), "{said}");
}

fn openai(input: &str, output: &str) -> String {
    format!(
        "{{\"gpt-4o\": {{\"litellm_provider\": \"openai\", \"mode\": \"chat\", \"input_cost_per_token\": {input}, \
         \"output_cost_per_token\": {output}}}}}"
    )
}
