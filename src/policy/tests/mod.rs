//! The rules of configuration and policy, as a user meets them: texts in, model or diagnostics out.

mod accepted;
mod bypass;
mod catalogue;
mod contract;
mod faults;
mod feeds;
mod mistakes;
mod model;
mod prices;
mod remedies;
mod secrets;
mod tariffs;

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::model::{Candidate, Model, Route};
use super::{Loaded, Sources, load, render};

/// Files by name, in memory; variables by name.
pub(super) struct World<'a> {
    pub(super) files: Vec<(&'a str, String)>,
    pub(super) variables: Vec<(&'a str, &'a str)>,
    pub(super) now: SystemTime,
}

impl World<'_> {
    /// A configuration at `etc/f.toml` and, beside it, a policy that it names.
    pub(super) fn new(config: &str, policy: &str) -> Self {
        let config = format!("policy = \"p.toml\"\n{config}");
        Self {
            files: vec![("etc/f.toml", config), ("etc/p.toml", policy.to_owned())],
            variables: vec![("KEY", "sk-env-secret-1"), ("OTHER", "sk-env-secret-2")],
            // 2026-11-23.
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_400_000),
        }
    }

    pub(super) fn with<T>(&self, use_it: impl FnOnce(&Sources<'_>) -> T) -> T {
        let env = |name: &str| self.variables.iter().find(|(known, _)| *known == name).map(|(_, it)| (*it).to_owned());
        let read = |path: &Path| {
            let found = self.files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| text.clone()).ok_or_else(|| "no such file".to_owned())
        };
        use_it(&Sources { env: &env, read: &read, now: self.now, book: None })
    }

    pub(super) fn load(&self) -> Loaded {
        self.with(|sources| load(Path::new("etc/f.toml"), sources))
    }

    /// The model; the diagnostics are the panic's message if there is none.
    pub(super) fn model(&self) -> Model {
        let loaded = self.load();
        let text = render(&loaded.diagnostics);
        loaded.model.unwrap_or_else(|| panic!("{text}"))
    }

    /// All diagnostics as people see them.
    pub(super) fn complaints(&self) -> String {
        render(&self.load().diagnostics)
    }
}

/// Two upstreams of one's own: `a` with two keys and two models, `b` without keys.
pub(super) const CONFIG: &str = r#"
[upstreams.a]
base_url = "https://a.example/v1"
keys = ["env:KEY", { name = "second", key = "env:OTHER", models = ["m*"] }]
regions = ["cn.beijing"]
tags = ["zdr"]
[upstreams.a.models.m1]
price = { input = "8 CNY", output = "28 CNY" }
[upstreams.a.models.x1]
price = { input = "1 USD", output = "2 USD" }
[upstreams.b]
base_url = "http://127.0.0.1:8000/v1"
[upstreams.b.models.m1]
price = { input = "0 USD", output = "0 USD" }
[upstreams.b.models.unpriced]
"#;

/// The same without the model whose price is not known, and which is warned of.
pub(super) fn priced() -> String {
    CONFIG.replace("[upstreams.b.models.unpriced]\n", "")
}

/// The route that serves a model name.
pub(super) fn route<'m>(model: &'m Model, name: &str) -> &'m Route {
    &model.routes[model.names.resolve(name).unwrap_or_else(|| panic!("nothing serves {name}"))]
}

/// A route's endpoints by name, tier by tier.
pub(super) fn tiers(model: &Model, name: &str) -> Vec<Vec<String>> {
    let id = |candidate: &Candidate| model.endpoints[candidate.endpoint].id.to_string();
    route(model, name).tiers.iter().map(|tier| tier.iter().map(id).collect()).collect()
}

/// Who a route leaves out, and why.
pub(super) fn excluded(model: &Model, name: &str) -> Vec<(String, String)> {
    let one = |one: &super::model::Excluded| (model.endpoints[one.endpoint].id.to_string(), one.reason.clone());
    route(model, name).excluded.iter().map(one).collect()
}
