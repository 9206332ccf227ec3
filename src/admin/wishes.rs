//! What operators want of endpoints: `POST /v1/endpoints/{id}`.

use http::StatusCode;
use serde::Deserialize;

use super::reply::{Reply, error, json};
use crate::policy::duration;
use crate::state::{Override, Seat, Snapshot};
use crate::units::Timestamp;

/// What is wanted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    state: State,
    /// For how long: `30m`. For ever if it is not said.
    r#for: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum State {
    Enabled,
    Draining,
    Disabled,
    Reset,
}

impl State {
    const fn label(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::Reset => "reset",
        }
    }
}

/// Grants `wish` for the endpoints that `id`, percent-encoded, means.
pub(super) fn grant(snapshot: &Snapshot, id: &str, wish: &Wish, now: Timestamp) -> Reply {
    let until = match ends(wish, now) {
        Ok(until) => until,
        Err(complaint) => return error(StatusCode::BAD_REQUEST, "invalid_request", &complaint),
    };
    let id = percent_encoding::percent_decode_str(id).decode_utf8_lossy();
    let meant: Vec<_> = snapshot.seats.values().filter(|seat| is_meant(seat.cell.id.as_str(), &id)).collect();
    if meant.is_empty() {
        let message = "no endpoint, model or upstream has this name; GET /v1/endpoints lists them";
        return error(StatusCode::NOT_FOUND, "unknown_endpoint", message);
    }
    for seat in &meant {
        apply(seat, wish.state, until);
        tracing::info!(endpoint = %seat.cell.id, state = wish.state.label(), r#for = wish.r#for, "endpoint changed by an operator");
    }
    let ids: Vec<_> = meant.iter().map(|seat| seat.cell.id.as_str()).collect();
    // Whoever resets one that was taken out by hand may expect it back.
    let still = meant.iter().filter(|seat| wish.state == State::Reset && seat.cell.wish(now).0 != Override::Enabled);
    let still: Vec<_> = still.map(|seat| seat.cell.id.as_str()).collect();
    json(StatusCode::OK, &serde_json::json!({ "endpoint": id, "endpoints": ids, "still_out": still }))
}

fn apply(seat: &Seat, state: State, until: Option<Timestamp>) {
    match state {
        State::Enabled => seat.cell.set_wish(Override::Enabled, None),
        State::Draining => seat.cell.set_wish(Override::Draining, until),
        State::Disabled => seat.cell.set_wish(Override::Disabled, until),
        State::Reset => {
            seat.cell.reset();
            seat.quotas.unlearn();
        }
    }
}

/// When the wish ends, or why that cannot be.
fn ends(wish: &Wish, now: Timestamp) -> Result<Option<Timestamp>, String> {
    let Some(text) = &wish.r#for else { return Ok(None) };
    if !matches!(wish.state, State::Draining | State::Disabled) {
        return Err(format!(
            "`for` goes with \"disabled\" and \"draining\"; leave it out of \"{}\"",
            wish.state.label()
        ));
    }
    let span = duration(text).map_err(|fault| format!("`for`: {fault}"))?;
    if span.is_zero() {
        return Err("`for`: no time at all; write a duration such as \"30m\"".to_owned());
    }
    Ok(Some(now + span))
}

/// Whether `name` is this endpoint, its model at its upstream, or its upstream.
fn is_meant(endpoint: &str, name: &str) -> bool {
    endpoint.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('#') || rest.starts_with('/'))
}
