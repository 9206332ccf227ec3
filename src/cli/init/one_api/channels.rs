//! One channel: where it is, its keys, and the models it serves under which names.

use std::rc::Rc;

use serde_json::Value;

use crate::cli::init::draft::{Address, Deployment, Draft, Facts, Key, Serves};
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_of_another_kind;
use crate::cli::init::places::{Catalogue, plain, reference};
use crate::cli::init::said::Said;
use crate::cli::init::tree;

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

/// Settings that have no place here, and what to do instead.
const INSTEAD: [(&str, &str); 7] = [
    (
        "weight",
        "weights are gone: inside a tier the lowest expected cost wins; a `handicap` in policy.toml holds one back",
    ),
    ("system_prompt", "prompts are not added to"),
    ("param_override", "parameters for all requests of a route can stand in its `params`"),
    ("header_override", "own headers are not sent to upstreams"),
    ("status_code_mapping", "what errors mean can be said in [[upstreams.X.errors]]"),
    ("openai_organization", "an organisation header is not sent: use a key of that organisation's project"),
    ("proxy", "upstreams are called directly"),
];

/// What channels are read against.
pub(super) struct Reading<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) flavour: Flavour,
}

impl Reading<'_> {
    /// Reads one channel; nothing comes of one that is switched off or cannot be called.
    pub(super) fn channel(&self, channel: &Said<'_>, draft: &mut Draft) -> Result<Vec<Served>, Fault> {
        let id = channel.field("id").map(|id| id.whole_number()).transpose()?.unwrap_or_default();
        let name = channel.field("name").map(|name| name.text()).transpose()?.unwrap_or_default();
        let called = format!("channel {id} ({name})");
        let status = channel.field("status").map(|status| status.whole_number()).transpose()?.unwrap_or(1);
        if status != 1 {
            draft.remark(format!("{called}: it is switched off, and left out"));
            return Ok(Vec::new());
        }
        let number = channel.need("type")?.whole_number()?;
        let unknown = || Fault::ChannelType { place: format!("{}.type", channel.place), number };
        let kind = find(number, self.flavour).ok_or_else(unknown)?;
        if let Kind::Foreign(why) = kind {
            draft.remark(format!("{called}: {why}"));
            return Ok(Vec::new());
        }
        remark_others(channel, draft);
        let models = models(channel, &called, draft)?;
        let address = self.address(channel, kind)?;
        let keys = self.keys(channel, &address, id, draft)?;
        let priority =
            channel.field("priority").map(|priority| priority.whole_number()).transpose()?.unwrap_or_default();
        let wish = address.wish();
        let label = Some(called).filter(|_| !name.is_empty() || id != 0);
        let all = models.iter().flat_map(|(public, model)| keys.iter().map(move |key| (public, model, key)));
        let served = all.map(|(public, model, key)| {
            let (address, key, label) = (address.clone(), key.clone(), label.clone());
            let serves = Serves::Model(model.clone());
            let deployment = Deployment { address, wish: wish.clone(), key, label, serves, facts: Facts::default() };
            Served { public: public.clone(), priority, deployment: Rc::new(deployment) }
        });
        Ok(served.collect())
    }

    fn address(&self, channel: &Said<'_>, kind: Kind) -> Result<Address, Fault> {
        let place = format!("{}.base_url", channel.place);
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

    /// One key per line. An export through the API has none.
    fn keys(&self, channel: &Said<'_>, address: &Address, id: i64, draft: &mut Draft) -> Result<Vec<Key>, Fault> {
        let needs_none = address
            .provider
            .and_then(|name| self.catalogue.offer(name))
            .is_some_and(|one| one.key_variables.is_empty());
        let said = channel.field("key").filter(|key| !key.is_idle());
        let Some(said) = said else { return Ok(vec![if needs_none { Key::None } else { Key::Absent(id) }]) };
        let disabled = channel.field("channel_info").and_then(|info| info.field("multi_key_status_list"));
        let lines = said.text()?.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let mut keys = Vec::new();
        for (index, line) in lines {
            let place = format!("{} (line {})", said.place, index + 1);
            let status = disabled.as_ref().and_then(|list| list.field(&index.to_string()));
            if status.is_some_and(|status| status.whole_number().is_ok_and(|status| status != 1)) {
                draft.remark(format!("{place}: this key is switched off, and left out"));
                continue;
            }
            keys.push(match reference(line, &place)? {
                Some(variable) => Key::Variable(variable.to_owned()),
                None => plain(line, &place)?,
            });
        }
        Ok(keys)
    }
}

fn remark_others(channel: &Said<'_>, draft: &mut Draft) {
    for (name, what) in INSTEAD {
        if channel.field(name).is_some_and(|said| !said.is_idle()) {
            draft.remark(format!("`{name}` of channels: {what}"));
        }
    }
    let group = channel.field("group").and_then(|group| group.text().ok()).unwrap_or_default();
    if !["", "default"].contains(&group) {
        draft.remark(
            "`group` of channels: everybody may use every route; [[tenants]] with `keys` and `routes` say otherwise",
        );
    }
}

/// Public names with the models that are meant by them.
fn models(channel: &Said<'_>, called: &str, draft: &mut Draft) -> Result<Vec<(String, String)>, Fault> {
    let said = channel.need("models")?;
    let text = if said.is_list() {
        said.list()?.iter().map(Said::text).collect::<Result<Vec<_>, _>>()?.join(",")
    } else {
        said.text()?.to_owned()
    };
    let mapping = mapping(channel)?;
    let mut models: Vec<(String, String)> = Vec::new();
    for public in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        let model = mapping.get(public).and_then(Value::as_str).map(str::trim).filter(|name| !name.is_empty());
        let model = model.unwrap_or(public);
        if [public, model].iter().any(|name| name.contains(|c: char| c.is_whitespace() || c == '#' || c == '*')) {
            return Err(Fault::ModelName { place: said.place, name: public.to_owned() });
        }
        if is_of_another_kind(model) {
            draft.remark(format!("{called}: `{public}` is left out: only chat, completions and embeddings are served"));
        } else if !models.iter().any(|(known, _)| known == public) {
            models.push((public.to_owned(), model.to_owned()));
        }
    }
    Ok(models)
}

/// `model_mapping`: a table, or the text of one.
fn mapping(channel: &Said<'_>) -> Result<serde_json::Map<String, Value>, Fault> {
    let Some(said) = channel.field("model_mapping").filter(|said| !said.is_idle()) else {
        return Ok(serde_json::Map::new());
    };
    if !said.is_text() {
        return Ok(said
            .table()?
            .into_iter()
            .filter_map(|(name, to)| Some((name.to_owned(), to.text().ok()?.into())))
            .collect());
    }
    let not = || said.not("a table of names, as the text of a JSON object");
    match tree::json(said.text()?).map_err(|_| not())? {
        Value::Object(table) => Ok(table),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Err(not()),
    }
}
