//! The official SDKs against every provider.

use std::process::Command;

use serde_json::{Value, json};

use crate::answer::{CALLS, OBJECT, PICTURE, TEXT};
use crate::files::project;
use crate::sdks;
use crate::stage::{Host, Model, Provider, Stage};

/// Runs a suite to its end, and shows what it and the daemon said if it fails.
fn run(suite: &mut Command) {
    let stage = Stage::new();
    let models: Vec<Value> = stage.providers.iter().flat_map(models).collect();
    let said = json!({ "text": TEXT, "picture": PICTURE, "object": OBJECT, "calls": CALLS });
    suite.env("FAREGATE_BASE_URL", format!("http://{}", stage.data));
    suite.env("FAREGATE_SAID", said.to_string()).env("FAREGATE_MODELS", json!(models).to_string());
    let output = suite.output().unwrap();
    let shown = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let complaints: Vec<_> = stage.providers.iter().flat_map(|provider| provider.strict.complaints()).collect();
    assert!(output.status.success() && complaints.is_empty(), "{shown}\n{}\n{}", complaints.join("\n"), stage.log());
}

/// The models of a provider, what each can do, and an error of the client's that the provider knows.
fn models(provider: &Provider) -> Vec<Value> {
    let wrong = provider.facts.errors.iter().find(|error| error.class == "bad_request").map(|error| &error.name);
    let of = |(host, model): (&Host, &Model)| {
        let name = format!("{}/{}", host.upstream, model.name);
        let wrong = wrong.filter(|_| name == provider.flagship());
        json!({ "name": name, "can": model.capabilities, "wrong": wrong })
    };
    provider.models().map(of).collect()
}

#[test]
fn the_python_sdk_is_served_by_every_provider() {
    let Some(python) = sdks::python("the suite of the Python SDK over all providers") else { return };
    run(Command::new(python).arg(project("tests/sdk/python/providers.py")));
}

#[test]
fn the_node_sdk_is_served_by_every_provider() {
    let Some((node, folder)) = sdks::node("the suite of the Node SDK over all providers") else { return };
    run(Command::new(node).args(["--test", "providers.test.mjs"]).current_dir(folder));
}
