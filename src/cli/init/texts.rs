//! The files that a draft comes to, and the proof that they can be used: they are loaded by the loader of `serve` before
//! a byte of them is written.

use std::path::Path;
use std::time::SystemTime;

use crate::policy::{Severity, Sources, load, render};

use super::draft::Draft;
use super::layout::Layout;
use super::{policy_text, toml_text};

/// The name that the configuration has while it is looked at.
const CONFIGURATION: &str = "faregate.toml";

/// What is to be written.
#[derive(Debug)]
pub(super) struct Texts {
    /// `faregate.toml`.
    pub(super) configuration: String,
    /// `policy.toml`, if routes need one.
    pub(super) policy: Option<String>,
}

impl Texts {
    /// Writes both; `origin` says from what.
    pub(super) fn new(draft: &Draft, layout: &Layout, origin: &str) -> Self {
        let configuration = toml_text::configuration(draft, layout, origin);
        Self { configuration, policy: policy_text::policy(draft, layout, origin) }
    }

    /// Whether they load, given their keys; else what is wrong with them.
    pub(super) fn prove(&self, now: SystemTime) -> Result<(), String> {
        // Different ones: two tenants with one key would be refused.
        let env = |name: &str| Some(format!("not-a-key-{name}"));
        let read = |path: &Path| match (path.to_str(), &self.policy) {
            (Some(CONFIGURATION), _) => Ok(self.configuration.clone()),
            (Some("policy.toml"), Some(policy)) => Ok(policy.clone()),
            (Some(key), _) if key.starts_with("keys/") => Ok(format!("not-a-key-{}", key.replace('/', "-"))),
            _ => Err("no such file".to_owned()),
        };
        let sources = Sources { env: &env, read: &read, now, book: None };
        let mut loaded = load(Path::new(CONFIGURATION), &sources);
        loaded.diagnostics.retain(|one| one.severity == Severity::Error);
        if loaded.model.is_some() { Ok(()) } else { Err(render(&loaded.diagnostics)) }
    }
}
