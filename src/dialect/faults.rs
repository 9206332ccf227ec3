//! What an upstream's error means: its class, by code and message before status.
//!
//! Providers use one status for many things (429 is a rate, a shortage of theirs, a daily cap, or no money), so the
//! status comes last. Rules are data: an operator's, then the provider's, then general ones, each asked for the names in
//! the body (codes, types, reasons) before its words.

use std::sync::Arc;

use super::asked::Asked;
use super::error::WireError;
use super::glob::Glob;
use crate::engine::{Failure, Fault, Scope, classify as by_status};

/// When an error is of a class. All conditions that are given have to hold; of a list, one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    statuses: Vec<u16>,
    names: Vec<Glob>,
    says: Vec<String>,
    weight: Weight,
    fault: Fault,
}

/// What names say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// What they are.
    #[default]
    Full,
    /// So little that words overrule them.
    Little,
}

/// Rules in the order in which they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// What part of an error a rule goes by, from the surest to the vaguest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Name,
    Words,
    VagueName,
    Status,
}

impl Rule {
    /// A rule for `failure`, with its usual scope if `scope` is `None`. Names and words are compared without case, names
    /// without separators too.
    pub fn new(
        failure: Failure,
        scope: Option<Scope>,
        statuses: Vec<u16>,
        (names, says): (&[String], &[String]),
        weight: Weight,
    ) -> Self {
        let pattern = |name: &String| Glob::new(&plain(name));
        Self {
            statuses,
            names: names.iter().map(pattern).collect(),
            says: says.iter().map(|words| words.to_lowercase()).collect(),
            weight,
            fault: Fault { failure, scope: scope.unwrap_or_else(|| failure.scope()) },
        }
    }

    const fn evidence(&self) -> Evidence {
        match (self.names.is_empty(), self.says.is_empty(), self.weight) {
            (false, _, Weight::Full) => Evidence::Name,
            (false, _, Weight::Little) => Evidence::VagueName,
            (true, false, _) => Evidence::Words,
            (true, true, _) => Evidence::Status,
        }
    }

    fn fits(&self, status: Option<u16>, names: &[String], said: &str, asked: &Asked<'_>) -> bool {
        // Nobody is left alone for what a client has made the provider say.
        let benches = self.fault.scope != Scope::Nothing;
        let is_quoted = |words: &str| benches && asked.has(words);
        let is_theirs = |name: &str| benches && asked.names(name, plain);
        (self.statuses.is_empty() || status.is_some_and(|status| self.statuses.contains(&status)))
            && (self.names.is_empty()
                || self.names.iter().any(|glob| names.iter().any(|name| glob.matches(name) && !is_theirs(name))))
            && (self.says.is_empty()
                || self.says.iter().any(|words| said.contains(words.as_str()) && !is_quoted(words)))
    }
}

impl FromIterator<Rule> for Rules {
    fn from_iter<T: IntoIterator<Item = Rule>>(rules: T) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl Rules {
    /// The first rule that holds, the surest evidence first.
    fn find(&self, status: Option<u16>, names: &[String], said: &str, asked: &Asked<'_>) -> Option<Fault> {
        let order = [Evidence::Name, Evidence::Words, Evidence::VagueName, Evidence::Status];
        order.into_iter().find_map(|evidence| {
            let mut rules = self.0.iter().filter(|rule| rule.evidence() == evidence);
            rules.find(|rule| rule.fits(status, names, said, asked)).map(|rule| rule.fault)
        })
    }
}

/// What the errors of one upstream mean.
#[derive(Clone, Debug, Default)]
pub struct FaultTable(Vec<Arc<Rules>>);

impl FaultTable {
    /// Rules that come one after the other: the operator's, the provider's, those for everybody.
    pub const fn new(sets: Vec<Arc<Rules>>) -> Self {
        Self(sets)
    }

    /// What `error` means, which came with `status` as the answer to `asked`.
    ///
    /// Without a rule for it, the status decides; without a status that says anything, the provider is to blame, and
    /// another one may be asked.
    pub fn classify(&self, status: u16, error: &WireError, asked: &Asked<'_>) -> Fault {
        let names: Vec<_> = error.names.iter().map(|name| plain(name)).collect();
        let said = error.said.to_lowercase();
        // What came inside a 200 may name the status that it would have had.
        let told = if (200..300).contains(&status) { error.status().or(Some(status)) } else { Some(status) };
        self.0
            .iter()
            .find_map(|rules| rules.find(told, &names, &said, asked))
            .unwrap_or_else(|| told.and_then(by_status).unwrap_or(Failure::ServerError).into())
    }
}

/// A name without case and separators: `Rate-Limit.Exceeded` is `rate_limit_exceeded` is `RateLimitExceeded`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.' | ' ' | ':')).flat_map(char::to_lowercase).collect()
}
