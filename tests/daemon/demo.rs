//! The demonstration keeps its promise: an outage and a brown-out lose no request, and no single provider that would
//! have done as well is cheaper.

use std::process::{Command, Stdio};

/// What `faregate demo` says in the end, piped.
fn demo() -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["demo", "--seconds", "10", "--rps", "20", "--seed", "3"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [&*output.stdout, &*output.stderr].map(String::from_utf8_lossy).concat();
    assert!(output.status.success(), "{said}");
    said
}

/// The number that follows `label` on the last line that begins with it.
fn figure(said: &str, label: &str) -> f64 {
    let line = said.lines().rfind(|line| line.trim_start().starts_with(label));
    let word = line.and_then(|line| line.trim_start().strip_prefix(label)?.split_whitespace().next());
    word.unwrap_or_else(|| panic!("no `{label}` in\n{said}")).parse().unwrap()
}

#[test]
fn nothing_fails_and_nothing_that_does_as_well_is_cheaper() {
    let said = demo();

    assert!(figure(&said, "failures seen by clients").abs() < 0.5, "{said}");
    assert!(figure(&said, "failovers") >= 1.0, "{said}");
    let cost = figure(&said, "cost");
    let (_, alone) = said.split_once("at one provider alone").unwrap();
    let as_good: Vec<_> = alone.lines().filter(|line| line.ends_with("keeps up")).collect();
    assert!(!as_good.is_empty(), "{said}");
    for line in as_good {
        let theirs: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert!(cost < theirs, "{line}\n{said}");
    }
    assert!(said.contains("base_url = ") && !said.contains('\u{1b}'), "{said}");
}
