//! `GET /v1/models`: what this client may ask for, names of the policy's routes first.

use bytes::Bytes;
use serde::Serialize;

use super::exchange::Exchange;
use super::reply::Refusal;
use crate::ids::RouteIx;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

impl<'a> Entry<'a> {
    const fn new(id: &'a str) -> Self {
        Self { id, object: "model", created: 0, owned_by: "faregate" }
    }
}

/// All models.
pub(super) fn all(exchange: &Exchange) -> Bytes {
    let model = &exchange.snapshot.model;
    let mut data: Vec<Entry<'_>> = Vec::new();
    for (route, entry) in model.routes.iter() {
        if !is_visible(exchange, route) {
            continue;
        }
        // A glob names no model that could be asked for, and an earlier route may have taken a name.
        let names = entry.models.iter().filter(|name| model.names.resolve(name) == Some(route));
        data.extend(names.filter(|name| !name.contains('*')).map(|name| Entry::new(name)));
    }
    encode(&List { object: "list", data })
}

/// One model, by its name as it stands in the path.
pub(super) fn one(exchange: &Exchange, path: &str) -> Result<Bytes, Refusal> {
    let id = percent_encoding::percent_decode_str(path).decode_utf8_lossy();
    let route = exchange.snapshot.model.names.resolve(&id).filter(|route| is_visible(exchange, *route));
    match route {
        Some(_) => Ok(encode(&Entry::new(&id))),
        None => Err(Refusal::NoRoute { model: id.chars().take(200).collect() }),
    }
}

fn is_visible(exchange: &Exchange, route: RouteIx) -> bool {
    let model = &exchange.snapshot.model;
    exchange.tenant.is_none_or(|tenant| model.tenants[tenant].may_use(&model.routes[route]))
}

fn encode(value: &impl Serialize) -> Bytes {
    // Strings and numbers always serialise.
    serde_json::to_vec(value).unwrap_or_default().into()
}
