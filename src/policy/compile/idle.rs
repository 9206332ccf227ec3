//! What is said in vain: names that no model has, and models of which too little is known to be used.
//!
//! None of it is an error, since a catalogue and a configuration may grow apart; all of it is most often a slip.

use crate::dialect::glob::Glob;
use crate::ids::UpstreamIx;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::nearest::nearest;
use crate::policy::raw::models::Model as RawModel;
use crate::policy::raw::upstreams::Upstream as RawUpstream;

use super::Context;
use super::endpoints::{Origin, Tables};
use super::listing::Listing;
use super::rules::{Rules, Verdict};

/// Warns of an upstream whose models are `listings`.
pub(super) fn warn(raw: &RawUpstream, origin: &Origin, listings: &[Listing<'_>], context: &Context<'_>) {
    let names: Vec<Vec<&str>> = listings.iter().map(Listing::names).collect();
    let any = |glob: &Glob| names.iter().flatten().any(|name| glob.matches(name));
    for glob in raw.quirks.iter().flat_map(|quirk| &quirk.models).filter(|glob| !any(&glob.value)) {
        let message =
            format!("no model of `{}` has a name that is meant here, so this changes nothing", raw.name.value);
        context.report.push(Diagnostic::warning(&glob.place, message).hint("see the names in `models`"));
    }
    for key in raw.keys.iter().flatten() {
        if key.models.as_ref().is_some_and(|globs| !globs.iter().any(any)) {
            let message = format!("no model of `{}` has a name that this key may call", raw.name.value);
            context.report.push(Diagnostic::warning(&key.source.place, message).hint("see the names in its `models`"));
        }
    }
    let rows = rows(origin);
    // A feed may know what the catalogue does not.
    if context.feeds.is_empty() {
        raw.models.iter().for_each(|model| warn_of_unknown(raw, model, rows, context));
    }
}

fn rows(origin: &Origin) -> &[RawModel] {
    origin.host().map_or(&[][..], |host| host.models.as_slice())
}

/// Whether the catalogue does not have the model among those that it has, and nothing is said of its price.
fn is_unknown(model: &RawModel, rows: &[RawModel]) -> bool {
    let is_listed = || rows.iter().any(|row| row.name.value == model.name.value);
    !rows.is_empty() && model.base.is_none() && model.price.place.is_none() && !is_listed()
}

fn warn_of_unknown(raw: &RawUpstream, model: &RawModel, rows: &[RawModel], context: &Context<'_>) {
    if !is_unknown(model, rows) {
        return;
    }
    let name = model.name.value.as_str();
    let near = nearest(name, rows.iter().map(|row| row.name.value.as_str()));
    let hint = near.map_or_else(
        || "say its `price`, or which model of the catalogue it is with `base`".to_owned(),
        |near| format!("did you mean `{near}`? If not, say its `price`, or what it is with `base`"),
    );
    let message = format!("the catalogue has no `{name}` for `{}`, and nothing is said of its price", raw.name.value);
    context.report.push(Diagnostic::warning(&model.name.place, message).hint(hint));
}

/// Models of one's own that are never used for want of a price. Of those that the catalogue should know more is said.
pub(super) fn warn_of_unpriced(
    raw: &RawUpstream,
    origin: &Origin,
    tables: &Tables,
    upstream: UpstreamIx,
    rules: &Rules,
    context: &Context<'_>,
) {
    let Verdict::Excluded(reason) = rules.verdict_on_unpriced() else { return };
    if !context.feeds.is_empty() {
        return;
    }
    for model in raw.models.iter().filter(|model| !is_unknown(model, rows(origin))) {
        let name = model.name.value.as_str();
        let mut endpoints = tables.of(upstream).filter(|(_, one)| &*one.model == name).peekable();
        if endpoints.peek().is_some() && endpoints.all(|(_, one)| one.price.is_none()) {
            let message = format!("`{}/{name}` is never used: {reason}", raw.name.value);
            let hint =
                format!("say its `price`, or with `base` which model of the catalogue it is{}", rules.or_allow());
            context.report.push(Diagnostic::warning(&model.name.place, message).hint(hint));
        }
    }
}
