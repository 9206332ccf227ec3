//! What requests cost: single rules by example, the whole function against a slow reading of the same price list.

use proptest::prelude::*;

use super::*;
use crate::engine::price::{PriceTier, Rates, Thought};
use crate::engine::{Thinking, Usage};
use crate::units::PicoUsd;

fn rates(input: u64, output: u64) -> Rates {
    Rates::new(PricePerMtok(input), PricePerMtok(output))
}

fn usage(input: u64, output: u64) -> Usage {
    Usage { input: Tokens(input), output: Tokens(output), ..Usage::default() }
}

fn two_tiers() -> Price {
    let cached_input = Some(PricePerMtok(100_000));
    Price {
        rates: Rates { cached_input, ..rates(1_000_000, 4_000_000) },
        tiers: vec![PriceTier {
            above_input: Some(Tokens(1_000)),
            rates: rates(2_000_000, 8_000_000),
            ..PriceTier::default()
        }],
        ..Price::default()
    }
}

/// As GLM-4.6: answers of 200 tokens and longer, then long prompts, cost more.
fn by_output() -> Price {
    let tier = |above_input: Option<u64>, above_output: Option<u64>, input, output| PriceTier {
        above_input: above_input.map(Tokens),
        above_output: above_output.map(Tokens),
        thinking: None,
        rates: rates(input, output),
    };
    Price {
        tiers: vec![tier(None, Some(200), 300, 1_400), tier(Some(32_000), None, 400, 1_600)],
        ..Price { rates: rates(200, 800), ..Price::default() }
    }
}

/// As Qwen's hybrid models: thinking makes the answer four times as dear.
fn by_thinking() -> Price {
    let thinking = PriceTier { thinking: Some(Thought::Yes), rates: rates(800, 8_000), ..PriceTier::default() };
    Price { rates: rates(800, 2_000), tiers: vec![thinking], ..Price::default() }
}

fn estimated(price: &Price, prompt: u64, output: f64, thinking: Thinking) -> f64 {
    price.estimate(Tokens(prompt).as_f64(), 0.0, output, thinking).0 * 1e12
}

#[test]
fn cached_tokens_are_billed_once_and_at_their_own_price() {
    let usage = Usage { cached_input: Tokens(400), ..usage(1_000, 10) };
    assert_eq!(two_tiers().bill(&usage), PicoUsd(600 * 1_000_000 + 400 * 100_000 + 10 * 4_000_000));
}

#[test]
fn tokens_written_to_the_cache_are_billed_once_and_at_their_own_price() {
    let price = Price { rates: Rates { cache_write: Some(PricePerMtok(125)), ..rates(100, 0) }, ..Price::default() };
    let written = Usage { cache_write: Tokens(30), cached_input: Tokens(50), ..usage(100, 0) };
    assert_eq!(price.bill(&written), PicoUsd(20 * 100 + 50 * 100 + 30 * 125));
}

#[test]
fn a_tier_reprices_the_whole_request_from_the_first_token_above_its_bound() {
    assert_eq!(two_tiers().bill(&usage(1_000, 0)), PicoUsd(1_000 * 1_000_000));
    assert_eq!(two_tiers().bill(&usage(1_001, 0)), PicoUsd(1_001 * 2_000_000));
}

#[test]
fn a_tier_by_answer_length_holds_from_its_bound_on() {
    let price = by_output();
    assert_eq!(price.bill(&usage(10, 199)), PicoUsd(10 * 200 + 199 * 800));
    assert_eq!(price.bill(&usage(10, 200)), PicoUsd(10 * 300 + 200 * 1_400));
}

#[test]
fn of_several_tiers_that_hold_the_last_one_counts() {
    assert_eq!(by_output().bill(&usage(32_001, 500)), PicoUsd(32_001 * 400 + 500 * 1_600));
}

#[test]
fn an_answer_that_used_reasoning_tokens_was_thought_about() {
    let thought = Usage { reasoning: Tokens(1), ..usage(10, 20) };
    assert_eq!(by_thinking().bill(&thought), PicoUsd(10 * 800 + 20 * 8_000));
    assert_eq!(by_thinking().bill(&usage(10, 20)), PicoUsd(10 * 800 + 20 * 2_000));
}

#[test]
fn whether_an_answer_will_be_thought_about_is_taken_as_asked_and_else_as_the_dearer() {
    let of = |thinking| crate::units::round_to_u64(estimated(&by_thinking(), 10, 20.0, thinking));
    assert_eq!(of(Thinking::Off), 10 * 800 + 20 * 2_000);
    assert_eq!(of(Thinking::High), 10 * 800 + 20 * 8_000);
    assert_eq!(of(Thinking::Unknown), of(Thinking::High));
    let guess = |thinking| by_thinking().bill_guessed(&usage(10, 20), thinking);
    assert_eq!(guess(Thinking::Off), PicoUsd(48_000));
    assert_eq!(guess(Thinking::Unknown), PicoUsd(168_000));
}

#[test]
fn more_cached_than_prompt_tokens_cost_no_more_than_the_prompt() {
    let usage = Usage { cached_input: Tokens(99), cache_write: Tokens(99), ..usage(10, 0) };
    assert_eq!(two_tiers().bill(&usage), PicoUsd(10 * 100_000));
    let estimate = two_tiers().estimate(10.0, 99.0, 0.0, Thinking::Off);
    assert!((estimate.0 - 1e-6).abs() < 1e-15, "{estimate:?}");
}

fn some_rates() -> impl Strategy<Value = Rates> {
    let price = || (0..20_000_000_u64).prop_map(PricePerMtok);
    let part = || prop::option::of(price());
    (price(), part(), part(), price(), part()).prop_map(|(input, cached_input, cache_write, output, reasoning)| Rates {
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
    })
}

fn some_tier() -> impl Strategy<Value = PriceTier> {
    let bound = || prop::option::of((1..400_u64).prop_map(Tokens));
    let thinking = prop::option::of(prop_oneof![Just(Thought::Yes), Just(Thought::No)]);
    (bound(), bound(), thinking, some_rates()).prop_map(|(above_input, above_output, thinking, rates)| PriceTier {
        above_input,
        above_output,
        thinking,
        rates,
    })
}

fn some_price() -> impl Strategy<Value = Price> {
    (some_rates(), 0..5_000_000_u64, prop::collection::vec(some_tier(), 0..5))
        .prop_map(|(rates, request, tiers)| Price { rates, request: PicoUsd(request), tiers })
}

fn some_usage() -> impl Strategy<Value = Usage> {
    let count = || 0..500_u64;
    (count(), count(), count(), count(), 0..3_u64, count()).prop_map(
        |(input, cached, written, output, thinks, reasoning)| Usage {
            input: Tokens(input),
            cached_input: Tokens(cached),
            cache_write: Tokens(written),
            output: Tokens(output),
            reasoning: Tokens(if thinks == 0 { reasoning } else { 0 }),
        },
    )
}

/// The rates by going forward and keeping the last that fits.
fn slow_rates(price: &Price, usage: &Usage) -> Rates {
    let mut found = price.rates;
    for tier in &price.tiers {
        let long_prompt = tier.above_input.map_or(0, |bound| bound.0 + 1) <= usage.input.0;
        let long_answer = tier.above_output.map_or(0, |bound| bound.0) <= usage.output.0;
        let fitting = match tier.thinking {
            None => true,
            Some(Thought::Yes) => usage.reasoning.0 != 0,
            Some(Thought::No) => usage.reasoning.0 == 0,
        };
        if long_prompt && long_answer && fitting {
            found = tier.rates;
        }
    }
    found
}

/// The bill by walking through the tokens one by one: each has one kind, and its kind a price.
fn slow_bill(price: &Price, usage: &Usage) -> u128 {
    let rates = slow_rates(price, usage);
    let mut sum = u128::from(price.request.0);
    for token in 0..usage.input.0 {
        let (cached, written) = (usage.cached_input.0, usage.cached_input.0 + usage.cache_write.0);
        let special = if token < cached { rates.cached_input } else { rates.cache_write.filter(|_| token < written) };
        sum += u128::from(special.map_or(rates.input.0, |special| special.0));
    }
    for token in 0..usage.output.0 {
        let special = rates.reasoning.filter(|_| token < usage.reasoning.0);
        sum += u128::from(special.map_or(rates.output.0, |special| special.0));
    }
    sum
}

proptest! {
    #[test]
    fn a_bill_is_the_sum_over_its_tokens(price in some_price(), usage in some_usage()) {
        prop_assert_eq!(u128::from(price.bill(&usage).0), slow_bill(&price, &usage));
    }

    #[test]
    fn within_a_tier_more_tokens_never_cost_less(price in some_price(), usage in some_usage(), more in 1..50_u64) {
        let longer = [
            Usage { input: Tokens(usage.input.0.max(usage.cached_input.0 + usage.cache_write.0) + more), ..usage },
            Usage { output: Tokens(usage.output.0.max(usage.reasoning.0) + more), ..usage },
        ];
        let whole = [
            Usage { input: Tokens(usage.input.0.max(usage.cached_input.0 + usage.cache_write.0)), ..usage },
            Usage { output: Tokens(usage.output.0.max(usage.reasoning.0)), ..usage },
        ];
        for (before, after) in whole.iter().zip(&longer) {
            if slow_rates(&price, before) == slow_rates(&price, after) {
                prop_assert!(price.bill(after) >= price.bill(before));
            }
        }
    }

    /// With whole counts, no reasoning price of its own and nothing written, estimate and bill mean the same thing.
    #[test]
    fn an_estimate_is_the_bill_of_what_is_expected(price in some_price(), usage in some_usage()) {
        let plain = |rates: Rates| Rates { reasoning: None, ..rates };
        let tiers = price.tiers.iter().map(|tier| PriceTier { rates: plain(tier.rates), ..tier.clone() }).collect();
        let price = Price { rates: plain(price.rates), tiers, ..price };
        let usage = Usage { cache_write: Tokens::ZERO, ..usage };
        let thinking = if usage.reasoning > Tokens::ZERO { Thinking::High } else { Thinking::Off };
        let of = |thinking| price.estimate(usage.input.as_f64(), usage.cached_input.as_f64(), usage.output.as_f64(), thinking).0;
        let billed = price.bill(&usage).as_dollars().0;
        prop_assert!((of(thinking) - billed).abs() <= 1e-9 * billed.max(1e-9), "{} {billed}", of(thinking));
        prop_assert!(of(Thinking::Unknown) >= of(Thinking::High) && of(Thinking::Unknown) >= of(Thinking::Off));
    }
}
