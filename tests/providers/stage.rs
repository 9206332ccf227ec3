//! The real binary with an upstream for every host of the catalogue, each leading to the strict provider of that name.

use std::fs;
use std::sync::Arc;

use faregate::catalog;
use parking_lot::Mutex;
use tempfile::TempDir;

use crate::client;
use crate::daemon::Daemon;
use crate::facts::{self, Facts, Key, Price};
use crate::strict::{Strict, path_of, right_key};

/// All of it. Ends when dropped.
pub(crate) struct Stage {
    /// The data plane.
    pub(crate) data: String,
    /// The admin plane.
    pub(crate) admin: String,
    pub(crate) providers: Vec<Provider>,
    faregate: Mutex<Daemon>,
    _folder: TempDir,
}

/// One provider of the catalogue.
pub(crate) struct Provider {
    pub(crate) facts: Arc<Facts>,
    pub(crate) hosts: Vec<Host>,
    pub(crate) strict: Strict,
}

/// One of its hosts.
pub(crate) struct Host {
    /// What the upstream is called.
    pub(crate) upstream: String,
    pub(crate) region: String,
    /// Where the catalogue says that it is.
    pub(crate) base_url: String,
    /// Its chat models.
    pub(crate) models: Vec<Model>,
}

/// One of a host's models.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) capabilities: Vec<String>,
}

impl Model {
    pub(crate) fn can(&self, what: &str) -> bool {
        self.capabilities.iter().any(|one| one == what)
    }
}

impl Host {
    /// Where the strict provider is, under the path that the catalogue says.
    pub(crate) fn local(&self, strict: &Strict) -> String {
        format!("http://{}{}", strict.address, path_of(&self.base_url))
    }
}

impl Provider {
    /// What nobody has confirmed of what the catalogue says of it.
    pub(crate) fn unverified(&self) -> Vec<String> {
        let entry = catalog::find(&self.facts.name).unwrap();
        let file: toml::Table = entry.text.parse().unwrap();
        let listed = file.get("unverified").and_then(toml::Value::as_array).into_iter().flatten();
        listed.filter_map(|fact| fact.as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn all() -> Vec<Self> {
        let provider = |facts: Facts| {
            let facts = Arc::new(facts);
            Self { hosts: hosts(&facts), strict: Strict::start(&facts), facts }
        };
        facts::all().into_iter().map(provider).collect()
    }

    /// The host that stands for the others where one is enough.
    pub(crate) fn first(&self) -> &Host {
        self.hosts.iter().find(|host| !host.models.is_empty()).unwrap()
    }

    /// What faregate calls the model that stands for the others.
    pub(crate) fn flagship(&self) -> String {
        format!("{}/{}", self.first().upstream, self.facts.model)
    }

    /// Whether any model of it can do that.
    pub(crate) fn can(&self, what: &str) -> bool {
        self.models().any(|(_, model)| model.can(what))
    }

    pub(crate) fn models(&self) -> impl Iterator<Item = (&Host, &Model)> {
        self.hosts.iter().flat_map(|host| host.models.iter().map(move |model| (host, model)))
    }

    /// Tables of models that the catalogue leaves to the operator.
    pub(crate) fn own_models(&self, upstream: &str) -> String {
        let Price { input, output, currency, .. } = &self.facts.usage.price;
        let table = |(name, capabilities): (&String, &Vec<String>)| {
            format!(
                "[upstreams.{upstream}.models.\"{name}\"]\n\
                 price = {{ input = \"{input} {currency}\", output = \"{output} {currency}\" }}\n\
                 context = 32_768\ncapabilities = {capabilities:?}\n"
            )
        };
        self.facts.models.iter().map(table).collect()
    }
}

/// The hosts that the catalogue has of a provider.
fn hosts(facts: &Facts) -> Vec<Host> {
    let entry: toml::Table = catalog::find(&facts.name).unwrap().text.parse().unwrap();
    let host = |(region, table): (&String, &toml::Value)| {
        let listed = table.get("models").and_then(toml::Value::as_table).into_iter().flatten();
        let listed = listed.map(|(name, model)| Model { name: name.clone(), capabilities: capabilities(model) });
        let own = facts.models.iter();
        let own = own.map(|(name, can)| Model { name: name.clone(), capabilities: can.clone() });
        Host {
            upstream: format!("{}-{region}", facts.name),
            region: region.clone(),
            base_url: table["base_url"].as_str().unwrap().to_owned(),
            models: listed.filter(|model| !is_for_vectors(&model.name)).chain(own).collect(),
        }
    };
    let hosts: Vec<_> = entry["hosts"].as_table().unwrap().iter().map(host).collect();
    let addresses = hosts.iter().map(|host| (host.region.clone(), host.base_url.clone())).collect();
    assert_eq!(facts.hosts, addresses, "{}: where it is", facts.name);
    hosts
}

fn is_for_vectors(model: &str) -> bool {
    let name = model.to_lowercase();
    ["embed", "bge-"].iter().any(|part| name.contains(part))
}

fn capabilities(model: &toml::Value) -> Vec<String> {
    let listed = model.get("capabilities").and_then(toml::Value::as_array).into_iter().flatten();
    listed.filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

/// The key of an upstream, for its configuration.
pub(crate) fn keys(facts: &Facts, key: &str, models: &str) -> String {
    match facts.key {
        Key::Bearer => format!("[{{ name = \"main\", key = \"literal:{key}\"{models} }}]"),
        Key::None => "[]".to_owned(),
    }
}

/// Dollars for a yuan.
pub(crate) const YUAN: f64 = 0.125;

const SERVER: &str = "policy = \"policy.toml\"\n[server]\nlisten = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\
    [exchange]\nCNY = { usd = \"0.125\", as_of = \"2026-11-20\" }\n";

/// One who is good is asked, whoever else there is.
pub(crate) const POLICY: &str = "[objective]\nspread = \"0%\"\nexploration = \"0%\"\n\
    [defaults]\nretry = { attempts = 3, budget = \"100%\", floor = \"1000/s\" }\n";

impl Stage {
    /// With every host of every provider.
    pub(crate) fn new() -> Self {
        let providers = Provider::all();
        let mut upstreams = String::new();
        for provider in &providers {
            for host in &provider.hosts {
                upstreams += &upstream(provider, host);
                upstreams += &provider.own_models(&host.upstream);
            }
        }
        Self::with(providers, &upstreams, POLICY)
    }

    /// With these upstreams and this policy.
    pub(crate) fn with(providers: Vec<Provider>, upstreams: &str, policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("faregate.toml"), SERVER.to_owned() + upstreams).unwrap();
        fs::write(folder.path().join("policy.toml"), policy).unwrap();
        let mut faregate = Daemon::start(&["serve", "-c", "faregate.toml"], folder.path());
        let (data, admin) = (faregate.address("data plane listening"), faregate.address("admin listening"));
        Self { data, admin, providers, faregate: Mutex::new(faregate), _folder: folder }
    }

    /// What faregate has said, without its access log.
    pub(crate) fn log(&self) -> String {
        self.faregate.lock().log().lines().filter(|line| !line.starts_with('{')).collect::<Vec<_>>().join("\n")
    }

    /// The metrics as they are now.
    pub(crate) fn metrics(&self) -> Result<Metrics, String> {
        Ok(Metrics(client::page(&self.admin, "/metrics")?.text))
    }

    /// Makes an upstream forget what has gone wrong.
    pub(crate) fn reset(&self, upstream: &str) -> Result<(), String> {
        let reply = client::tell(&self.admin, &format!("/v1/endpoints/{upstream}"), r#"{"state":"reset"}"#)?;
        if reply.status == 200 { Ok(()) } else { Err(format!("no reset: {} {}", reply.status, reply.text)) }
    }

    /// What the admin plane knows of an upstream's endpoint for a model.
    pub(crate) fn endpoint(&self, upstream: &str, model: &str) -> Result<serde_json::Value, String> {
        let all = client::page(&self.admin, "/v1/endpoints")?.json()?;
        let all = all["endpoints"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|one| one["upstream"] == upstream && one["model"] == model);
        found.ok_or_else(|| format!("{upstream}/{model} is not in /v1/endpoints"))
    }
}

/// One scrape.
pub(crate) struct Metrics(String);

impl Metrics {
    /// The value of a series; 0 if it does not exist.
    pub(crate) fn of(&self, series: &str) -> f64 {
        let line = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }
}

fn upstream(provider: &Provider, host: &Host) -> String {
    let Host { upstream, region, .. } = host;
    let (name, url) = (&provider.facts.name, host.local(&provider.strict));
    let keys = keys(&provider.facts, &right_key(name), "");
    format!(
        "[upstreams.{upstream}]\nprovider = \"{name}\"\nregion = \"{region}\"\nbase_url = \"{url}\"\nkeys = {keys}\n"
    )
}
