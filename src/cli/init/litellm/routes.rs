//! Model groups become routes: the deployments of one name a tier, `order` and fallbacks further tiers, aliases more
//! names.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cli::init::draft::{Deployment, Draft, Refusals, Route, Serves, Unlisted, grouped};
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_embedding;
use crate::cli::init::route_names::EVERY;
use crate::cli::init::said::Said;

use super::deployments::Declared;

/// Sections in which a setting may stand. The first one in which it says something counts.
pub(super) type Sections<'a> = [Said<'a>];

/// Adds the routes of `declared` to `draft`.
pub(super) fn routes(declared: &[Declared], sections: &Sections<'_>, draft: &mut Draft) -> Result<(), Fault> {
    let groups = grouped(declared, |one| one.group.clone());
    let passing = Passing::of(declared);
    let own = groups.iter().filter_map(|(name, members)| own(name, members, passing, draft)).collect::<Vec<_>>();
    let aliases = aliases(sections, draft)?;
    let chains = Chains::read(sections, draft)?;
    remark_passed_on(declared, passing, draft);
    let is_group = |name: &String| groups.iter().any(|(group, _)| group == name);
    for route in &own {
        let mut route = route.clone();
        route.aliases = aliases
            .iter()
            .filter(|(alias, target)| **target == route.name && !is_group(alias))
            .map(|(alias, _)| alias.clone())
            .collect();
        chains.extend(&mut route, &own, &aliases, draft);
        draft.routes.push(route);
    }
    let is_known = |target: &String| own.iter().any(|route| route.name == *target);
    for alias in aliases.keys().filter(|alias| is_group(alias)) {
        let what =
            "there is a group of this name too, and it counts here; in LiteLLM the alias does: rename one of them";
        draft.remark_on(format!("model_group_alias `{alias}`"), what);
    }
    let lost = aliases.iter().filter(|(_, target)| !is_known(target));
    let lost = lost.map(|(alias, target)| format!("model_group_alias `{alias}` (`{target}`)"));
    let headless = chains.heads().filter(|name| *name != EVERY && !is_known(name));
    for what in lost.chain(headless.map(|name| format!("fallbacks of `{name}`"))) {
        draft.remark_on(what, "there is no such group that can be called");
    }
    Ok(())
}

/// How names are passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    /// By a route, as they are: the group `*` alone does it.
    ByRoute,
    /// As those that no route lists, so that what stands before them, as in `openai/*`, is understood.
    Unlisted,
}

impl Passing {
    fn of(declared: &[Declared]) -> Self {
        let mut passing = declared.iter().filter(|one| one.deployment.serves == Serves::All);
        if passing.all(|one| one.group == EVERY) { Self::ByRoute } else { Self::Unlisted }
    }
}

/// A group without its fallbacks; `None` for one whose names no route lists.
fn own(name: &str, members: &[&Declared], passing: Passing, draft: &mut Draft) -> Option<Route> {
    let is_routed = |one: &&&Declared| passing == Passing::ByRoute || one.deployment.serves != Serves::All;
    let routed = members.iter().filter(is_routed).collect::<Vec<_>>();
    if routed.is_empty() {
        return None;
    }
    if name.is_empty() || name.find('*').is_some_and(|at| at + 1 != name.len()) {
        draft.remark_on(format!("`{name}`"), "a name may have one `*`, at its end; list the names in policy.toml");
        return None;
    }
    let mut tiers: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for one in &routed {
        tiers.entry(one.order).or_default().push(Rc::clone(&one.deployment));
    }
    // What is said of all models of a provider has a remark of its own.
    let named = || routed.iter().filter(|one| one.deployment.serves != Serves::All);
    let total = named().filter_map(|one| one.timeout).max();
    if named().any(|one| one.timeout != total) {
        draft.remark_on(
            format!("`{name}`"),
            "the `timeout`s of its entries differ: the longest holds for the whole route",
        );
    }
    Some(Route { name: name.to_owned(), tiers: tiers.into_values().collect(), total, ..Route::default() })
}

/// Groups that pass names on let models be called by their own.
fn remark_passed_on(declared: &[Declared], passing: Passing, draft: &mut Draft) {
    for one in declared.iter().filter(|one| one.deployment.serves == Serves::All) {
        let wish = &one.deployment.wish;
        let what = match passing {
            Passing::ByRoute => format!(
                "models are called by their own names, if the catalogue or [upstreams.{wish}.models.\"…\"] has them, and \
                 for a name with a date that neither has the one without is sent; other names are not passed on"
            ),
            Passing::Unlisted => {
                draft.unlisted = Unlisted::Allow;
                format!(
                    "models are called by their own names, or as `{wish}/…`, if the catalogue or \
                     [upstreams.{wish}.models.\"…\"] has them; names that neither has are not passed on, and those \
                     with a date at their end are such, until they stand there with their `base`"
                )
            }
        };
        draft.remark_on(format!("`{}`", one.group), what);
    }
}

/// `model_group_alias`: a name, or a table with one.
fn aliases(sections: &Sections<'_>, draft: &mut Draft) -> Result<BTreeMap<String, String>, Fault> {
    let mut aliases = BTreeMap::new();
    let Some(table) = setting(sections, "model_group_alias") else { return Ok(aliases) };
    for (alias, said) in table.table()? {
        if said.field("hidden").is_some_and(|hidden| !hidden.is_idle()) {
            draft.remark_on(format!("model_group_alias `{alias}`"), "no name is hidden: /v1/models shows it");
        }
        let target = if said.is_text() { said } else { said.need("model")? };
        aliases.insert(alias.to_owned(), target.text()?.to_owned());
    }
    if aliases.keys().any(|alias| alias.find('*').is_some_and(|at| at + 1 != alias.len())) {
        aliases.retain(|alias, _| !alias.contains('*'));
        draft.remark("model_group_alias: names with `*` are left out");
    }
    Ok(aliases)
}

/// The setting called `name`.
pub(super) fn setting<'v>(sections: &[Said<'v>], name: &str) -> Option<Said<'v>> {
    sections.iter().filter_map(|section| section.field(name)).find(|said| !said.is_idle())
}

/// Who is asked after whom, by group.
#[derive(Debug, Default)]
struct Chains {
    general: BTreeMap<String, Vec<String>>,
    too_long: BTreeMap<String, Vec<String>>,
    refused: BTreeMap<String, Vec<String>>,
    usual: Vec<String>,
}

impl Chains {
    fn read(sections: &Sections<'_>, draft: &mut Draft) -> Result<Self, Fault> {
        let usual =
            setting(sections, "default_fallbacks").map_or_else(|| Ok(Vec::new()), |said| names(&said, draft))?;
        let mut chain = |name| setting(sections, name).map_or_else(|| Ok(BTreeMap::new()), |said| chain(&said, draft));
        let (too_long, refused) = (chain("context_window_fallbacks")?, chain("content_policy_fallbacks")?);
        Ok(Self { general: chain("fallbacks")?, too_long, refused, usual })
    }

    /// The groups that have fallbacks.
    fn heads(&self) -> impl Iterator<Item = &String> {
        self.general.keys().chain(self.too_long.keys()).chain(self.refused.keys())
    }

    fn extend(&self, route: &mut Route, groups: &[Route], aliases: &BTreeMap<String, String>, draft: &mut Draft) {
        let general = self.general.get(&route.name).or_else(|| self.general.get("*")).unwrap_or(&self.usual);
        let of = |chain: &BTreeMap<String, Vec<String>>| chain.get(&route.name).cloned().unwrap_or_default();
        let (too_long, refused) = (of(&self.too_long), of(&self.refused));
        if !refused.is_empty() {
            route.refusals = Refusals::AskOthers;
        }
        if !too_long.is_empty() {
            draft.remark_on(
                format!("context_window_fallbacks of `{}`", route.name),
                "they are its last tier, also after other failures; prompts go only to models whose `context` they fit",
            );
        }
        if has_vectors(route) {
            if !general.is_empty() {
                draft.remark("fallbacks of embeddings are left out: vectors of different models cannot be compared");
            }
            return;
        }
        for name in general.iter().chain(&too_long).chain(&refused) {
            let name = aliases.get(name).unwrap_or(name);
            let Some(group) = groups.iter().find(|group| group.name == *name) else {
                let fallback = format!("fallback of `{}` to `{name}`", route.name);
                draft.remark_on(fallback, "there is no such group that can be called");
                continue;
            };
            add_fallback(route, group, draft);
        }
    }
}

/// The tiers of `group` come after those of `route`.
fn add_fallback(route: &mut Route, group: &Route, draft: &mut Draft) {
    let further = group.tiers.iter().filter(|tier| !route.tiers.contains(tier));
    let further = further.map(|tier| without_passed_on(tier, route)).collect::<Vec<_>>();
    if further.iter().any(Option::is_none) {
        let what = "whoever has it is asked already, for the model that is asked for and no other; left out";
        draft.remark_on(format!("fallback of `{}` to `{}`", route.name, group.name), what);
    }
    route.tiers.extend(further.into_iter().flatten());
    route.least_attempts = route.tiers.len();
}

/// A tier without those through whose account `route` passes names on: they have a place there. `None` if that is all.
fn without_passed_on(tier: &[Rc<Deployment>], route: &Route) -> Option<Vec<Rc<Deployment>>> {
    let passes = |one: &Deployment, other: &Deployment| {
        one.serves == Serves::All && one.address == other.address && one.key == other.key
    };
    let is_new = |other: &&Rc<Deployment>| !route.tiers.iter().flatten().any(|one| passes(one, other));
    let tier = tier.iter().filter(is_new).cloned().collect::<Vec<_>>();
    (!tier.is_empty()).then_some(tier)
}

/// Whether the group makes vectors.
fn has_vectors(route: &Route) -> bool {
    let is = |one: &Rc<Deployment>| matches!(&one.serves, Serves::Model(model) if is_embedding(model));
    route.tiers.iter().flatten().any(is)
}

/// Remarks where deployments of one model are bounded or priced differently: here a model has one price at an upstream.
pub(super) fn remark_differences(draft: &mut Draft) {
    for ((_, serves), members) in grouped(draft.deployments.clone(), |one| (one.address.clone(), one.serves.clone())) {
        let said = |one: &Rc<Deployment>| (one.facts.limits, one.facts.price.clone(), one.facts.base.clone());
        let first = members.first().map(said);
        if let Serves::Model(model) = serves
            && members.iter().any(|one| Some(said(one)) != first)
        {
            let what = "its deployments differ in limits or prices; the smallest limit holds for each key, and the first price";
            draft.remark_on(format!("`{model}`"), what);
        }
    }
}

/// `[{"a": ["b", "c"]}, …]`, or one table.
fn chain(said: &Said<'_>, draft: &mut Draft) -> Result<BTreeMap<String, Vec<String>>, Fault> {
    let tables = if said.is_list() { said.list()? } else { vec![said.clone()] };
    let mut chain: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for table in tables {
        for (name, targets) in table.table()? {
            chain.entry(name.to_owned()).or_default().extend(names(&targets, draft)?);
        }
    }
    Ok(chain)
}

/// A list of names; some are tables with the name and parameters.
fn names(said: &Said<'_>, draft: &mut Draft) -> Result<Vec<String>, Fault> {
    if said.is_text() {
        return Ok(vec![said.text()?.to_owned()]);
    }
    said.list()?.iter().map(|one| name(one, draft)).collect()
}

fn name(said: &Said<'_>, draft: &mut Draft) -> Result<String, Fault> {
    if said.is_text() {
        return Ok(said.text()?.to_owned());
    }
    for (parameter, said) in said.table()? {
        if parameter != "model" {
            draft.remark_on(said.place, "a fallback is asked what was asked before: own parameters are not taken over");
        }
    }
    Ok(said.need("model")?.text()?.to_owned())
}
