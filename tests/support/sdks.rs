//! Where the official SDKs of `OpenAI` are.

use std::path::PathBuf;
use std::process::Command;

use crate::files::project;
use crate::tools::{find, missing};

/// A Python that has the SDK: the project's own environment if there is one, else the one on PATH.
pub(crate) fn python(what: &str) -> Option<PathBuf> {
    let own = project(".venv/bin/python");
    let python = if own.is_file() { own } else { find("python3", what)? };
    let found = Command::new(&python).args(["-c", "import openai"]).output().unwrap().status.success();
    if !found {
        missing("the Python package `openai` is not installed (tests/sdk/python/requirements.txt)", what);
    }
    found.then_some(python)
}

/// Node, and the folder in which the SDK and its suites are.
pub(crate) fn node(what: &str) -> Option<(PathBuf, PathBuf)> {
    let node = find("node", what)?;
    let folder = project("tests/sdk/node");
    if folder.join("node_modules/openai").is_dir() {
        return Some((node, folder));
    }
    missing("the Node package `openai` is not installed (npm ci in tests/sdk/node)", what);
    None
}
