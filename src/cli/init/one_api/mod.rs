//! The channels of one-api, or of its fork new-api, as their API or their database gives them: a list of channels, an
//! answer with one in `data`, or pages of one in `data.items`.

mod channels;
mod types;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::draft::{Draft, Route, grouped, printable};
use super::fault::Fault;
use super::places::Catalogue;
use super::said::Said;
use super::tree;

use self::channels::Reading;
use self::types::Flavour;

const MOST_CHANNELS: usize = 2_000;
const MOST_ENDPOINTS: usize = 20_000;

/// Fields that only new-api has.
const OF_NEW_API: [&str; 6] = ["channel_info", "auto_ban", "other_info", "setting", "settings", "tag"];

/// The draft of an export.
pub(super) fn draft(text: &str, catalogue: &Catalogue) -> Result<Draft, Fault> {
    let tree = tree::json(text)?;
    let (channels, paged) = channels(&Said::whole(&tree))?;
    if channels.len() > MOST_CHANNELS {
        return Err(Fault::TooMany { place: "channels".to_owned(), most: MOST_CHANNELS });
    }
    let is_new = |channel: &Said<'_>| OF_NEW_API.iter().any(|name| channel.field(name).is_some());
    let flavour = if paged || channels.iter().any(is_new) { Flavour::NewApi } else { Flavour::OneApi };
    let reading = Reading { catalogue, flavour };
    let mut draft = Draft::default();
    let mut served = Vec::new();
    for channel in &channels {
        served.extend(reading.channel(channel, &mut draft)?);
        if served.len() > MOST_ENDPOINTS {
            return Err(Fault::TooMany { place: format!("{}.models", channel.place), most: MOST_ENDPOINTS });
        }
    }
    draft.deployments = served.iter().map(|one| Rc::clone(&one.deployment)).collect();
    for (name, members) in grouped(served, |one| one.public.clone()) {
        let mut tiers: BTreeMap<Reverse<i64>, Vec<_>> = BTreeMap::new();
        for one in members {
            tiers.entry(Reverse(one.priority)).or_default().push(one.deployment);
        }
        draft.routes.push(Route { name, tiers: tiers.into_values().collect(), ..Route::default() });
    }
    draft
        .remark("users and their tokens: they are not in an export of channels; write [[tenants]] for those that stay");
    Ok(draft)
}

/// The channels, and whether they came in pages.
fn channels<'v>(whole: &Said<'v>) -> Result<(Vec<Said<'v>>, bool), Fault> {
    let is_channel = |said: &Said<'_>| said.field("type").is_some() && said.field("models").is_some();
    if whole.is_list() {
        return Ok((whole.called("channels".to_owned()).list()?, false));
    }
    if is_channel(whole) {
        return Ok((vec![whole.called("channel".to_owned())], false));
    }
    whole.table().map_err(|_| whole.called("the file".to_owned()).not("a list of channels, or an answer with one"))?;
    if let Some(message) = whole.field("message").filter(|said| !said.is_idle() && whole.field("data").is_none()) {
        return Err(Fault::Refused { message: printable(message.text().unwrap_or_default()) });
    }
    let data = whole.field("data").or_else(|| whole.field("channels"));
    let data = data.ok_or_else(|| Fault::Missing { place: "data".to_owned() })?;
    match data.field("items") {
        Some(items) => Ok((items.list()?, true)),
        None if is_channel(&data) => Ok((vec![data], false)),
        None => Ok((data.list()?, false)),
    }
}

#[cfg(test)]
mod tests;
