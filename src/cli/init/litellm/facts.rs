//! What an entry says of its model: prices, lengths, abilities, limits, and which model it really is. It may stand in
//! `litellm_params`, in `model_info` or in the entry itself.

use crate::cli::init::draft::{Ability, Draft, Facts};
use crate::cli::init::fault::Fault;
use crate::cli::init::models::is_embedding;
use crate::cli::init::places::Catalogue;
use crate::cli::init::said::Said;
use crate::engine::{Limits, Price, PriceTier, Rates};
use crate::feeds::per_token;
use crate::units::{PricePerMtok, Tokens};

use super::providers::{Known, find};

/// The parts of a price. Above a length of the prompt they are called `…_above_200k_tokens`.
const INPUT: &str = "input_cost_per_token";
const OUTPUT: &str = "output_cost_per_token";
const CACHE_READ: &str = "cache_read_input_token_cost";
const CACHE_WRITE: &str = "cache_creation_input_token_cost";
const REASONING: &str = "output_cost_per_reasoning_token";
const PARTS: [&str; 5] = [INPUT, OUTPUT, CACHE_READ, CACHE_WRITE, REASONING];

/// Limits, by LiteLLM's names.
pub(super) const LIMITS: [&str; 5] = ["rpm", "tpm", "itpm", "otpm", "max_parallel_requests"];

/// Abilities, with our names for them.
const ABILITIES: [(&str, &str); 5] = [
    ("supports_function_calling", "tools"),
    ("supports_vision", "vision"),
    ("supports_response_schema", "json_schema"),
    ("supports_reasoning", "reasoning"),
    ("supports_audio_input", "audio"),
];

/// An entry of `model_list`, and the parts of it in which facts stand.
pub(super) struct Entry<'v> {
    /// The group and the model, for people.
    pub(super) called: String,
    pub(super) params: Said<'v>,
    pub(super) info: Option<Said<'v>>,
    pub(super) whole: Said<'v>,
}

impl<'v> Entry<'v> {
    /// The field `name`, wherever it stands.
    pub(super) fn anywhere(&self, name: &str) -> Option<Said<'v>> {
        let info = || self.info.as_ref().and_then(|info| info.field(name));
        self.params.field(name).or_else(|| self.whole.field(name)).or_else(info)
    }

    /// All fields that may hold facts.
    pub(super) fn fields(&self) -> Vec<(&'v str, Said<'v>)> {
        let tables = [Some(&self.params), self.info.as_ref(), Some(&self.whole)];
        tables.into_iter().flatten().filter_map(|table| table.table().ok()).flatten().collect()
    }

    /// What is said of the model `name`.
    pub(super) fn facts(&self, name: &str, catalogue: &Catalogue, draft: &mut Draft) -> Result<Facts, Fault> {
        let said = |name: &str| self.info.as_ref().and_then(|info| info.field(name));
        let length = |name: &str| said(name).filter(|said| !said.is_idle()).map(|said| said.count()).transpose();
        Ok(Facts {
            base: self.base(catalogue, draft)?,
            price: self.price(name, draft)?,
            context: length("max_input_tokens")?,
            max_output: length("max_output_tokens")?,
            abilities: self.abilities(),
            limits: self.limits()?,
        })
    }

    fn limits(&self) -> Result<Limits, Fault> {
        let count =
            |name: &str| self.anywhere(name).filter(|said| !said.is_idle()).map(|said| said.count()).transpose();
        Ok(Limits {
            requests_per_minute: count("rpm")?,
            tokens_per_minute: count("tpm")?,
            input_tokens_per_minute: count("itpm")?,
            output_tokens_per_minute: count("otpm")?,
            concurrency: count("max_parallel_requests")?.map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            ..Limits::default()
        })
    }

    /// What it can or cannot do, as far as it is said.
    fn abilities(&self) -> Vec<(&'static str, Ability)> {
        let said = |(name, ours): &(&str, &'static str)| {
            let said = self.info.as_ref()?.field(name)?;
            Some((*ours, if said.is_idle() { Ability::Lacks } else { Ability::Has }))
        };
        ABILITIES.iter().filter_map(said).collect()
    }

    /// The price, if it is said whole: what costs something for one kind of token is not free for the other.
    fn price(&self, name: &str, draft: &mut Draft) -> Result<Option<Price>, Fault> {
        let mode = self.info.as_ref().and_then(|info| info.field("mode"));
        let makes_vectors = is_embedding(name) || mode.is_some_and(|mode| mode.text() == Ok("embedding"));
        let [input, output, cached_input, cache_write, reasoning] = self.parts("")?;
        let output = output.or_else(|| makes_vectors.then_some(PricePerMtok::default()));
        let (Some(input), Some(output)) = (input, output) else {
            if self.fields().iter().any(|(name, _)| is_price(name)) {
                let what = "its price is not said for both input and output, and is not taken over: none is free because \
                            the other has a price";
                draft.remark_on(&self.called, what);
            }
            return Ok(None);
        };
        let rates = Rates { input, cached_input, cache_write, output, reasoning };
        let mut bounds = self.fields().iter().filter_map(|(name, _)| bound(name)).collect::<Vec<_>>();
        bounds.sort_unstable();
        bounds.dedup();
        let tiers = bounds.into_iter().map(|bound| self.tier(bound, &rates)).collect::<Result<_, _>>()?;
        Ok(Some(Price { rates, tiers, ..Price::default() }))
    }

    /// What is not said of long prompts holds for them, too.
    fn tier(&self, bound: u64, usual: &Rates) -> Result<PriceTier, Fault> {
        let [input, output, cached_input, cache_write, reasoning] = self.parts(&format!("_above_{bound}k_tokens"))?;
        let rates = Rates {
            input: input.unwrap_or(usual.input),
            output: output.unwrap_or(usual.output),
            cached_input: cached_input.or(usual.cached_input),
            cache_write: cache_write.or(usual.cache_write),
            reasoning: reasoning.or(usual.reasoning),
        };
        Ok(PriceTier { above_input: Some(Tokens(bound.saturating_mul(1_000))), rates, ..PriceTier::default() })
    }

    fn parts(&self, suffix: &str) -> Result<[Option<PricePerMtok>; 5], Fault> {
        let part = |name: &str| self.anywhere(&format!("{name}{suffix}")).map(|said| amount(&said)).transpose();
        Ok([part(INPUT)?, part(OUTPUT)?, part(CACHE_READ)?, part(CACHE_WRITE)?, part(REASONING)?])
    }

    /// `base_model`: the model of the catalogue that it is, if the catalogue has it.
    fn base(&self, catalogue: &Catalogue, draft: &mut Draft) -> Result<Option<String>, Fault> {
        let Some(said) = self.anywhere("base_model").filter(|said| !said.is_idle()) else { return Ok(None) };
        let text = said.text()?;
        let (provider, model) = match text.split_once('/') {
            Some((prefix, model)) if find(prefix).is_some() => (find(prefix), model),
            Some(_) | None => (None, text),
        };
        let theirs = match provider {
            Some(Known::Listed(provider, ..)) => catalogue.row_at(provider, model),
            Some(Known::SelfHosted(..) | Known::Compatible(..) | Known::Foreign(_)) | None => None,
        };
        let row = theirs.or_else(|| catalogue.row(model));
        if row.is_none() {
            draft.remark_on(&self.called, format!("base_model `{text}` is not in the catalogue: say its `price`"));
        }
        Ok(row)
    }
}

/// Whether a field is a part of a price that is taken over.
pub(super) fn is_price(name: &str) -> bool {
    PARTS.contains(&name) || bound(name).is_some()
}

/// Whether a field is an ability that is taken over.
pub(super) fn is_ability(name: &str) -> bool {
    ABILITIES.iter().any(|(known, _)| *known == name)
}

/// The length from which on a part of a price holds, in thousands of tokens.
fn bound(name: &str) -> Option<u64> {
    const LONGEST: u64 = 1_000_000_000;
    let (part, rest) = name.split_once("_above_")?;
    let bound = rest.strip_suffix("k_tokens")?.parse().ok()?;
    (PARTS.contains(&part) && (1..=LONGEST).contains(&bound)).then_some(bound)
}

fn amount(said: &Said<'_>) -> Result<PricePerMtok, Fault> {
    per_token(&said.digits("a price")?).ok_or_else(|| said.not("a price in dollars for one token"))
}
