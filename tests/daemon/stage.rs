//! A daemon in this process, its files, and simulated providers on loopback.

use std::fmt::Write;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use faregate::control::{Daemon, Source};
use faregate::engine::Price;
use faregate::simulated::{Listening, Lognormal, Profile, Provider};
use faregate::units::Tokens;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::{request, send};

/// How long a condition may take to come true on a machine that is busy compiling.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running daemon and everything around it.
pub(crate) struct Stage {
    pub(crate) daemon: Daemon,
    pub(crate) providers: Vec<(Arc<Provider>, Option<Listening>)>,
    pub(crate) folder: TempDir,
}

/// The policy, with a number in it that a reload can change.
pub(crate) fn policy(failure_cost: u32) -> String {
    format!(
        "[objective]\nfailure_cost = \"{failure_cost} USD\"\n[defaults]\n\
         timeouts = {{ connect = \"5s\", first_token = \"30s\", idle = \"30s\", total = \"60s\" }}\n"
    )
}

impl Stage {
    /// `count` equal providers of the model `m`, whose answers have `tokens` tokens, `pace` apart.
    pub(crate) async fn new(count: usize, tokens: u64, pace: Duration) -> Self {
        let mut providers = Vec::new();
        let mut config = "policy = \"policy.toml\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
                          access_log = \"off\"\ndrain = \"30s\"\n"
            .to_owned();
        for number in 0..count {
            let profile = Profile {
                first_token: Lognormal::fixed(Duration::from_millis(5)),
                time_per_token: pace,
                output_tokens: Lognormal::fixed(Tokens(tokens)),
                ..Profile::named("p").with_model("m", Price::default())
            };
            let provider = Provider::new(profile, 1);
            let listening = Arc::clone(&provider).listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
            write!(
                config,
                "[upstreams.p{number}]\ndialect = \"openai\"\nbase_url = \"http://{}/v1\"\nkeys = []\n\
                 [upstreams.p{number}.models.m]\nprice = {{ input = \"1 USD\", output = \"2 USD\" }}\n",
                listening.addr
            )
            .unwrap();
            providers.push((provider, Some(listening)));
        }
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("faregate.toml"), config).unwrap();
        fs::write(folder.path().join("policy.toml"), policy(1)).unwrap();
        let daemon = Daemon::start(source(&folder.path().join("faregate.toml"))).unwrap();
        Self { daemon, providers, folder }
    }

    /// Replaces a file whole, as editors do.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        let draft = self.folder.path().join("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(draft, self.folder.path().join(name)).unwrap();
    }

    /// Asks the admin plane.
    pub(crate) async fn admin(&self, method: &str, path: &str) -> (u16, String) {
        send(self.daemon.admin, request(method, path, "")).await.unwrap()
    }

    /// `/readyz`.
    pub(crate) async fn ready(&self) -> Value {
        serde_json::from_str(&self.admin("GET", "/readyz").await.1).unwrap()
    }

    /// Waits until `/readyz` says so.
    pub(crate) async fn until_ready(&self, what: &str, test: impl Fn(&Value) -> bool) {
        let deadline = tokio::time::sleep(PATIENCE);
        tokio::pin!(deadline);
        loop {
            let ready = self.ready().await;
            if test(&ready) {
                return;
            }
            tokio::select! {
                () = &mut deadline => panic!("{what} never came true: {ready}"),
                () = tokio::time::sleep(Duration::from_millis(20)) => {}
            }
        }
    }
}

/// Files, and no environment.
pub(crate) fn source(path: &std::path::Path) -> Source {
    Source { path: Some(PathBuf::from(path)), environment: Arc::new(|_| None), book: Arc::default() }
}
