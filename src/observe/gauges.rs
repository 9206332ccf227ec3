//! What a scrape may say about the present: each setter states one fact, and what is not stated has no series.
//!
//! An unknown score, price or quota is left out rather than shown as 0, which would read as free or as spent.

use std::time::Duration;

use super::labels::{EndpointState, PriceKind, QuotaKind};
use super::metrics::Gauges;
use crate::ids::EndpointId;
use crate::units::{Dollars, PricePerMtok, Share, count_to_f64};

impl Gauges {
    /// The state of an endpoint: 1 for this one, 0 for all others.
    pub fn set_state(&self, endpoint: &EndpointId, now: EndpointState) {
        for state in EndpointState::ALL {
            self.state.with([endpoint.as_str(), state.label()]).set(i64::from(*state == now));
        }
    }

    /// That an endpoint is left alone, and because of what.
    pub fn set_benched(&self, endpoint: &EndpointId, reason: &str) {
        self.benched.with([endpoint.as_str(), reason]).set(1);
    }

    /// How many requests an endpoint is working on.
    pub fn set_inflight(&self, endpoint: &EndpointId, requests: u64) {
        self.inflight.with([endpoint.as_str()]).set(count_to_f64(requests));
    }

    /// An endpoint's mean score.
    pub fn set_score(&self, endpoint: &EndpointId, score: Dollars) {
        self.score.with([endpoint.as_str()]).set(score.0);
    }

    /// What is left of a limit.
    pub fn set_quota(&self, endpoint: &EndpointId, kind: QuotaKind, remaining: Share) {
        self.quota.with([endpoint.as_str(), kind.label()]).set(remaining.0);
    }

    /// What is left of an allowance.
    pub fn set_allowance(&self, upstream: &str, allowance: &str, remaining: Share) {
        self.allowance.with([upstream, allowance]).set(remaining.0);
    }

    /// What a model costs.
    pub fn set_price(&self, upstream: &str, model: &str, kind: PriceKind, price: PricePerMtok) {
        self.price.with([upstream, model, kind.label()]).set(price.as_dollars().0);
    }

    /// How old the prices of a source are.
    pub fn set_price_age(&self, source: &str, age: Duration) {
        self.price_age.with([source]).set(age.as_secs_f64());
    }

    /// That a model's price is held.
    pub fn set_price_held(&self, upstream: &str, model: &str) {
        self.price_held.with([upstream, model]).set(1);
    }

    /// What is left in an account's wallet, in dollars, and how long it lasts.
    pub fn set_balance(&self, upstream: &str, account: &str, left: Dollars, lasts: Option<Duration>) {
        self.balance.with([upstream, account, "USD"]).set(left.0);
        if let Some(lasts) = lasts {
            self.balance_lasts.with([upstream, account]).set(lasts.as_secs_f64());
        }
    }

    /// What one unit of a currency is worth.
    pub fn set_exchange(&self, currency: &str, rate: Dollars) {
        self.exchange.with([currency]).set(rate.0);
    }
}
