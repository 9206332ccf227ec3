//! How long answers are: what is typical of a route, and how an endpoint differs from it.
//!
//! The two are kept apart, since an endpoint may serve chats and one-word classifications: it learns by how much it
//! talks more or less than others do on the same route. One that has given all the answers so far differs from nobody,
//! and neither does a newcomer.

use super::features::{Request, Thinking};
use super::latency::{fade, room};
use crate::units::{Timestamp, Tokens};

/// Seconds in which a length fades to 1/e. Lengths follow the clients, who change slowly.
const MEMORY: f64 = 600.0;
const MAX_WEIGHT: f64 = 100.0;
/// Tokens of an answer of which nothing is known, and what that counts as, in samples.
const PRIOR_OUTPUT: (f64, f64) = (150.0, 4.0);
/// What being like everybody else counts as, in samples. Answers differ far more than those who give them.
const PRIOR_LIKE_OTHERS: f64 = 16.0;

/// What being like the rest of the route counts as, in samples of a class.
const PRIOR_LIKE_ROUTE: f64 = 6.0;
/// Prompt lengths, by powers of four.
const PROMPTS: usize = 9;
/// Bounds on the output: none, and by powers of four from 16.
const BOUNDS: usize = 6;
/// How many classes of request there are.
const CLASSES: usize = PROMPTS * BOUNDS * Thinking::COUNT;

/// How long a route's answers are, and those of requests that are alike.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lengths {
    all: Mean,
    classes: [Mean; CLASSES],
}

/// Requests whose answers are about as long: by their prompt, by the most that they accept, and by how much they want to be
/// thought about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LengthClass(usize);

/// By how much an endpoint's answers are longer than is typical of their routes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Verbosity {
    own: Mean,
    typical: Mean,
}

/// A decayed mean.
#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    weight: f64,
    sum: f64,
    at: Timestamp,
}

impl LengthClass {
    /// The class of `request`.
    pub fn of(request: &Request) -> Self {
        let power_of_four = |tokens: Tokens| tokens.0.max(1).ilog2() as usize / 2;
        let prompt = power_of_four(request.prompt).min(PROMPTS - 1);
        let bound = request.max_output.map_or(0, |most| power_of_four(most).clamp(2, BOUNDS) - 1);
        Self((request.thinking.index() * PROMPTS + prompt) * BOUNDS + bound)
    }
}

impl Default for Lengths {
    fn default() -> Self {
        Self { all: Mean::default(), classes: [Mean::default(); CLASSES] }
    }
}

impl Lengths {
    /// One more answer; returns what is typical of its class with it.
    pub(super) fn observe(&mut self, class: LengthClass, output: Tokens, now: Timestamp) -> Tokens {
        self.all.observe(output, now);
        if let Some(mean) = self.classes.get_mut(class.0) {
            mean.observe(output, now);
        }
        Tokens::from_estimate(self.like_others(class, self.all.sum / self.all.weight, now))
    }

    /// Tokens to expect of the next one of its class.
    pub(super) fn expected(&self, class: LengthClass, now: Timestamp) -> f64 {
        let Mean { weight, sum, .. } = self.all.read(now);
        let (prior, worth) = PRIOR_OUTPUT;
        self.like_others(class, (sum + worth * prior) / (weight + worth), now)
    }

    fn like_others(&self, class: LengthClass, route: f64, now: Timestamp) -> f64 {
        let Mean { weight, sum, .. } = self.classes.get(class.0).map_or_else(Mean::default, |mean| mean.read(now));
        (sum + PRIOR_LIKE_ROUTE * route) / (weight + PRIOR_LIKE_ROUTE)
    }
}

impl Verbosity {
    /// One more answer, on a route where `typical` is.
    pub(super) fn observe(&mut self, output: Tokens, typical: Tokens, now: Timestamp) {
        self.own.observe(output, now);
        self.typical.observe(typical, now);
    }

    /// Its answers over typical ones; 1 for a newcomer.
    pub(super) fn ratio(self, now: Timestamp) -> f64 {
        let (own, typical) = (self.own.read(now), self.typical.read(now));
        if typical.sum <= 0.0 {
            return 1.0;
        }
        let like_others = PRIOR_LIKE_OTHERS * typical.sum / typical.weight;
        (own.sum + like_others) / (typical.sum + like_others)
    }
}

impl Mean {
    fn observe(&mut self, tokens: Tokens, now: Timestamp) {
        self.scale(fade(now.since(self.at), MEMORY).min(room(self.weight, MAX_WEIGHT)));
        self.at = self.at.max(now);
        self.weight += 1.0;
        self.sum += tokens.as_f64();
    }

    fn read(mut self, now: Timestamp) -> Self {
        self.scale(fade(now.since(self.at), MEMORY));
        self
    }

    fn scale(&mut self, share: f64) {
        self.weight *= share;
        self.sum *= share;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::START;
    const ANY: LengthClass = LengthClass(0);

    #[test]
    fn few_lengths_lean_on_the_prior_and_many_do_not() {
        let mut lengths = Lengths::default();
        assert!((lengths.expected(ANY, NOW) - 150.0).abs() < 1e-9);
        lengths.observe(ANY, Tokens(1_150), NOW);
        // The route's mean is (4 × 150 + 1150) / 5, and the class counts as six times that and once its own.
        assert!((lengths.expected(ANY, NOW) - (6.0 * 350.0 + 1_150.0) / 7.0).abs() < 1e-9);
        for _ in 0..200 {
            lengths.observe(ANY, Tokens(1_150), NOW);
        }
        assert!(lengths.expected(ANY, NOW) > 1_100.0);
        assert!((lengths.expected(ANY, NOW + Duration::from_hours(3)) - 150.0).abs() < 1.0);
    }

    #[test]
    fn requests_that_accept_little_are_expected_to_get_little() {
        let request = |bound| Request { max_output: bound, ..crate::engine::tests::request(900) };
        let (short, long) = (LengthClass::of(&request(Some(Tokens(40)))), LengthClass::of(&request(None)));
        assert_ne!(short, long);
        let mut lengths = Lengths::default();
        for _ in 0..50 {
            lengths.observe(short, Tokens(20), NOW);
            lengths.observe(long, Tokens(400), NOW);
        }
        assert!(lengths.expected(short, NOW) < 60.0 && lengths.expected(long, NOW) > 360.0);
    }

    #[test]
    fn answers_that_are_thought_about_are_kept_apart_by_how_much() {
        use Thinking::{High, Low, Medium, Off, Unknown};
        let class = |thinking| LengthClass::of(&Request { thinking, ..crate::engine::tests::request(900) });
        let mut lengths = Lengths::default();
        for _ in 0..50 {
            for (thinking, output) in [(Off, 100), (Low, 400), (Medium, 1_000), (High, 4_000)] {
                lengths.observe(class(thinking), Tokens(output), NOW);
            }
        }
        let [unknown, off, low, medium, high] =
            [Unknown, Off, Low, Medium, High].map(|thinking| lengths.expected(class(thinking), NOW));
        assert!(off < 400.0 && off < low && low < medium && medium < high && high > 3_000.0);
        // What was never asked for leans on the route's mean.
        assert!((1_000.0..2_000.0).contains(&unknown), "{unknown}");
    }

    #[test]
    fn one_that_gave_all_the_answers_is_like_a_newcomer() {
        let (mut route, mut endpoint) = (Lengths::default(), Verbosity::default());
        for _ in 0..20 {
            let typical = route.observe(ANY, Tokens(10), NOW);
            endpoint.observe(Tokens(10), typical, NOW);
        }
        assert!((endpoint.ratio(NOW) - 1.0).abs() < 1e-9 && (Verbosity::default().ratio(NOW) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn one_that_serves_chats_and_classifications_does_not_confuse_them() {
        let (mut chat, mut classify, mut endpoint) = (Lengths::default(), Lengths::default(), Verbosity::default());
        for _ in 0..100 {
            endpoint.observe(Tokens(600), chat.observe(ANY, Tokens(600), NOW), NOW);
            endpoint.observe(Tokens(5), classify.observe(ANY, Tokens(5), NOW), NOW);
        }
        assert!(classify.expected(ANY, NOW) * endpoint.ratio(NOW) < 12.0);
        assert!(chat.expected(ANY, NOW) * endpoint.ratio(NOW) > 550.0);
    }

    #[test]
    fn one_that_talks_more_than_others_is_expected_to() {
        let (mut route, mut own) = (Lengths::default(), Verbosity::default());
        for _ in 0..50 {
            route.observe(ANY, Tokens(100), NOW);
            own.observe(Tokens(300), route.observe(ANY, Tokens(300), NOW), NOW);
        }
        assert!(own.ratio(NOW) > 1.3, "{}", own.ratio(NOW));
    }
}
