//! The `[[errors]]` tables: what an upstream's errors mean.

use crate::dialect::faults::{Rule, Rules, Weight};
use crate::engine::{Failure, Scope};
use crate::policy::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::fields::{Document, Fields, Spoiled};
use crate::policy::read::{Node, count};

use super::upstreams::words;

/// Reads a list of rules.
pub(crate) fn errors(node: &Node<'_>) -> Option<Rules> {
    Some(node.list(rule)?.into_iter().collect())
}

/// Reads a file that has nothing but rules.
pub(crate) fn general(document: &Document<'_>, report: &Diagnostics) -> Option<Rules> {
    document.root(report, |fields| Some(fields.need("errors", errors)?.value))
}

fn rule(node: &Node<'_>) -> Option<Rule> {
    node.fields(|fields: &Fields<'_>| {
        let class = fields.need("class", class);
        let scope = fields.get("scope", |node| node.choice(&Scope::NAMED));
        let statuses = fields.get("status", statuses);
        let names = fields.get("names", words);
        let says = fields.get("says", words);
        let weight = fields.get("weak", weight);
        if statuses.is_none() && names.is_none() && says.is_none() && fields.spoiled() == Spoiled::No {
            let hint = "give `names`, `says`, or `status`, or several of them";
            fields.report.push(Diagnostic::error(&node.place, "this rule would hold for every error").hint(hint));
            return None;
        }
        let (names, says) = (names.unwrap_or_default(), says.unwrap_or_default());
        let statuses = statuses.unwrap_or_default();
        Some(Rule::new(class?.value, scope, statuses, (&names, &says), weight.unwrap_or_default()))
    })?
}

fn weight(node: &Node<'_>) -> Option<Weight> {
    Some(if node.flag()? { Weight::Little } else { Weight::Full })
}

fn class(node: &Node<'_>) -> Option<Failure> {
    let named: Vec<_> = Failure::OF_ANSWERS.iter().map(|failure| (failure.label(), *failure)).collect();
    node.choice(&named)
}

/// One status, or a list of them.
fn statuses(node: &Node<'_>) -> Option<Vec<u16>> {
    if node.is_list() { node.list(status) } else { Some(vec![status(node)?]) }
}

fn status(node: &Node<'_>) -> Option<u16> {
    let number = count(node)?;
    let status = u16::try_from(number).ok().filter(|status| (100..600).contains(status));
    if status.is_none() {
        node.error(format!("{number} is no HTTP status"), Some("write a number such as 429".to_owned()));
    }
    status
}
