//! The policies that every build carries, so that a sidecar can start without a file.

/// A policy of the build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// The name that `builtin:NAME` uses.
    pub name: &'static str,
    /// The file's text.
    pub text: &'static str,
}

impl Builtin {
    /// What the policy is for: its first comment line.
    pub fn summary(&self) -> &'static str {
        self.text.lines().next().unwrap_or_default().trim_start_matches(['#', ' '])
    }
}

/// All of them, the usual one first.
pub const BUILTIN: [Builtin; 5] = [
    Builtin { name: "balanced", text: include_str!("../../policies/balanced.toml") },
    Builtin { name: "cheapest", text: include_str!("../../policies/cheapest.toml") },
    Builtin { name: "low-latency", text: include_str!("../../policies/low-latency.toml") },
    Builtin { name: "migrate-from-openai", text: include_str!("../../policies/migrate-from-openai.toml") },
    Builtin { name: "domestic-only", text: include_str!("../../policies/domestic-only.toml") },
];

/// The built-in policy called `name`.
pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTIN.iter().find(|builtin| builtin.name == name)
}
