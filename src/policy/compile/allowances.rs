//! Allowances: whose they are, for what, and until when the present one lasts.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::dialect::glob::Glob;
use crate::engine::Unit;
use crate::ids::{AllowanceIx, IdVec, UpstreamIx};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::model::Allowance;
use crate::policy::raw::allowances::{Allowance as Raw, Amount, Per};
use crate::policy::raw::models::Model as RawModel;
use crate::policy::raw::upstreams::Upstream as RawUpstream;
use crate::policy::source::At;

use super::Context;
use super::exchange::Exchange;

/// The allowance that an account has for a model, made once for all models and keys that share it.
pub(super) fn of(
    raw: &RawUpstream,
    said: [Option<&RawModel>; 2],
    (upstream, account, model): (UpstreamIx, &str, &str),
    table: &mut IdVec<AllowanceIx, Allowance>,
    exchange: &Exchange,
    context: &Context<'_>,
) -> Option<AllowanceIx> {
    let own = said.into_iter().flatten().find_map(|said| said.free.as_ref());
    let shared = raw.allowances.iter().enumerate();
    let (found, label) = match own {
        Some(free) => (free, format!("{model} free")),
        None => shared
            .filter(|(_, one)| one.models.is_empty() || one.models.iter().any(|glob| glob.matches(model)))
            .map(|(number, one)| (one, format!("allowance {}", number + 1)))
            .next()?,
    };
    let (begun, ends) = period(found, context.inputs.now())?;
    let id: Arc<str> = format!("{account} {label}{begun}").into();
    if let Some((known, _)) = table.iter().find(|(_, one)| one.id == id) {
        return Some(known);
    }
    let (unit, size) = counted(&found.amount, exchange, context)?;
    let used = used(found, (unit, size), exchange, context);
    let (id, label) = (id, label.into());
    Some(table.push(Allowance { id, upstream, label, unit, size, used, ends }))
}

/// Says which of an upstream's allowances pay for nothing: what they are for does not exist, or they are over.
pub(super) fn warn_of_idle(raw: &RawUpstream, models: &[Arc<str>], context: &Context<'_>) {
    let now = context.inputs.now();
    for one in &raw.allowances {
        let serves = |glob: &Glob| models.iter().any(|model| glob.matches(model));
        if !one.models.is_empty() && !one.models.iter().any(serves) {
            let message =
                format!("no model of `{}` has a name that is meant here, so it pays for nothing", raw.name.value);
            context.report.push(Diagnostic::warning(&one.place, message).hint("see the names in `models`"));
        }
        warn_of_end(one, now, context);
    }
    raw.models.iter().filter_map(|model| model.free.as_ref()).for_each(|free| warn_of_end(free, now, context));
}

fn warn_of_end(one: &Raw, now: Timestamp, context: &Context<'_>) {
    if let Some(expires) = one.expires.as_ref().filter(|expires| expires.value <= now) {
        let message = "this has expired, so it pays for nothing";
        context.report.push(Diagnostic::warning(&expires.place, message).hint("leave this allowance out"));
    }
}

/// In what it is counted, and how much it is; money in pico-dollars.
fn counted(amount: &At<Amount>, exchange: &Exchange, context: &Context<'_>) -> Option<(Unit, u64)> {
    match &amount.value {
        Amount::Count(unit, units) => Some((*unit, *units)),
        Amount::Money(money) => {
            let money = At { value: money.clone(), place: amount.place.clone() };
            exchange.amount(&money, context).map(|amount| (Unit::Money, amount.0))
        }
    }
}

fn used(found: &Raw, (unit, size): (Unit, u64), exchange: &Exchange, context: &Context<'_>) -> u64 {
    let Some(used) = &found.used else { return 0 };
    let Some((counted_in, units)) = counted(used, exchange, context) else { return 0 };
    if counted_in != unit {
        context.report.push(Diagnostic::error(&used.place, "`used` is counted in another unit than `amount`"));
    } else if units > size {
        let hint = "`amount` is the whole of it, and `used` the part that is gone";
        context.report.push(Diagnostic::error(&used.place, "`used` is more than `amount`").hint(hint));
    } else if units == size {
        let message = "all of it is used, so it pays for nothing";
        context.report.push(Diagnostic::warning(&used.place, message).hint("leave this allowance out"));
    }
    if found.per != Per::Once {
        let message = "what was used of an allowance that is renewed is not known after its renewal";
        context.report.push(Diagnostic::warning(&found.place, message).hint("leave `used` out"));
    }
    units
}

/// Which of its periods it is, and when that ends; `None` once it has expired.
fn period(found: &Raw, now: Timestamp) -> Option<(String, Option<Timestamp>)> {
    if found.expires.as_ref().is_some_and(|expires| expires.value <= now) {
        return None;
    }
    let today = TimeZone::UTC.to_datetime(now).date();
    let midnight = |date: Date| date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    let (begun, renewed) = match found.per {
        Per::Once => (String::new(), None),
        Per::Day => (format!(" {today}"), today.tomorrow().ok().and_then(midnight)),
        Per::Month => {
            let next = today.last_of_month().tomorrow().ok().and_then(midnight);
            (format!(" {}", today.strftime("%Y-%m")), next)
        }
    };
    let ends = match (renewed, found.expires.as_ref().map(|expires| expires.value)) {
        (Some(renewed), Some(expires)) => Some(renewed.min(expires)),
        (one, other) => one.or(other),
    };
    Some((begun, ends))
}
