//! How long an answer is and how long it takes, as numbers: the model of delay that the served provider waits by and
//! that a replay computes with. Deciding this before anything is sent is what makes both agree.

use std::time::Duration;

use rand::Rng;

use crate::engine::Usage;
use crate::simulated::Profile;
use crate::simulated::profile::lognormal_factor;
use crate::units::{Share, Tokens, count_to_f64, seconds};

/// What one request will get, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// Prompt tokens.
    pub prompt: Tokens,
    /// Those of them that the prompt cache is said to have served.
    pub cached: Tokens,
    /// Answer tokens.
    pub output: Tokens,
    /// Whether the client's limit cut the answer short.
    pub ending: Ending,
    /// From the request to the first token.
    pub first_token: Duration,
    /// From each token to the next.
    pub per_token: Duration,
}

/// Why an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The model was done.
    Stop,
    /// The client wanted no more.
    Length,
}

impl Answer {
    /// Nothing, at once.
    pub(super) const IMMEDIATE: Self = Self {
        prompt: Tokens::ZERO,
        cached: Tokens::ZERO,
        output: Tokens::ZERO,
        ending: Ending::Stop,
        first_token: Duration::ZERO,
        per_token: Duration::ZERO,
    };

    /// From the request to the last token.
    pub fn total(&self) -> Duration {
        self.first_token + self.per_token.mul_f64(self.output.saturating_sub(Tokens(1)).as_f64())
    }

    /// What is billed for the whole answer.
    pub fn usage(&self) -> Usage {
        Usage { input: self.prompt, cached_input: self.cached, output: self.output, ..Usage::default() }
    }

    /// What is billed when the answer stops after `sent` tokens. The prompt is billed with the first token: a request
    /// that never got that far is free.
    pub fn usage_after(&self, sent: Tokens) -> Usage {
        if sent == Tokens::ZERO {
            return Usage::default();
        }
        Usage { output: sent.min(self.output), ..self.usage() }
    }

    /// How many tokens exist `elapsed` after the request.
    pub fn tokens_by(&self, elapsed: Duration) -> Tokens {
        let Some(generating) = elapsed.checked_sub(self.first_token) else { return Tokens::ZERO };
        if self.per_token.is_zero() {
            return self.output;
        }
        // A moment computed as a multiple of the pace may be a nanosecond short of it.
        let further = (generating.as_secs_f64() / self.per_token.as_secs_f64() + 1e-6).floor();
        (Tokens(1) + Tokens::from_estimate(further)).min(self.output)
    }

    /// The same answer, `factor` times as slow.
    #[must_use]
    pub fn slowed(mut self, factor: f64) -> Self {
        self.first_token = seconds(self.first_token.as_secs_f64() * factor);
        self.per_token = seconds(self.per_token.as_secs_f64() * factor);
        self
    }

    /// The same answer, `output` tokens long.
    #[must_use]
    pub fn with_output(mut self, output: Tokens) -> Self {
        self.output = output;
        self.ending = Ending::Stop;
        self
    }
}

impl Profile {
    /// Draws the answer to a prompt of `prompt` tokens, of at most `max_output` tokens, asked while `in_flight` other
    /// requests are being served.
    pub fn draw(&self, prompt: Tokens, max_output: Option<Tokens>, in_flight: u64, rng: &mut impl Rng) -> Answer {
        let wanted = self.output_tokens.draw(rng);
        let output = max_output.map_or(wanted, |limit| wanted.min(limit));
        let queueing = self.per_request_in_flight.mul_f64(count_to_f64(in_flight));
        let first_token = self.first_token.draw(rng) + self.per_prompt_token.mul_f64(prompt.as_f64()) + queueing;
        let Share(cached) = self.cached;
        Answer {
            prompt,
            cached: Tokens::from_estimate(prompt.as_f64() * cached),
            output,
            ending: if output < wanted { Ending::Length } else { Ending::Stop },
            first_token,
            per_token: self.time_per_token.mul_f64(lognormal_factor(self.pace_sigma, rng)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::seeded;

    fn profile() -> Profile {
        Profile {
            per_prompt_token: Duration::from_micros(100),
            per_request_in_flight: Duration::from_millis(10),
            ..Profile::default()
        }
    }

    #[test]
    fn the_first_token_waits_for_the_prompt_and_for_the_requests_in_flight() {
        let answer = profile().draw(Tokens(1_000), None, 3, &mut seeded(1));
        assert_eq!(answer.first_token, Duration::from_millis(50 + 100 + 30));
        assert_eq!(answer.total(), answer.first_token + Duration::from_millis(19 * 2));
    }

    #[test]
    fn the_clients_limit_cuts_an_answer_and_says_so() {
        let cut = profile().draw(Tokens(1), Some(Tokens(5)), 0, &mut seeded(1));
        let whole = profile().draw(Tokens(1), Some(Tokens(20)), 0, &mut seeded(1));
        assert_eq!((cut.output, cut.ending), (Tokens(5), Ending::Length));
        assert_eq!((whole.output, whole.ending), (Tokens(20), Ending::Stop));
    }

    #[test]
    fn tokens_appear_one_by_one_from_the_first_tokens_moment_on() {
        let answer = profile().draw(Tokens(0), None, 0, &mut seeded(1));
        let at = |millis| answer.tokens_by(Duration::from_millis(millis));
        assert_eq!([at(49), at(50), at(51), at(52), at(10_000)].map(|tokens| tokens.0), [0, 1, 1, 2, 20]);
    }

    #[test]
    fn what_never_began_is_free_and_what_began_costs_its_prompt() {
        let answer = profile().draw(Tokens(100), None, 0, &mut seeded(1));
        assert_eq!(answer.usage_after(Tokens::ZERO), Usage::default());
        assert_eq!(answer.usage_after(Tokens(1)).input, Tokens(100));
    }
}
