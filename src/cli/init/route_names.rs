//! What routes are called. Most have the name that clients ask for; where that one means something else here, or cannot
//! stand in a header, the route gets another, and clients go on asking for the old one.

use std::collections::BTreeSet;

use crate::policy::model::UNLISTED;

use super::draft::{Draft, Route};
use super::places::slug;

/// The name of all that no other route has, in the files that are taken over.
pub(super) const EVERY: &str = "*";

/// What the route of that name is called.
const ANY: &str = "any";

/// Gives another name to each route that cannot be called by its own.
pub(super) fn settle(draft: &mut Draft) {
    let mut taken = BTreeSet::from([UNLISTED.to_owned()]);
    taken.extend(draft.routes.iter().flat_map(|route| route.aliases.iter().chain([&route.name])).cloned());
    for at in 0..draft.routes.len() {
        let Some(route) = draft.routes.get_mut(at) else { continue };
        let Some(unfit) = Unfit::of(route) else { continue };
        let free = free(&unfit.wish(route), &taken);
        taken.insert(free.clone());
        let (name, what) = (route.name.clone(), unfit.why());
        route.called = Some(free.clone());
        draft.remark_on(format!("`{name}` (now the route `{free}`)"), what);
    }
}

/// Why a route is not called by the name that clients ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    Reserved,
    Pattern,
    BeyondAscii,
}

impl Unfit {
    fn of(route: &Route) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_graphic() || c == ' ';
        match route.name.as_str() {
            UNLISTED => Some(Self::Reserved),
            EVERY => Some(Self::Pattern),
            name => (!name.chars().all(is_plain)).then_some(Self::BeyondAscii),
        }
    }

    /// What it may be called.
    fn wish(self, route: &Route) -> String {
        match self {
            Self::Reserved => UNLISTED.to_owned(),
            Self::Pattern => ANY.to_owned(),
            Self::BeyondAscii => {
                let whose = route.tiers.iter().flatten().next().map_or("route", |one| one.wish.as_str());
                let is_telling = route.name.chars().any(|c| c.is_ascii_alphanumeric());
                if is_telling { format!("{whose}-{}", slug(&route.name)) } else { whose.to_owned() }
            }
        }
    }

    const fn why(self) -> &'static str {
        match self {
            Self::Reserved => {
                "its own name stands for all models that no route lists; clients still ask for what they asked for"
            }
            Self::Pattern => "it serves whatever no other route has, and only its name is new",
            Self::BeyondAscii => {
                "a route's name stands in the header `x-faregate-route`, which is ASCII; clients still ask for what they \
                 asked for"
            }
        }
    }
}

/// The first of `wish`, `wish-2`, `wish-3` … that is not taken.
fn free(wish: &str, taken: &BTreeSet<String>) -> String {
    let numbered = (2_u32..).map(|number| format!("{wish}-{number}"));
    let name = std::iter::once(wish.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    name.unwrap_or_else(|| wish.to_owned())
}
