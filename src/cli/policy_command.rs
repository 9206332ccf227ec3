//! `faregate policy list` and `faregate policy show NAME`: the built-in policies, printed as they are, so that what is
//! shown can be saved as a file and changed.

use std::fmt::Write as _;

use crate::policy::{BUILTIN, Builtin, builtin};

/// One line per built-in policy.
pub(super) fn list() -> String {
    let width = BUILTIN.iter().map(|one| one.name.len()).max().unwrap_or_default();
    BUILTIN.iter().fold(String::new(), |mut text, one| {
        let written = writeln!(text, "{:width$}  {}", one.name, one.summary());
        debug_assert!(written.is_ok(), "writing to a string does not fail");
        text
    })
}

/// The text of the policy called `name`; else what is wrong with the name.
pub(super) fn show(name: &str) -> Result<&'static str, String> {
    named(name).map(|one| one.text)
}

/// The policy called `name` (`balanced` or `builtin:balanced`); else what is wrong with the name.
pub(super) fn named(name: &str) -> Result<&'static Builtin, String> {
    let known = || BUILTIN.map(|one| one.name).join(", ");
    let found = builtin(name.strip_prefix("builtin:").unwrap_or(name));
    found.ok_or_else(|| format!("there is no built-in policy `{name}`; there are: {}", known()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_can_be_shown_and_is_the_file() {
        let listed = list();
        for one in BUILTIN {
            assert!(listed.contains(one.name), "{listed}");
            assert_eq!(show(one.name), Ok(one.text));
        }
        assert!(listed.starts_with("balanced             Balanced: the lowest expected total cost"), "{listed}");
    }

    #[test]
    fn an_unknown_policy_is_bad_usage() {
        let complaint = show("blanced").unwrap_err();
        assert!(complaint.contains("`blanced`; there are: balanced, cheapest"), "{complaint}");
    }
}
