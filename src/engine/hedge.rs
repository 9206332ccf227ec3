//! Whether a second try beside one that keeps the client waiting is worth its money.
//!
//! A first token that has not come after `t` seconds comes, by the endpoint's lognormal, at some later time; or never,
//! if the call is one of those that fail, and then at the end of the patience. The longer the silence, the likelier the
//! latter. A rival that is expected `y` seconds after its sending saves what lies beyond `t + y`: the mean of that excess
//! has a closed form (the partial expectation of a lognormal, as in Black and Scholes 1973), and is worth
//! `value_of_second` a second, with `late_cost` for the lateness that it avoids. It costs the rival's whole bill: a
//! prompt that is sent twice is billed twice (Dean and Barroso, "The Tail at Scale", CACM 2013, count requests, not
//! tokens).

use std::time::Duration;

use super::features::Objective;
use super::lognormal::{logarithm, normal_tail, quantile};
use super::plan::Entry;

use crate::units::{Dollars, Share, seconds};

/// When to think of a second try, and what all of them may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgePolicy {
    /// After how long a silence.
    pub after: HedgeAfter,
    /// The most that second tries may cost, as a share of what the route spends.
    pub max_extra_cost: Share,
}

/// How long a silence has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeAfter {
    /// As long as all but this share of the endpoint's own first tokens take.
    Tail(f64),
    /// So long.
    Time(Duration),
}

impl HedgePolicy {
    /// After which silence it is worth looking for the first time, in a call of `first`.
    pub fn first_look(&self, first: &Entry) -> Duration {
        match self.after {
            HedgeAfter::Time(after) => after,
            HedgeAfter::Tail(tail) => seconds((log_mean(first) + first.log_spread * quantile(1.0 - tail)).exp()),
        }
    }
}

/// What a second try at `rival` costs, if the silence of `first` for `waited` makes it worth that.
pub fn hedge(first: &Entry, waited: Duration, rival: &Entry, objective: &Objective) -> Option<Dollars> {
    let cost = rival.terms.usd + rival.terms.shadow;
    (rival.is_priced && gain(first, waited.as_secs_f64(), rival, objective) > cost).then_some(cost)
}

/// Dollars that are saved, on average.
fn gain(first: &Entry, waited: f64, rival: &Entry, objective: &Objective) -> Dollars {
    let (log_mean, spread) = (log_mean(first), first.log_spread);
    let beyond = |time: f64| normal_tail((logarithm(time.max(1e-6)) - log_mean) / spread);
    let (silent, fails) = (first.success * beyond(waited), 1.0 - first.success);
    if silent + fails <= 0.0 {
        return Dollars(0.0);
    }
    let hangs = fails / (silent + fails);
    let arrives = waited + rival.first_token;
    // The mean of what lies beyond `arrives`, of those that are not there by then.
    let excess = {
        let d = (logarithm(first.first_token / arrives) + spread * spread / 2.0) / spread;
        (first.first_token * normal_tail(-d) - arrives * normal_tail(spread - d)).max(0.0)
    };
    let slow = if silent > 0.0 { first.success * excess / silent } else { 0.0 };
    let time = (1.0 - hangs) * slow + hangs * (first.first_token_limit - arrives).max(0.0);
    let target = objective.target_first_token.as_secs_f64();
    let late = if target > waited {
        let by_itself = hangs + (1.0 - hangs) * (beyond(target) / beyond(waited).max(1e-9)).min(1.0);
        let left = (target - waited).max(1e-6);
        let with_rival = normal_tail((logarithm(left) - self::log_mean(rival)) / rival.log_spread);
        by_itself * (1.0 - with_rival)
    } else {
        0.0
    };
    objective.value_of_second * time + objective.late_cost * late
}

/// The mean of the first token's logarithm.
fn log_mean(entry: &Entry) -> f64 {
    logarithm(entry.first_token) - entry.log_spread * entry.log_spread / 2.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::plan::Admission;
    use crate::engine::score::Terms;
    use crate::engine::tests::objective;
    use crate::ids::{EndpointIx, Position as _};
    use crate::units::Tokens;

    fn entry(first_token: f64, usd: f64) -> Entry {
        Entry {
            endpoint: EndpointIx::at(0),
            tier: 0,
            score: Dollars(usd),
            terms: Terms { usd: Dollars(usd), ..Terms::default() },
            first_token,
            first_token_limit: 10.0,
            log_spread: 0.5,
            success: 0.99,
            prompt: Tokens(500),
            expected_output: Tokens(100),
            admission: Admission::Normal,
            exploration: Dollars(0.0),
            is_priced: true,
        }
    }

    fn second(value: f64) -> Objective {
        Objective { value_of_second: Dollars(value), late_cost: Dollars(0.0), ..objective() }
    }

    fn time(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_95th_percentile_is_the_endpoints_own() {
        let policy = HedgePolicy { after: HedgeAfter::Tail(0.05), max_extra_cost: Share(0.02) };
        let look = policy.first_look(&entry(1.0, 0.001)).as_secs_f64();
        // exp(-0.125 + 0.5 × 1.645)
        assert!((look - 2.009).abs() < 0.01, "{look}");
    }

    #[test]
    fn the_longer_the_silence_the_likelier_it_never_ends() {
        let (first, rival) = (entry(0.5, 0.001), entry(0.5, 0.001));
        assert_eq!(hedge(&first, time(0.6), &rival, &second(0.001)), None, "it will come any moment");
        assert_eq!(hedge(&first, time(4.0), &rival, &second(0.001)), Some(Dollars(0.001)));
    }

    #[test]
    fn the_excess_of_a_lognormal_is_what_a_sum_over_it_says() {
        let first = Entry { success: 1.0, ..entry(1.0, 0.0) };
        let rival = entry(0.3, 0.0);
        let beyond = |x: f64| normal_tail((x.ln() - log_mean(&first)) / first.log_spread);
        let sum: f64 = (0..20_000).map(|step| beyond(1.8 + 0.001 * (f64::from(step) + 0.5)) * 0.001).sum();
        let exact = sum / beyond(1.5);
        let found = gain(&first, 1.5, &rival, &second(1.0)).0;
        assert!((found - exact).abs() < 0.02 * exact, "{found} for {exact}");
    }

    proptest! {
        #[test]
        fn it_is_never_worth_more_than_all_the_waiting_that_is_left(
            mean in 0.05..5.0_f64, waited in 0.0..9.0_f64, other in 0.05..5.0_f64, value in 0.0..0.01_f64,
        ) {
            let (first, rival) = (entry(mean, 0.001), entry(other, 0.001));
            let objective = Objective { value_of_second: Dollars(value), ..objective() };
            let found = gain(&first, waited, &rival, &objective).0;
            let all = value * (first.first_token_limit + 40.0 * mean) + objective.late_cost.0;
            prop_assert!(found.is_finite() && found >= 0.0 && found <= all, "{found} of {all}");
        }

        #[test]
        fn a_dearer_second_is_never_a_reason_not_to(
            mean in 0.05..5.0_f64, waited in 0.0..9.0_f64, other in 0.05..5.0_f64, value in 0.0..0.01_f64,
        ) {
            let (first, rival) = (entry(mean, 0.001), entry(other, 0.001));
            let is_worth = |value| hedge(&first, time(waited), &rival, &second(value)).is_some();
            prop_assert!(!is_worth(value) || is_worth(2.0 * value));
        }
    }
}
