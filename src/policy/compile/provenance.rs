//! Says which prices that routes go by are old, or not sure, and which models are about to be taken away.
//!
//! Only for what a route of the policy may choose, unless there are no routes: a catalogue is long, and nobody repairs a
//! price that he does not use. One message for all, so that it is read.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::ids::{EndpointIx, IdVec, RouteIx};
use crate::policy::diagnostic::{Diagnostic, Severity};
use crate::policy::model::{Confidence, Endpoint, PriceOrigin, Route};

use super::Context;
use super::endpoints::Tables;

/// A price that is older than this is used with a warning.
const OLD_AFTER_DAYS: i32 = 180;

/// A model that is gone within this time is used with a warning.
const GONE_WITHIN_DAYS: i32 = 90;

/// Warns of what is doubtful among what is used. The first `named` routes are the policy's own.
pub(super) fn warn(routes: &IdVec<RouteIx, Route>, named: usize, tables: &Tables, context: &Context<'_>) {
    let count = if named == 0 { usize::MAX } else { named };
    let candidates = routes.values().take(count).flat_map(Route::candidates);
    let used: BTreeSet<EndpointIx> = candidates.map(|candidate| candidate.endpoint).collect();
    let named = |ix: EndpointIx| {
        let endpoint = &tables.endpoints[ix];
        (format!("{}/{}", tables.upstreams[endpoint.upstream].name, endpoint.model), endpoint)
    };
    let used: BTreeMap<String, &Endpoint> = used.into_iter().map(named).collect();
    warn_of_prices(&used, context);
    warn_of_retired(&used, context);
}

fn warn_of_retired(used: &BTreeMap<String, &Endpoint>, context: &Context<'_>) {
    let today = context.inputs.today();
    let is_near = |day: &Date| today.until(*day).is_ok_and(|span| span.get_days() <= GONE_WITHIN_DAYS);
    let retired =
        |(name, endpoint): (&String, &&Endpoint)| endpoint.retires.filter(is_near).map(|day| format!("{name} ({day})"));
    let retired = used.iter().filter_map(retired).collect::<Vec<_>>();
    if !retired.is_empty() {
        let message = format!("some models that are used are about to be taken away: {}", retired.join(", "));
        let hint = "name what takes their place; once one is gone, its requests go to the rest of its route";
        context.report.push(Diagnostic::general(Severity::Warning, message).hint(hint));
    }
}

fn warn_of_prices(used: &BTreeMap<String, &Endpoint>, context: &Context<'_>) {
    let prices = used.iter().filter_map(|(name, endpoint)| Some((name, endpoint.price_origin.as_ref()?)));
    let prices: BTreeMap<&String, &PriceOrigin> = prices.collect();
    let today = context.inputs.today();
    let is_old = |origin: &PriceOrigin| {
        origin.as_of.is_some_and(|as_of| as_of.until(today).is_ok_and(|span| span.get_days() > OLD_AFTER_DAYS))
    };
    let old = |(name, origin): (&&String, &&PriceOrigin)| {
        is_old(origin).then(|| format!("{name} ({})", origin.as_of.map(|as_of| as_of.to_string()).unwrap_or_default()))
    };
    let unsure =
        |(name, origin): (&&String, &&PriceOrigin)| (origin.confidence == Confidence::Low).then(|| (*name).clone());
    report(
        &prices.iter().filter_map(old).collect::<Vec<_>>(),
        &format!("are older than {OLD_AFTER_DAYS} days"),
        context,
    );
    report(
        &prices.iter().filter_map(unsure).collect::<Vec<_>>(),
        "are not sure: sources disagree, or are old",
        context,
    );
}

fn report(names: &[String], fault: &str, context: &Context<'_>) {
    let Some(first) = names.first() else { return };
    let (upstream, model) = first.split_once('/').unwrap_or((first, ""));
    let model = model.split_once(" (").map_or(model, |(model, _)| model);
    let hint = format!("say what you pay, such as [upstreams.{upstream}.models.\"{model}\"] price = {{ … }}");
    let message = format!("some prices that are used {fault}: {}", names.join(", "));
    context.report.push(Diagnostic::general(Severity::Warning, message).hint(hint));
}
