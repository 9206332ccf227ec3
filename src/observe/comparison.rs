//! The handle for what a route's shadow does beside those who answer.

use std::time::Duration;

use super::labels::{AttemptResult, ShadowSide, Waste};
use super::metrics::{Count, Families, Spread, Sum};
use crate::units::{PicoUsd, Tokens};

/// Records what one model does as the shadow of one route.
#[derive(Clone, Debug)]
pub struct ShadowMetrics {
    families: Families,
    /// Route, upstream, model.
    names: [Box<str>; 3],
    shadow: Side,
    live: Side,
}

#[derive(Clone, Debug)]
struct Side {
    cost: Sum,
    output: Count,
    first_token: Spread,
    duration: Spread,
}

impl ShadowMetrics {
    /// `names` are route, upstream and model.
    pub(super) fn new(families: &Families, names: [&str; 3]) -> Self {
        let [route, upstream, model] = names;
        let side = |side: ShadowSide| {
            let labels = [route, upstream, model, side.label()];
            Side {
                cost: families.shadow_cost.with(labels),
                output: families.shadow_output.with(labels),
                first_token: families.shadow_first_token.with(labels),
                duration: families.shadow_duration.with(labels),
            }
        };
        let (shadow, live) = (side(ShadowSide::Shadow), side(ShadowSide::Live));
        Self { families: families.clone(), names: names.map(Into::into), shadow, live }
    }

    /// Counts a call that has ended.
    pub fn record(&self, result: AttemptResult) {
        self.count(result.label());
    }

    /// Counts a request that it was not sent.
    pub fn record_skipped(&self) {
        self.count("skipped");
    }

    fn count(&self, result: &str) {
        let [route, upstream, model] = &self.names;
        self.families.shadow_requests.with([route, upstream, model, result]).inc();
    }

    /// One of two whole answers to the same request.
    pub fn compare(
        &self,
        side: ShadowSide,
        cost: PicoUsd,
        output: Tokens,
        took: Duration,
        first_token: Option<Duration>,
    ) {
        let side = match side {
            ShadowSide::Shadow => &self.shadow,
            ShadowSide::Live => &self.live,
        };
        side.cost.inc_by(cost.as_dollars().0);
        side.output.inc_by(output.0);
        side.duration.observe(took.as_secs_f64());
        if let Some(first_token) = first_token {
            side.first_token.observe(first_token.as_secs_f64());
        }
    }

    /// Money for an answer that there is nothing to compare with.
    pub fn add_wasted(&self, reason: Waste, amount: PicoUsd) {
        self.families.wasted.with([reason.label()]).inc_by(amount.as_dollars().0);
    }
}
