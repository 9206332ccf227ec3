//! Loading: a configuration, the policy that it names, and every key, in one go.
//!
//! A load either gives a complete model or none; what is wrong comes with it in both cases. It lists the files it
//! asked for even when it fails, since a watcher must notice when one of them is repaired.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::builtin::{self, BUILTIN};
use super::compile::{Calendars, Context, Providers, compile, feeds};
use super::diagnostic::{Diagnostic, Diagnostics, Severity};
use super::fields::Document;
use super::inputs::{Inputs, Sources};
use super::model::Model;
use super::nearest::advice;
use super::offers::{Account, offers};
use super::raw::config::{Config, config};
use super::raw::policy::{Policy, policy};
use super::secrecy::Syntax;
use super::source::At;

/// The policy that is used when a configuration names none.
const USUAL_POLICY: &str = "builtin:balanced";

/// What came of a load.
#[derive(Debug)]
pub struct Loaded {
    /// The model; `None` if anything is wrong.
    pub model: Option<Model>,
    /// What is wrong, or worth knowing.
    pub diagnostics: Vec<Diagnostic>,
    /// Every file that was asked for, the missing ones too.
    pub files: Vec<PathBuf>,
}

/// Loads the configuration at `path`.
pub fn load(path: &Path, sources: &Sources<'_>) -> Loaded {
    Loading::new(sources).run(|loading| {
        let text = loading.text(path)?;
        loading.config(&path.display().to_string(), folder_of(path), &text, None)
    })
}

/// Loads the embedded default: every catalogue provider whose usual key variable is set, under `builtin:balanced`.
pub fn load_default(sources: &Sources<'_>) -> Loaded {
    Loading::new(sources).run(|loading| {
        let Some(text) = default_config(sources.env) else {
            loading.report.push(nothing_to_call());
            return None;
        };
        loading.config("(embedded default)", Path::new(""), &text, None)
    })
}

/// Loads the policy at `path` as if the configuration at `config` named it; without one, against the whole catalogue
/// with stand-ins for keys (a model for reading, not for serving).
pub fn load_policy(path: &Path, config: Option<&Path>, sources: &Sources<'_>) -> Loaded {
    let env = |name: &str| (sources.env)(name).or_else(|| Some(stand_in(name)));
    let sources = if config.is_some() { *sources } else { Sources { env: &env, ..*sources } };
    Loading::new(&sources).run(|loading| {
        let (name, folder, text) = match config {
            Some(config) => (config.display().to_string(), folder_of(config), loading.text(config)?),
            None => ("(catalogue)".to_owned(), Path::new(""), default_config(&env)?),
        };
        loading.config(&name, folder, &text, Some(path))
    })
}

const STAND_IN: &str = "not-a-key-";

/// What stands in for a key whose variable is not set, for whoever only looks at a configuration. Each variable has one
/// of its own: two tenants with the same key would be refused.
pub fn stand_in(variable: &str) -> String {
    format!("{STAND_IN}{variable}")
}

/// The variable that `key` stands in for, if it does.
pub fn stood_in(key: &str) -> Option<&str> {
    key.strip_prefix(STAND_IN)
}

/// Whether `text` is a policy rather than a configuration: it has `[objective]`, `[defaults]` or `[[routes]]`.
pub fn is_policy(text: &str) -> bool {
    let document = Document::parse("", text, &Diagnostics::default());
    ["objective", "defaults", "routes"].iter().any(|name| document.has(name))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// A configuration with every account whose key is in the environment; `None` with none.
fn default_config(env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = format!("policy = \"{USUAL_POLICY}\"\n");
    let mut any = None;
    for offer in offers() {
        let listed = |account: &Account<'_>| !account.host.models.is_empty();
        for Account { name, host, variable } in offer.accounts(env).into_iter().filter(listed) {
            let (provider, region) = (offer.name, &host.region);
            write!(text, "\n[upstreams.{name}]\nprovider = \"{provider}\"\nregion = \"{region}\"\n").ok()?;
            writeln!(text, "keys = [\"env:{variable}\"]").ok()?;
            any = Some(());
        }
    }
    any.map(|()| text)
}

fn nothing_to_call() -> Diagnostic {
    let offers = offers();
    let listed = offers.iter().filter(|offer| offer.is_listed());
    let variables = listed.filter_map(|offer| offer.key_variables.first()).cloned().collect::<Vec<_>>();
    let hint = format!(
        "set one of {}, or write a faregate.toml; `faregate demo` needs no key and no network",
        variables.join(", ")
    );
    Diagnostic::general(Severity::Error, "there is no configuration and no provider's key is set").hint(hint)
}

struct Loading<'a> {
    report: Diagnostics,
    inputs: Inputs<'a>,
}

impl<'a> Loading<'a> {
    fn new(sources: &Sources<'a>) -> Self {
        Self { report: Diagnostics::default(), inputs: Inputs::new(*sources) }
    }

    fn run(self, load: impl FnOnce(&Self) -> Option<Model>) -> Loaded {
        let model = load(&self);
        Loaded { model, files: self.inputs.files(), diagnostics: self.report.into_sorted() }
    }

    fn text(&self, path: &Path) -> Option<String> {
        let name = path.display();
        let refuse = |error| {
            self.report.push(Diagnostic::general(Severity::Error, format!("`{name}` cannot be read: {error}")));
        };
        self.inputs.read(path).map_err(refuse).ok()
    }

    fn config(&self, name: &str, folder: &Path, text: &str, instead: Option<&Path>) -> Option<Model> {
        self.inputs.note(text);
        let document = Document::parse(name, text, &self.report);
        let config = config(&document, &self.report);
        let (policy, source) = match instead {
            Some(path) => (self.policy_file(path, None), path.display().to_string()),
            None => self.policy(&config, folder),
        };
        // Names that stand in a file without valid syntax are unknown, not missing.
        let policy = policy.filter(|_| document.syntax == Syntax::Whole)?;
        let providers = Providers::new(&self.report);
        let calendars = Calendars::new(&config.calendars);
        let (report, inputs) = (&self.report, &self.inputs);
        let mut feeds = feeds(&config, folder, report);
        feeds.splice(..0, inputs.book().iter().flat_map(|book| book.tried.iter().cloned()));
        let (calendars, providers, feeds) = (&calendars, &providers, feeds.as_slice());
        let context = Context { report, inputs, folder, calendars, providers, feeds };
        compile(&config, &policy, &source, &context)
    }

    fn policy(&self, config: &Config, folder: &Path) -> (Option<Policy>, String) {
        let source = config.policy.as_ref().map_or(USUAL_POLICY, |policy| policy.value.as_str());
        let policy = match source.strip_prefix("builtin:") {
            Some(name) => self.builtin(name, config.policy.as_ref()),
            None => self.policy_file(&folder.join(source), config.policy.as_ref()),
        };
        (policy, source.to_owned())
    }

    fn builtin(&self, name: &str, named_at: Option<&At<String>>) -> Option<Policy> {
        if let Some(builtin) = builtin::find(name) {
            return self.policy_text(&format!("builtin:{name}"), builtin.text);
        }
        let known = BUILTIN.map(|builtin| builtin.name);
        if let Some(at) = named_at {
            let diagnostic = Diagnostic::error(&at.place, format!("there is no built-in policy `{name}`"));
            self.report.push(diagnostic.hint(advice(name, &known).unwrap_or_default()));
        }
        None
    }

    fn policy_file(&self, path: &Path, named_at: Option<&At<String>>) -> Option<Policy> {
        let Some(at) = named_at else {
            let text = self.text(path)?;
            return self.policy_text(&path.display().to_string(), &text);
        };
        let refuse = |error| {
            let diagnostic = Diagnostic::error(&at.place, format!("the policy cannot be read: {error}"));
            self.report.push(diagnostic.hint("a path is relative to this file; or use \"builtin:balanced\""));
        };
        let text = self.inputs.read(path).map_err(refuse).ok()?;
        self.policy_text(&path.display().to_string(), &text)
    }

    /// `None` if the text is not valid TOML.
    fn policy_text(&self, name: &str, text: &str) -> Option<Policy> {
        self.inputs.note(text);
        let document = Document::parse(name, text, &self.report);
        let policy = policy(&document, &self.report);
        (document.syntax == Syntax::Whole).then_some(policy)
    }
}
