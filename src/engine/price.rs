//! A price is a function of the whole request: tiers reprice all of it, not the excess.

use crate::units::{Dollars, PicoUsd, PricePerMtok, Tokens, count_to_f64};

/// What an endpoint charges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Per input token.
    pub input: PricePerMtok,
    /// Per input token that the provider's prompt cache served; `None`: as `input`.
    pub cached_input: Option<PricePerMtok>,
    /// Per output token.
    pub output: PricePerMtok,
    /// Per reasoning token, where that differs from `output`.
    pub reasoning: Option<PricePerMtok>,
    /// Per request.
    pub request: PicoUsd,
    /// By prompt length, ascending: the last whose bound the prompt exceeds reprices the whole request.
    pub tiers: Vec<PriceTier>,
}

/// A price for long prompts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceTier {
    /// Applies to prompts longer than this.
    pub above_input: Tokens,
    /// Per input token.
    pub input: PricePerMtok,
    /// Per cached input token; `None`: as this tier's `input`.
    pub cached_input: Option<PricePerMtok>,
    /// Per output token.
    pub output: PricePerMtok,
}

/// What an answer used, in one normal form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, cached ones included.
    pub input: Tokens,
    /// Prompt tokens that the provider's cache served.
    pub cached_input: Tokens,
    /// Answer tokens, reasoning included.
    pub output: Tokens,
    /// Answer tokens spent on reasoning.
    pub reasoning: Tokens,
}

impl Price {
    /// What `input` tokens, of which the provider's cache serves `cached`, and `output` tokens will cost, near enough to
    /// compare: some digits are lost.
    pub(super) fn estimate(&self, input: Tokens, cached: f64, output: f64) -> Dollars {
        let tier = self.tiers.iter().rev().find(|tier| input > tier.above_input);
        let (per_input, per_cached, per_output) = tier
            .map_or((self.input, self.cached_input, self.output), |tier| (tier.input, tier.cached_input, tier.output));
        let less =
            count_to_f64(per_input.0) - per_cached.map_or(count_to_f64(per_input.0), |price| count_to_f64(price.0));
        let tokens = input.as_f64() * count_to_f64(per_input.0) - cached * less + output * count_to_f64(per_output.0);
        Dollars((tokens + count_to_f64(self.request.0)) * 1e-12)
    }

    /// What `usage` costs, exactly.
    pub fn bill(&self, usage: &Usage) -> PicoUsd {
        let tier = self.tiers.iter().rev().find(|tier| usage.input > tier.above_input);
        let (input, cached, output) = tier
            .map_or((self.input, self.cached_input, self.output), |tier| (tier.input, tier.cached_input, tier.output));
        // A provider's own counts are not trusted to add up.
        let cached_tokens = usage.cached_input.min(usage.input);
        let reasoning_tokens = usage.reasoning.min(usage.output);
        let reasoning = if tier.is_some() { output } else { self.reasoning.unwrap_or(output) };
        self.request
            + usage.input.saturating_sub(cached_tokens) * input
            + cached_tokens * cached.unwrap_or(input)
            + usage.output.saturating_sub(reasoning_tokens) * output
            + reasoning_tokens * reasoning
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price() -> Price {
        Price {
            input: PricePerMtok(1_000_000),
            cached_input: Some(PricePerMtok(100_000)),
            output: PricePerMtok(4_000_000),
            tiers: vec![PriceTier {
                above_input: Tokens(1_000),
                input: PricePerMtok(2_000_000),
                cached_input: None,
                output: PricePerMtok(8_000_000),
            }],
            ..Price::default()
        }
    }

    #[test]
    fn cached_tokens_are_billed_once_and_at_their_own_price() {
        let usage = Usage { input: Tokens(1_000), cached_input: Tokens(400), output: Tokens(10), ..Usage::default() };
        assert_eq!(price().bill(&usage), PicoUsd(600 * 1_000_000 + 400 * 100_000 + 10 * 4_000_000));
    }

    #[test]
    fn a_tier_reprices_the_whole_request_from_the_first_token_above_its_bound() {
        let at = Usage { input: Tokens(1_000), ..Usage::default() };
        let above = Usage { input: Tokens(1_001), ..Usage::default() };
        assert_eq!(price().bill(&at), PicoUsd(1_000 * 1_000_000));
        assert_eq!(price().bill(&above), PicoUsd(1_001 * 2_000_000));
    }

    #[test]
    fn more_cached_than_prompt_tokens_bill_no_more_than_the_prompt() {
        let usage = Usage { input: Tokens(10), cached_input: Tokens(99), ..Usage::default() };
        assert_eq!(price().bill(&usage), PicoUsd(10 * 100_000));
    }
}
