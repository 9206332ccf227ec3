//! One of `[[routes]]`: names, and the cluster that serves them.

use crate::dialect::Adjustments;
use crate::engine::{Failure, HedgeAfter, HedgePolicy};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::Fields;
use crate::policy::model::{Affinity, Equivalence};
use crate::policy::money::{Money, money, money_a_day};
use crate::policy::quantity::{QuantityError, duration, percentage, share};
use crate::policy::read::{Node, word};
use crate::policy::source::At;
use crate::units::Share;

use super::policy::{Objective, Require, Retry, Timeouts, objective, require, retry, timeouts};
use super::quirks::params;

/// What one route says.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: At<String>,
    pub(crate) models: Vec<At<String>>,
    /// Best tier first.
    pub(crate) cluster: Vec<Vec<Entry>>,
    pub(crate) objective: Objective,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: Retry,
    pub(crate) require: Require,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) hedge: Option<HedgePolicy>,
    pub(crate) params: Adjustments,
    pub(crate) canary: Option<Canary>,
    pub(crate) shadow: Option<Shadow>,
    pub(crate) equivalent: Equivalence,
    /// What is tried elsewhere besides the usual.
    pub(crate) failover_on: Vec<Failure>,
}

/// One entry of a cluster.
#[derive(Debug)]
pub(crate) struct Entry {
    /// `upstream/model` or `upstream/model#key`.
    pub(crate) endpoint: At<String>,
    pub(crate) handicap: Option<Handicap>,
}

/// A handicap as written.
#[derive(Debug)]
pub(crate) enum Handicap {
    /// Of the list price.
    Share(Share),
    /// Per request.
    Amount(At<Money>),
}

/// Who gets a share of the conversations, whatever the score.
#[derive(Debug)]
pub(crate) struct Canary {
    pub(crate) entry: Entry,
    pub(crate) share: Share,
}

/// Who is sent a share of the conversations as well, for comparison.
#[derive(Debug)]
pub(crate) struct Shadow {
    pub(crate) entry: Entry,
    pub(crate) share: Share,
    /// What all of it may cost a day.
    pub(crate) max_cost: At<Money>,
}

/// Reads a route.
pub(crate) fn route(node: &Node<'_>) -> Option<Route> {
    node.fields(|fields: &Fields<'_>| {
        fields.later(&["match", "over_budget", "hold"]);
        let name = fields.need("name", word);
        let models = fields.get("models", |node| node.list(|item| model_name(item).map(|name| item.at(name))));
        let cluster = fields.need("cluster", cluster);
        let route = Route {
            objective: fields.get("objective", objective).unwrap_or_default(),
            timeouts: fields.get("timeouts", timeouts).unwrap_or_default(),
            retry: fields.get("retry", retry).unwrap_or_default(),
            require: fields.get("require", require).unwrap_or_default(),
            affinity: fields.get("affinity", affinity),
            hedge: fields.get("hedge", hedge),
            params: fields.get("params", params).unwrap_or_default(),
            canary: fields.get("canary", canary),
            shadow: fields.get("shadow", shadow),
            equivalent: fields.get("equivalent", equivalent).unwrap_or_default(),
            failover_on: fields.get("failover_on", failover_on).unwrap_or_default(),
            name: name?,
            models: models.unwrap_or_default(),
            cluster: cluster?.value,
        };
        Some(route)
    })?
}

/// What a client asks for, or a pattern of it. Clients may send spaces inside of a name, though few do.
fn model_name(node: &Node<'_>) -> Option<String> {
    let name = word(node)?;
    if name.trim() != name {
        let hint = format!("write \"{}\"", name.trim());
        node.error(format!("`{name}` has a space at its end or its beginning, so no client asks for it"), Some(hint));
        return None;
    }
    if name.contains(char::is_whitespace) {
        let message = format!("`{name}` has a space in it, which few models' names have");
        let hint = "if these are several names, write each in quotes of its own";
        node.report.push(Diagnostic::warning(&node.place, message).hint(hint));
    }
    Some(name)
}

fn affinity(node: &Node<'_>) -> Option<Affinity> {
    let text = node.text()?;
    match text.as_str() {
        "none" => Some(Affinity::None),
        "prompt-prefix" => Some(Affinity::PromptPrefix),
        "user" => Some(Affinity::User),
        other => match other.strip_prefix("header:") {
            Some(name) if is_header_name(name) => Some(Affinity::Header(name.to_ascii_lowercase().into())),
            Some(_) => {
                node.error(
                    "what follows `header:` is not the name of a header",
                    Some("write \"header:x-session-id\"".to_owned()),
                );
                None
            }
            None => {
                let choices = ["none", "prompt-prefix", "user", "header:"];
                node.error(format!("unknown value `{text}`"), crate::policy::nearest::advice(&text, &choices));
                None
            }
        },
    }
}

fn canary(node: &Node<'_>) -> Option<Canary> {
    node.fields(|fields: &Fields<'_>| {
        let endpoint = fields.need("endpoint", endpoint);
        let share = fields.need("share", |node| node.quantity(share));
        Some(Canary { entry: Entry { endpoint: endpoint?, handicap: None }, share: share?.value })
    })?
}

/// Its cost has to be bounded: nobody sees its answers, so nobody would notice.
fn shadow(node: &Node<'_>) -> Option<Shadow> {
    node.fields(|fields: &Fields<'_>| {
        let endpoint = fields.need("endpoint", one_model);
        let share = fields.need("share", |node| node.quantity(share));
        let max_cost = fields.need("max_cost", |node| node.quantity(money_a_day));
        Some(Shadow { entry: Entry { endpoint: endpoint?, handicap: None }, share: share?.value, max_cost: max_cost? })
    })?
}

/// Two models in one comparison would be two comparisons.
fn one_model(node: &Node<'_>) -> Option<String> {
    let text = endpoint(node)?;
    if text.starts_with('@') || text.split_once('/').is_some_and(|(_, model)| model.starts_with('*')) {
        let hint = "write `upstream/model`; another route can have another shadow".to_owned();
        node.error("a shadow is one model, to be compared with what answers", Some(hint));
        return None;
    }
    Some(text)
}

fn equivalent(node: &Node<'_>) -> Option<Equivalence> {
    Some(if node.flag()? { Equivalence::Said } else { Equivalence::Unknown })
}

/// What is not usual: some of it is a matter of law.
fn failover_on(node: &Node<'_>) -> Option<Vec<Failure>> {
    const NAMED: [(&str, Failure); 2] =
        [("content_filter", Failure::ContentFiltered), ("content_filtered", Failure::ContentFiltered)];
    node.list(|node| node.choice(&NAMED))
}

/// Second tries are off unless both are said.
fn hedge(node: &Node<'_>) -> Option<HedgePolicy> {
    node.fields(|fields| {
        let after = fields.need("after", |node| node.quantity(silence));
        let max_extra_cost = fields.need("max_extra_cost", |node| node.quantity(percentage));
        Some(HedgePolicy { after: after?.value, max_extra_cost: max_extra_cost?.value })
    })?
}

/// `"p95"`, or a time.
fn silence(text: &str) -> Result<HedgeAfter, QuantityError> {
    let Some(percentile) = text.strip_prefix('p') else { return duration(text).map(HedgeAfter::Time) };
    let expected = "a percentile such as \"p95\", or a time such as \"800ms\"";
    let share = percentile.parse::<f64>().ok().filter(|share| (50.0..100.0).contains(share));
    let share = share.ok_or_else(|| QuantityError::Malformed { expected, found: text.to_owned() })?;
    Ok(HedgeAfter::Tail(1.0 - share / 100.0))
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A list of entries is one tier; a list of lists is several.
fn cluster(node: &Node<'_>) -> Option<Vec<Vec<Entry>>> {
    let mut flat = false;
    let mut tiered = false;
    let mut tiers: Vec<Vec<Entry>> = Vec::new();
    let read = node.list(|item| {
        if item.is_list() {
            tiered = true;
            tiers.push(item.list(entry)?);
        } else {
            flat = true;
            let one = entry(item)?;
            match tiers.first_mut() {
                Some(tier) => tier.push(one),
                None => tiers.push(vec![one]),
            }
        }
        Some(())
    });
    read?;
    if flat && tiered {
        let hint = "write one list of entries (one tier), or a list of lists (best tier first)";
        node.error("entries and tiers are mixed", Some(hint.to_owned()));
        return None;
    }
    if !flat && !tiered {
        node.report.push(Diagnostic::error(&node.place, "a cluster needs at least one endpoint"));
        return None;
    }
    Some(tiers)
}

fn entry(node: &Node<'_>) -> Option<Entry> {
    if node.is_text() {
        let endpoint = endpoint(node)?;
        return Some(Entry { endpoint: node.at(endpoint), handicap: None });
    }
    if !node.is_table() {
        let hint = "write \"upstream/model\", or { endpoint = \"upstream/model\", handicap = \"10%\" }";
        node.error("expected an endpoint: a text in quotes, or a table", Some(hint.to_owned()));
        return None;
    }
    node.fields(|fields| {
        fields.later(&["timeouts", "target_first_token", "target_answer", "objective"]);
        let endpoint = fields.need("endpoint", endpoint);
        let handicap = fields.get("handicap", handicap);
        Some(Entry { endpoint: endpoint?, handicap })
    })?
}

fn endpoint(node: &Node<'_>) -> Option<String> {
    let text = word(node)?;
    let is_named = || text.split_once('/').is_some_and(|(upstream, model)| !upstream.is_empty() && !model.is_empty());
    if !text.starts_with('@') && !is_named() {
        let hint =
            "write `upstream/model`, `upstream/model#key` for one key only, `@model` for all that stand in for it, or \
             `upstream/*` and `@*` for the model that is asked for"
                .to_owned();
        node.error(format!("`{text}` does not name an endpoint"), Some(hint));
        return None;
    }
    Some(text)
}

fn handicap(node: &Node<'_>) -> Option<Handicap> {
    let parse = |text: &str| {
        if text.contains('%') || text.trim() == "0" {
            percentage(text).map(Handicap::Share)
        } else {
            money(text).map(|amount| Handicap::Amount(node.at(amount)))
        }
    };
    node.quantity(parse)
}
