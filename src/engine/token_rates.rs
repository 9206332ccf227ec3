//! How many tokens a model makes of a byte, by kind of content, learned from the prompt lengths that its provider
//! reports.
//!
//! A linear regression, updated recursively: recursive least squares with exponential forgetting (Haykin, Adaptive
//! Filter Theory, 4th ed., chapter 9), begun from a prior that counts as some samples. Of a prompt of mixed kinds each
//! kind takes its share of the error, the more the less is known of it, so that mixtures teach about their parts. Two
//! things differ from the book. Errors are relative: what a prompt is worth does not grow with its length. And a kind
//! that is not seen for long becomes as uncertain as at the beginning and no more, or the forgetting would let it swing
//! at the next sample ("wind-up", ibid.).

use super::content::{Content, ContentKind, KINDS};
use crate::units::Tokens;

/// Tokens per byte of each kind before anything was reported, in the order of [`ContentKind::NAMED`]: by the published
/// vocabularies of today's models, four bytes of English to a token, three tokens to four Chinese characters of three
/// bytes, a little over three bytes of a program to a token; the others between. Images count in tokens.
const USUAL: [f64; KINDS] = [0.25, 0.25, 0.3, 0.25, 0.25, 1.0];
/// What the usual rate counts as, in samples.
const PRIOR_WEIGHT: f64 = 3.0;
/// The last so many samples make up most of what is believed.
const MEMORY: f64 = 256.0;
/// Below as many tokens what is around a prompt (a chat's frame, a hidden instruction) outweighs it.
const SHORT: f64 = 40.0;
/// No sample moves what is expected by more than if it were off by this much of the usual.
const MOST_SURPRISE: f64 = 1.0;
/// No text has fewer or more tokens to a byte: whoever reports so counts something else.
const BELIEVED: (f64, f64) = (1.0 / 20.0, 4.0);

/// One model's tokens per byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenRates {
    /// What is learned, as multiples of the usual rates.
    factors: [f64; KINDS],
    /// How uncertain that is, in units of a kind of which nothing is known.
    covariance: [[f64; KINDS]; KINDS],
}

impl Default for TokenRates {
    fn default() -> Self {
        let mut covariance = [[0.0; KINDS]; KINDS];
        for (position, row) in covariance.iter_mut().enumerate() {
            row.iter_mut().skip(position).take(1).for_each(|cell| *cell = 1.0);
        }
        Self { factors: [1.0; KINDS], covariance }
    }
}

/// How long a model will find a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PromptEstimate {
    /// By what is known of the model.
    pub(super) expected: f64,
    /// How little that is: 1 where it is nothing and `expected` is the usual, 0 where it is all.
    pub(super) doubt: f64,
}

impl PromptEstimate {
    /// One that is beyond doubt.
    pub fn certain(tokens: Tokens) -> Self {
        Self { expected: tokens.as_f64(), doubt: 0.0 }
    }

    /// Tokens to reckon with.
    pub fn tokens(&self) -> Tokens {
        Tokens::from_estimate(self.expected)
    }

    /// Tokens to compare prices by, where `usual` are to be expected of any model and `least` of the best of the pool: as
    /// few as there, as far as this model is unknown. The first to be asked would otherwise seem cheaper than its equals
    /// for being known to make fewer tokens than usual, and they would never be asked.
    pub(super) fn hopeful(&self, usual: f64, least: f64) -> f64 {
        (self.expected + self.doubt * (least - usual)).max(least)
    }
}

impl Content {
    /// Tokens to expect where nothing is known of the model.
    pub fn usual_tokens(&self) -> Tokens {
        Tokens::from_estimate(usual(self).iter().sum::<f64>() + self.counted())
    }
}

impl TokenRates {
    /// Tokens to expect of `content`.
    pub fn estimate(&self, content: &Content) -> PromptEstimate {
        let usual = usual(content);
        let expected = dot(&usual, &self.factors) + content.counted();
        let square = dot(&usual, &usual);
        // Most prompts are made of two or three kinds: the rows of the others need not be read.
        let rows = self.covariance.iter().zip(&usual).filter(|(_, tokens)| **tokens > 0.0);
        let variance: f64 = rows.map(|(row, tokens)| dot(row, &usual) * tokens).sum();
        PromptEstimate { expected, doubt: if square > 0.0 { (variance / square).clamp(0.0, 1.0) } else { 0.0 } }
    }

    /// Tokens per byte of one kind; of images, tokens per token by rule.
    pub fn of(&self, kind: ContentKind) -> f64 {
        let mut one = Content::default();
        one.add(kind, 1.0);
        dot(&usual(&one), &self.factors)
    }

    /// The provider says that `content` was `reported` tokens, cached ones included. What cannot be is ignored.
    pub fn observe(&mut self, content: &Content, reported: Tokens) {
        let usual = usual(content);
        let expected: f64 = usual.iter().sum();
        let measured = reported.as_f64() - content.counted();
        if !content.is_telling() || !is_credible(measured, content) || expected <= 0.0 {
            return;
        }
        let shares = usual.map(|tokens| tokens / expected);
        let short = SHORT / expected;
        let noise = PRIOR_WEIGHT * (1.0 + short * short);
        let error = measured / expected - dot(&shares, &self.factors);
        self.learn(&shares, error.clamp(-MOST_SURPRISE, MOST_SURPRISE), noise);
    }

    fn learn(&mut self, shares: &[f64; KINDS], error: f64, noise: f64) {
        let spread = self.covariance.map(|row| dot(&row, shares));
        let variance = dot(&spread, shares) + noise;
        for ((factor, spread), usual) in self.factors.iter_mut().zip(&spread).zip(&USUAL) {
            let (least, most) = bounds(*usual);
            *factor = (*factor + spread / variance * error).clamp(least, most);
        }
        for (row, left) in self.covariance.iter_mut().zip(&spread) {
            for (cell, right) in row.iter_mut().zip(&spread) {
                *cell -= left * right / variance;
            }
        }
        self.forget();
    }

    /// Makes everything a little more uncertain, up to what it was at the beginning. Scaling rows and columns alike
    /// keeps the matrix a covariance.
    fn forget(&mut self) {
        let mut scales = [1.0; KINDS];
        for (position, (scale, row)) in scales.iter_mut().zip(&self.covariance).enumerate() {
            let variance = row.get(position).copied().unwrap_or(1.0) / (1.0 - 1.0 / MEMORY);
            *scale = if variance > 1.0 { variance.recip().sqrt() } else { 1.0 } / (1.0 - 1.0 / MEMORY).sqrt();
        }
        for (row, down) in self.covariance.iter_mut().zip(&scales) {
            for (cell, across) in row.iter_mut().zip(&scales) {
                *cell *= down * across;
            }
        }
    }
}

/// Tokens of each kind at the usual rates.
fn usual(content: &Content) -> [f64; KINDS] {
    let mut tokens = *content.amounts();
    for (amount, rate) in tokens.iter_mut().zip(&USUAL) {
        *amount *= rate;
    }
    tokens
}

fn is_credible(measured: f64, content: &Content) -> bool {
    let amount: f64 = content.amounts().iter().sum();
    measured >= BELIEVED.0 * amount && measured <= BELIEVED.1 * amount && measured > 0.0
}

/// Of what a kind's rate may be a multiple.
fn bounds(usual: f64) -> (f64, f64) {
    (BELIEVED.0 / usual, BELIEVED.1 / usual)
}

fn dot(a: &[f64; KINDS], b: &[f64; KINDS]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::count_to_f64;
    use proptest::prelude::*;

    fn content(amounts: [f64; KINDS]) -> Content {
        let mut content = Content::default();
        for ((_, kind), amount) in ContentKind::NAMED.into_iter().zip(amounts) {
            content.add(kind, amount);
        }
        content
    }

    fn tokens(rates: &TokenRates, content: &Content) -> Tokens {
        rates.estimate(content).tokens()
    }

    fn latin(bytes: f64) -> Content {
        content([bytes, 0.0, 0.0, 0.0, 0.0, 0.0])
    }

    #[test]
    fn a_model_of_which_nothing_is_known_has_the_usual_rates() {
        let rates = TokenRates::default();
        assert_eq!(tokens(&rates, &latin(4_000.0)), Tokens(1_000));
        assert_eq!(tokens(&rates, &content([0.0, 1_200.0, 0.0, 0.0, 0.0, 85.0])), Tokens(385));
        assert_eq!(tokens(&rates, &Content::of_ids(17)), Tokens(17));
    }

    #[test]
    fn one_odd_report_moves_little_and_many_alike_are_believed() {
        let mut rates = TokenRates::default();
        rates.observe(&latin(4_000.0), Tokens(10_000));
        let once = tokens(&rates, &latin(4_000.0)).0;
        assert!((1_200..1_300).contains(&once), "no more than a quarter: {once}");
        let mut rates = TokenRates::default();
        for _ in 0..60 {
            rates.observe(&latin(4_000.0), Tokens(2_000));
        }
        assert!(tokens(&rates, &latin(4_000.0)) > Tokens(1_940));
    }

    #[test]
    fn what_cannot_be_is_not_learned() {
        let mut rates = TokenRates::default();
        let mut with_sound = latin(4_000.0);
        with_sound.add_files();
        for reported in [0, 199, 16_001] {
            rates.observe(&latin(4_000.0), Tokens(reported));
        }
        rates.observe(&with_sound, Tokens(2_000));
        rates.observe(&Content::default(), Tokens(10));
        rates.observe(&Content::of_ids(10), Tokens(20));
        assert_eq!(rates, TokenRates::default());
    }

    #[test]
    fn a_kind_that_is_not_seen_keeps_its_rate_and_does_not_swing_when_it_comes_back() {
        let mut rates = TokenRates::default();
        let chinese = content([0.0, 3_000.0, 0.0, 0.0, 0.0, 0.0]);
        for _ in 0..200 {
            rates.observe(&chinese, Tokens(1_500));
        }
        for _ in 0..20_000 {
            rates.observe(&latin(4_000.0), Tokens(1_000));
        }
        assert!((rates.of(ContentKind::Cjk) - 0.5).abs() < 0.02);
        rates.observe(&chinese, Tokens(3_000));
        assert!(rates.of(ContentKind::Cjk) < 0.6, "{}", rates.of(ContentKind::Cjk));
    }

    #[test]
    fn a_change_of_vocabulary_is_followed() {
        let mut rates = TokenRates::default();
        for reported in [1_000, 1_600] {
            for _ in 0..2_000 {
                rates.observe(&latin(4_000.0), Tokens(reported));
            }
        }
        assert!((rates.of(ContentKind::Latin) - 0.4).abs() < 0.01);
    }

    #[test]
    fn what_is_known_of_one_kind_leaves_the_others_in_doubt() {
        let mut rates = TokenRates::default();
        let doubt = |rates: &TokenRates, content| rates.estimate(&content).doubt;
        assert!((doubt(&rates, latin(4_000.0)) - 1.0).abs() < 1e-9);
        for _ in 0..100 {
            rates.observe(&latin(4_000.0), Tokens(1_000));
        }
        assert!(doubt(&rates, latin(4_000.0)) < 0.1);
        assert!((doubt(&rates, content([0.0, 3_000.0, 0.0, 0.0, 0.0, 0.0])) - 1.0).abs() < 1e-9);
        assert!(doubt(&rates, Content::of_ids(3)).abs() < 1e-9);
    }

    #[test]
    fn a_newcomer_is_hoped_to_make_as_few_tokens_as_the_best_and_one_that_is_known_is_not() {
        let newcomer = PromptEstimate { expected: 1_000.0, doubt: 1.0 };
        assert!((newcomer.hopeful(1_000.0, 400.0) - 400.0).abs() < 1e-9);
        let known = PromptEstimate { expected: 1_000.0, doubt: 0.02 };
        assert!(known.hopeful(1_000.0, 400.0) > 980.0);
        let first = PromptEstimate { expected: 700.0, doubt: 0.5 };
        assert!((first.hopeful(1_000.0, 700.0) - 700.0).abs() < 1e-9, "no better than it is known to be");
    }

    /// Mixtures of all kinds, with what each is of the whole and how far off a report is.
    fn samples() -> impl Strategy<Value = Vec<([f64; KINDS], f64)>> {
        let share = prop_oneof![Just(0.0), 0.05..1.0_f64];
        let mixture = [share.clone(), share.clone(), share.clone(), share.clone(), share.clone(), share];
        proptest::collection::vec((mixture, 0.9..1.1_f64), 600..700)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn hidden_rates_are_found_in_mixed_prompts_with_noise(
            hidden in proptest::array::uniform5(0.12..0.6_f64), samples in samples(), length in 400_u64..60_000,
        ) {
            let mut rates = TokenRates::default();
            let truth = |amounts: &[f64; KINDS]| {
                amounts.iter().zip(hidden.iter().chain(&[1.0])).map(|(amount, rate)| amount * rate).sum::<f64>()
            };
            for (mixture, noise) in &samples {
                let amounts = mixture.map(|share| share * count_to_f64(length));
                rates.observe(&content(amounts), Tokens::from_estimate(truth(&amounts) * noise));
            }
            for ((name, kind), hidden) in ContentKind::NAMED.into_iter().zip(hidden) {
                let found = rates.of(kind);
                prop_assert!((found / hidden - 1.0).abs() < 0.15, "{name}: {found} for {hidden}");
            }
        }

        #[test]
        fn no_report_makes_an_estimate_absurd(
            reports in proptest::collection::vec((proptest::array::uniform6(0.0..1e6_f64), any::<u32>()), 0..200),
        ) {
            let mut rates = TokenRates::default();
            for (amounts, reported) in reports {
                rates.observe(&content(amounts), Tokens(reported.into()));
            }
            for (name, kind) in ContentKind::NAMED {
                let rate = rates.of(kind);
                prop_assert!((0.0499..=4.001).contains(&rate), "{name}: {rate}");
            }
        }
    }
}
