//! Routes, laid out: which names lead to which endpoints. Whoever passes names on is `upstream/*`: whatever model is
//! asked for, and no other.

use std::rc::Rc;
use std::time::Duration;

use super::draft::{Address, Deployment, Refusals, Route, Serves, grouped};
use super::layout::{Access, Upstream};
use super::places::Catalogue;

/// One of `[[routes]]`.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) name: String,
    pub(super) models: Vec<String>,
    pub(super) tiers: Vec<Vec<String>>,
    pub(super) least_attempts: usize,
    pub(super) total: Option<Duration>,
    pub(super) refusals: Refusals,
}

/// Lays out all routes of a draft.
pub(super) fn laid(routes: &[Route], upstreams: &[Upstream], catalogue: &Catalogue) -> Vec<Laid> {
    let is_asked_of_another = |name: &String| routes.iter().any(|route| route.name == *name || route.has_alias(name));
    let lay = |route: &Route| {
        let tiers = route.tiers.iter().map(|tier| endpoints(tier, upstreams)).filter(|tier| !tier.is_empty());
        // What is known of the names that are passed on is listed: /v1/models shows it.
        let passed_on = passed_on(route, upstreams, catalogue).into_iter().filter(|name| !is_asked_of_another(name));
        Laid {
            name: route.called.as_ref().unwrap_or(&route.name).clone(),
            models: passed_on.chain([route.name.clone()]).chain(route.aliases.iter().cloned()).collect(),
            tiers: tiers.collect(),
            least_attempts: route.least_attempts,
            total: route.total,
            refusals: route.refusals,
        }
    };
    routes.iter().map(lay).collect()
}

/// The models that are known of the upstreams to which a route passes names on.
fn passed_on(route: &Route, upstreams: &[Upstream], catalogue: &Catalogue) -> Vec<String> {
    let addresses = route.tiers.iter().flatten().filter(|one| one.serves == Serves::All).map(|one| &one.address);
    let mut names: Vec<String> = Vec::new();
    for address in addresses {
        let own = upstreams.iter().filter(|one| one.address == *address).flat_map(|one| &one.models);
        for name in catalogue.models(address).iter().chain(own.map(|model| &model.name)) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}

/// `upstream/model` where every key that may call the model is meant, else one `upstream/model#key` for each that is.
fn endpoints(tier: &[Rc<Deployment>], upstreams: &[Upstream]) -> Vec<String> {
    let groups = grouped(tier, |one| (one.address.clone(), one.serves.clone()));
    groups.into_iter().flat_map(|((address, serves), members)| entry(&address, &serves, &members, upstreams)).collect()
}

fn entry(address: &Address, serves: &Serves, members: &[&Rc<Deployment>], upstreams: &[Upstream]) -> Vec<String> {
    let Some(upstream) = upstreams.iter().find(|one| one.address == *address) else { return Vec::new() };
    let (model, may): (&str, &dyn Fn(&&Access) -> bool) = match serves {
        Serves::Model(model) => (model, &|key| key.models.as_ref().is_none_or(|models| models.contains(model))),
        Serves::All => ("*", &|_| true),
    };
    let meant = |key: &&Access| members.iter().any(|one| one.key == key.key);
    let (all, some) = (upstream.keys.iter().filter(may).count(), upstream.keys.iter().filter(meant));
    let plain = format!("{}/{model}", upstream.name);
    let some = some.map(|key| format!("{plain}#{}", key.name)).collect::<Vec<_>>();
    if some.len() == all { vec![plain] } else { some }
}
