//! Names that a provider has given up. They are taken over as they are, since somebody else may serve them at the same
//! address; but the catalogue has no price for them, and what there is instead is said.

use super::draft::{Draft, Serves};
use super::places::Catalogue;
use super::remarks::listed;

/// Providers, and the names that they served once.
const RETIRED: [(&str, &str); 2] = [("deepseek", "deepseek-chat"), ("deepseek", "deepseek-reasoner")];

/// Whose model this was.
pub(super) fn maker_of(model: &str) -> Option<&'static str> {
    RETIRED.iter().find(|(_, name)| *name == model).map(|(provider, _)| *provider)
}

/// Remarks on every name of `draft` that its provider has given up, with the models of today.
pub(super) fn remarks(draft: &mut Draft, catalogue: &Catalogue) {
    for one in draft.deployments.clone() {
        let (Serves::Model(model), Some(provider)) = (&one.serves, one.address.provider) else { continue };
        if RETIRED.contains(&(provider, model.as_str())) && !catalogue.lists(&one.address, model) {
            let what = format!(
                "{provider} has given this name up; its models of today are {}: put one of them in its place in the \
                 `cluster` of each route, and clients ask for what they asked for",
                listed(catalogue.models(&one.address)),
            );
            draft.remark_on(format!("`{model}`"), what);
        }
    }
}
