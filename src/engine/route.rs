//! What a route learns: how long answers are, what it spends, and how much it may still retry.
//!
//! The retry budget is a share of the last ten seconds' requests and a floor. It has to stop a storm of retries
//! against upstreams that are all down, and never the failover around a single broken one.

use super::features::RetryPolicy;
use super::latency::fade;
use super::lengths::{LengthClass, Lengths};
use super::window::Window;
use crate::units::{Dollars, Share, Timestamp, Tokens, count_to_f64, seconds};

/// Seconds that a request's deposit lives.
const BUDGET_SLICES: usize = 10;
const BUDGET_SECONDS: f64 = 10.0;
/// Seconds in which the account of what was spent fades to 1/e.
const SPENDING_MEMORY: f64 = 600.0;

/// The share of follow-ups that is assumed, and how many requests it is worth: the first that come are all first turns.
const PRIOR_FOLLOW_UPS: (f64, f64) = (3.0, 10.0);

/// One route's past, as far as it matters.
#[derive(Clone, Debug)]
pub struct RouteState {
    retry: RetryPolicy,
    requests: Window,
    retries: Window,
    lengths: Lengths,
    spent: f64,
    explored: f64,
    hedged: f64,
    spent_at: Timestamp,
    follow_ups: Window,
    continued: Window,
}

/// What the decision needs of it, as of one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RouteReading {
    /// Tokens to expect of an answer.
    pub(super) output: f64,
    /// Dollars spent lately.
    pub(super) spent: f64,
    /// Of them, what trying stale endpoints cost extra.
    pub(super) explored: f64,
    /// The share of requests that continue a conversation.
    pub(super) follow_up: f64,
}

impl RouteState {
    /// A route without history.
    pub fn new(retry: &RetryPolicy) -> Self {
        let window = || Window::new(BUDGET_SLICES, seconds(BUDGET_SECONDS / 10.0));
        Self {
            retry: *retry,
            requests: window(),
            retries: window(),
            lengths: Lengths::default(),
            spent: 0.0,
            explored: 0.0,
            hedged: 0.0,
            spent_at: Timestamp::START,
            follow_ups: Window::new(10, seconds(6.0)),
            continued: Window::new(10, seconds(6.0)),
        }
    }

    /// Takes the budget of a new policy; what was spent stays spent.
    pub const fn adjust(&mut self, retry: &RetryPolicy) {
        self.retry = *retry;
    }

    /// What is known as of `now`, for requests of `class`.
    pub fn read(&self, class: LengthClass, now: Timestamp) -> RouteReading {
        let share = fade(now.since(self.spent_at), SPENDING_MEMORY);
        let known = count_to_f64(self.follow_ups.used(now));
        RouteReading {
            output: self.lengths.expected(class, now),
            spent: self.spent * share,
            explored: self.explored * share,
            follow_up: (count_to_f64(self.continued.used(now)) + PRIOR_FOLLOW_UPS.0) / (known + PRIOR_FOLLOW_UPS.1),
        }
    }

    /// A request came in.
    pub fn deposit(&mut self, now: Timestamp) {
        self.requests.add(1, now);
    }

    /// A request continued a conversation, or began one.
    pub fn converse(&mut self, continues: bool, now: Timestamp) {
        self.follow_ups.add(1, now);
        self.continued.add(u64::from(continues), now);
    }

    /// Asks for one more upstream call than there are requests, and counts it if it is granted.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        let granted = self.would_grant(now);
        if granted {
            self.retries.add(1, now);
        }
        granted
    }

    /// Takes back what was granted just now for a call that could not be made.
    pub fn give_back(&mut self, now: Timestamp) {
        self.retries.correct(1, 0, now, now);
    }

    /// Whether [`RouteState::withdraw`] would grant one more.
    pub fn would_grant(&mut self, now: Timestamp) -> bool {
        let earned = self.retry.budget.0 * count_to_f64(self.requests.used(now));
        let allowed = earned + self.retry.floor_per_second * BUDGET_SECONDS;
        count_to_f64(self.retries.used(now) + 1) <= allowed
    }

    /// How long answers to requests of `class` are.
    pub fn typical_output(&self, class: LengthClass, now: Timestamp) -> Tokens {
        Tokens::from_estimate(self.lengths.expected(class, now))
    }

    /// An answer to a request of `class` was this long. Returns what is typical by now.
    pub fn observe_output(&mut self, class: LengthClass, output: Tokens, now: Timestamp) -> Tokens {
        self.lengths.observe(class, output, now)
    }

    /// A call cost `usd`, of which `extra` was for trying a stale endpoint.
    pub fn spent(&mut self, usd: Dollars, extra: Dollars, now: Timestamp) {
        let share = fade(now.since(self.spent_at), SPENDING_MEMORY);
        self.spent = self.spent * share + usd.0;
        self.explored = self.explored * share + extra.0;
        self.hedged *= share;
        self.spent_at = self.spent_at.max(now);
    }

    /// Asks for `extra` dollars for a second try, of which all together may cost this share of what is spent, and for one
    /// more upstream call. Counts both if they are granted.
    pub fn hedge(&mut self, extra: Dollars, most: Share, now: Timestamp) -> bool {
        self.spent(Dollars(0.0), Dollars(0.0), now);
        let granted = self.hedged + extra.0 <= most.0 * self.spent && self.withdraw(now);
        if granted {
            self.hedged += extra.0;
        }
        granted
    }

    /// Takes back what was granted for a second try that could not be made.
    pub fn unhedge(&mut self, extra: Dollars, now: Timestamp) {
        self.hedged = (self.hedged - extra.0).max(0.0);
        self.give_back(now);
    }
}

impl RouteReading {
    /// Whether `extra` may be spent on a stale endpoint. A route that has kept no account may: its first requests
    /// have to go somewhere.
    pub(super) fn may_explore(&self, extra: Dollars, exploration: Share) -> bool {
        let affordable = self.spent <= 0.0 || self.explored + extra.0 <= exploration.0 * self.spent;
        extra.0 <= 0.0 || (exploration.0 > 0.0 && affordable)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn route(budget: f64, floor: f64) -> RouteState {
        RouteState::new(&RetryPolicy { attempts: 3, budget: Share(budget), floor_per_second: floor })
    }

    fn granted(route: &mut RouteState, asked: u32, now: Timestamp) -> usize {
        (0..asked).filter(|_| route.withdraw(now)).count()
    }

    #[test]
    fn a_route_at_rest_has_ten_retries_in_reserve() {
        assert_eq!(granted(&mut route(0.2, 1.0), 50, Timestamp::START), 10);
    }

    #[test]
    fn retries_are_a_share_of_requests_beyond_the_floor() {
        let mut route = route(0.2, 0.0);
        for _ in 0..100 {
            route.deposit(Timestamp::START);
        }
        assert_eq!(granted(&mut route, 100, Timestamp::START), 20);
    }

    #[test]
    fn what_is_not_used_does_not_pile_up() {
        let mut route = route(0.2, 0.0);
        for _ in 0..100 {
            route.deposit(Timestamp::START);
        }
        assert!(!route.withdraw(Timestamp::START + Duration::from_secs(13)));
    }

    #[test]
    fn second_tries_are_a_share_of_what_was_spent_and_of_the_retries() {
        let now = Timestamp::START;
        let mut broke = route(0.0, 0.0);
        broke.spent(Dollars(100.0), Dollars(0.0), now);
        assert!(!broke.hedge(Dollars(0.01), Share(0.02), now), "no retry is left");
        let mut route = route(0.2, 1.0);
        assert!(!route.hedge(Dollars(0.01), Share(0.02), now), "nothing was spent");
        route.spent(Dollars(1.0), Dollars(0.0), now);
        assert!(route.hedge(Dollars(0.01), Share(0.02), now) && route.hedge(Dollars(0.01), Share(0.02), now));
        assert!(!route.hedge(Dollars(0.01), Share(0.02), now));
        route.unhedge(Dollars(0.01), now);
        assert!(route.hedge(Dollars(0.01), Share(0.02), now), "what was not used may be used");
        let later = now + Duration::from_hours(1);
        route.spent(Dollars(1.0), Dollars(0.0), later);
        assert!(route.hedge(Dollars(0.01), Share(0.02), later), "it is forgotten as spending is");
    }

    #[test]
    fn exploration_is_a_share_of_what_was_spent() {
        let mut route = route(0.2, 1.0);
        let share = Share(0.05);
        assert!(route.read(LengthClass::default(), Timestamp::START).may_explore(Dollars(1.0), share));
        route.spent(Dollars(10.0), Dollars(0.4), Timestamp::START);
        let reading = route.read(LengthClass::default(), Timestamp::START);
        assert!(reading.may_explore(Dollars(0.1), share) && !reading.may_explore(Dollars(0.11), share));
    }
}
