//! `model_list`: who is called for which name.

use std::rc::Rc;

use crate::cli::init::draft::{Address, Deployment, Draft, Facts, Key, Serves};
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_of_another_kind;
use crate::cli::init::places::{Catalogue, plain, reference};
use crate::cli::init::said::Said;
use crate::engine::Limits;
use crate::feeds::per_token;
use crate::units::PricePerMtok;

use super::providers::{Known, find};

/// More are not written by hand, and not laid out in bearable time.
const MOST: usize = 5_000;

/// One entry of `model_list` that can be called.
#[derive(Clone, Debug)]
pub(super) struct Declared {
    /// `model_name`.
    pub(super) group: String,
    /// Lower ones first.
    pub(super) order: i64,
    /// In seconds.
    pub(super) timeout: Option<u64>,
    pub(super) deployment: Rc<Deployment>,
}

/// What the entries are read against.
pub(super) struct Reading<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// `environment_variables`.
    pub(super) variables: Option<Said<'a>>,
}

/// Parameters that have been taken over, or mean nothing here.
const TAKEN: [&str; 19] = [
    "model",
    "api_key",
    "api_base",
    "base_url",
    "rpm",
    "tpm",
    "itpm",
    "otpm",
    "input_cost_per_token",
    "output_cost_per_token",
    "order",
    "max_parallel_requests",
    "timeout",
    "custom_llm_provider",
    "drop_params",
    "mock_response",
    "tags",
    "use_in_pass_through",
    "merge_reasoning_content_in_choices",
];

/// What to do instead of some others.
const INSTEAD: [(&str, &str); 8] = [
    (
        "weight",
        "weights are gone: inside a tier the lowest expected cost wins; a `handicap` in policy.toml holds one back",
    ),
    ("api_version", "it belongs to Azure; the OpenAI API has none"),
    ("organization", "an organisation header is not sent: use a key of that organisation's project"),
    ("extra_headers", "own headers are not sent to upstreams"),
    ("stream_timeout", "policy.toml has `first_token` and `idle` for streams"),
    ("max_retries", "policy.toml has `retry` for all tries together"),
    ("max_budget", "budgets are not supported yet"),
    ("litellm_credential_name", "credentials by name are not read: give the upstream its `keys`"),
];

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

    fn entry(&self, entry: &Said<'_>, draft: &mut Draft) -> Result<Option<Declared>, Fault> {
        let group = entry.need("model_name")?.text()?.to_owned();
        let params = entry.need("litellm_params")?;
        let model = params.need("model")?;
        let info = entry.field("model_info");
        let mode = info.as_ref().and_then(|info| info.field("mode")).map(|mode| mode.text()).transpose()?;
        let (provider, name) = self.split(&params, model.text()?)?;
        if !matches!(mode, None | Some("chat" | "completion" | "embedding")) || is_of_another_kind(name) {
            draft.remark(format!("`{group}` ({name}): only chat, completions and embeddings are served"));
            return Ok(None);
        }
        let known = match known(provider, name) {
            Ok(known) => known,
            Err(why) => {
                draft.remark(format!("`{group}` ({}): {why}", model.text()?));
                return Ok(None);
            }
        };
        remark_others(&params, draft);
        let serves = serves(name, &model)?;
        let deployment = self.deployment(&params, entry, known, serves)?;
        let order = params.field("order").map(|order| order.whole_number()).transpose()?;
        let timeout = params.field("timeout").map(|timeout| seconds(&timeout)).transpose()?;
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
        let usual = || if model.starts_with("claude") { Some("anthropic") } else { self.catalogue.maker_of(model) };
        Ok((given.or_else(|| if openai { Some("openai") } else { usual() }), model))
    }

    fn deployment(
        &self,
        params: &Said<'_>,
        entry: &Said<'_>,
        known: Known,
        serves: Serves,
    ) -> Result<Deployment, Fault> {
        let api_base = params.field("api_base").or_else(|| params.field("base_url")).filter(|base| !base.is_idle());
        let url = api_base.as_ref().map(|base| self.value(base)).transpose()?;
        let place = api_base.map_or_else(|| format!("{}.api_base", params.place), |base| base.place);
        let address = self.address(known, url, &place)?;
        let wish = address.wish();
        let key = match params.field("api_key") {
            Some(key) => self.key(&key, known)?,
            None => self.usual_key(known, &address),
        };
        let facts = facts(params, entry)?;
        Ok(Deployment { address, wish, key, label: None, serves, facts })
    }

    fn address(&self, known: Known, url: Option<String>, place: &str) -> Result<Address, Fault> {
        let version = |url: String| {
            if url.trim_end_matches('/').ends_with("/v1") { url } else { format!("{}/v1", url.trim_end_matches('/')) }
        };
        match (known, url) {
            (Known::Listed(provider, region, variables), None) => {
                // LiteLLM reads addresses from the environment, too: `MOONSHOT_API_BASE`.
                let base = variables.iter().find_map(|name| (self.env)(&name.replace("_KEY", "_BASE")));
                match base.filter(|base| !base.trim().is_empty()) {
                    Some(base) => self.catalogue.find(base.trim(), None, place),
                    None => Ok(self.catalogue.address(provider, region)),
                }
            }
            (Known::Listed(..) | Known::Compatible(..) | Known::Foreign(_), Some(url)) => {
                self.catalogue.find(&url, None, place)
            }
            (Known::SelfHosted(provider), None) => Ok(self.catalogue.address(provider, "")),
            // Ollama is told without the version, since LiteLLM speaks its own format.
            (Known::SelfHosted("ollama"), Some(url)) => self.catalogue.find(&version(url), Some("ollama"), place),
            (Known::SelfHosted(provider), Some(url)) => self.catalogue.find(&url, Some(provider), place),
            (Known::Compatible("", _) | Known::Foreign(_), None) => Err(Fault::NoAddress { place: place.to_owned() }),
            (Known::Compatible(url, _), None) => self.catalogue.find(url, None, place),
        }
    }

    /// The text of a field, or of the variable that it names.
    fn value(&self, said: &Said<'_>) -> Result<String, Fault> {
        let text = said.text()?;
        let Some(name) = reference(text, &said.place)? else { return Ok(text.to_owned()) };
        let written = self.variables.as_ref().and_then(|table| table.field(name)).filter(Said::is_text);
        let written = written.map(|value| value.text().map(str::to_owned)).transpose()?;
        let set = written.or_else(|| (self.env)(name)).filter(|value| !value.trim().is_empty());
        set.ok_or_else(|| Fault::UnsetVariable { place: said.place.clone(), variable: name.to_owned() })
    }

    /// A key that is written, or referred to. What `environment_variables` sets is written, too.
    pub(super) fn secret(&self, said: &Said<'_>) -> Result<Key, Fault> {
        let text = said.text()?;
        let Some(name) = reference(text, &said.place)? else { return plain(text, &said.place) };
        match self.variables.as_ref().and_then(|table| table.field(name)) {
            Some(value) if reference(value.text()?, &value.place)?.is_none() => plain(value.text()?, &value.place),
            Some(_) | None => Ok(Key::Variable(name.to_owned())),
        }
    }

    /// A server of one's own is often given a key that says that there is none.
    fn key(&self, said: &Said<'_>, known: Known) -> Result<Key, Fault> {
        let nothing =
            ["", "none", "no-key", "empty", "dummy", "fake-key", "not-needed", "sk-no-key-required", "ollama"];
        let is_own = matches!(known, Known::SelfHosted(_));
        if is_own && said.text().is_ok_and(|text| nothing.contains(&text.to_ascii_lowercase().as_str())) {
            return Ok(Key::None);
        }
        self.secret(said)
    }

    /// Where LiteLLM finds the key if none is written.
    fn usual_key(&self, known: Known, address: &Address) -> Key {
        let has = |name: &&&str| {
            let written = self.variables.as_ref().and_then(|table| table.field(name)).is_some();
            written || (self.env)(name).is_some_and(|value| !value.trim().is_empty())
        };
        let names: &[&str] = match &known {
            Known::Listed(_, _, variables) => variables,
            Known::Compatible(_, variable) => std::slice::from_ref(variable),
            Known::SelfHosted(_) | Known::Foreign(_) => &[],
        };
        // A server of one's own that is called by the name of OpenAI.
        if address.provider.is_none() && matches!(known, Known::Listed(..)) {
            return Key::None;
        }
        let name = names.iter().find(has).or_else(|| names.first()).copied();
        let written =
            name.and_then(|name| self.variables.as_ref()?.field(name)).and_then(|value| self.secret(&value).ok());
        written.unwrap_or_else(|| name.map_or(Key::None, |name| Key::Variable(name.to_owned())))
    }
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
        name if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '#' || c == '*') => {
            Err(Fault::ModelName { place: model.place.clone(), name: name.to_owned() })
        }
        name => Ok(Serves::Model(name.to_owned())),
    }
}

fn remark_others(params: &Said<'_>, draft: &mut Draft) {
    let Ok(fields) = params.table() else { return };
    for (name, said) in fields {
        let instead = INSTEAD.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
        if !TAKEN.contains(&name) && !said.is_idle() {
            let usual = "not taken over; parameters for all requests of a route can stand in its `params`";
            draft.remark(format!("litellm_params.{name}: {}", instead.unwrap_or(usual)));
        }
    }
}

/// Whole seconds, at least one.
pub(super) fn seconds(said: &Said<'_>) -> Result<u64, Fault> {
    let digits = said.digits("a number of seconds")?;
    let whole = digits.split_once('.').map_or(digits.as_str(), |(whole, _)| whole);
    let seconds: u64 = whole.parse().map_err(|_| said.not("a number of seconds"))?;
    Ok(seconds.clamp(1, 86_400))
}

fn facts(params: &Said<'_>, entry: &Said<'_>) -> Result<Facts, Fault> {
    let info = entry.field("model_info");
    let anywhere = |name: &str| {
        params.field(name).or_else(|| entry.field(name)).or_else(|| info.as_ref().and_then(|info| info.field(name)))
    };
    let count = |name: &str| anywhere(name).filter(|said| !said.is_idle()).map(|said| said.count()).transpose();
    let cost = |name: &str| anywhere(name).map(|said| price(&said)).transpose();
    let price = match (cost("input_cost_per_token")?, cost("output_cost_per_token")?) {
        (None, None) => None,
        // Models that make no tokens have a price for the input only.
        (input, output) => Some((input.unwrap_or_default(), output.unwrap_or_default())),
    };
    let concurrency = count("max_parallel_requests")?.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    let limits = Limits {
        requests_per_minute: count("rpm")?,
        tokens_per_minute: count("tpm")?,
        input_tokens_per_minute: count("itpm")?,
        output_tokens_per_minute: count("otpm")?,
        concurrency,
        ..Limits::default()
    };
    let said = |name: &str| info.as_ref().and_then(|info| info.field(name));
    let length = |name: &str| said(name).map(|said| said.count()).transpose();
    Ok(Facts {
        price,
        context: length("max_input_tokens")?,
        max_output: length("max_output_tokens")?,
        capabilities: info.as_ref().and_then(capabilities),
        limits,
    })
}

fn price(said: &Said<'_>) -> Result<PricePerMtok, Fault> {
    per_token(&said.digits("a price")?).ok_or_else(|| said.not("a price in dollars for one token"))
}

/// What it can do, if anything is said about it.
fn capabilities(info: &Said<'_>) -> Option<Vec<&'static str>> {
    const SAID: [(&str, &str); 5] = [
        ("supports_function_calling", "tools"),
        ("supports_vision", "vision"),
        ("supports_response_schema", "json_schema"),
        ("supports_reasoning", "reasoning"),
        ("supports_audio_input", "audio"),
    ];
    let all = SAID.iter().filter_map(|(name, ours)| Some((*ours, info.field(name)?))).collect::<Vec<_>>();
    let able = all.iter().filter(|(_, said)| !said.is_idle()).map(|(ours, _)| *ours).collect();
    (!all.is_empty()).then_some(able)
}
