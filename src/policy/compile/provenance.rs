//! Says which prices that routes go by are old, or not sure.
//!
//! Only for what a route of the policy may choose, unless there are no routes: a catalogue is long, and nobody repairs a
//! price that he does not use. One message for all, so that it is read.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{EndpointIx, IdVec, RouteIx};
use crate::policy::diagnostic::{Diagnostic, Severity};
use crate::policy::model::{Confidence, PriceOrigin, Route};

use super::Context;
use super::endpoints::Tables;

/// A price that is older than this is used with a warning.
const OLD_AFTER_DAYS: i32 = 180;

/// Warns of doubtful prices among those that are used. The first `named` routes are the policy's own.
pub(super) fn warn(routes: &IdVec<RouteIx, Route>, named: usize, tables: &Tables, context: &Context<'_>) {
    let count = if named == 0 { usize::MAX } else { named };
    let candidates = routes.values().take(count).flat_map(|route| route.tiers.iter().flatten());
    let used: BTreeSet<EndpointIx> = candidates.map(|candidate| candidate.endpoint).collect();
    let mut prices: BTreeMap<String, &PriceOrigin> = BTreeMap::new();
    for endpoint in used.into_iter().map(|ix| &tables.endpoints[ix]) {
        if let Some(origin) = &endpoint.price_origin {
            let upstream = &tables.upstreams[endpoint.upstream].name;
            prices.insert(format!("{upstream}/{}", endpoint.model), origin);
        }
    }
    let today = context.inputs.today();
    let is_old = |origin: &PriceOrigin| {
        origin.as_of.is_some_and(|as_of| as_of.until(today).is_ok_and(|span| span.get_days() > OLD_AFTER_DAYS))
    };
    let old = |(name, origin): (&String, &&PriceOrigin)| {
        is_old(origin).then(|| format!("{name} ({})", origin.as_of.map(|as_of| as_of.to_string()).unwrap_or_default()))
    };
    let unsure =
        |(name, origin): (&String, &&PriceOrigin)| (origin.confidence == Confidence::Low).then(|| name.clone());
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
