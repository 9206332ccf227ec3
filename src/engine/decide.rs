//! The decision: from a view of the candidates to a plan of whom to try, in order.
//!
//! Pure: the same view, request, moment and seed give the same plan. One draw of the random generator spreads the
//! traffic over those that are as good as the best; no coin is tossed to explore, as what is forgotten is tried again.

use std::time::Duration;

use rand::RngExt as _;

use super::eligible::{Eligibility, Lengths, eligibility, fits, is_capable, is_stale};
use super::features::{Mode, Objective, Request};
use super::plan::{Candidate, Cause, Entry, Others, Plan, Reason, View};
use super::score::{Forecast, Outline, Pool, standard_error};
use super::shortlist::{LISTED, Look, Shortlist};
use super::trial::Offer;
use crate::ids::EndpointIx;
use crate::units::{Dollars, Timestamp, Tokens, len_to_u64};

/// Below this many effective samples nobody is cut off for being slower than expected.
const KNOWN: f64 = 8.0;
/// What is waited for, as a multiple of what is expected.
const PATIENCE: f64 = 5.0;
/// Seconds.
const LEAST_FIRST_TOKEN: f64 = 2.0;
/// Seconds.
const LEAST_ANSWER: f64 = 8.0;
/// The difference between two estimates that is put down to chance, in standard errors of the worse one.
const CHANCE: f64 = 1.0;
/// When to ask again if a probe is out and nothing else is known.
const PROBE_ANSWER: Duration = Duration::from_secs(1);

/// Whom to try for `request`, and in which order.
pub fn decide(view: &View<'_>, request: &Request, now: Timestamp, rng: &mut impl rand::Rng) -> Plan {
    decide_by(Look::AsNeeded, view, request, now, rng)
}

pub(super) fn decide_by(
    look: Look,
    view: &View<'_>,
    request: &Request,
    now: Timestamp,
    rng: &mut impl rand::Rng,
) -> Plan {
    let mut plan = Plan::default();
    let options = options(look, view, request, now, &mut plan.rejected);
    let mut admitted = admit(&options, &mut plan.rejected);
    if admitted.is_empty() {
        plan.cause = Some(cause(&plan.rejected));
        plan.retry_at = plan.rejected.iter().filter_map(|(_, reason)| retry_at(*reason, now)).min();
        return plan;
    }
    // Ranks are sorted, as choices are ten times as large.
    admitted.sort_unstable();
    let mut ranked: Vec<_> = admitted.iter().filter_map(|rank| options.get(index_of(*rank))).collect();
    plan.scores.extend(ranked.iter().map(|option| (option.candidate.endpoint, option.score)));
    let setting = Setting { view, request, usual: usual_cost(&options), most: view.answer_timeout.as_secs_f64() };
    lead_with_one_of_the_best(&mut ranked, &setting, rng);
    let trial = lead_with_a_trial(&mut ranked);
    plan.entries.extend(ranked.iter().take(LISTED).map(|option| option.entry(&setting)));
    if let (Some(offer), Some(first)) = (trial, plan.entries.first_mut()) {
        first.exploration = Dollars(offer.cost);
    }
    // Whoever is asked last is given all the time there is.
    let is_whole = ranked.len() < LISTED && view.others == Others::None;
    if let Some(last) = plan.entries.last_mut().filter(|_| is_whole) {
        last.first_token_limit = setting.most;
    }
    plan
}

/// What entries are made with.
struct Setting<'a> {
    view: &'a View<'a>,
    request: &'a Request,
    /// The bill at the best of those that are well known.
    usual: Option<Dollars>,
    /// The policy's longest wait, in seconds.
    most: f64,
}

/// Looks at the candidates tier by tier, and no further than for the list: at no lower tier once the list is full, and
/// at nobody whose bill and time alone are too much to come onto it or to lead it. One that is due for a trial is looked
/// at whatever it costs.
fn options<'a>(
    look: Look,
    view: &'a View<'a>,
    request: &Request,
    now: Timestamp,
    rejected: &mut Vec<(EndpointIx, Reason)>,
) -> Vec<Choice<'a>> {
    let pool = Pool::of(view, request);
    let lengths = lengths(view, request);
    let mut options = Vec::with_capacity(view.candidates.len());
    let mut list = Shortlist::new(look, view.objective.spread.0);
    let mut tier = view.candidates.iter().map(|candidate| candidate.tier).min();
    while let Some(current) = tier.filter(|_| !list.is_full()) {
        for candidate in view.candidates.iter().filter(|candidate| candidate.tier == current) {
            if !is_capable(candidate, request) {
                rejected.push((candidate.endpoint, Reason::Incapable));
                continue;
            }
            if !fits(candidate, request, lengths) {
                rejected.push((candidate.endpoint, Reason::TooLong));
                continue;
            }
            let outline = Outline::of(candidate, view, request, &pool);
            let luck = || chance(view.objective, outline.standard_error(candidate, request.mode));
            let may_be_left_out = candidate.price.is_some() && candidate.health.trial.is_none();
            if may_be_left_out && list.is_out_of_reach(outline.least().0, luck) {
                continue;
            }
            let forecast = Forecast::with(outline, candidate, view, request, &pool);
            let eligibility = eligibility(candidate, &forecast, &pool, view.objective.max_cost, now);
            let choice = Choice::new(candidate, options.len(), forecast, eligibility);
            if matches!(eligibility, Eligibility::Yes(_)) && candidate.price.is_some() {
                list.add(choice.score.0, is_stale(candidate));
            }
            options.push(choice);
        }
        tier = view.candidates.iter().map(|candidate| candidate.tier).filter(|next| *next > current).min();
    }
    options
}

struct Choice<'a> {
    candidate: &'a Candidate<'a>,
    forecast: Forecast,
    score: Dollars,
    eligibility: Eligibility,
    rank: Rank,
}

/// The order of candidates, in one number: by tier, then by score; equals in the order of the configuration, which is
/// that of the options. An unknown price is not free: whoever has one comes after all that have a price.
type Rank = u128;

/// Which option has this rank.
fn index_of(rank: Rank) -> usize {
    usize::try_from(rank & Rank::from(u32::MAX)).unwrap_or(usize::MAX)
}

/// Lengths are taken strictly where that leaves anyone, well or not: what is down is no reason to be refused elsewhere.
fn lengths(view: &View<'_>, request: &Request) -> Lengths {
    let whole = |candidate: &Candidate<'_>| is_capable(candidate, request) && fits(candidate, request, Lengths::Whole);
    if view.candidates.iter().any(whole) { Lengths::Whole } else { Lengths::Prompt }
}

/// Those of `options` that may be tried; caution gives way first, then open circuits.
fn admit(options: &[Choice<'_>], rejected: &mut Vec<(EndpointIx, Reason)>) -> Vec<Rank> {
    let any = |test: fn(Eligibility) -> bool| options.iter().any(|option| test(option.eligibility));
    let certain = any(|eligibility| matches!(eligibility, Eligibility::Yes(_)));
    let reluctant = !certain && any(|eligibility| matches!(eligibility, Eligibility::Reluctantly(_)));
    let mut admitted = Vec::with_capacity(options.len());
    for option in options {
        match option.eligibility {
            Eligibility::Yes(_) => admitted.push(option.rank),
            Eligibility::Reluctantly(_) if reluctant => admitted.push(option.rank),
            Eligibility::LastResort(_) if !certain && !reluctant => admitted.push(option.rank),
            Eligibility::Reluctantly(reason) | Eligibility::LastResort(reason) | Eligibility::No(reason) => {
                rejected.push((option.candidate.endpoint, reason));
            }
        }
    }
    admitted
}

/// The bill at the best of those that are well known, against which trying a stale one is measured. `None` where there
/// is no stale one either.
fn usual_cost(options: &[Choice<'_>]) -> Option<Dollars> {
    if !options.iter().any(|option| is_stale(option.candidate)) {
        return None;
    }
    options
        .iter()
        .filter(|option| matches!(option.eligibility, Eligibility::Yes(_)) && !is_stale(option.candidate))
        .min_by_key(|option| option.rank)
        .map(|option| option.forecast.terms.usd)
}

impl<'a> Choice<'a> {
    fn new(candidate: &'a Candidate<'a>, index: usize, forecast: Forecast, eligibility: Eligibility) -> Self {
        let score = forecast.terms.total();
        // No score is negative, and the bits of such floats sort as they do; adding zero turns -0 into 0.
        let bits = (score.0 + 0.0).to_bits();
        let unpriced = u64::from(candidate.price.is_none()) << 63;
        let (index, tier) = (len_to_u64(index), len_to_u64(candidate.tier));
        let rank = Rank::from(tier) << 96 | Rank::from(bits | unpriced) << 32 | Rank::from(index);
        Self { candidate, forecast, score, eligibility, rank }
    }

    fn entry(&self, setting: &Setting<'_>) -> Entry {
        let Forecast { terms, first_token, output, .. } = self.forecast;
        Entry {
            endpoint: self.candidate.endpoint,
            tier: self.candidate.tier,
            score: self.score,
            terms,
            first_token,
            first_token_limit: self.limit(setting.most, setting.request),
            log_spread: self.forecast.log_spread,
            success: self.candidate.health.success_rate(),
            prompt: self.candidate.prompt.tokens(),
            expected_output: Tokens::from_estimate(output),
            admission: self.eligibility.admission(),
            exploration: self.exploration(setting.usual),
            is_priced: self.candidate.price.is_some(),
        }
    }

    /// What it costs more than `usual`, if it is tried because little is known of it.
    fn exploration(&self, usual: Option<Dollars>) -> Dollars {
        match usual {
            Some(usual) if is_stale(self.candidate) => Dollars((self.forecast.terms.usd.0 - usual.0).max(0.0)),
            Some(_) | None => Dollars(0.0),
        }
    }

    /// How long to wait where others could be asked instead. Each timeout doubles it: a slow endpoint would otherwise be
    /// cut off for ever without its true time being seen.
    fn limit(&self, most: f64, request: &Request) -> f64 {
        let Forecast { first_token, pace, output, .. } = self.forecast;
        let health = &self.candidate.health;
        let (known, expected, least) = match request.mode {
            Mode::Stream => (health.latency.weight, first_token, LEAST_FIRST_TOKEN),
            // An answer may be far longer than usual, but not than what the client accepts.
            Mode::Plain => {
                let longest = request.max_output.map_or(output, Tokens::as_f64);
                (health.latency.pace_weight, first_token + longest * pace, LEAST_ANSWER)
            }
            Mode::Embedding => (health.latency.weight, first_token, LEAST_ANSWER),
        };
        if known < KNOWN {
            return match request.mode {
                Mode::Stream => most,
                // The policy has no bound of its own for these. A fifth of all the time is kept for another endpoint: more
                // would cut answers off that are merely long.
                Mode::Plain | Mode::Embedding => 0.8 * most,
            };
        }
        let patience = (PATIENCE * expected).max(least);
        (patience * f64::from(1_u32 << health.timeouts)).min(most)
    }
}

/// Those of the first tier, in order.
fn peers<'o, 'a>(ranked: &'o [&'a Choice<'a>]) -> impl Iterator<Item = &'a Choice<'a>> + Clone + use<'o, 'a> {
    let tier = ranked.first().map(|option| option.candidate.tier);
    ranked.iter().copied().take_while(move |option| Some(option.candidate.tier) == tier)
}

/// What a difference between two scores may be by chance, in dollars. Without any spread, the best is asked and nobody
/// else.
fn chance(objective: &Objective, standard_error: f64) -> f64 {
    if objective.spread.0 > 0.0 { objective.value_of_second.0 * CHANCE * standard_error } else { 0.0 }
}

/// Moves one of those within `spread` of the best of the first tier to the front, or so near that it may be by chance
/// that it seems worse: equals would else not share, but take turns in being the lucky one.
fn lead_with_one_of_the_best(ranked: &mut [&Choice<'_>], setting: &Setting<'_>, rng: &mut impl rand::Rng) {
    let Setting { view, request, usual, .. } = *setting;
    let Objective { spread, exploration, .. } = *view.objective;
    let affordable = |option: &Choice<'_>| view.route.may_explore(option.exploration(usual), exploration);
    let is_priced = |option: &Choice<'_>| option.candidate.price.is_some();
    let Some(best) = peers(ranked).find(|option| affordable(option)) else { return };
    let bound = best.score.0 * (1.0 + spread.0);
    let luck = |option: &Choice<'_>| {
        chance(view.objective, standard_error(option.candidate, option.forecast.first_token, request.mode))
    };
    let as_good = |option: &Choice<'_>| {
        option.score.0 - luck(option) <= bound && is_priced(option) == is_priced(best) && affordable(option)
    };
    let count = peers(ranked).filter(|option| as_good(option)).count();
    let pick = rng.random_range(0..count.max(1));
    let position =
        peers(ranked).enumerate().filter(|(_, option)| as_good(option)).map(|(position, _)| position).nth(pick);
    if let Some(front) = position.and_then(|position| ranked.get_mut(..=position)) {
        front.rotate_right(1);
    }
}

/// Moves an endpoint to the front that is due for a trial, if this request makes a cheap one.
fn lead_with_a_trial(ranked: &mut [&Choice<'_>]) -> Option<Offer> {
    let due = |option: &Choice<'_>| {
        let tokens = option.candidate.prompt.tokens().as_f64() + option.forecast.output;
        option.candidate.health.trial.filter(|offer| tokens <= offer.tokens)
    };
    let (position, offer) = peers(ranked).enumerate().find_map(|(position, option)| Some((position, due(option)?)))?;
    ranked.get_mut(..=position)?.rotate_right(1);
    Some(offer)
}

fn cause(rejected: &[(EndpointIx, Reason)]) -> Cause {
    let each = |test: fn(Reason) -> bool| rejected.iter().all(|(_, reason)| test(*reason));
    if rejected.is_empty() {
        Cause::Unavailable
    } else if each(|reason| matches!(reason, Reason::Incapable)) {
        Cause::NoneCapable
    } else if each(|reason| matches!(reason, Reason::Incapable | Reason::TooLong)) {
        Cause::ContextExceeded
    } else if each(|reason| matches!(reason, Reason::Incapable | Reason::TooLong | Reason::TooDear)) {
        Cause::TooDear
    } else if each(|reason| !is_scarcity(reason)) {
        let any = |test: fn(Reason) -> bool| rejected.iter().any(|(_, reason)| test(*reason));
        if any(|reason| matches!(reason, Reason::Broke { .. })) { Cause::Broke } else { Cause::Unavailable }
    } else {
        Cause::Quota
    }
}

const fn is_scarcity(reason: Reason) -> bool {
    match reason {
        Reason::Quota { .. } | Reason::LargerThanLimit { .. } | Reason::Blocked { .. } => true,
        Reason::Incapable
        | Reason::TooLong
        | Reason::TooDear
        | Reason::Broke { .. }
        | Reason::Open { .. }
        | Reason::Probing
        | Reason::Ramp
        | Reason::Stale => false,
    }
}

fn retry_at(reason: Reason, now: Timestamp) -> Option<Timestamp> {
    match reason {
        Reason::Incapable | Reason::TooLong | Reason::TooDear => None,
        Reason::Quota { until }
        | Reason::LargerThanLimit { until }
        | Reason::Broke { until }
        | Reason::Blocked { until }
        | Reason::Open { until } => Some(until),
        Reason::Probing | Reason::Ramp | Reason::Stale => Some(now + PROBE_ANSWER),
    }
}
