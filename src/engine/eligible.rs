//! Who may be tried at all: filters, never weights.
//!
//! Some reasons are facts (it cannot, its circuit is open, its quota is used up) and hold whatever the alternatives;
//! others are caution (it is coming back, it was slow when last heard of) and give way where nobody else is left.

use super::breaker::Gate;
use super::features::{Mode, Request};
use super::plan::{Admission, Candidate, Reason};
use super::quota::Fit;
use super::score::{Forecast, Pool};
use crate::units::{Dollars, Timestamp, Tokens};

/// Below this many effective samples an endpoint that was known is stale.
pub(super) const STALE_WEIGHT: f64 = 1.0;
/// That much slower than the pool's best is slow.
const SLOW: f64 = 2.0;
/// As many of a stale and slow endpoint's calls find out how it is now.
const STALE_IN_FLIGHT: u32 = 2;

/// Whether one may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Eligibility {
    /// It may.
    Yes(Admission),
    /// Only if nobody else may.
    Reluctantly(Reason),
    /// Only if everybody's circuit is open.
    LastResort(Reason),
    /// It may not.
    No(Reason),
}

impl Eligibility {
    /// As what it is sent, once it may be tried.
    pub(super) const fn admission(self) -> Admission {
        match self {
            Self::Yes(admission) => admission,
            Self::Reluctantly(_) | Self::No(_) => Admission::Normal,
            Self::LastResort(_) => Admission::LastResort,
        }
    }
}

/// How strictly lengths are taken. Many clients ask for more output than any model writes, and most providers clamp it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lengths {
    /// The prompt and all the output that was asked for have to fit.
    Whole,
    /// The prompt has to fit.
    Prompt,
}

/// Whether it can do what is asked for.
pub(super) fn is_capable(candidate: &Candidate<'_>, request: &Request) -> bool {
    candidate.capabilities.covers(request.needs)
}

/// Whether the request is short enough.
pub(super) fn fits(candidate: &Candidate<'_>, request: &Request, lengths: Lengths) -> bool {
    let wanted = request.max_output.unwrap_or(Tokens::ZERO);
    if request.mode == Mode::Embedding {
        // A context is for each text of a batch, and what is known of the batch is its sum.
        return true;
    }
    match lengths {
        Lengths::Prompt => candidate.context.is_none_or(|context| candidate.prompt.tokens() < context),
        Lengths::Whole => {
            candidate.context.is_none_or(|context| candidate.prompt.tokens() + wanted <= context)
                && candidate.max_output.is_none_or(|most| wanted <= most)
        }
    }
}

/// Whether it would answer soon if quota allowed.
pub(super) fn is_reachable(candidate: &Candidate<'_>, now: Timestamp) -> bool {
    const SOON: std::time::Duration = std::time::Duration::from_secs(1);
    let has_money = candidate.broke_until.is_none() || candidate.free.is_some();
    let is_open = !matches!(candidate.health.gate, Gate::Open { .. } | Gate::Probing);
    has_money && is_open && candidate.health.blocked_until <= now + SOON
}

/// Whether it may be tried now, given that it can.
pub(super) fn eligibility(
    candidate: &Candidate<'_>,
    forecast: &Forecast,
    pool: &Pool,
    max_cost: Option<Dollars>,
    now: Timestamp,
) -> Eligibility {
    let health = &candidate.health;
    if max_cost.is_some_and(|most| candidate.price.is_none() || forecast.terms.usd > most) {
        return Eligibility::No(Reason::TooDear);
    }
    if now < health.blocked_until {
        return Eligibility::No(Reason::Blocked { until: health.blocked_until });
    }
    if let Some(until) = candidate.broke_until
        && (candidate.price.is_none() || forecast.terms.usd.0 > 0.0)
    {
        return Eligibility::No(Reason::Broke { until });
    }
    if let Some(reason) = quota(candidate, forecast, now) {
        return Eligibility::No(reason);
    }
    match health.gate {
        Gate::Open { until, waiting: false, .. } if now >= health.last_resort_at => {
            Eligibility::LastResort(Reason::Open { until })
        }
        // The next last resort may go before a probe may.
        Gate::Open { until, .. } => Eligibility::No(Reason::Open { until: until.min(health.last_resort_at) }),
        Gate::Probing => Eligibility::No(Reason::Probing),
        Gate::HalfOpen => Eligibility::Yes(Admission::Probe),
        Gate::Ramp(0) => Eligibility::Reluctantly(Reason::Ramp),
        Gate::Closed | Gate::Ramp(_) if is_slow_and_stale(candidate, pool.first_token()) => {
            Eligibility::Reluctantly(Reason::Stale)
        }
        Gate::Closed | Gate::Ramp(_) => Eligibility::Yes(Admission::Normal),
    }
}

/// A known quota is never exceeded. It was read for the prompt; the answer has to find room too.
fn quota(candidate: &Candidate<'_>, forecast: &Forecast, now: Timestamp) -> Option<Reason> {
    const NEXT_SLICE: std::time::Duration = std::time::Duration::from_secs(1);
    match candidate.quota.fit {
        Fit::Later { until, .. } => Some(Reason::Quota { until }),
        Fit::TooLarge { until, .. } => Some(Reason::LargerThanLimit { until }),
        Fit::Now if candidate.quota.spare < Tokens::from_estimate(forecast.output) => {
            Some(Reason::Quota { until: now + NEXT_SLICE })
        }
        Fit::Now => None,
    }
}

fn is_slow_and_stale(candidate: &Candidate<'_>, fastest: f64) -> bool {
    let latency = &candidate.health.latency;
    is_stale(candidate) && latency.mean > SLOW * fastest && candidate.health.in_flight >= STALE_IN_FLIGHT
}

/// Whether what is known of it is (nearly) forgotten. A newcomer is not stale: nothing is known that could mislead.
pub(super) fn is_stale(candidate: &Candidate<'_>) -> bool {
    let latency = &candidate.health.latency;
    latency.weight > 0.0 && latency.weight < STALE_WEIGHT
}
