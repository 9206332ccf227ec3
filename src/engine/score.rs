//! The expected total cost of one request at one endpoint, in dollars.
//!
//! Everything is money, so terms add, and another candidate never changes the order of two others, as normalised
//! scores would let it. A term is never negative. The same struct that decides is the one that is logged.

use super::features::{Handicap, Mode, Objective, Request, Thinking};
use super::latency::{LatencyReading, PRIOR_WEIGHT};
use super::lognormal::{logarithm, normal_tail};
use super::plan::{Candidate, View};
use crate::units::Dollars;

/// Seconds to a first token that a newcomer is given, unless somebody in the pool is faster.
const UNKNOWN_FIRST_TOKEN: f64 = 1.0;
/// Seconds per output token that a newcomer is given, unless somebody in the pool is faster.
const UNKNOWN_PACE: f64 = 0.02;
/// Standard deviation of the logarithm, likewise.
const UNKNOWN_LOG_SPREAD: f64 = 0.5;
/// No first token is expected sooner, in seconds.
const SOONEST: f64 = 0.01;
/// However quiet it is, no less of the mean is expected: slopes are not believed that far.
const LEAST_OF_MEAN: f64 = 0.25;
/// The most of its capacity that we assume to take ourselves.
const MAX_LOAD: f64 = 0.85;
/// Queueing makes lateness this much more likely, at most.
const MAX_LATE_TOLL: f64 = 3.0;
/// Nobody is believed to be more reliable: some thirty tries cannot tell, and a newcomer shall not lose to an equal for
/// being new.
const MOST_SURE: f64 = 0.99;
/// The share of a failure's cost that a failure costs that fails over: a hint that two in a row may follow.
const FAILED_OVER: f64 = 0.005;

/// As many turns to come are believed in, at most.
const MOST_TURNS: f64 = 8.0;
/// How much of what turns to come will cost counts: they may not come, or go elsewhere.
const FORESIGHT: f64 = 0.8;

/// What a score is the sum of, in dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// The bill.
    pub usd: Dollars,
    /// The worth of the user's waiting, and of the waiting that this request causes others.
    pub latency: Dollars,
    /// What missing the target costs, times its chance.
    pub late: Dollars,
    /// What failing costs, times its chance.
    pub risk: Dollars,
    /// What the next turns of the conversation will cost there.
    pub future: Dollars,
    /// What the quota is worth that it uses up; on no bill.
    pub shadow: Dollars,
    /// The policy's handicap; on no bill.
    pub handicap: Dollars,
}

/// What to expect of one candidate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forecast {
    pub(super) terms: Terms,
    /// The bill without any allowance.
    pub(super) list: Dollars,
    /// Seconds to the first token.
    pub(super) first_token: f64,
    /// The standard deviation of their logarithm.
    pub(super) log_spread: f64,
    /// Seconds per output token.
    pub(super) pace: f64,
    /// Tokens of the answer.
    pub(super) output: f64,
}

/// What all candidates are measured by: the target, and the best latencies among them, which are assumed of those of
/// whom nothing is known, so that they get their chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    first_token: Best,
    pace: Best,
    log_spread: Best,
    target: Option<Deadline>,
    /// Tokens of the prompt, whatever the model.
    usual_prompt: f64,
    /// The same at the model that makes least of them.
    least_prompt: f64,
}

/// The best of a pool.
#[derive(Clone, Copy, Debug)]
struct Best {
    /// What one that is nearly forgotten drifts back to.
    known: f64,
    /// What one that was never seen is given. In a pool where all are slow it has to be better than they, or a dearer
    /// newcomer would never be asked.
    newcomer: f64,
}

impl Terms {
    /// The score.
    pub fn total(&self) -> Dollars {
        self.usd + self.latency + self.late + self.risk + self.future + self.shadow + self.handicap
    }

    /// The score at the list price, whatever is scarce.
    pub(super) fn without_scarcity(&self, list: Dollars) -> f64 {
        (self.total().0 - self.usd.0 - self.shadow.0 + list.0).max(0.0)
    }

    /// Each term with its name.
    pub fn named(&self) -> [(&'static str, Dollars); 7] {
        [
            ("usd", self.usd),
            ("latency", self.latency),
            ("late", self.late),
            ("risk", self.risk),
            ("future", self.future),
            ("shadow", self.shadow),
            ("handicap", self.handicap),
        ]
    }
}

impl Pool {
    pub(super) fn of(view: &View<'_>, request: &Request) -> Self {
        // `min` takes the other one where one is not a number.
        let (mut first_token, mut pace, mut log_spread) = (f64::NAN, f64::NAN, f64::NAN);
        let usual_prompt = request.prompt.as_f64();
        let mut least_prompt = usual_prompt;
        for candidate in view.candidates {
            least_prompt = least_prompt.min(candidate.prompt.expected);
            let latency = &candidate.health.latency;
            if latency.weight >= PRIOR_WEIGHT {
                first_token = first_token.min(latency.mean);
                log_spread = log_spread.min(latency.log_spread);
            }
            if latency.pace_weight >= PRIOR_WEIGHT {
                pace = pace.min(latency.pace);
            }
        }
        Self {
            first_token: Best::of(first_token, UNKNOWN_FIRST_TOKEN),
            pace: Best::of(pace, UNKNOWN_PACE),
            log_spread: Best::of(log_spread, UNKNOWN_LOG_SPREAD),
            target: Deadline::of(view.objective, request.mode),
            usual_prompt,
            least_prompt,
        }
    }

    fn prompt(&self, candidate: &Candidate<'_>) -> f64 {
        candidate.prompt.hopeful(self.usual_prompt, self.least_prompt)
    }

    /// Seconds to a first token at the fastest.
    pub(super) const fn first_token(&self) -> f64 {
        self.first_token.known
    }
}

/// The part of a forecast that is cheap to make: bill and time, without what may go wrong and what comes later.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    /// Bill, time, shadow and handicap; the rest is nought.
    terms: Terms,
    /// The bill without any allowance.
    list: Dollars,
    /// Tokens of the prompt and of the answer.
    prompt: f64,
    output: f64,
    /// Seconds to the first token, and per token of the answer.
    first_token: f64,
    pace: f64,
    /// By how much others wait longer for it.
    crowding: f64,
}

impl Outline {
    pub(super) fn of(candidate: &Candidate<'_>, view: &View<'_>, request: &Request, pool: &Pool) -> Self {
        let latency = &candidate.health.latency;
        let in_flight = f64::from(candidate.health.in_flight);
        let output = expected_output(candidate, view, request);
        let prompt = pool.prompt(candidate);
        let cached = candidate.cache_hit * candidate.warm.as_f64().min(prompt);
        let list = bill(candidate, prompt, cached, output, request.thinking);
        let first_token = first_token(latency, in_flight, prompt - cached, pool);
        let level = pool.pace.shrink(latency.pace_weight, latency.pace, latency.pace_prior_share);
        let shift = latency.pace_per_in_flight * (in_flight - latency.pace_in_flight);
        let pace = (level + shift).max(LEAST_OF_MEAN * level);
        // What one more in flight costs all the others: by Little's law their number grows by 1/(1 - rate × seconds per
        // request in flight).
        let slower = latency.per_in_flight + output * latency.pace_per_in_flight;
        let load = (latency.rate * slower).min(MAX_LOAD);
        let crowding = if load > 0.0 { 1.0 / (1.0 - load) } else { 1.0 };
        let (usd, worth) = match candidate.free {
            // What is free here may be worth more elsewhere or later; at most what is paid without it.
            Some(free) if free.covers(prompt + output, list) => {
                (Dollars(0.0), Dollars(list.0.min(free.toll.of(prompt, output, list).0)))
            }
            Some(_) | None => (list, Dollars(0.0)),
        };
        let terms = Terms {
            usd,
            latency: view.objective.value_of_second * ((first_token + output * pace) * crowding),
            shadow: worth + candidate.toll.of(prompt, output, list),
            handicap: match candidate.handicap {
                Handicap::None => Dollars::default(),
                Handicap::Share(share) => list * share.0,
                Handicap::Amount(amount) => amount.as_dollars(),
            },
            ..Terms::default()
        };
        Self { terms, list, prompt, output, first_token, pace, crowding }
    }

    /// Of the expected time to a first token.
    pub(super) fn standard_error(&self, candidate: &Candidate<'_>, mode: Mode) -> f64 {
        standard_error(candidate, self.first_token, mode)
    }

    /// The least that the score can be: no term is negative.
    pub(super) fn least(&self) -> Dollars {
        self.terms.usd + self.terms.latency + self.terms.shadow + self.terms.handicap
    }
}

/// Of the expected time to a first token, in seconds. A newcomer's is no estimate.
pub(super) fn standard_error(candidate: &Candidate<'_>, first_token: f64, mode: Mode) -> f64 {
    let latency = &candidate.health.latency;
    match mode {
        Mode::Stream if latency.weight > 0.0 => first_token * latency.relative_error,
        Mode::Stream | Mode::Plain | Mode::Embedding => 0.0,
    }
}

impl Forecast {
    pub(super) fn of(candidate: &Candidate<'_>, view: &View<'_>, request: &Request, pool: &Pool) -> Self {
        Self::with(Outline::of(candidate, view, request, pool), candidate, view, request, pool)
    }

    pub(super) fn with(
        outline: Outline,
        candidate: &Candidate<'_>,
        view: &View<'_>,
        request: &Request,
        pool: &Pool,
    ) -> Self {
        let Outline { terms, list, prompt, output, first_token, pace, crowding } = outline;
        let (latency, objective) = (&candidate.health.latency, view.objective);
        let mean = if request.mode == Mode::Stream { first_token } else { first_token + output * pace };
        let log_spread = if latency.weight > 0.0 { latency.log_spread } else { pool.log_spread.newcomer };
        let target = Target::new(pool.target, mean, log_spread);
        let late = target.late();
        let terms = Terms {
            late: objective.late_cost * (late * crowding.min(MAX_LATE_TOLL)),
            risk: risk(candidate, objective, (prompt, request.thinking), &target, late),
            future: future(candidate, view, prompt),
            ..terms
        };
        Self { terms, list, first_token, log_spread, pace, output }
    }
}

impl Best {
    fn of(least: f64, unknown: f64) -> Self {
        let known = if least.is_nan() { unknown } else { least };
        Self { known, newcomer: known.min(unknown) }
    }

    fn shrink(self, weight: f64, mean: f64, prior_share: f64) -> f64 {
        if weight > 0.0 { mean + prior_share * (self.known - mean) } else { self.newcomer }
    }
}

/// When an answer is late, and its logarithm.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    seconds: f64,
    log: f64,
}

/// An answer's deadline, if it has one, and how its time is spread: log-normally.
struct Target {
    deadline: Option<Deadline>,
    log_mean: f64,
    per_log_spread: f64,
}

impl Deadline {
    /// The logarithm of what is left of it: by its series where little is lost, which is nearly always.
    fn log_less(self, lost: f64) -> f64 {
        let share = lost / self.seconds;
        if share < 0.25 {
            self.log - share * (1.0 + share * (0.5 + share * (1.0 / 3.0 + share * 0.25)))
        } else {
            (self.seconds - lost).ln()
        }
    }

    fn of(objective: &Objective, mode: Mode) -> Option<Self> {
        let target = match mode {
            Mode::Stream => Some(objective.target_first_token),
            Mode::Plain | Mode::Embedding => objective.target_answer,
        };
        target.map(|target| Self { seconds: target.as_secs_f64(), log: target.as_secs_f64().ln() })
    }
}

impl Target {
    fn new(deadline: Option<Deadline>, mean: f64, log_spread: f64) -> Self {
        Self { deadline, log_mean: logarithm(mean) - log_spread * log_spread / 2.0, per_log_spread: 1.0 / log_spread }
    }

    /// The chance of missing the target.
    fn late(&self) -> f64 {
        self.deadline.map_or(0.0, |deadline| self.beyond(deadline.log))
    }

    /// The same once `lost` seconds are gone.
    fn late_after_losing(&self, lost: f64) -> f64 {
        let Some(deadline) = self.deadline else { return 0.0 };
        let left = deadline.seconds - lost;
        if left <= SOONEST { 1.0 } else { self.beyond(deadline.log_less(lost)) }
    }

    fn beyond(&self, log: f64) -> f64 {
        normal_tail((log - self.log_mean) * self.per_log_spread)
    }
}

fn expected_output(candidate: &Candidate<'_>, view: &View<'_>, request: &Request) -> f64 {
    match request.mode {
        Mode::Embedding => 0.0,
        Mode::Stream | Mode::Plain => {
            let expected = view.route.output * candidate.health.verbosity;
            let most = match (request.max_output, candidate.max_output) {
                (Some(asked), Some(able)) => Some(asked.min(able)),
                (one, other) => one.or(other),
            };
            most.map_or(expected, |most| expected.min(most.as_f64()))
        }
    }
}

/// The more of ours are in flight than ever before, the less the past says: beyond what is known it grows as a square.
fn first_token(latency: &LatencyReading, in_flight: f64, prompt: f64, pool: &Pool) -> f64 {
    let level = pool.first_token.shrink(latency.weight, latency.mean, latency.prior_share);
    let shift = latency.per_in_flight * (in_flight - latency.mean_in_flight)
        + latency.per_prompt_token * (prompt - latency.mean_prompt);
    let expected = (level + shift).max(LEAST_OF_MEAN * level).max(SOONEST);
    if in_flight <= latency.known_in_flight {
        return expected;
    }
    let slow_start = (in_flight + 1.0) / (latency.known_in_flight + 1.0);
    expected * slow_start * slow_start
}

/// An unknown price cannot be summed; the order of candidates accounts for it.
fn bill(candidate: &Candidate<'_>, prompt: f64, cached: f64, output: f64, thinking: Thinking) -> Dollars {
    candidate.price.map_or(Dollars(0.0), |price| price.estimate(prompt, cached, output, thinking))
}

/// What the turns to come will pay for reading this one again, where they follow it: mostly the cache's price where there
/// is one that works. It keeps a conversation from beginning at an endpoint that is a little cheaper once and dear in
/// the long run.
fn future(candidate: &Candidate<'_>, view: &View<'_>, prompt: f64) -> Dollars {
    let follow_up = view.route.follow_up;
    if follow_up <= 0.0 {
        return Dollars(0.0);
    }
    let turns = (follow_up / (1.0 - follow_up).max(0.1)).min(MOST_TURNS);
    // The route's usual answer, not the endpoint's: what is not known for certain of it shall not count many times.
    let output = view.route.output;
    let list = (prompt + output) * candidate.price.map_or(0.0, |price| price.reading_again(candidate.cache_hit));
    let next = match candidate.free {
        // What is free now mostly is at the next turn.
        Some(free) if free.covers(prompt + output, Dollars(list)) => {
            list.min(free.toll.of(prompt, output, Dollars(list)).0)
        }
        Some(_) | None => list,
    };
    Dollars(FORESIGHT * turns * next)
}

/// Odds times the cost of failing: with failover, trying in the order of cost per chance of success is best.
fn risk(
    candidate: &Candidate<'_>,
    objective: &Objective,
    (prompt, thinking): (f64, Thinking),
    target: &Target,
    late: f64,
) -> Dollars {
    let outcome = &candidate.health.reliability;
    let success = outcome.success.clamp(1e-3, MOST_SURE);
    let odds = 1.0 / success - 1.0;
    let later = (target.late_after_losing(outcome.failure_time) - late).max(0.0);
    let billed = if outcome.billed > 0.0 {
        bill(candidate, prompt, 0.0, 0.0, thinking) * outcome.billed
    } else {
        Dollars::default()
    };
    let failing = objective.value_of_second * outcome.failure_time
        + objective.late_cost * later
        + billed
        + objective.failure_cost * FAILED_OVER;
    failing * odds + objective.failure_cost * outcome.cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_as_good_as_the_logarithm() {
        let deadline = Deadline { seconds: 2.0, log: 2.0_f64.ln() };
        for lost in [0.0, 0.1, 0.3, 0.49, 0.51, 1.5] {
            let exact = (2.0_f64 - lost).ln();
            assert!((deadline.log_less(lost) - exact).abs() < 5e-4, "{lost}");
        }
    }

    #[test]
    fn a_target_that_has_passed_is_missed_for_certain() {
        let deadline = Some(Deadline { seconds: 1.0, log: 0.0 });
        let target = Target::new(deadline, 0.1, 0.5);
        assert!(target.late() < 0.01);
        assert!((target.late_after_losing(0.995) - 1.0).abs() < 1e-12);
        assert!(Target::new(None, 0.1, 0.5).late_after_losing(9.0).abs() < 1e-12);
    }

    #[test]
    fn more_in_flight_than_ever_seen_is_expected_to_be_slow() {
        let latency = LatencyReading {
            weight: 10.0,
            mean: 0.2,
            prior_share: 0.05,
            known_in_flight: 3.0,
            ..LatencyReading::default()
        };
        let pool = Pool {
            first_token: Best::of(0.2, 1.0),
            pace: Best::of(0.01, 0.02),
            log_spread: Best::of(0.5, 0.5),
            target: None,
            usual_prompt: 100.0,
            least_prompt: 100.0,
        };
        let at = |in_flight: f64| first_token(&latency, in_flight, 100.0, &pool);
        assert!((at(0.0) - 0.2).abs() < 1e-9 && (at(3.0) - 0.2).abs() < 1e-9);
        assert!(at(7.0) > 0.7, "{}", at(7.0));
    }

    #[test]
    fn terms_add_up_to_the_score() {
        let one = Dollars(1.0);
        let terms = Terms { usd: one, latency: one, late: one, risk: one, future: one, shadow: one, handicap: one };
        let sum: f64 = terms.named().iter().map(|(_, term)| term.0).sum();
        assert!((terms.total().0 - sum).abs() < 1e-12);
    }
}
