//! `faregate policy list` and `faregate policy show NAME`: the built-in policies, printed as they are, so that what is
//! shown can be saved as a file and changed.

use std::fmt::Write as _;

use crate::policy::{BUILTIN, builtin};

use super::check::CheckOutcome;

/// One line per built-in policy.
pub(super) fn list() -> CheckOutcome {
    let width = BUILTIN.iter().map(|one| one.name.len()).max().unwrap_or_default();
    let stdout = BUILTIN.iter().fold(String::new(), |mut text, one| {
        let written = writeln!(text, "{:width$}  {}", one.name, one.summary());
        debug_assert!(written.is_ok(), "writing to a string does not fail");
        text
    });
    CheckOutcome { stdout, exit_code: 0 }
}

/// The text of the policy called `name` (`balanced` or `builtin:balanced`).
pub(super) fn show(name: &str) -> CheckOutcome {
    let known = BUILTIN.map(|one| one.name).join(", ");
    builtin(name.strip_prefix("builtin:").unwrap_or(name)).map_or_else(
        || CheckOutcome { stdout: format!("there is no built-in policy `{name}`; there are: {known}\n"), exit_code: 2 },
        |one| CheckOutcome { stdout: one.text.to_owned(), exit_code: 0 },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_can_be_shown_and_is_the_file() {
        let listed = list().stdout;
        for one in BUILTIN {
            assert!(listed.contains(one.name), "{listed}");
            assert_eq!(show(one.name), CheckOutcome { stdout: one.text.to_owned(), exit_code: 0 });
        }
        assert!(listed.starts_with("balanced             Balanced: the lowest expected total cost"), "{listed}");
    }

    #[test]
    fn an_unknown_policy_is_bad_usage() {
        let outcome = show("blanced");
        assert_eq!(outcome.exit_code, 2);
        assert!(outcome.stdout.contains("balanced, cheapest"), "{}", outcome.stdout);
    }
}
