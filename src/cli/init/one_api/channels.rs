//! One channel: where it is, its keys, and the models it serves under which names.

use std::rc::Rc;

use crate::cli::init::draft::{Address, Deployment, Draft, Facts, Key, Serves};
use crate::cli::init::fault::Fault;
use crate::cli::init::places::Catalogue;
use crate::cli::init::said::Said;

use super::keys::{keys, left_out};
use super::names::names;
use super::settings;
use super::types::{Flavour, Kind, find};

/// A model that a channel serves.
#[derive(Clone, Debug)]
pub(super) struct Served {
    /// What clients ask for.
    pub(super) public: String,
    /// Higher ones first.
    pub(super) priority: i64,
    pub(super) deployment: Rc<Deployment>,
}

/// The status of a channel that failed too often.
const SWITCHED_OFF_BY_ITSELF: i64 = 3;

/// What channels are read against.
pub(super) struct Reading<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) flavour: Flavour,
}

impl Reading<'_> {
    /// Reads one channel; nothing comes of one that is switched off, cannot be called or has a mistake in it. What is
    /// wrong with one is no reason to leave out the others.
    pub(super) fn channel(&self, channel: &Said<'_>, draft: &mut Draft) -> Vec<Served> {
        let called = called(channel);
        // A mistake that several channels have is one remark, so its place is the field alone.
        let alone = channel.called(String::new());
        let mut own = Draft::default();
        match self.read(&alone, &called, &mut own) {
            Ok(served) => {
                draft.remarks.absorb(own.remarks);
                served
            }
            Err(fault) => {
                draft.remark_on(called, format!("left out: {fault}; {}", fault.remedy()));
                Vec::new()
            }
        }
    }

    fn read(&self, channel: &Said<'_>, called: &str, draft: &mut Draft) -> Result<Vec<Served>, Fault> {
        let Some(kind) = self.kind(channel, called, draft)? else { return Ok(Vec::new()) };
        settings::remarks(channel, called, draft);
        let names = names(channel, called, self.flavour, draft)?;
        let address = self.address(channel, kind)?;
        let keys = match keys(channel, called, draft)? {
            Some(keys) => keys,
            None => self.absent(channel, &address, called, draft)?,
        };
        let priority =
            channel.field("priority").map(|priority| priority.whole_number()).transpose()?.unwrap_or_default();
        let wish = address.wish();
        let label = Some(called.to_owned());
        let all = names.iter().flat_map(|(public, model)| keys.iter().map(move |key| (public, model, key)));
        let served = all.map(|(public, model, key)| {
            let (address, key, label) = (address.clone(), key.clone(), label.clone());
            let serves = Serves::Model(model.clone());
            let deployment = Deployment { address, wish: wish.clone(), key, label, serves, facts: Facts::default() };
            Served { public: public.clone(), priority, deployment: Rc::new(deployment) }
        });
        Ok(served.collect())
    }

    /// What a channel is that is on and can be called.
    fn kind(&self, channel: &Said<'_>, called: &str, draft: &mut Draft) -> Result<Option<Kind>, Fault> {
        let status = channel.field("status").map(|status| status.whole_number()).transpose()?.unwrap_or(1);
        let why = match status {
            1 => None,
            SWITCHED_OFF_BY_ITSELF => Some(
                "it was switched off by the old proxy after failures, and is left out; switch it on there and fetch the \
                 export again if it is to serve",
            ),
            _ => Some("it is switched off, and left out"),
        };
        if let Some(why) = why {
            draft.remark_on(called, why);
            return Ok(None);
        }
        let number = channel.need("type")?.whole_number()?;
        match find(number, self.flavour) {
            Some(Kind::Foreign(why)) => draft.remark_on(called, why),
            Some(kind) => return Ok(Some(kind)),
            None => draft.remark_on(
                called,
                format!(
                    "what channel type {number} is, is not known, and it is left out; if it speaks the OpenAI API, give \
                     it type 1 and its base_url"
                ),
            ),
        }
        Ok(None)
    }

    /// Where no key is written: none is needed, or all that there are have to be fetched.
    fn absent(
        &self,
        channel: &Said<'_>,
        address: &Address,
        called: &str,
        draft: &mut Draft,
    ) -> Result<Vec<Key>, Fault> {
        let offer = address.provider.and_then(|name| self.catalogue.offer(name));
        if offer.is_some_and(|one| one.key_variables.is_empty()) {
            return Ok(vec![Key::None]);
        }
        if address.is_near() {
            draft.remark_on(
                called,
                "it has no key here, and its server is near: if that one wants none, write `keys = []` in its upstream \
                 instead of a variable",
            );
        }
        let id = channel.field("id").map(|id| id.whole_number()).transpose()?.unwrap_or_default();
        let count = left_out(channel, called, draft)?;
        Ok((0..count).map(|number| Key::Absent(id, number)).collect())
    }

    fn address(&self, channel: &Said<'_>, kind: Kind) -> Result<Address, Fault> {
        let place = channel.at("base_url");
        let url = channel.field("base_url").map(|url| url.text()).transpose()?.unwrap_or_default();
        let url = url.trim_end_matches('/').trim_end_matches("/chat/completions").trim_end_matches('/');
        let (provider, base, path) = match kind {
            Kind::Listed { provider, base, path } => (Some(provider), base, path),
            Kind::Compatible { base, path } => (None, base, path),
            Kind::Foreign(_) => (None, "", ""),
        };
        if url.is_empty() && base.is_empty() {
            return Err(Fault::NoAddress { place });
        }
        match provider {
            // The exporting program's own address may be an older one of the same provider.
            Some(provider) if url.is_empty() || url == base => Ok(self.catalogue.address(provider, "")),
            _ => {
                let url = if url.is_empty() { base } else { url };
                // Some write the version too, and the exporting program would have called /v1/v1.
                let url = if url.ends_with(path) { url.to_owned() } else { format!("{url}{path}") };
                let own =
                    provider.filter(|name| self.catalogue.offer(name).is_some_and(|one| one.key_variables.is_empty()));
                self.catalogue.find(&url, own, &place)
            }
        }
    }
}

/// What people know a channel by.
fn called(channel: &Said<'_>) -> String {
    let id = channel.field("id").and_then(|id| id.whole_number().ok());
    let name = channel.field("name").and_then(|name| name.text().ok()).filter(|name| !name.is_empty());
    match (id, name) {
        (Some(id), Some(name)) => format!("channel {id} ({name})"),
        (Some(id), None) => format!("channel {id}"),
        (None, Some(name)) => format!("channel ({name})"),
        (None, None) => channel.place.clone(),
    }
}
