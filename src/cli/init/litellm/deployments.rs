//! `model_list`: who is called for which name.

use std::rc::Rc;
use std::time::Duration;

use crate::cli::init::draft::{Address, Deployment, Draft, Facts, Key, Serves};
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_of_another_kind;
use crate::cli::init::places::Catalogue;
use crate::cli::init::retired;
use crate::cli::init::said::Said;

use super::facts::Entry;
use super::others;
use super::providers::{Known, find};
use super::settings::time;
use super::variables::Variables;

/// More are not written by hand, and not laid out in bearable time.
const MOST: usize = 5_000;

/// One entry of `model_list` that can be called.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// `model_name`.
    pub(super) group: String,
    /// Lower ones first.
    pub(super) order: i64,
    pub(super) timeout: Option<Duration>,
    pub(super) deployment: Rc<Deployment>,
}

/// What the entries are read against.
pub(super) struct Reading<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) variables: Variables<'a>,
}

impl Reading<'_> {
    /// Reads the whole list.
    pub(super) fn all(&self, list: &Said<'_>, draft: &mut Draft) -> Result<Vec<Declared>, Fault> {
        let entries = list.list()?;
        if entries.len() > MOST {
            return Err(Fault::TooMany { place: list.place.clone(), most: MOST });
        }
        let read = entries.iter().map(|entry| self.entry(entry, draft));
        Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    }

    fn entry(&self, whole: &Said<'_>, draft: &mut Draft) -> Result<Option<Declared>, Fault> {
        let group = whole.need("model_name")?.text()?.to_owned();
        let params = whole.need("litellm_params")?;
        let model = params.need("model")?;
        let called = format!("`{group}` ({})", model.text()?);
        let entry = Entry { called, params, info: whole.field("model_info"), whole: whole.clone() };
        let (provider, name) = self.split(&entry.params, model.text()?)?;
        let known = match callable(&entry, provider, name)? {
            Ok(known) => known,
            Err(why) => {
                draft.remark_on(&entry.called, why);
                return Ok(None);
            }
        };
        let serves = serves(name, &model)?;
        let deployment = self.deployment(&entry, known, serves, draft)?;
        others::remarks(&entry, draft);
        if deployment.serves == Serves::All {
            others::remark_passed_on(&entry, &deployment.wish, draft);
        }
        let order = entry.params.field("order").map(|order| order.whole_number()).transpose()?;
        let timeout = entry.params.field("timeout").filter(|said| !said.is_idle());
        let timeout = timeout.map(|timeout| time(&timeout, draft)).transpose()?;
        Ok(Some(Declared { group, order: order.unwrap_or(i64::MAX), timeout, deployment: Rc::new(deployment) }))
    }

    /// The provider, as far as it is said or known, and the model's name there.
    fn split<'t>(&self, params: &Said<'t>, model: &'t str) -> Result<(Option<&'t str>, &'t str), Fault> {
        let given = params.field("custom_llm_provider").map(|given| given.text()).transpose()?;
        if let Some((prefix, rest)) = model.split_once('/')
            && (find(prefix).is_some() || given.is_none())
        {
            return Ok((Some(prefix), rest));
        }
        // LiteLLM knows some names by themselves, and so does the catalogue.
        let openai =
            ["gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-"].iter().any(|start| model.starts_with(start));
        let maker = || self.catalogue.maker_of(model).or_else(|| retired::maker_of(model));
        let usual = || if model.starts_with("claude") { Some("anthropic") } else { maker() };
        Ok((given.or_else(|| if openai { Some("openai") } else { usual() }), model))
    }

    fn deployment(
        &self,
        entry: &Entry<'_>,
        known: Known,
        serves: Serves,
        draft: &mut Draft,
    ) -> Result<Deployment, Fault> {
        let params = &entry.params;
        let base = params.field("api_base").or_else(|| params.field("base_url")).filter(|base| !base.is_idle());
        let (url, place) = match &base {
            Some(base) => (Some(self.variables.value(base)?), base.place.clone()),
            None => (self.usual_base(entry, known, draft)?, params.at("api_base")),
        };
        let address = self.address(known, url, &place)?;
        let wish = address.wish();
        let key = match params.field("api_key") {
            Some(key) => self.key(&key, known)?,
            None => self.usual_key(entry, known, &address, draft)?,
        };
        let mut facts = match &serves {
            Serves::Model(name) => entry.facts(name, self.catalogue, draft)?,
            Serves::All => Facts::default(),
        };
        if let Serves::Model(name) = &serves
            && self.catalogue.lists(&address, name)
        {
            // The catalogue knows it by its own name.
            facts.base = facts.base.filter(|base| address.provider.is_none_or(|own| *base != format!("{own}/{name}")));
        }
        Ok(Deployment { address, wish, key, label: None, serves, facts })
    }

    /// LiteLLM reads addresses from the environment, too: `MOONSHOT_API_BASE`.
    fn usual_base(&self, entry: &Entry<'_>, known: Known, draft: &mut Draft) -> Result<Option<String>, Fault> {
        let of_openai = (known.variables() == ["OPENAI_API_KEY"]).then(|| "OPENAI_BASE_URL".to_owned());
        let usual = known.variables().iter().map(|name| name.replace("_KEY", "_BASE"));
        for name in of_openai.into_iter().chain(usual) {
            if let Some(url) = self.variables.find(&name)? {
                draft.remark_on(&entry.called, format!("its address is what {name} holds now, as LiteLLM has it"));
                return Ok(Some(url.trim().to_owned()));
            }
        }
        Ok(None)
    }

    fn address(&self, known: Known, url: Option<String>, place: &str) -> Result<Address, Fault> {
        let version = |url: String| {
            if url.trim_end_matches('/').ends_with("/v1") { url } else { format!("{}/v1", url.trim_end_matches('/')) }
        };
        match (known, url) {
            (Known::Listed(provider, region, _), None) => Ok(self.catalogue.address(provider, region)),
            (Known::Listed(..) | Known::Compatible(..) | Known::Foreign(_), Some(url)) => {
                self.catalogue.find(&url, None, place)
            }
            (Known::SelfHosted(provider, _), None) => Ok(self.catalogue.address(provider, "")),
            // Ollama is told without the version, since LiteLLM speaks its own format.
            (Known::SelfHosted("ollama", _), Some(url)) => self.catalogue.find(&version(url), Some("ollama"), place),
            (Known::SelfHosted(provider, _), Some(url)) => self.catalogue.find(&url, Some(provider), place),
            (Known::Compatible("", _) | Known::Foreign(_), None) => Err(Fault::NoAddress { place: place.to_owned() }),
            (Known::Compatible(url, _), None) => self.catalogue.find(url, None, place),
        }
    }

    /// A server of one's own is often given a key that says that there is none.
    fn key(&self, said: &Said<'_>, known: Known) -> Result<Key, Fault> {
        let nothing =
            ["", "none", "no-key", "empty", "dummy", "fake-key", "not-needed", "sk-no-key-required", "ollama"];
        let is_own = matches!(known, Known::SelfHosted(..));
        if is_own && said.text().is_ok_and(|text| nothing.contains(&text.to_ascii_lowercase().as_str())) {
            return Ok(Key::None);
        }
        self.variables.secret(said)
    }

    /// Where LiteLLM finds the key if none is written, whatever the address.
    fn usual_key(&self, entry: &Entry<'_>, known: Known, address: &Address, draft: &mut Draft) -> Result<Key, Fault> {
        let mut set = None;
        for name in known.variables() {
            if set.is_none() && self.variables.find(name)?.is_some() {
                set = Some(*name);
            }
        }
        let usual = match known {
            Known::SelfHosted(..) => None,
            Known::Listed(..) | Known::Compatible(..) | Known::Foreign(_) => known.variables().first().copied(),
        };
        let Some(name) = set.or(usual) else { return Ok(Key::None) };
        if let Known::Listed(provider, ..) = known
            && address.provider != Some(provider)
        {
            draft.remark_on(
                &entry.called,
                format!(
                    "no `api_key` is written, and LiteLLM sends the one in {name} there; it is kept so: name another one, or \
                     write `keys = []` if none is needed"
                ),
            );
        }
        self.variables.key(name)
    }
}

/// Who is called for an entry, or why nobody is.
fn callable(entry: &Entry<'_>, provider: Option<&str>, name: &str) -> Result<Result<Known, &'static str>, Fault> {
    let mode = entry.info.as_ref().and_then(|info| info.field("mode"));
    let mode = mode.map(|mode| mode.text()).transpose()?;
    if !matches!(mode, None | Some("chat" | "completion" | "embedding")) || is_of_another_kind(name) {
        return Ok(Err("only chat, completions and embeddings are served"));
    }
    if entry.params.field("mock_response").is_some_and(|said| !said.is_idle()) {
        return Ok(Err("it answers with its `mock_response` and calls nobody; left out"));
    }
    if name != "*" && name.contains('*') {
        return Ok(Err(
            "names are passed on to all models of a provider or to none: write `*` alone, or name the models",
        ));
    }
    Ok(known(provider, name))
}

/// Who is called, or why nobody is.
fn known(provider: Option<&str>, name: &str) -> Result<Known, &'static str> {
    match provider.and_then(find) {
        Some(Known::Foreign(why)) => Err(why),
        Some(known) => Ok(known),
        None if name == "*" => {
            Err("names of any provider are not passed on; write one entry for each: `openai/*`, `groq/*` …")
        }
        None => Err("whose model it is is not known; if it speaks the OpenAI API, write `openai/…` with an `api_base`"),
    }
}

fn serves(name: &str, model: &Said<'_>) -> Result<Serves, Fault> {
    match name {
        "*" => Ok(Serves::All),
        name if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '#') => {
            Err(Fault::ModelName { place: model.place.clone(), name: name.to_owned() })
        }
        name => Ok(Serves::Model(name.to_owned())),
    }
}
