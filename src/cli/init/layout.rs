//! From a draft to what stands in the files: deployments become upstreams with named keys, routes become lists of
//! endpoints, and keys become references. Nothing is read or written here.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::policy::model::Secret;

use super::draft::{Address, Deployment, Draft, Facts, Key, Serves, grouped};
use super::laid::{Laid, laid};
use super::models::{Model, models};
use super::names::Names;
use super::places::Catalogue;

/// Where plain keys go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Into files of their own, in a folder beside the configuration.
    Files,
    /// Nowhere: they are to be put into variables by hand.
    Variables,
}

/// A configuration, laid out.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) upstreams: Vec<Upstream>,
    pub(super) routes: Vec<Laid>,
    /// Names with the references of their keys.
    pub(super) tenants: Vec<(String, String)>,
    /// Keys that go into files of their own, by the files' names.
    pub(super) files: Vec<(String, Secret)>,
    /// Variables that hold, or are to hold, keys.
    pub(super) variables: BTreeSet<String>,
}

/// `[upstreams.NAME]`.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) name: String,
    pub(super) address: Address,
    pub(super) keys: Vec<Access>,
    pub(super) models: Vec<Model>,
}

/// One of `keys`.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) key: Key,
    /// `env:NAME` or `file:PATH`; `None` if none is needed.
    pub(super) reference: Option<String>,
    /// By what an endpoint is called.
    pub(super) name: String,
    pub(super) label: Option<String>,
    /// Which models it may call; all if not set.
    pub(super) models: Option<Vec<String>>,
}

/// Lays out `draft`.
pub(super) fn layout(draft: &Draft, keep: Keep, catalogue: &Catalogue) -> Layout {
    let mut layout = Layout::default();
    let mut names = Names::default();
    for key in draft.deployments.iter().map(|one| &one.key).chain(draft.tenants.iter().map(|one| &one.key)) {
        if let Key::Variable(name) = key {
            names.reserve(name);
        }
    }
    for (address, deployments) in grouped(draft.deployments.iter().cloned(), |one| one.address.clone()) {
        let wish = deployments.first().map_or("own", |one| one.wish.as_str());
        let name = names.upstream(wish);
        let keys = keys(&name, &deployments, keep, &mut names, catalogue, &mut layout);
        let models = models(&address, &deployments, catalogue);
        layout.upstreams.push(Upstream { name, address, keys, models });
    }
    layout.routes = laid(&draft.routes, &layout.upstreams, catalogue);
    for tenant in &draft.tenants {
        let (_, reference) = refer(&tenant.key, ("tenant", "FAREGATE_KEY"), keep, &mut names, &mut layout);
        layout.tenants.extend(reference.map(|reference| (tenant.name.clone(), reference)));
    }
    layout
}

fn keys(
    upstream: &str,
    deployments: &[Rc<Deployment>],
    keep: Keep,
    names: &mut Names,
    catalogue: &Catalogue,
    layout: &mut Layout,
) -> Vec<Access> {
    let usual = deployments.first().map(|one| &one.address).and_then(|address| {
        catalogue.offer(address.provider?)?.variables_of(address.region.as_deref()).first().cloned()
    });
    let usual = usual.unwrap_or_else(|| format!("{}_API_KEY", upstream.to_ascii_uppercase().replace('-', "_")));
    let groups = grouped(deployments, |one| one.key.clone());
    let callable = groups.iter().map(|(_, members)| callable(members)).collect::<Vec<_>>();
    let same = callable.iter().all(|models| Some(models) == callable.first());
    let mut keys = Vec::new();
    for ((key, members), models) in groups.into_iter().zip(callable) {
        let (name, reference) = refer(&key, (upstream, &usual), keep, names, layout);
        let label = members.iter().find_map(|one| one.label.clone());
        keys.push(Access { key, reference, name, label, models: models.filter(|_| !same) });
    }
    keys
}

/// The models that are called through one key; `None` for all.
fn callable(members: &[&Rc<Deployment>]) -> Option<Vec<String>> {
    let model = |one: &&Rc<Deployment>| match &one.serves {
        Serves::Model(name) => Some(name.clone()),
        Serves::All => None,
    };
    let all = members.iter().map(model).collect::<Option<BTreeSet<_>>>();
    all.map(|models| models.into_iter().collect())
}

/// A key's name and how the configuration refers to it.
fn refer(
    key: &Key,
    (owner, usual): (&str, &str),
    keep: Keep,
    names: &mut Names,
    layout: &mut Layout,
) -> (String, Option<String>) {
    let variable = match (key, keep) {
        (Key::None, _) => return (String::new(), None),
        (Key::Plain(secret), Keep::Files) => {
            let file = names.file(owner);
            layout.files.push((file.clone(), secret.clone()));
            return (file.clone(), Some(format!("file:keys/{file}")));
        }
        (Key::Variable(name), _) => name.clone(),
        (Key::Plain(_) | Key::Absent(..), _) => names.variable(usual),
    };
    layout.variables.insert(variable.clone());
    (variable.clone(), Some(format!("env:{variable}")))
}

/// The smaller of two bounds.
pub(super) fn lesser<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    one.into_iter().chain(other).min()
}

/// What is said of a model by several deployments: the first word on each counts, the smaller limit.
pub(super) fn merged(facts: impl Iterator<Item = Facts>) -> Facts {
    facts.fold(Facts::default(), |known, more| Facts {
        base: known.base.or(more.base),
        price: known.price.or(more.price),
        context: lesser(known.context, more.context),
        max_output: lesser(known.max_output, more.max_output),
        abilities: if known.abilities.is_empty() { more.abilities } else { known.abilities },
        limits: crate::engine::Limits {
            requests_per_minute: lesser(known.limits.requests_per_minute, more.limits.requests_per_minute),
            tokens_per_minute: lesser(known.limits.tokens_per_minute, more.limits.tokens_per_minute),
            input_tokens_per_minute: lesser(known.limits.input_tokens_per_minute, more.limits.input_tokens_per_minute),
            output_tokens_per_minute: lesser(
                known.limits.output_tokens_per_minute,
                more.limits.output_tokens_per_minute,
            ),
            concurrency: lesser(known.limits.concurrency, more.limits.concurrency),
            ..known.limits
        },
    })
}
