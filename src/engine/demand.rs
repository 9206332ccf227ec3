//! The last requests, with what each would have cost where: what quota is worth and what is worth a trial are read off
//! them, four times a second and off every request's path.

use std::collections::VecDeque;
use std::time::Duration;

use super::eligible::{Lengths, fits, is_capable, is_reachable};
use super::features::Request;
use super::plan::{Candidate, View};
use super::score::{Forecast, Pool};
use crate::ids::EndpointIx;
use crate::units::Timestamp;

/// A request older than this says nothing about the next.
const MEMORY: Duration = Duration::from_mins(1);
/// As many requests are enough.
const MOST: usize = 400;
/// Of more requests a second only some are kept, so that the sample still spans ten seconds.
const PER_SECOND: f64 = 40.0;
/// Seconds over which requests a second are counted.
const RATE_WINDOW: f64 = 5.0;
/// No span is taken to be shorter, in seconds: a handful of requests says little of a rate.
const LEAST_SPAN: f64 = 1.0;

/// Which requests leave a sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sampler {
    rate: f64,
    at: Timestamp,
    skipped: f64,
}

/// One request, and what it would have cost where.
#[derive(Clone, Debug)]
pub struct Sample {
    pub(super) at: Timestamp,
    /// As many requests as it stands for.
    pub(super) stands_for: f64,
    /// Tokens of the prompt, at the model that makes most of it.
    pub(super) input: f64,
    /// Expected tokens of the answer, at the model that makes the longest.
    pub(super) output: f64,
    /// Dollars that a failure of it would cost.
    pub(super) failure_cost: f64,
    /// The share of its cost that trying may cost extra.
    pub(super) exploration: f64,
    pub(super) bids: Vec<Bid>,
}

/// One endpoint's cost for a sampled request, in dollars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bid {
    pub(super) endpoint: EndpointIx,
    pub(super) tier: usize,
    /// The score without tolls, at the list price.
    pub(super) cost: f64,
    /// The list price in it.
    pub(super) list: f64,
    /// The same as `cost`, were the endpoint as it usually is.
    pub(super) hopeful: f64,
    /// The same, if it is asked once and then another one.
    pub(super) once: f64,
    /// Whether it takes requests at all now.
    pub(super) is_open: bool,
}

/// The last requests.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    samples: VecDeque<Sample>,
}

impl Sampler {
    /// Counts a request, and says how many the sample stands for that it should leave, if it should.
    pub fn arrives(&mut self, now: Timestamp) -> Option<f64> {
        self.rate = self.rate * (-now.since(self.at).as_secs_f64() / RATE_WINDOW).exp() + 1.0 / RATE_WINDOW;
        self.at = self.at.max(now);
        self.skipped += 1.0;
        (self.skipped * PER_SECOND >= self.rate).then(|| std::mem::take(&mut self.skipped))
    }
}

impl Sample {
    /// Tokens, prompt and answer.
    pub(super) fn tokens(&self) -> f64 {
        self.input + self.output
    }

    /// What `request` would cost at each endpoint that can serve it, whatever its quota.
    pub fn of(view: &View<'_>, request: &Request, stands_for: f64, now: Timestamp) -> Self {
        let pool = Pool::of(view, request);
        let able =
            |candidate: &&Candidate<'_>| is_capable(candidate, request) && fits(candidate, request, Lengths::Prompt);
        let (mut input, mut output) = (1.0_f64, 0.0_f64);
        let bids = view
            .candidates
            .iter()
            .filter(able)
            .map(|candidate| {
                let forecast = Forecast::of(candidate, view, request, &pool);
                let if_it_were = |health| {
                    let forecast = Forecast::of(&Candidate { health, ..*candidate }, view, request, &pool);
                    forecast.terms.without_scarcity(forecast.list)
                };
                (input, output) = (input.max(candidate.prompt.tokens().as_f64()), output.max(forecast.output));
                Bid {
                    endpoint: candidate.endpoint,
                    tier: candidate.tier,
                    cost: forecast.terms.without_scarcity(forecast.list),
                    list: forecast.list.0,
                    hopeful: if_it_were(candidate.health.hopeful()),
                    once: if_it_were(candidate.health.asked_once()),
                    is_open: is_reachable(candidate, now),
                }
            })
            .collect();
        Self {
            at: now,
            stands_for,
            input,
            output,
            failure_cost: view.objective.failure_cost.0,
            exploration: view.objective.exploration.0,
            bids,
        }
    }
}

impl Demand {
    /// Keeps a sample.
    pub fn note(&mut self, sample: Sample) {
        if self.samples.len() >= MOST {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
    }

    /// Forgets what is too old.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while self.samples.front().is_some_and(|sample| now.since(sample.at) > MEMORY) {
            self.samples.pop_front();
        }
    }

    pub(super) fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter()
    }

    /// Seconds over which the samples were taken; `None` without any.
    pub(super) fn span(&self, now: Timestamp) -> Option<f64> {
        self.samples.front().map(|oldest| now.since(oldest.at).as_secs_f64().max(LEAST_SPAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::at;
    use crate::units::{count_to_f64, len_to_f64};

    #[test]
    fn few_requests_all_leave_a_sample_and_many_only_some_that_stand_for_all() {
        for (rate, kept) in [(10, 99.0..101.0), (400, 350.0..450.0)] {
            let mut sampler = Sampler::default();
            let taken: Vec<_> = (0..rate * 30)
                .filter_map(|n| sampler.arrives(at(count_to_f64(n) / count_to_f64(rate))).filter(|_| n >= rate * 20))
                .collect();
            assert!(kept.contains(&len_to_f64(taken.len())), "{rate}: {}", taken.len());
            assert!((taken.iter().sum::<f64>() - count_to_f64(rate * 10)).abs() < 20.0);
        }
    }
}
