//! Tenants: a key belongs to one tenant, and what a tenant may use exists.

use crate::ids::{IdVec, RouteIx, TenantIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::{Route, Secret, Tenant};
use crate::policy::nearest::advice;
use crate::policy::raw::config::Tenant as RawTenant;

use super::{Context, secrets};
use crate::policy::model::UNLISTED;

/// Compiles all tenants.
pub(super) fn compile(
    tenants: &[RawTenant],
    routes: &IdVec<RouteIx, Route>,
    context: &Context<'_>,
) -> IdVec<TenantIx, Tenant> {
    let mut compiled: IdVec<TenantIx, Tenant> = IdVec::new();
    for raw in tenants {
        let name = raw.name.value.as_str();
        if compiled.values().any(|known| &*known.name == name) {
            context.report.push(Diagnostic::error(&raw.name.place, format!("two tenants are called `{name}`")));
        }
        let keys = keys(raw, &compiled, context);
        check_routes(raw, routes, context);
        let routes = raw.routes.as_ref().map(|routes| routes.iter().map(|one| one.value.as_str().into()).collect());
        compiled.push(Tenant { name: name.into(), keys, routes });
    }
    compiled
}

fn keys(raw: &RawTenant, others: &IdVec<TenantIx, Tenant>, context: &Context<'_>) -> Vec<Secret> {
    let mut own: Vec<Secret> = Vec::new();
    for source in &raw.keys {
        let Some(key) = secrets::resolve(source, context) else { continue };
        let holder = others.values().find(|tenant| tenant.keys.contains(&key));
        if let Some(holder) = holder {
            let message = format!("`{}` has the same key: nobody could tell the two apart", holder.name);
            context.report.push(Diagnostic::error(&source.place, message).hint("give every tenant keys of its own"));
        } else if own.contains(&key) {
            context.report.push(Diagnostic::warning(&source.place, "this tenant has the same key twice"));
        } else {
            own.push(key);
        }
    }
    own
}

fn check_routes(raw: &RawTenant, routes: &IdVec<RouteIx, Route>, context: &Context<'_>) {
    let mut known = routes.values().map(|route| &*route.name).filter(|name| *name != UNLISTED).collect::<Vec<_>>();
    known.push(UNLISTED);
    for one in raw.routes.iter().flatten().filter(|one| !known.contains(&one.value.as_str())) {
        let diagnostic = Diagnostic::error(&one.place, format!("the policy has no route `{}`", one.value));
        context.report.push(match advice(&one.value, &known) {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }
}
