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
    /// The provider of the catalogue that lists a model of this name, if this one does not.
    pub(super) maker: Option<&'static str>,
}

/// What the catalogue knows of it, or of the model that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its price and what it can do.
    Listed,
    /// Nothing.
    Unknown,
}

/// What a model is taken to be able to do if nothing is said of it.
const ASSUMED: [&str; 3] = ["tools", "json_schema", "vision"];

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
            Standing::Listed if said.iter().all(|(_, ability)| *ability == Ability::Has) => None,
            Standing::Unknown if is_embedding(&self.name) && said.is_empty() => None,
            Standing::Listed | Standing::Unknown => {
                let has = said.iter().filter(|(_, ability)| *ability == Ability::Has).map(|(name, _)| *name);
                let assumed = ASSUMED.into_iter().filter(|name| !said.iter().any(|(known, _)| known == name));
                let basis = if assumed.clone().next().is_some() { Basis::Assumed } else { Basis::Said };
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
}

/// The models of an upstream that need a table.
pub(super) fn models(address: &Address, deployments: &[Rc<Deployment>], catalogue: &Catalogue) -> Vec<Model> {
    let named = deployments.iter().filter_map(|one| match &one.serves {
        Serves::Model(name) => Some((name, one)),
        Serves::All => None,
    });
    let table = |(name, members): (&String, Vec<(&String, &Rc<Deployment>)>)| {
        let facts = merged(members.into_iter().map(|(_, one)| one.facts.clone()));
        let listed = catalogue.lists(address, name);
        let standing = if listed || facts.base.is_some() { Standing::Listed } else { Standing::Unknown };
        let maker = catalogue.maker_of(name).filter(|_| !listed);
        let model = Model { name: name.clone(), facts, standing, maker };
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
