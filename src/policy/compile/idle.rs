//! What is said in vain: names that no model has, and models of which too little is known to be used.
//!
//! None of it is an error, since a catalogue and a configuration may grow apart; all of it is most often a slip.

use crate::dialect::glob::Glob;
use crate::policy::diagnostic::Diagnostic;
use crate::policy::nearest::nearest;
use crate::policy::raw::models::Model as RawModel;
use crate::policy::raw::upstreams::Upstream as RawUpstream;

use super::Context;
use super::endpoints::Origin;
use super::listing::Listing;

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
    let rows = origin.host().map_or(&[][..], |host| host.models.as_slice());
    // A feed may know what the catalogue does not.
    if !rows.is_empty() && context.feeds.is_empty() {
        raw.models.iter().for_each(|model| warn_of_unknown(raw, model, rows, context));
    }
}

/// A model that the catalogue does not have at this provider, and of whose price nothing is said.
fn warn_of_unknown(raw: &RawUpstream, model: &RawModel, rows: &[RawModel], context: &Context<'_>) {
    let name = model.name.value.as_str();
    let is_known = model.base.is_some() || model.price.place.is_some() || rows.iter().any(|row| row.name.value == name);
    if is_known {
        return;
    }
    let near = nearest(name, rows.iter().map(|row| row.name.value.as_str()));
    let hint = near.map_or_else(
        || "say its `price`, or which model of the catalogue it is with `base`".to_owned(),
        |near| format!("did you mean `{near}`? If not, say its `price`, or what it is with `base`"),
    );
    let message = format!("the catalogue has no `{name}` for `{}`, and nothing is said of its price", raw.name.value);
    context.report.push(Diagnostic::warning(&model.name.place, message).hint(hint));
}
