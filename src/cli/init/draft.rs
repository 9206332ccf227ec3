//! A configuration in the making: what can be called, by which names, and what could not be taken over. Every importer
//! ends here, and nothing after it knows where a draft came from.

use std::rc::Rc;
use std::time::Duration;

use crate::engine::{Limits, Price};
use crate::policy::Builtin;
use crate::policy::model::Secret;

use super::remarks::Remarks;

/// Where an upstream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A provider of the catalogue.
    pub(super) provider: Option<&'static str>,
    /// Which of its hosts; the usual one if not said.
    pub(super) region: Option<String>,
    /// Where to call, if the catalogue does not say it.
    pub(super) base_url: Option<String>,
}

/// A key, or how one is found.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Key {
    /// None is needed.
    None,
    /// In this variable.
    Variable(String),
    /// Here; it is never shown and never written into a configuration.
    Plain(Secret),
    /// Nowhere: whoever reads the draft has to fetch it, and is told to put it into a variable. The numbers tell keys apart:
    /// of whom it is, and which of theirs.
    Absent(i64, u32),
}

/// What the imported file says of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Facts {
    /// The model of the catalogue that it is, as `provider/model`.
    pub(super) base: Option<String>,
    pub(super) price: Option<Price>,
    pub(super) context: Option<u64>,
    pub(super) max_output: Option<u64>,
    /// What it can and cannot do, by the configuration's names, as far as it is said.
    pub(super) abilities: Vec<(&'static str, Ability)>,
    pub(super) limits: Limits,
}

/// Whether a model can do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ability {
    Has,
    Lacks,
}

/// Which models a deployment answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Serves {
    /// One.
    Model(String),
    /// Whatever its provider has.
    All,
}

/// One model (or all) of one upstream, through one key.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Deployment {
    pub(super) address: Address,
    /// What the upstream may be called.
    pub(super) wish: String,
    pub(super) key: Key,
    /// For people: what the key was called.
    pub(super) label: Option<String>,
    pub(super) serves: Serves,
    pub(super) facts: Facts,
}

/// Names that clients ask for, and who serves them.
#[derive(Clone, Debug, Default)]
pub(super) struct Route {
    /// What clients ask for.
    pub(super) name: String,
    /// What the route is called, if not by that.
    pub(super) called: Option<String>,
    /// More names.
    pub(super) aliases: Vec<String>,
    /// Best first.
    pub(super) tiers: Vec<Vec<Rc<Deployment>>>,
    /// How many tries it takes to come to the last tier, where requests are to come there.
    pub(super) least_attempts: usize,
    /// How long a request may take.
    pub(super) total: Option<Duration>,
    /// Whether what one provider will not answer is asked of the next.
    pub(super) refusals: Refusals,
}

impl Route {
    /// Whether `name` is one of its further names.
    pub(super) fn has_alias(&self, name: &str) -> bool {
        self.aliases.iter().any(|alias| alias == name)
    }
}

/// What happens to a refusal by a provider's content filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Refusals {
    /// It is the answer.
    #[default]
    Final,
    /// The next endpoint is asked.
    AskOthers,
}

/// What is called without a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unlisted {
    /// Whatever an upstream serves.
    Allow,
    /// Nothing.
    #[default]
    Refuse,
}

/// By which policy it is chosen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Rules {
    /// One of its own, with the routes of the draft, if there are any.
    #[default]
    Own,
    /// One that is built in, under which models stand in for others.
    BuiltIn,
    /// A copy of such a one, to be changed.
    Copied(&'static Builtin),
}

/// Somebody who may call.
#[derive(Clone, Debug)]
pub(super) struct Tenant {
    pub(super) name: String,
    pub(super) key: Key,
}

/// A configuration in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Draft {
    pub(super) deployments: Vec<Rc<Deployment>>,
    pub(super) rules: Rules,
    /// Without any, models are called by their names.
    pub(super) routes: Vec<Route>,
    pub(super) unlisted: Unlisted,
    pub(super) tenants: Vec<Tenant>,
    /// Tries per request.
    pub(super) attempts: Option<u64>,
    /// How long a request may take.
    pub(super) total: Option<Duration>,
    /// What was not taken over, or means something else now, and what to do instead.
    pub(super) remarks: Remarks,
    /// What could be tried besides.
    pub(super) hint: Option<String>,
}

impl Draft {
    /// With a copy of a built-in policy.
    pub(super) fn with_policy(self, copied: Option<&'static Builtin>) -> Self {
        let Some(policy) = copied else { return self };
        Self { rules: Rules::Copied(policy), hint: None, ..self }
    }

    /// What the remarks are about.
    pub(super) fn heading(&self) -> &'static str {
        match self.rules {
            Rules::Own => "Not taken over as it was:",
            Rules::BuiltIn | Rules::Copied(_) => "Left to do:",
        }
    }

    /// Notes something that was not taken over as it was. The same is said once.
    pub(super) fn remark(&mut self, what: impl Into<String>) {
        self.remarks.add(None, what.into());
    }

    /// Notes it of one entry; of several entries it is said once, with their names.
    pub(super) fn remark_on(&mut self, subject: impl Into<String>, what: impl Into<String>) {
        self.remarks.add(Some(subject.into()), what.into());
    }
}

/// The text without what would move a cursor or end a comment.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidirectional(c) { ' ' } else { c }).collect()
}

/// Characters that change the order in which others are shown.
const fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Entries under equal keys, both in the order of their first appearance.
pub(super) fn grouped<T, K: PartialEq>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<(K, Vec<T>)> {
    let mut groups: Vec<(K, Vec<T>)> = Vec::new();
    for item in items {
        let key = key(&item);
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, members)) => members.push(item),
            None => groups.push((key, vec![item])),
        }
    }
    groups
}
