//! Nobody may be asked: why, and when it is worth asking again.

use std::time::Duration;

use super::call::Call;
use super::reply::Refusal;
use crate::engine::{Cause, Plan, Reason};
use crate::policy::model::{Excluded, Model};
use crate::runtime;
use crate::state::Snapshot;

/// When to ask again if only a person can change the answer.
const NOT_SOON: Duration = Duration::from_mins(1);
/// Of so many endpoints it is said why they are not asked.
const MOST_SAID: usize = 5;

/// What the client is told.
pub(super) fn nothing_eligible(snapshot: &Snapshot, plan: &Plan, call: &Call) -> Refusal {
    let wait = wait(plan);
    match plan.cause {
        Some(Cause::ContextExceeded) => Refusal::ContextExceeded {
            reason: format!("about {} prompt tokens fit no endpoint of this route", call.request.prompt),
        },
        Some(Cause::NoneCapable) => {
            let needs: Vec<_> = call.request.needs.names().collect();
            Refusal::Incapable {
                reason: format!("no endpoint of this route can do what is asked for: {}", needs.join(", ")),
            }
        }
        Some(Cause::TooDear) => {
            let most = call.overrides.max_cost.unwrap_or_default().0;
            Refusal::Incapable { reason: format!("no endpoint is expected to answer for {most} dollars at most") }
        }
        Some(Cause::Quota) => Refusal::RateLimited { wait },
        Some(Cause::Broke) => Refusal::NoEndpoint {
            reason: "the prepaid account of an endpoint that could serve this is empty, and no other may be used now"
                .to_owned(),
            wait,
        },
        None if !plan.entries.is_empty() => {
            Refusal::NoEndpoint { reason: "other requests were faster; none is free now".to_owned(), wait }
        }
        Some(Cause::Unavailable) | None if plan.rejected.is_empty() => {
            let excluded = exclusions(&snapshot.model, &snapshot.model.routes[call.route].excluded);
            let reason =
                format!("every endpoint of this model is excluded by the policy, or taken out by hand{excluded}");
            Refusal::NoEndpoint { reason, wait: Some(NOT_SOON) }
        }
        Some(Cause::Unavailable) | None => {
            let reason = format!("no endpoint of this route may be used now: {}", rejections(snapshot, plan));
            Refusal::NoEndpoint { reason, wait }
        }
    }
}

/// Why the policy excludes the first few.
fn exclusions(model: &Model, excluded: &[Excluded]) -> String {
    if excluded.is_empty() {
        return String::new();
    }
    let said = excluded.iter().map(|one| format!("{} ({})", model.endpoints[one.endpoint].id, one.reason));
    format!(": {}", first_few(said))
}

/// Why the first few are not asked; those first that may be another time.
pub(super) fn rejections(snapshot: &Snapshot, plan: &Plan) -> String {
    let mut rejected = plan.rejected.clone();
    rejected.sort_by_key(|(_, reason)| matches!(reason, Reason::Incapable | Reason::TooLong | Reason::TooDear));
    first_few(rejected.into_iter().map(|(endpoint, reason)| {
        let blamed = snapshot.seats[endpoint].cell.blamed(runtime::now());
        let blamed = blamed.map(|failure| format!(" ({})", failure.label())).unwrap_or_default();
        format!("{} {}{blamed}", snapshot.model.endpoints[endpoint].id, reason.words())
    }))
}

fn first_few(said: impl ExactSizeIterator<Item = String>) -> String {
    let more = said.len().saturating_sub(MOST_SAID);
    let more = (more > 0).then(|| format!("and {more} more"));
    said.take(MOST_SAID).chain(more).collect::<Vec<_>>().join(", ")
}

fn wait(plan: &Plan) -> Option<Duration> {
    plan.retry_at.map(|at| at.since(runtime::now()))
}
