//! From a reply's headers to what the engine's ledgers count.

use std::time::Duration;

use http::HeaderMap;

use crate::dialect::quota_headers::{Hint, Kind, Window, Windows, hints};
use crate::engine::{LimitKind, Told};
use crate::runtime;

/// A window whose length nobody says, and whose reset is farther away than this, is a day's.
const LONGEST_MINUTE: Duration = Duration::from_mins(2);

/// What `headers` tell of quota, where names that do not say their window mean `windows`.
pub(super) fn told(headers: &HeaderMap, windows: Windows) -> Vec<Told> {
    let Ok(now) = jiff::Timestamp::try_from(runtime::wall_clock()) else { return Vec::new() };
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    hints(pairs, windows, now).into_iter().filter_map(ours).collect()
}

fn ours(hint: Hint) -> Option<Told> {
    let Hint { kind, window, limit, remaining, reset } = hint;
    let is_daily = match window {
        Window::Minute => false,
        Window::Day => true,
        Window::Other(span) => span > LONGEST_MINUTE,
        Window::Unknown => reset.is_some_and(|reset| reset > LONGEST_MINUTE),
    };
    let kind = match (kind, is_daily) {
        (Kind::Requests, false) => LimitKind::RequestsPerMinute,
        (Kind::Requests, true) => LimitKind::RequestsPerDay,
        (Kind::Tokens, false) => LimitKind::TokensPerMinute,
        (Kind::Tokens, true) => LimitKind::TokensPerDay,
        (Kind::InputTokens, false) => LimitKind::InputTokensPerMinute,
        (Kind::OutputTokens, false) => LimitKind::OutputTokensPerMinute,
        // Nobody limits these by the day.
        (Kind::InputTokens | Kind::OutputTokens, true) => return None,
    };
    Some(Told { kind, limit, remaining, reset })
}
