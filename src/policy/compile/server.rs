//! The `[server]` table: addresses, and who may reach them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{AccessLog, Openness, Server};
use crate::policy::raw::config::Tenant;
use crate::policy::raw::server::Server as RawServer;
use crate::policy::source::At;

use super::{Context, secrets};

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3273);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3274);

/// Compiles `[server]`; `None` only if its token is wrong.
pub(super) fn compile(raw: &RawServer, tenants: &[Tenant], context: &Context<'_>) -> Option<Server> {
    let listen = raw.listen.as_ref().map_or(LISTEN, |at| at.value);
    let admin = raw.admin.as_ref().map_or(ADMIN, |at| at.value);
    check_reach(raw, tenants, context);
    if let Some(at) = raw.admin.as_ref().or(raw.listen.as_ref()).filter(|_| listen == admin && listen.port() != 0) {
        context.report.push(Diagnostic::error(&at.place, "`listen` and `admin` need two different addresses"));
    }
    let admin_token = match &raw.admin_token {
        Some(source) => Some(secrets::resolve(source, context)?),
        None => None,
    };
    Some(Server {
        listen,
        openness: raw.openness,
        admin,
        admin_token,
        workers: raw.workers,
        max_body: raw.max_body.unwrap_or(32 << 20),
        header_timeout: raw.header_timeout.unwrap_or(Duration::from_secs(10)),
        body_timeout: raw.body_timeout.unwrap_or(Duration::from_secs(20)),
        drain: raw.drain.unwrap_or(Duration::from_secs(30)),
        access_log: raw.access_log.unwrap_or(AccessLog::Stdout),
    })
}

fn check_reach(raw: &RawServer, tenants: &[Tenant], context: &Context<'_>) {
    let beyond_loopback = |at: &&At<SocketAddr>| !at.value.ip().is_loopback();
    let unprotected = tenants.is_empty() && raw.openness == Openness::Closed;
    if let Some(at) = raw.listen.as_ref().filter(beyond_loopback).filter(|_| unprotected) {
        let message = "beyond loopback anybody could spend your money: there are no tenants";
        let hint = "add [[tenants]] with keys, or say `open = true` if the network in front of it decides";
        context.report.push(Diagnostic::error(&at.place, message).hint(hint));
    }
    if let Some(at) = raw.admin.as_ref().filter(beyond_loopback).filter(|_| raw.admin_token.is_none()) {
        let message = "without a token only /metrics, /healthz and /readyz answer beyond loopback";
        let hint = "set `admin_token = \"env:FAREGATE_ADMIN_TOKEN\"` to reach the rest";
        context.report.push(Diagnostic::warning(&at.place, message).hint(hint));
    }
}
