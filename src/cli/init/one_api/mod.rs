//! The channels of one-api, or of its fork new-api, as their API or their database gives them: public names become
//! routes, channels endpoints, priorities tiers.

mod channels;
mod export;
mod keys;
mod names;
mod settings;
mod types;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::draft::{Draft, Route, grouped};
use super::fault::Fault;
use super::places::Catalogue;
use super::said::Said;
use super::{retired, route_names, tree};

use self::channels::Reading;
use self::export::Export;

const MOST_CHANNELS: usize = 2_000;
const MOST_ENDPOINTS: usize = 20_000;

/// The draft of an export.
pub(super) fn draft(text: &str, catalogue: &Catalogue) -> Result<Draft, Fault> {
    let tree = tree::several_json(text)?;
    let mut draft = Draft::default();
    let export = Export::read(&Said::whole(&tree), &mut draft)?;
    if export.channels.len() > MOST_CHANNELS {
        return Err(Fault::TooMany { place: "channels".to_owned(), most: MOST_CHANNELS });
    }
    let reading = Reading { catalogue, flavour: export.flavour() };
    let mut served = Vec::new();
    for channel in &export.channels {
        served.extend(reading.channel(channel, &mut draft));
        if served.len() > MOST_ENDPOINTS {
            return Err(Fault::TooMany { place: channel.at("models"), most: MOST_ENDPOINTS });
        }
    }
    draft.deployments = served.iter().map(|one| Rc::clone(&one.deployment)).collect();
    for (name, members) in grouped(served, |one| one.public.clone()) {
        let mut tiers: BTreeMap<Reverse<i64>, Vec<_>> = BTreeMap::new();
        for one in members {
            tiers.entry(Reverse(one.priority)).or_default().push(one.deployment);
        }
        let least_attempts = tiers.len();
        draft.routes.push(Route { name, tiers: tiers.into_values().collect(), least_attempts, ..Route::default() });
    }
    route_names::settle(&mut draft);
    retired::remarks(&mut draft, catalogue);
    draft
        .remark("users and their tokens: they are not in an export of channels; write [[tenants]] for those that stay");
    Ok(draft)
}

#[cfg(test)]
mod tests;
