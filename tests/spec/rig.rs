//! The real data plane on in-memory pipes, with simulated providers behind it, in virtual time.
//!
//! Everything but sockets, threads and files is what the daemon runs: the listener, the service, the engine's cells,
//! the connection pool and the policy compiler.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use faregate::observe::{AccessLog, AccessLogWriter, Metrics};
use faregate::policy::{self, Sources};
use faregate::proxy::dial::{Connector, Dial, Dialing};
use faregate::proxy::listener;
use faregate::proxy::pool::Pool;
use faregate::proxy::worker::{Shared, Worker};
use faregate::simulated::{Lognormal, Profile, Provider, SimModel};
use faregate::state::{Cells, Snapshot};
use faregate::units::Tokens;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

use crate::authority::Authority;

/// Hosts that exist in a test.
#[derive(Default)]
pub(crate) struct Net {
    hosts: Mutex<HashMap<String, Host>>,
}

#[derive(Clone)]
enum Host {
    Simulated(Arc<Provider>),
    /// The same behind TLS, with a certificate for this name.
    Secure(Arc<Provider>, TlsAcceptor),
    /// Says this to whatever it is asked, and hangs up.
    Raw(Bytes),
}

impl Dial for Net {
    fn dial<'a>(&'a self, host: &'a str, _port: u16) -> Dialing<'a> {
        Box::pin(async move {
            let host = self.hosts.lock().get(host).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            match host {
                Host::Simulated(provider) => drop(tokio::spawn(provider.serve_connection(theirs))),
                Host::Secure(provider, acceptor) => drop(tokio::spawn(async move {
                    let stream = acceptor.accept(theirs).await?;
                    provider.serve_connection(stream).await;
                    io::Result::Ok(())
                })),
                Host::Raw(reply) => drop(tokio::spawn(say(theirs, reply))),
            }
            Ok(Box::new(ours) as faregate::proxy::dial::BoxIo)
        })
    }
}

async fn say(mut to: DuplexStream, reply: Bytes) -> io::Result<()> {
    let mut asked = [0; 4096];
    // The whole request, small as it is, comes in one piece.
    if to.read(&mut asked).await? > 0 {
        to.write_all(&reply).await?;
    }
    to.shutdown().await
}

/// A data plane under test.
pub(crate) struct Rig {
    pub(crate) worker: Arc<Worker>,
    net: Arc<Net>,
    authority: Authority,
    cells: Mutex<Cells>,
    log: Arc<Mutex<Vec<u8>>>,
    writer: Mutex<Option<AccessLogWriter>>,
    graceful: GracefulShutdown,
}

/// A reply that has been read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Clone)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A provider that serves `model` and answers at once.
pub(crate) fn provider(profile: Profile) -> Arc<Provider> {
    Provider::new(profile, 7)
}

/// A profile that serves the models named.
pub(crate) fn serving(models: &[&str]) -> Profile {
    let models = models.iter().map(|id| SimModel { id: (*id).to_owned(), price: faregate::engine::Price::default() });
    Profile {
        models: models.collect(),
        first_token: Lognormal::fixed(Duration::ZERO),
        time_per_token: Duration::ZERO,
        output_tokens: Lognormal::fixed(Tokens(10)),
        ..Profile::default()
    }
}

/// An upstream's table: at `http://NAME/v1`, with one model at a price per million tokens.
pub(crate) fn upstream(name: &str, model: &str, input: &str, output: &str) -> String {
    format!(
        "[upstreams.{name}]\ndialect = \"openai\"\nbase_url = \"http://{name}/v1\"\nkeys = []\nregions = [\"{name}-land\"]\n\
         [upstreams.{name}.models.\"{model}\"]\nprice = {{ input = \"{input} USD\", output = \"{output} USD\" }}\n\
         capabilities = [\"tools\", \"vision\", \"json_schema\"]\n"
    )
}

fn load(now: SystemTime, config: &str, policy: &str) -> policy::Loaded {
    let read = |path: &Path| match path.file_name().and_then(|name| name.to_str()) {
        Some("faregate.toml") => Ok(config.to_owned()),
        Some("policy.toml") => Ok(policy.to_owned()),
        _ => Err("no such file".to_owned()),
    };
    let sources = Sources { env: &|_| None, read: &read, now, book: None };
    policy::load(Path::new("/test/faregate.toml"), &sources)
}

fn compile(now: SystemTime, config: &str, policy: &str) -> policy::model::Model {
    let config = format!("policy = \"policy.toml\"\n{config}");
    let loaded = load(now, &config, policy);
    loaded.model.unwrap_or_else(|| panic!("{}", policy::render(&loaded.diagnostics)))
}

impl Rig {
    /// A data plane with this configuration and policy; `hosts` are the upstreams' host names.
    pub(crate) fn new(config: &str, policy: &str, hosts: &[(&str, &Arc<Provider>)]) -> Self {
        Self::at(SystemTime::UNIX_EPOCH, config, policy, hosts)
    }

    /// The same at the prices of `wall`.
    pub(crate) fn at(wall: SystemTime, config: &str, policy: &str, hosts: &[(&str, &Arc<Provider>)]) -> Self {
        let net = Arc::new(Net::default());
        for (host, provider) in hosts {
            net.hosts.lock().insert((*host).to_owned(), Host::Simulated(Arc::clone(provider)));
        }
        let metrics = Arc::new(Metrics::new().unwrap());
        let cells = Mutex::new(Cells::default());
        let now = faregate::runtime::now();
        let snapshot = Snapshot::build(compile(wall, config, policy), 1, &cells, &metrics, now).unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (access_log, writer) = AccessLog::start(Sink(Arc::clone(&log)), Arc::clone(&metrics)).unwrap();
        let authority = Authority::new();
        let tls = Arc::new(authority.client_config());
        let shared = Arc::new(Shared::new(Arc::new(snapshot), metrics, access_log));
        tokio::spawn(faregate::control::market::run(Arc::clone(&shared)));
        let connector = Connector::with_tls(Arc::clone(&net) as Arc<dyn Dial>, tls);
        tokio::spawn(faregate::control::wallets::run(Arc::clone(&shared), connector.clone()));
        let worker = Arc::new(Worker {
            shared,
            pool: Arc::new(Pool::new(connector)),
            rng: Mutex::new(faregate::runtime::seeded(11)),
        });
        Self { worker, net, authority, cells, log, writer: Mutex::new(Some(writer)), graceful: GracefulShutdown::new() }
    }

    /// Puts another configuration in force.
    pub(crate) fn reload(&self, config: &str, policy: &str) {
        let shared = &self.worker.shared;
        let generation = shared.snapshot().generation + 1;
        let now = faregate::runtime::now();
        let snapshot = Snapshot::build(
            compile(SystemTime::UNIX_EPOCH, config, policy),
            generation,
            &self.cells,
            &shared.metrics,
            now,
        )
        .unwrap();
        shared.commit(Arc::new(snapshot));
    }

    /// Puts a host on the net that shows a certificate for `name`, signed by the authority that the rig trusts.
    pub(crate) fn plug_secure(&self, host: &str, name: &str, provider: &Arc<Provider>) {
        let acceptor = TlsAcceptor::from(Arc::new(self.authority.server_config(name)));
        self.net.hosts.lock().insert(host.to_owned(), Host::Secure(Arc::clone(provider), acceptor));
    }

    /// Puts a host on the net that says the same to everybody and hangs up.
    pub(crate) fn plug_raw(&self, host: &str, reply: impl Into<Bytes>) {
        self.net.hosts.lock().insert(host.to_owned(), Host::Raw(reply.into()));
    }

    /// Takes a host off the net: connections to it are refused.
    pub(crate) fn unplug(&self, host: &str) {
        self.net.hosts.lock().remove(host);
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        tokio::spawn(listener::serve(theirs, Arc::clone(&self.worker), self.graceful.watcher()));
        ours
    }

    /// Sends a request over a connection of its own; the body is still to be read.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, hyper::Error> {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(self.connect())).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    }

    /// Sends a request and reads the whole reply. A cut reply is an error.
    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, hyper::Error> {
        let (parts, body) = self.open(request).await?.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(post(path, body.to_string())).await.unwrap()
    }

    /// A plain chat with `model`.
    pub(crate) async fn chat(&self, model: &str) -> Reply {
        self.post("/v1/chat/completions", &chat(model)).await
    }

    /// A streamed chat with `model`.
    pub(crate) async fn stream(&self, model: &str) -> Reply {
        self.post("/v1/chat/completions", &streamed(model)).await
    }

    /// The metrics without the gauges of a scrape.
    pub(crate) fn metrics(&self) -> String {
        self.worker.shared.metrics.render().unwrap()
    }

    /// The value of one series; 0 if it does not exist.
    pub(crate) fn metric(&self, series: &str) -> f64 {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// The access log so far; ends the log.
    pub(crate) fn log(&self) -> Vec<Value> {
        if let Some(writer) = self.writer.lock().take() {
            writer.finish();
        }
        let bytes = self.log.lock().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A POST with a JSON content type.
pub(crate) fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header("host", "gateway")
        .header("content-type", "application/json")
        .body(Full::new(body.into()))
        .unwrap()
}

/// A GET.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::builder().uri(path).header("host", "gateway").body(Full::default()).unwrap()
}

/// A chat.
pub(crate) fn chat(model: &str) -> Value {
    serde_json::json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] })
}

/// A streamed chat.
pub(crate) fn streamed(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = true.into();
    body
}
