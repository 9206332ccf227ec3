//! How shadows compare with those who answer.

use std::time::SystemTime;

use serde::Serialize;

use crate::ids::EndpointIx;
use crate::state::{Snapshot, Sums};

/// What one route's shadow does, since the start.
#[derive(Debug, Serialize)]
pub(super) struct ShadowView<'a> {
    route: &'a str,
    share: f64,
    max_cost_usd_per_day: f64,
    spent_today_usd: f64,
    /// Requests that it was not sent: it could not have served them, quota was scarce, or the day's money was spent.
    skipped: u64,
    failed: u64,
    /// Requests that both have answered whole; the rest is about these.
    compared: u64,
    shadow: SideView,
    live: SideView,
}

#[derive(Debug, Serialize)]
struct SideView {
    cost_usd: f64,
    output_tokens: u64,
    /// The mean, over streams.
    first_token_ms: Option<f64>,
    /// The mean.
    duration_ms: Option<f64>,
}

/// The routes that `endpoint` shadows, with its model's part in each.
pub(super) fn shadows(snapshot: &Snapshot, endpoint: EndpointIx, wall: SystemTime) -> Vec<ShadowView<'_>> {
    let routes = snapshot.model.routes.values().zip(snapshot.mirrors.values());
    routes
        .filter_map(|(route, seat)| {
            let shadow = route.shadow.as_ref().filter(|shadow| shadow.endpoints.contains(&endpoint))?;
            let tally = seat.as_ref()?.cell.tally(wall);
            Some(ShadowView {
                route: &route.name,
                share: shadow.share.0,
                max_cost_usd_per_day: shadow.max_cost.as_dollars().0,
                spent_today_usd: tally.spent_today.as_dollars().0,
                skipped: tally.skipped,
                failed: tally.failed,
                compared: tally.compared,
                shadow: SideView::of(&tally.shadow, tally.compared),
                live: SideView::of(&tally.live, tally.compared),
            })
        })
        .collect()
}

impl SideView {
    fn of(sums: &Sums, count: u64) -> Self {
        Self {
            cost_usd: sums.cost.as_dollars().0,
            output_tokens: sums.output.0,
            first_token_ms: sums.first_token().map(|seconds| seconds * 1e3),
            duration_ms: sums.took(count).map(|seconds| seconds * 1e3),
        }
    }
}
