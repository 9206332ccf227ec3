//! `faregate check [FILE…]`: are these files usable, and what would they do? Reads and prints; runs nothing.
//!
//! The files go through the very code that `serve` loads them with, so what passes here starts there (given the same
//! environment), and what is refused there is refused here with the same words.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::policy::model::{Feed, FeedUrl, Model};
use crate::policy::{Diagnostic, Loaded, Severity, Sources, is_policy, load, load_policy, render};

use super::Format;
use super::resolve::Resolved;
use super::serve::USUAL_PLACES;

/// Whether to print what the files come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Resolve {
    /// Mistakes only.
    #[default]
    No,
    /// Routes, tiers, endpoints, prices, and what is excluded, too.
    Yes,
}

/// What a command prints, and how it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CheckOutcome {
    /// The whole output.
    pub stdout: String,
    /// 0: fine; 2: invalid.
    pub exit_code: u8,
}

/// The files that are named, or else the configuration that `serve` would take from a usual place.
pub(super) fn files(named: &[PathBuf], usual: impl FnOnce() -> Option<PathBuf>) -> Result<Vec<PathBuf>, String> {
    if !named.is_empty() {
        return Ok(named.to_vec());
    }
    usual().map(|path| vec![path]).ok_or_else(|| {
        let places = USUAL_PLACES.map(|place| format!("`{place}`")).join(" nor ");
        format!("no FILE is given, and there is neither {places} to be checked\n  = help: faregate check FILE…")
    })
}

/// Checks each of `files`: a policy against the configuration `config`, or else the catalogue; a configuration with
/// the policy that it names.
pub(super) fn check(
    files: &[PathBuf],
    config: Option<&Path>,
    format: Format,
    resolve: Resolve,
    sources: &Sources<'_>,
) -> CheckOutcome {
    let reports: Vec<_> = files.iter().map(|file| Report::of(file, config, resolve, sources)).collect();
    let valid = reports.iter().all(|report| report.valid);
    let stdout = match format {
        Format::Plain => reports.iter().map(Report::plain).collect(),
        Format::Json => json(&Checked { valid, files: &reports }),
    };
    CheckOutcome { stdout, exit_code: if valid { 0 } else { 2 } }
}

/// What the check came to.
#[derive(Serialize)]
struct Checked<'a> {
    valid: bool,
    files: &'a [Report],
}

/// What the check of one file came to.
#[derive(Serialize)]
struct Report {
    file: PathBuf,
    valid: bool,
    diagnostics: Vec<Diagnostic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolved: Option<Resolved>,
}

/// A price list that is a file, and cannot be read as one.
fn unread(feed: &Feed, sources: &Sources<'_>) -> Option<Diagnostic> {
    let FeedUrl::File(path) = &feed.url else { return None };
    let error = (sources.read)(path).err()?;
    let message = format!("the price list `{}` ({}) cannot be read: {error}", feed.name, path.display());
    Some(
        Diagnostic::general(Severity::Warning, message)
            .hint("its models keep the prices of the catalogue until it can"),
    )
}

/// What nobody has confirmed of what the catalogue says about a provider, once for each.
fn unverified(model: &Model) -> Vec<Diagnostic> {
    let mut facts = BTreeMap::new();
    for upstream in model.upstreams.values().filter(|upstream| !upstream.unverified.is_empty()) {
        facts.entry(upstream.provider.clone().unwrap_or_default()).or_insert_with(|| upstream.unverified.join("; "));
    }
    let note = |(provider, facts): (Arc<str>, String)| {
        let message = format!("what the catalogue says of `{provider}` and nobody has confirmed: {facts}");
        let hint = "where it is wrong, say so in the upstream's own table: base_url, models, quirks, errors";
        Diagnostic::general(Severity::Note, message).hint(hint)
    };
    facts.into_iter().map(note).collect()
}

impl Report {
    fn of(file: &Path, config: Option<&Path>, resolve: Resolve, sources: &Sources<'_>) -> Self {
        let (kind, Loaded { model, mut diagnostics, .. }) = load_any(file, config, sources);
        if kind == Kind::Configuration {
            diagnostics.extend(model.iter().flat_map(unverified));
        }
        diagnostics.extend(model.iter().flat_map(|model| &model.feeds).filter_map(|feed| unread(feed, sources)));
        let resolved = match resolve {
            Resolve::Yes => model.as_ref().map(Resolved::new),
            Resolve::No => None,
        };
        Self { file: file.to_owned(), valid: model.is_some(), diagnostics, resolved }
    }

    fn plain(&self) -> String {
        let resolved = self.resolved.as_ref().map(Resolved::plain).unwrap_or_default();
        render(&by_severity(&self.diagnostics)) + &self.verdict() + &resolved
    }

    fn verdict(&self) -> String {
        let count = |severity| self.diagnostics.iter().filter(|one| one.severity == severity).count();
        let counts =
            [(count(Severity::Error), "error"), (count(Severity::Warning), "warning"), (count(Severity::Note), "note")];
        let some = counts.iter().filter(|(count, _)| *count > 0);
        let parts = some.map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }));
        let parts = parts.collect::<Vec<_>>().join(", ");
        let state = if self.valid { "ok" } else { "invalid" };
        let file = self.file.display();
        if parts.is_empty() { format!("{file}: {state}\n") } else { format!("{file}: {state} ({parts})\n") }
    }
}

/// What has to be mended stands next to the verdict, where people look first; tools get the order of the files.
fn by_severity(diagnostics: &[Diagnostic]) -> Vec<Diagnostic> {
    let mut sorted = diagnostics.to_vec();
    sorted.sort_by_key(|one| one.severity);
    sorted
}

fn json(checked: &Checked<'_>) -> String {
    serde_json::to_string_pretty(checked).map_or_else(|error| error.to_string(), |json| json + "\n")
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Policy,
    Configuration,
}

fn load_any(file: &Path, config: Option<&Path>, sources: &Sources<'_>) -> (Kind, Loaded) {
    match (sources.read)(file) {
        Ok(text) if is_policy(&text) => (Kind::Policy, load_policy(file, config, sources)),
        // An unreadable file is reported by the load itself.
        Ok(_) | Err(_) => (Kind::Configuration, load(file, sources)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    fn run(
        files: &[(&str, &str)],
        checked: &str,
        config: Option<&str>,
        format: Format,
        resolve: Resolve,
    ) -> CheckOutcome {
        let env = |name: &str| (name == "ZHIPU_API_KEY").then(|| "zhipu-secret".to_owned());
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| "no such file".to_owned())
        };
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_795_400_000);
        let sources = Sources { env: &env, read: &read, now, book: None };
        check(&[checked.into()], config.map(Path::new), format, resolve, &sources)
    }

    const CONFIG: &str = r#"
        policy = "p.toml"
        [upstreams.zhipu]
        provider = "zhipu"
        keys = ["env:ZHIPU_API_KEY"]
        [upstreams.house]
        base_url = "http://127.0.0.1:8000/v1"
        [upstreams.house.models.small]
        price = { input = "0.10 USD", output = "0.30 USD" }
        [upstreams.house.models.unpriced]
    "#;
    const POLICY: &str = r#"
        [defaults]
        unlisted = "refuse"
        [[routes]]
        name = "chat"
        models = ["gpt-4o"]
        cluster = [["zhipu/glm-5.3", { endpoint = "house/small", handicap = "10%" }], ["house/unpriced", "openai/gpt-4o"]]
    "#;

    #[test]
    fn a_resolved_check_shows_tiers_prices_and_what_is_excluded() {
        let files = [("f.toml", CONFIG), ("p.toml", POLICY)];
        let outcome = run(&files, "f.toml", None, Format::Plain, Resolve::Yes);
        insta::assert_snapshot!(outcome.stdout);
        assert_eq!(outcome.exit_code, 0);
    }

    #[test]
    fn models_that_can_be_named_directly_are_listed_with_their_prices() {
        let house = CONFIG.split_once("[upstreams.house]").unwrap().1;
        let config = format!("policy = \"p.toml\"\n[upstreams.house]{house}");
        let files = [("f.toml", config.as_str()), ("p.toml", "[defaults]\nunknown_price = \"last_resort\"")];
        let outcome = run(&files, "f.toml", None, Format::Plain, Resolve::Yes);
        insta::assert_snapshot!(outcome.stdout, @r"
        f.toml: ok

        policy: p.toml

        models named directly
          endpoint               input     output  one second in output tokens
            house/small            0.1        0.3  667
            house/unpriced     unknown    unknown  -
        ");
    }

    #[test]
    fn a_policy_is_checked_against_the_catalogue_unless_a_configuration_is_given() {
        let files = [("f.toml", CONFIG), ("p.toml", POLICY)];
        let alone = run(&files, "p.toml", None, Format::Plain, Resolve::No);
        assert!(alone.stdout.contains("no upstream and no provider called `house`"), "{}", alone.stdout);
        assert_eq!(alone.exit_code, 2);
        let with = run(&files, "p.toml", Some("f.toml"), Format::Plain, Resolve::No);
        assert_eq!(
            (with.exit_code, with.stdout.lines().last()),
            (0, Some("p.toml: ok (1 warning, 1 note)")),
            "{}",
            with.stdout
        );
    }

    #[test]
    fn what_nobody_has_confirmed_is_said_once_and_of_configurations_only() {
        let second = "[upstreams.zhipu2]\nprovider = \"zhipu\"\nkeys = [\"env:ZHIPU_API_KEY\"]\n";
        let config = format!("{CONFIG}\n{second}");
        let files = [("f.toml", config.as_str()), ("p.toml", POLICY)];
        let said = |checked| run(&files, checked, Some("f.toml"), Format::Plain, Resolve::No).stdout;
        let about = "what the catalogue says of `zhipu` and nobody has confirmed: the status of errors 1211";
        assert_eq!(said("f.toml").matches(about).count(), 1, "{}", said("f.toml"));
        assert_eq!(said("p.toml").matches("nobody has confirmed").count(), 0, "{}", said("p.toml"));
    }

    #[test]
    fn errors_come_last_for_people_and_in_the_order_of_the_files_for_tools() {
        let policy = POLICY.replace("10%", "-10%").replace("\"gpt-4o\"]", "\"a b\"]");
        let files = [("f.toml", CONFIG), ("p.toml", policy.as_str())];
        let outcome = run(&files, "f.toml", None, Format::Plain, Resolve::No);
        let severity = |line: &&str| ["note: ", "warning: ", "error: "].iter().any(|one| line.starts_with(one));
        let kinds = outcome.stdout.lines().filter(severity).map(|line| line.split(':').next().unwrap());
        assert_eq!(kinds.collect::<Vec<_>>(), ["note", "warning", "warning", "error"], "{}", outcome.stdout);
        let json = run(&files, "f.toml", None, Format::Json, Resolve::No);
        let said: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
        let lines = said["files"][0]["diagnostics"].as_array().unwrap().iter();
        let lines = lines.map(|one| (one["file"].as_str().unwrap().to_owned(), one["line"].as_u64().unwrap()));
        assert!(lines.is_sorted(), "{}", json.stdout);
    }

    #[test]
    fn without_a_file_what_serve_would_take_is_checked() {
        let named = [PathBuf::from("f.toml")];
        assert_eq!(files(&named, || None), Ok(named.to_vec()));
        assert_eq!(files(&[], || Some("./faregate.toml".into())), Ok(vec!["./faregate.toml".into()]));
        let error = files(&[], || None).unwrap_err();
        assert!(error.contains("neither `faregate.toml` nor `/etc/faregate/faregate.toml`"), "{error}");
    }

    #[test]
    fn a_configuration_without_upstreams_serves_nothing_and_says_so() {
        let outcome = run(&[("f.toml", "")], "f.toml", None, Format::Plain, Resolve::No);
        assert!(
            outcome.stdout.contains("warning: no upstream is configured, so that nothing is served"),
            "{}",
            outcome.stdout
        );
        assert_eq!(outcome.exit_code, 0);
    }

    #[test]
    fn json_is_one_object() {
        let files = [("f.toml", CONFIG), ("p.toml", POLICY)];
        let outcome = run(&files, "f.toml", None, Format::Json, Resolve::Yes);
        let said: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
        assert_eq!((&said["valid"], &said["files"][0]["file"]), (&true.into(), &"f.toml".into()));
        let severities = said["files"][0]["diagnostics"].as_array().unwrap().iter().map(|one| &one["severity"]);
        assert_eq!(severities.collect::<Vec<_>>(), ["warning", "note", "note"]);
        let first = &said["files"][0]["resolved"]["routes"][0]["tiers"][0][0];
        assert_eq!(first["endpoint"], "zhipu/glm-5.3#ZHIPU_API_KEY");
    }

    #[test]
    fn a_missing_file_is_invalid() {
        let outcome = run(&[], "f.toml", None, Format::Plain, Resolve::No);
        assert_eq!(outcome.exit_code, 2);
        assert_eq!(outcome.stdout, "error: `f.toml` cannot be read: no such file\n\nf.toml: invalid (1 error)\n");
    }
}
