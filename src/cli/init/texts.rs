//! The files that a draft comes to, and the proof that they can be used: they are loaded by the loader of `serve` before
//! a byte of them is written.

use std::path::Path;
use std::time::SystemTime;

use crate::policy::{Diagnostic, Severity, Sources, load, render, stand_in};

use super::draft::Draft;
use super::layout::Layout;
use super::{policy_text, toml_text};

/// What the policy is called.
pub(super) const POLICY: &str = "policy.toml";

/// The folder of the keys.
pub(super) const KEYS: &str = "keys";

/// What is to be written.
#[derive(Debug)]
pub(super) struct Texts {
    /// `faregate.toml`.
    pub(super) configuration: String,
    /// `policy.toml`, if routes need one.
    pub(super) policy: Option<String>,
}

/// What loading them has shown.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) warnings: Vec<Diagnostic>,
    pub(super) serves: Serving,
}

/// Whether any model can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Serving {
    Something,
    /// It would start, and refuse whatever it is asked.
    Nothing,
}

impl Texts {
    /// Writes both; `origin` says from what.
    pub(super) fn new(draft: &Draft, layout: &Layout, origin: &str) -> Self {
        let configuration = toml_text::configuration(draft, layout, origin);
        Self { configuration, policy: policy_text::policy(draft, layout, origin) }
    }

    /// Loads them, given their keys, as the file `name` and the policy beside it; else what is wrong with them.
    pub(super) fn prove(&self, name: &Path, now: SystemTime) -> Result<Proof, String> {
        // Different ones: two tenants with one key would be refused.
        let env = |name: &str| Some(stand_in(name));
        let read = |path: &Path| match &self.policy {
            Some(policy) if path == Path::new(POLICY) => Ok(policy.clone()),
            _ if path == name => Ok(self.configuration.clone()),
            _ if path.starts_with(KEYS) => Ok(stand_in(&path.display().to_string().replace('/', "-"))),
            _ => Err("no such file".to_owned()),
        };
        let sources = Sources { env: &env, read: &read, now, book: None };
        let mut loaded = load(name, &sources);
        let Some(model) = loaded.model else {
            loaded.diagnostics.retain(|one| one.severity == Severity::Error);
            return Err(render(&loaded.diagnostics));
        };
        loaded.diagnostics.retain(|one| one.severity == Severity::Warning);
        let serves = model.routes.values().any(|route| !route.tiers.is_empty());
        Ok(Proof { warnings: loaded.diagnostics, serves: if serves { Serving::Something } else { Serving::Nothing } })
    }
}
