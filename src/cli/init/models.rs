//! Which models of an upstream need a table of their own, and what it says: those that the catalogue does not list, and
//! those of which the imported file says something. What is not said of abilities is granted: the other proxy sent
//! everything, too.

use std::rc::Rc;

use super::draft::{Ability, Address, Deployment, Facts, Serves, grouped};
use super::layout::merged;
use super::places::Catalogue;

/// `[upstreams.X.models."NAME"]`.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) name: String,
    pub(super) facts: Facts,
    pub(super) standing: Standing,
    /// The row of another provider that it may go by, as `provider/model`, if this one has none.
    pub(super) resembles: Option<String>,
    /// What it is taken to be able to do if nothing is said of it.
    granted: &'static [&'static str],
}

/// What the catalogue knows of it, or of the model that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its price and what it can do.
    Listed,
    /// The same, of its name without a date.
    Undated,
    /// Nothing.
    Unknown,
}

/// What a model is taken to be able to do if nothing is said of it.
const ASSUMED: [&str; 3] = ["tools", "json_schema", "vision"];

/// The same at a provider that the catalogue knows: most of what it does not list are older models, which read text.
const ASSUMED_OF_OLDER: [&str; 2] = ["tools", "json_schema"];

impl Model {
    /// Whether nothing says what it costs.
    pub(super) fn is_unpriced(&self) -> bool {
        self.standing == Standing::Unknown && self.facts.price.is_none()
    }

    /// What to write of its abilities, and whether that is only assumed.
    pub(super) fn capabilities(&self) -> Option<(Vec<&'static str>, Basis)> {
        let said = &self.facts.abilities;
        match self.standing {
            // Nothing is denied, and the catalogue knows the rest.
            Standing::Listed | Standing::Undated if said.iter().all(|(_, ability)| *ability == Ability::Has) => None,
            Standing::Unknown if is_embedding(&self.name) && said.is_empty() => None,
            Standing::Listed | Standing::Undated | Standing::Unknown => {
                let has = said.iter().filter(|(_, ability)| *ability == Ability::Has).map(|(name, _)| *name);
                let is_open = |name: &str| !said.iter().any(|(known, _)| *known == name);
                let assumed = self.granted.iter().copied().filter(|name| is_open(name));
                let basis = match assumed.clone().next() {
                    _ if is_open("vision") && !self.granted.contains(&"vision") => Basis::AssumedForText,
                    Some(_) => Basis::Assumed,
                    None => Basis::Said,
                };
                Some((has.chain(assumed).collect(), basis))
            }
        }
    }
}

/// How sure something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// The imported file says all of it.
    Said,
    /// Nothing says some of it.
    Assumed,
    /// Nothing says some of it, and images are left out.
    AssumedForText,
}

/// The models of an upstream that need a table.
pub(super) fn models(address: &Address, deployments: &[Rc<Deployment>], catalogue: &Catalogue) -> Vec<Model> {
    let named = deployments.iter().filter_map(|one| match &one.serves {
        Serves::Model(name) => Some((name, one)),
        Serves::All => None,
    });
    let table = |(name, members): (&String, Vec<(&String, &Rc<Deployment>)>)| {
        let mut facts = merged(members.into_iter().map(|(_, one)| one.facts.clone()));
        let listed = catalogue.lists(address, name);
        let standing = match catalogue.undated(address, name) {
            _ if listed || facts.base.is_some() => Standing::Listed,
            Some(stem) => {
                facts.base = Some(stem.to_owned());
                Standing::Undated
            }
            None => Standing::Unknown,
        };
        let resembles = catalogue.row(name).filter(|_| standing == Standing::Unknown);
        let is_older = standing == Standing::Unknown && catalogue.is_listed(address);
        let granted: &[_] = if is_older { &ASSUMED_OF_OLDER } else { &ASSUMED };
        let model = Model { name: name.clone(), facts, standing, resembles, granted };
        (!listed || model.facts != Facts::default()).then_some(model)
    };
    grouped(named, |(name, _)| *name).into_iter().filter_map(table).collect()
}

/// Whether a model makes vectors, by its name.
pub(super) fn is_embedding(model: &str) -> bool {
    let name = model.to_ascii_lowercase();
    ["embed", "bge-", "gte-", "m3e"].iter().any(|part| name.contains(part))
}

/// Whether a model makes or reads something else than text, by its name: faregate serves chat, completions and
/// embeddings.
pub(super) fn is_of_another_kind(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model).to_ascii_lowercase();
    let parts =
        ["dall-e", "gpt-image", "whisper", "tts", "moderation", "midjourney", "stable-diffusion", "cogview", "wanx"];
    let parts = parts.iter().chain(&["rerank", "suno", "sora", "-asr", "transcribe", "kling"]);
    parts.clone().any(|part| name.contains(part))
}
