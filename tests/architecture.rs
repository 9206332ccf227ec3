//! Layers point one way: what decides cannot wait, read a clock or open a socket, because it cannot even name them.
//!
//! `clippy.toml` bans calls; this bans imports, and keeps files short and introduced. The checker itself is checked
//! on source text that breaks each rule.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a checker of our own source fails by panicking")]

#[path = "support/rust_paths.rs"]
mod rust_paths;

use std::fs;
use std::path::{Path, PathBuf};

use rust_paths::{named_paths, without_tests};

/// What a layer may name.
struct Layer {
    /// The modules directly under the crate's root that belong to it.
    modules: &'static [&'static str],
    /// The modules it may use besides its own.
    uses: &'static [&'static str],
    /// The dependencies it may use; everything else of `Cargo.toml` is out.
    crates: &'static [&'static str],
}

const PURE: [Layer; 5] = [
    Layer { modules: &["units", "ids"], uses: &[], crates: &["serde", "thiserror"] },
    Layer { modules: &["engine"], uses: &["units", "ids"], crates: &["rand", "serde", "thiserror"] },
    Layer {
        modules: &["dialect"],
        uses: &["units", "ids", "engine"],
        crates: &["bytes", "http", "httpdate", "jiff", "memchr", "serde", "serde_json", "simdutf8", "thiserror"],
    },
    Layer { modules: &["feeds"], uses: &["units", "engine"], crates: &["serde", "serde_json", "thiserror"] },
    Layer {
        modules: &["policy"],
        uses: &["units", "ids", "engine", "dialect", "catalog", "feeds"],
        crates: &["jiff", "secrecy", "serde", "serde_json", "thiserror", "toml"],
    },
];

/// What no pure layer names, whatever else it may: files, sockets, threads, the environment, the process, and clocks.
/// Addresses, times and readers are plain values and stay allowed.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "std::os",
    "std::net::TcpStream",
    "std::net::TcpListener",
    "std::net::UdpSocket",
    "std::net::ToSocketAddrs",
    "std::net::*",
    "std::time::Instant",
    "std::time::SystemTime::now",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
];

const LONGEST_FILE: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every source file but those of unit tests, as its path from the root with forward slashes, and its text.
fn sources() -> Vec<(String, String)> {
    let mut pending = vec![root().join("src")];
    let mut found = Vec::new();
    while let Some(path) = pending.pop() {
        if path.ends_with("tests") || path.ends_with("tests.rs") {
            continue;
        }
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push((relative(&path), fs::read_to_string(&path).unwrap()));
        }
    }
    found.sort();
    found
}

fn relative(path: &Path) -> String {
    let parts: PathBuf = path.strip_prefix(root()).unwrap().iter().collect();
    parts.to_str().unwrap().replace('\\', "/")
}

/// The dependencies of `Cargo.toml` as paths name them.
fn dependencies() -> Vec<String> {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let table = manifest.get("dependencies").unwrap().as_table().unwrap();
    table.keys().map(|name| name.replace('-', "_")).collect()
}

/// The module of a file, from the crate's root: `src/engine/plan.rs` is `engine::plan`.
fn module_of(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    inner.split('/').map(str::to_owned).collect()
}

/// The path from the crate's root, where the written one starts at `crate`, `self` or `super`.
fn resolved(path: &[String], module: &[String]) -> Option<Vec<String>> {
    let ups = path.iter().take_while(|part| *part == "super").count();
    let base = match path.first()?.as_str() {
        "crate" => &[],
        "self" => module,
        "super" => module.get(..module.len().checked_sub(ups)?)?,
        _ => return None,
    };
    Some(base.iter().chain(path.get(ups.max(1)..)?).cloned().collect())
}

/// What a file names against the rules of its layer.
fn violations(file: &str, source: &str, dependencies: &[String]) -> Vec<String> {
    let module = module_of(file);
    let layer = PURE.iter().find(|layer| module.first().is_some_and(|first| layer.modules.contains(&first.as_str())));
    let wrong = |path: &[String]| {
        let written = path.join("::");
        if path.first().is_some_and(|first| first == "prometheus") && !file.starts_with("src/observe/metrics/") {
            return Some(format!("{written}: only src/observe/metrics names prometheus"));
        }
        let layer = layer?;
        let within = |ban: &&&str| written == **ban || written.starts_with(&format!("{ban}::"));
        if IMPURE.iter().find(within).is_some() {
            return Some(format!("{written}: this layer is pure"));
        }
        if let Some(own) = resolved(path, &module) {
            let target = own.first()?;
            let allowed = layer.modules.iter().chain(layer.uses).any(|name| name == target);
            return (!allowed).then(|| format!("{written}: this layer may not use `{target}`"));
        }
        let first = path.first()?;
        let foreign = dependencies.contains(first) && !layer.crates.contains(&first.as_str()) && path.len() > 1;
        foreign.then(|| format!("{written}: this layer may not use the crate `{first}`"))
    };
    named_paths(source)
        .into_iter()
        .filter_map(|named| wrong(&named.path).map(|why| format!("{file}:{}: {why}", named.line)))
        .collect()
}

fn is_introduced(source: &str) -> bool {
    source.starts_with("//! ")
}

fn length(source: &str) -> usize {
    without_tests(source).lines().count()
}

#[test]
fn no_layer_names_what_lies_above_it() {
    let dependencies = dependencies();
    let found: Vec<_> = sources().iter().flat_map(|(file, source)| violations(file, source, &dependencies)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_file_states_its_rule_and_stays_readable() {
    let sources = sources();
    assert!(sources.len() > 10, "the sources were not found");
    for (file, source) in sources {
        assert!(is_introduced(&source), "{file} does not open with //!");
        assert!(length(&source) <= LONGEST_FILE, "{file} has {} lines without its tests", length(&source));
    }
}

#[test]
fn the_checker_sees_each_kind_of_violation() {
    let dependencies = ["tokio", "tracing", "rand", "prometheus", "serde_json"].map(str::to_owned);
    let cases = [
        ("src/engine/plan.rs", "use tokio::time::sleep;", "crate `tokio`"),
        ("src/engine/plan.rs", "use crate::{units::Tokens, state::Snapshot};", "`state`"),
        ("src/engine/plan.rs", "use super::super::proxy::Service;", "`proxy`"),
        ("src/engine/plan.rs", "fn f() { crate::runtime::now(); }", "`runtime`"),
        ("src/engine/plan.rs", "fn f() { tracing::warn!(\"x\"); }", "crate `tracing`"),
        ("src/engine/mod.rs", "use serde_json::Value;", "crate `serde_json`"),
        ("src/policy/read.rs", "use std::{fmt, fs::File};", "std::fs::File"),
        ("src/dialect/sse.rs", "use std::net::{IpAddr, TcpStream};", "std::net::TcpStream"),
        ("src/dialect/sse.rs", "fn f() { let t = SystemTime::now(); }", "SystemTime::now"),
        ("src/dialect/sse.rs", "use crate::engine::Usage;\nuse crate::admin::views;", "`admin`"),
        ("src/units.rs", "use crate::engine::Price;", "`engine`"),
        ("src/admin/server.rs", "fn f() -> prometheus::Registry { todo() }", "only src/observe/metrics"),
    ];
    for (file, source, expected) in cases {
        let found = violations(file, source, &dependencies);
        assert!(found.len() == 1 && found[0].contains(expected), "{source}: {found:?}");
    }
}

#[test]
fn the_checker_lets_pass_what_the_rules_allow() {
    let dependencies = ["tokio", "tracing", "rand", "prometheus", "http"].map(str::to_owned);
    let cases = [
        ("src/engine/plan.rs", "use rand::Rng;\nuse super::score;\nuse crate::units::{Dollars, Tokens};"),
        ("src/engine/plan.rs", "// tokio::spawn is for others\nconst A: &str = \"std::fs::read\";"),
        (
            "src/engine/plan.rs",
            "const A: &str = r#\"tokio::\"quoted\"\"#; const B: char = '\"'; fn f<'a>(x: &'a str) {}",
        ),
        ("src/engine/plan.rs", "fn f() {}\n#[cfg(test)]\nmod tests { use tokio::test; }"),
        ("src/policy/model.rs", "use std::net::{IpAddr, SocketAddr};\nuse std::time::{Duration, SystemTime};"),
        ("src/dialect/errors.rs", "use http::StatusCode;\npub(crate) struct A;"),
        ("src/proxy/service.rs", "use tokio::net::TcpListener;\nuse crate::engine::Plan;"),
        ("src/observe/metrics/families.rs", "use prometheus::Registry;"),
    ];
    for (file, source) in cases {
        assert_eq!(violations(file, source, &dependencies), Vec::<String>::new(), "{source}");
    }
}

#[test]
fn the_checker_counts_lines_without_tests_and_wants_an_introduction() {
    let long = format!("//! A rule.\n{}#[cfg(test)]\n{}", "fn f() {}\n".repeat(10), "fn g() {}\n".repeat(900));
    assert_eq!(length(&long), 11);
    assert!(is_introduced(&long) && !is_introduced("use std::fmt;\n//! Late."));
}
