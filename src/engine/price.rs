//! A price is a function of the whole request: a tier reprices all of it, not the excess.
//!
//! Time is no argument here: what a price list says of hours and dates has been settled for the moment at which the
//! snapshot was built (`policy::tariff`). Estimates are floats and compare; bills are integers and are exact.

use super::features::Thinking;
use crate::units::{Dollars, PicoUsd, PricePerMtok, Tokens, count_to_f64};

/// What an endpoint charges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Per token, where no tier holds.
    pub rates: Rates,
    /// Per request, whatever tier holds.
    pub request: PicoUsd,
    /// In the order of the price list: the last whose conditions all hold reprices the whole request.
    pub tiers: Vec<PriceTier>,
}

/// Prices per token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Per input token.
    pub input: PricePerMtok,
    /// Per input token that the provider's prompt cache served; `None`: as `input`.
    pub cached_input: Option<PricePerMtok>,
    /// Per input token that was written to the provider's prompt cache; `None`: as `input`.
    pub cache_write: Option<PricePerMtok>,
    /// Per output token.
    pub output: PricePerMtok,
    /// Per reasoning token; `None`: as `output`.
    pub reasoning: Option<PricePerMtok>,
}

/// Other prices for some requests. A condition that is not set always holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PriceTier {
    /// Holds for prompts longer than this.
    pub above_input: Option<Tokens>,
    /// Holds for answers of this length or longer: providers count "fewer than" and "from" here, unlike with prompts.
    pub above_output: Option<Tokens>,
    /// Holds for answers that were, or were not, thought about.
    pub thinking: Option<Thought>,
    /// Per token.
    pub rates: Rates,
}

/// Whether an answer was thought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thought {
    /// It was: it used reasoning tokens.
    Yes,
    /// It was not.
    No,
}

/// What an answer used, in one normal form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached ones and those written to the cache included.
    pub input: Tokens,
    /// Prompt tokens that the provider's cache served.
    pub cached_input: Tokens,
    /// Prompt tokens that were written to the provider's cache; none of them is in `cached_input`.
    pub cache_write: Tokens,
    /// Answer tokens, reasoning included.
    pub output: Tokens,
    /// Answer tokens spent on reasoning.
    pub reasoning: Tokens,
}

impl Rates {
    /// These prices for input and output, and no others.
    pub fn new(input: PricePerMtok, output: PricePerMtok) -> Self {
        Self { input, output, ..Self::default() }
    }

    /// The dearest that an input token can be, cached, written or neither.
    pub fn dearest_input(&self) -> PricePerMtok {
        self.input.max(self.cached_input.unwrap_or_default()).max(self.cache_write.unwrap_or_default())
    }

    /// The dearest that an output token can be, reasoning or not.
    pub fn dearest_output(&self) -> PricePerMtok {
        self.output.max(self.reasoning.unwrap_or_default())
    }

    fn per_output(&self, thinking: Thinking) -> PricePerMtok {
        match thinking.thought() {
            Some(Thought::No) => self.output,
            Some(Thought::Yes) | None => self.dearest_output(),
        }
    }
}

impl PriceTier {
    fn holds(&self, input: Tokens, output: impl Fn(Tokens) -> bool, thought: Thought) -> bool {
        self.above_input.is_none_or(|bound| input > bound)
            && self.above_output.is_none_or(output)
            && self.thinking.is_none_or(|wanted| wanted == thought)
    }
}

impl Price {
    /// A price without tiers and fees.
    pub fn new(input: PricePerMtok, output: PricePerMtok) -> Self {
        Self { rates: Rates::new(input, output), ..Self::default() }
    }

    /// What a prompt, of which the provider has `cached` tokens already, and an answer of `output` tokens will cost, near
    /// enough to compare: some digits are lost. Where it is not known whether the answer will be thought about, the
    /// dearer reading; likewise every token of an answer that is thought about counts as the dearer kind.
    pub(super) fn estimate(&self, prompt: f64, cached: f64, output: f64, thinking: Thinking) -> Dollars {
        if self.tiers.is_empty() {
            return self.estimate_at(&self.rates, prompt, cached, output, thinking);
        }
        let reading =
            |thought| self.estimate_at(self.expected(prompt, output, thought), prompt, cached, output, thinking);
        if let Some(thought) = thinking.thought() {
            return reading(thought);
        }
        let (yes, no) = (reading(Thought::Yes), reading(Thought::No));
        if yes > no { yes } else { no }
    }

    /// Dollars per token of reading a prompt once more, of which the provider's cache keeps this share; tiers aside.
    pub(super) fn reading_again(&self, cached: f64) -> f64 {
        let full = count_to_f64(self.rates.input.0);
        let kept = self.rates.cached_input.map_or(full, |price| count_to_f64(price.0));
        (full + cached * (kept - full)) * 1e-12
    }

    fn estimate_at(&self, rates: &Rates, prompt: f64, cached: f64, output: f64, thinking: Thinking) -> Dollars {
        let cached = cached.clamp(0.0, prompt);
        let per_cached = rates.cached_input.unwrap_or(rates.input);
        let tokens = (prompt - cached) * count_to_f64(rates.input.0)
            + cached * count_to_f64(per_cached.0)
            + output * count_to_f64(rates.per_output(thinking).0);
        Dollars((tokens + count_to_f64(self.request.0)) * 1e-12)
    }

    fn expected(&self, prompt: f64, output: f64, thought: Thought) -> &Rates {
        self.in_force(Tokens::from_estimate(prompt), |bound| output >= bound.as_f64(), thought)
    }

    fn in_force(&self, input: Tokens, output: impl Fn(Tokens) -> bool + Copy, thought: Thought) -> &Rates {
        let tier = self.tiers.iter().rev().find(|tier| tier.holds(input, output, thought));
        tier.map_or(&self.rates, |tier| &tier.rates)
    }

    /// What `usage` costs, exactly. An answer was thought about if it used reasoning tokens.
    pub fn bill(&self, usage: &Usage) -> PicoUsd {
        self.bill_for(usage, if usage.reasoning > Tokens::ZERO { Thought::Yes } else { Thought::No })
    }

    /// What a `usage` costs that was guessed from an answer's text, in which reasoning cannot be told: as asked for, or
    /// else the dearer reading.
    pub fn bill_guessed(&self, usage: &Usage, thinking: Thinking) -> PicoUsd {
        match thinking.thought() {
            Some(thought) => self.bill_for(usage, thought),
            None => self.bill_for(usage, Thought::Yes).max(self.bill_for(usage, Thought::No)),
        }
    }

    fn bill_for(&self, usage: &Usage, thought: Thought) -> PicoUsd {
        let rates = self.in_force(usage.input, |bound| usage.output >= bound, thought);
        // A provider's own counts are not trusted to add up.
        let cached = usage.cached_input.min(usage.input);
        let uncached = usage.input.saturating_sub(cached);
        let written = usage.cache_write.min(uncached);
        let reasoning = usage.reasoning.min(usage.output);
        self.request
            + uncached.saturating_sub(written) * rates.input
            + cached * rates.cached_input.unwrap_or(rates.input)
            + written * rates.cache_write.unwrap_or(rates.input)
            + usage.output.saturating_sub(reasoning) * rates.output
            + reasoning * rates.reasoning.unwrap_or(rates.output)
    }

    /// Whether any request costs anything.
    pub fn is_paid(&self) -> bool {
        let paid = |rates: &Rates| rates.dearest_input().max(rates.dearest_output()) > PricePerMtok::default();
        self.request > PicoUsd::ZERO || self.all_rates().any(paid)
    }

    /// Every set of prices that may hold: the usual one first, then each tier's.
    pub fn all_rates(&self) -> impl Iterator<Item = &Rates> {
        std::iter::once(&self.rates).chain(self.tiers.iter().map(|tier| &tier.rates))
    }
}
