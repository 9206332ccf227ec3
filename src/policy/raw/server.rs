//! The `[server]` table.

use std::net::SocketAddr;
use std::time::Duration;

use crate::policy::fields::Fields;
use crate::policy::model::{AccessLog, Openness};
use crate::policy::quantity::{QuantityError, duration, size};
use crate::policy::read::{Node, count};
use crate::policy::source::At;

use super::keys::{self, KeySource};

/// What `[server]` says.
#[derive(Debug, Default)]
pub(crate) struct Server {
    pub(crate) listen: Option<At<SocketAddr>>,
    pub(crate) admin: Option<At<SocketAddr>>,
    pub(crate) admin_token: Option<At<KeySource>>,
    pub(crate) openness: Openness,
    pub(crate) max_body: Option<usize>,
    pub(crate) header_timeout: Option<Duration>,
    pub(crate) body_timeout: Option<Duration>,
    pub(crate) drain: Option<Duration>,
    pub(crate) workers: Option<usize>,
    pub(crate) access_log: Option<AccessLog>,
}

/// Reads `[server]`.
pub(crate) fn server(node: &Node<'_>) -> Option<Server> {
    node.fields(|fields| {
        fields.later(&["tls", "http2"]);
        Server {
            listen: fields.at("listen", address),
            admin: fields.at("admin", address),
            admin_token: fields.at("admin_token", keys::source),
            openness: fields.get("open", openness).unwrap_or_default(),
            max_body: fields.get("max_body", |node| node.quantity(some_size)),
            header_timeout: time(fields, "header_timeout"),
            body_timeout: time(fields, "body_timeout"),
            drain: fields.get("drain", |node| node.quantity(duration)),
            workers: fields.get("workers", workers),
            access_log: fields
                .get("access_log", |node| node.choice(&[("stdout", AccessLog::Stdout), ("off", AccessLog::Off)])),
        }
    })
}

fn workers(node: &Node<'_>) -> Option<usize> {
    const MOST: u64 = 1_024;
    let count = count(node)?;
    let workers = usize::try_from(count).ok().filter(|_| count <= MOST);
    if workers.is_none() {
        node.error(format!("`{count}` workers are more than the {MOST} that are possible"), None);
    }
    workers
}

fn openness(node: &Node<'_>) -> Option<Openness> {
    Some(if node.flag()? { Openness::Open } else { Openness::Closed })
}

fn some_size(text: &str) -> Result<usize, QuantityError> {
    let found = || text.to_owned();
    size(text).and_then(|size| {
        if size == 0 { Err(QuantityError::Range { found: found(), fault: "too small" }) } else { Ok(size) }
    })
}

/// A duration field that must not be zero: a timeout of nothing would fail every request.
pub(crate) fn time(fields: &Fields<'_>, name: &'static str) -> Option<Duration> {
    fields.get(name, |node| node.quantity(some_time))
}

fn some_time(text: &str) -> Result<Duration, QuantityError> {
    let time = duration(text)?;
    if time.is_zero() {
        return Err(QuantityError::Range { found: text.to_owned(), fault: "too short: nothing would ever succeed" });
    }
    Ok(time)
}

fn address(node: &Node<'_>) -> Option<SocketAddr> {
    let text = node.text()?;
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let hint = "write an address and a port, such as \"127.0.0.1:3273\" or \"0.0.0.0:3273\"";
    node.error(format!("`{text}` is not an address"), Some(hint.to_owned()));
    None
}
