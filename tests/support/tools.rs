//! Programs that a user would have beside the daemon: used where they are installed, missed aloud where they are not.

use std::env;
use std::io::Write;
use std::path::PathBuf;

/// Where `tool` is, or `None` after saying that `what` is skipped. With `FAREGATE_REQUIRE_TOOLS=1` absence fails the
/// test, so that a build that should check everything cannot pass by checking nothing.
pub(crate) fn find(tool: &str, what: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.is_file());
    if found.is_none() {
        missing(&format!("`{tool}` is not on PATH"), what);
    }
    found
}

/// Skips `what` aloud, or fails where nothing may be skipped.
pub(crate) fn missing(why: &str, what: &str) {
    assert!(
        env::var_os("FAREGATE_REQUIRE_TOOLS").is_none_or(|value| value != "1"),
        "{why}: {what} must not be skipped"
    );
    // Not eprintln!, which the test harness swallows when the test passes.
    let mut stderr = std::io::stderr();
    writeln!(stderr, "SKIPPED: {what}: {why}").ok();
}
