//! The policy file as a whole: `[objective]`, `[defaults]`, `[[routes]]`.

use std::time::Duration;

use crate::policy::diagnostic::Diagnostics;
use crate::policy::fields::{Document, Fields};
use crate::policy::model::{AllowedHeaders, ClientHeader};
use crate::policy::money::{Money, money};
use crate::policy::nearest::advice;
use crate::policy::quantity::{rate, share};
use crate::policy::read::{Node, count, texts, word};
use crate::policy::source::At;
use crate::units::Share;

use super::routes::{Route, route};
use super::server::time;

/// What a policy file says.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    pub(crate) objective: Objective,
    pub(crate) defaults: Defaults,
    pub(crate) routes: Vec<Route>,
}

/// `[objective]`, or a route's own.
#[derive(Debug, Default)]
pub(crate) struct Objective {
    pub(crate) value_of_second: Option<At<Money>>,
    pub(crate) target_first_token: Option<Duration>,
    pub(crate) target_answer: Option<Duration>,
    pub(crate) late_cost: Option<At<Money>>,
    pub(crate) failure_cost: Option<At<Money>>,
    pub(crate) spread: Option<Share>,
    pub(crate) exploration: Option<Share>,
}

/// `[defaults]`.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    pub(crate) unlisted: Option<Unlisted>,
    pub(crate) unknown_price: Option<UnknownPrice>,
    pub(crate) require: Require,
    pub(crate) max_price: MaxPrice,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: Retry,
    pub(crate) allow_headers: AllowedHeaders,
}

/// What happens to a model that no route lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlisted {
    /// It is served if an upstream has it.
    Allow,
    /// It is not.
    Refuse,
}

/// What happens to an endpoint whose price is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownPrice {
    /// It is never used.
    Exclude,
    /// It is used when all others have failed.
    LastResort,
    /// It is used after all of its tier that have a price.
    Allow,
}

/// `require`: where data may be processed, and which labels an upstream must have.
#[derive(Debug, Default)]
pub(crate) struct Require {
    pub(crate) regions: Option<Vec<At<String>>>,
    pub(crate) tags: Vec<String>,
}

/// `max_price`, per million tokens.
#[derive(Debug, Default)]
pub(crate) struct MaxPrice {
    pub(crate) input: Option<At<Money>>,
    pub(crate) output: Option<At<Money>>,
}

/// `timeouts`.
#[derive(Debug, Default)]
pub(crate) struct Timeouts {
    pub(crate) connect: Option<Duration>,
    pub(crate) first_token: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) total: Option<Duration>,
}

/// `retry`.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    pub(crate) attempts: Option<u32>,
    pub(crate) budget: Option<Share>,
    pub(crate) floor: Option<f64>,
}

/// Reads a whole policy.
pub(crate) fn policy(document: &Document<'_>, report: &Diagnostics) -> Policy {
    document.root(report, |fields| {
        let others =
            ["server", "upstreams", "exchange", "tenants", "budgets", "baselines", "prices", "state", "calendars"];
        fields.elsewhere(&others, "the configuration file");
        fields.elsewhere(&["policy"], "the configuration file");
        Policy {
            objective: fields.get("objective", objective).unwrap_or_default(),
            defaults: fields.get("defaults", defaults).unwrap_or_default(),
            routes: fields.get("routes", |node| node.list(route)).unwrap_or_default(),
        }
    })
}

/// Reads an objective.
pub(crate) fn objective(node: &Node<'_>) -> Option<Objective> {
    node.fields(|fields| Objective {
        value_of_second: amount(fields, "value_of_second"),
        target_first_token: time(fields, "target_first_token"),
        target_answer: time(fields, "target_answer"),
        late_cost: amount(fields, "late_cost"),
        failure_cost: amount(fields, "failure_cost"),
        spread: fields.get("spread", |node| node.quantity(share)),
        exploration: fields.get("exploration", |node| node.quantity(share)),
    })
}

fn amount(fields: &Fields<'_>, name: &'static str) -> Option<At<Money>> {
    fields.at(name, |node| node.quantity(money))
}

fn defaults(node: &Node<'_>) -> Option<Defaults> {
    node.fields(|fields| {
        let unlisted = [("allow", Unlisted::Allow), ("refuse", Unlisted::Refuse)];
        let unknown = [
            ("exclude", UnknownPrice::Exclude),
            ("last_resort", UnknownPrice::LastResort),
            ("allow", UnknownPrice::Allow),
        ];
        Defaults {
            allow_headers: fields.get("allow_headers", allow_headers).unwrap_or_default(),
            unlisted: fields.get("unlisted", |node| node.choice(&unlisted)),
            unknown_price: fields.get("unknown_price", |node| node.choice(&unknown)),
            require: fields.get("require", require).unwrap_or_default(),
            max_price: fields.get("max_price", max_price).unwrap_or_default(),
            timeouts: fields.get("timeouts", timeouts).unwrap_or_default(),
            retry: fields.get("retry", retry).unwrap_or_default(),
        }
    })
}

/// Reads `require`.
pub(crate) fn require(node: &Node<'_>) -> Option<Require> {
    node.fields(|fields| Require {
        regions: fields.get("regions", regions),
        tags: fields.get("tags", super::upstreams::words).unwrap_or_default(),
    })
}

fn regions(node: &Node<'_>) -> Option<Vec<At<String>>> {
    let regions = texts(node)?;
    if regions.is_empty() {
        node.error("an empty list requires nothing", Some("leave it out, or name regions".to_owned()));
        return None;
    }
    Some(regions)
}

fn max_price(node: &Node<'_>) -> Option<MaxPrice> {
    node.fields(|fields| MaxPrice { input: amount(fields, "input"), output: amount(fields, "output") })
}

/// Reads `timeouts`.
pub(crate) fn timeouts(node: &Node<'_>) -> Option<Timeouts> {
    node.fields(|fields| Timeouts {
        connect: time(fields, "connect"),
        first_token: time(fields, "first_token"),
        idle: time(fields, "idle"),
        total: time(fields, "total"),
    })
}

/// Reads `retry`.
pub(crate) fn retry(node: &Node<'_>) -> Option<Retry> {
    node.fields(|fields| Retry {
        attempts: fields.get("attempts", |node| {
            let count = count(node)?;
            u32::try_from(count).map_err(|_| node.error(format!("`{count}` is too large"), None)).ok()
        }),
        budget: fields.get("budget", |node| node.quantity(share)),
        floor: fields.get("floor", |node| node.quantity(rate)),
    })
}

/// The `x-faregate-*` request headers that a client may use, by what follows the prefix.
fn allow_headers(node: &Node<'_>) -> Option<AllowedHeaders> {
    let short = |header: ClientHeader| header.name().trim_start_matches("x-faregate-");
    let all = node.list(|item| {
        let name = word(item)?;
        let found = ClientHeader::ALL.into_iter().find(|header| short(*header) == name);
        if found.is_none() {
            item.error(format!("unknown header `{name}`"), advice(&name, &ClientHeader::ALL.map(short)));
        }
        found
    })?;
    Some(all.into_iter().fold(AllowedHeaders::default(), AllowedHeaders::with))
}
