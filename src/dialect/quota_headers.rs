//! What a reply's head says of the quota it was counted against.
//!
//! Names carry a kind and sometimes a window; where they do not, the window is the provider's ([`Windows`]), because the
//! same name means a day at one and a minute at another. A value that makes no sense is unknown, never zero: a limit of
//! -1 read as "nothing left" would bench a healthy endpoint. No reset is in the past or beyond [`FARTHEST`].

use std::time::Duration;

use jiff::Timestamp;

/// The longest time to a reset that is believed: a month.
pub const FARTHEST: Duration = Duration::from_hours(31 * 24);

/// From here on a number is an instant in epoch seconds, and from a thousand times this in milliseconds: as a time to
/// wait it would be thirty years.
const EPOCH: f64 = 1e9;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calls.
    Requests,
    /// Tokens of both directions.
    Tokens,
    /// Prompt tokens.
    InputTokens,
    /// Answer tokens.
    OutputTokens,
}

/// Over which time it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// A minute.
    Minute,
    /// A day.
    Day,
    /// Another length.
    Other(Duration),
    /// Neither the name nor the provider says.
    Unknown,
}

/// One quota as the provider told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hint {
    /// What is counted.
    pub kind: Kind,
    /// Over which time.
    pub window: Window,
    /// How much a window holds.
    pub limit: Option<u64>,
    /// How much of it is left.
    pub remaining: Option<u64>,
    /// Time until it is whole again.
    pub reset: Option<Duration>,
}

/// The windows of a provider's headers whose names do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Of its requests headers.
    pub requests: Window,
    /// Of its tokens headers.
    pub tokens: Window,
}

impl Default for Windows {
    fn default() -> Self {
        Self { requests: Window::Unknown, tokens: Window::Unknown }
    }
}

impl Windows {
    fn for_kind(self, kind: Kind) -> Window {
        match kind {
            Kind::Requests => self.requests,
            Kind::Tokens | Kind::InputTokens | Kind::OutputTokens => self.tokens,
        }
    }
}

#[derive(Clone, Copy)]
enum Field {
    Limit,
    Remaining,
    Reset,
}

/// The quotas that a reply's headers tell, one per kind and window. Names are in lower case; `now` is the wall clock,
/// against which instants are read.
pub fn hints<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    windows: Windows,
    now: Timestamp,
) -> Vec<Hint> {
    let mut hints: Vec<Hint> = Vec::new();
    for (name, value) in headers {
        let Some((field, kind, window)) = meaning(name) else { continue };
        let Ok(text) = std::str::from_utf8(value) else { continue };
        let window = window.unwrap_or_else(|| windows.for_kind(kind));
        let mut hint = Hint { kind, window, limit: None, remaining: None, reset: None };
        let known = hints.iter_mut().find(|hint| hint.kind == kind && hint.window == window);
        let is_new = known.is_none();
        fill(known.unwrap_or(&mut hint), field, text.trim(), now);
        if is_new && (hint.limit.is_some() || hint.remaining.is_some() || hint.reset.is_some()) {
            hints.push(hint);
        }
    }
    hints
}

fn fill(hint: &mut Hint, field: Field, text: &str, now: Timestamp) {
    match field {
        // Where nothing may be sent at all, the provider says so with a status; a limit of 0 is a gap in its headers.
        Field::Limit => hint.limit = text.parse().ok().filter(|limit| *limit > 0),
        Field::Remaining => hint.remaining = text.parse().ok(),
        Field::Reset => hint.reset = reset(text, now),
    }
}

/// What a header's name says, if it is about a quota.
fn meaning(name: &str) -> Option<(Field, Kind, Option<Window>)> {
    if let Some(rest) = name.strip_prefix("anthropic-ratelimit-") {
        let (what, field) = rest.rsplit_once('-')?;
        return Some((field_of(field)?, kind_of(what)?, None));
    }
    let rest = name.strip_prefix("x-ratelimit-")?;
    let Some((field, what)) = rest.split_once('-') else { return Some((field_of(rest)?, Kind::Requests, None)) };
    let (what, window) = if let Some(what) = what.strip_suffix("-day") {
        (what, Some(Window::Day))
    } else if let Some(what) = what.strip_suffix("-minute") {
        (what, Some(Window::Minute))
    } else {
        (what, None)
    };
    Some((field_of(field)?, kind_of(what)?, window))
}

fn field_of(name: &str) -> Option<Field> {
    match name {
        "limit" => Some(Field::Limit),
        "remaining" => Some(Field::Remaining),
        "reset" => Some(Field::Reset),
        _ => None,
    }
}

fn kind_of(name: &str) -> Option<Kind> {
    match name {
        "requests" | "req" => Some(Kind::Requests),
        "tokens" => Some(Kind::Tokens),
        "input-tokens" | "tokens-prompt" => Some(Kind::InputTokens),
        "output-tokens" | "tokens-generated" => Some(Kind::OutputTokens),
        _ => None,
    }
}

/// Time until the instant, or for the time, that a reset header tells.
pub(super) fn reset(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds = if let Ok(number) = text.parse::<f64>() {
        let now = now.as_duration().as_secs_f64();
        match number {
            millis if millis >= EPOCH * 1e3 => millis / 1e3 - now,
            instant if instant >= EPOCH => instant - now,
            wait => wait,
        }
    } else if let Ok(at) = text.parse::<Timestamp>() {
        at.duration_since(now).as_secs_f64()
    } else {
        go_duration(text)?
    };
    Duration::try_from_secs_f64(seconds).ok().filter(|wait| *wait <= FARTHEST)
}

/// Seconds of `1h2m3.5s`, `12ms`.
pub(super) fn go_duration(text: &str) -> Option<f64> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at_checked(digits)?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, next) = tail.split_at_checked(end)?;
        let scale = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * scale;
        rest = next;
    }
    (!text.is_empty()).then_some(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    const BY_THE_MINUTE: Windows = Windows { requests: Window::Minute, tokens: Window::Minute };

    fn told(windows: Windows, headers: &[(&str, &str)]) -> Vec<Hint> {
        let headers = headers.iter().map(|(name, value)| (*name, value.as_bytes()));
        hints(headers, windows, now())
    }

    #[test]
    fn resets_are_read_in_all_their_forms() {
        let is = |text, millis| assert_eq!(reset(text, now()), Some(Duration::from_millis(millis)), "{text}");
        is("6m0s", 360_000);
        is("12ms", 12);
        is("1h2m3.5s", 3_723_500);
        is("42", 42_000);
        is("33.5", 33_500);
        is("2026-11-23T12:00:17Z", 17_000);
        is("1795435205000", 5_000);
    }

    #[test]
    fn a_reset_that_makes_no_sense_is_unknown() {
        for text in ["", "-1", "NaN", "inf", "1e300", "soon", "5", "2026-11-23T11:59:59Z", "99999h", "3x", "."] {
            let sane = text == "5";
            assert_eq!(reset(text, now()).is_some(), sane, "{text}");
        }
    }

    #[test]
    fn the_same_name_means_a_day_where_the_provider_says_so() {
        let headers = [("x-ratelimit-remaining-requests", "9"), ("x-ratelimit-remaining-tokens", "7")];
        let found = |windows| told(windows, &headers).iter().map(|hint| hint.window).collect::<Vec<_>>();
        let by_the_day = Windows { requests: Window::Day, tokens: Window::Minute };
        assert_eq!(found(by_the_day), [Window::Day, Window::Minute]);
        assert_eq!(found(Windows::default()), [Window::Unknown, Window::Unknown]);
    }

    #[test]
    fn a_name_that_says_its_window_is_believed() {
        let hints = told(
            Windows::default(),
            &[("x-ratelimit-limit-req-minute", "60"), ("x-ratelimit-reset-requests-day", "33.5")],
        );
        assert_eq!(hints.iter().map(|hint| hint.window).collect::<Vec<_>>(), [Window::Minute, Window::Day]);
    }

    #[test]
    fn headers_of_one_quota_make_one_hint() {
        let hints = told(
            BY_THE_MINUTE,
            &[
                ("anthropic-ratelimit-input-tokens-limit", "1000"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-11-23T12:00:17Z"),
            ],
        );
        let reset = Some(Duration::from_secs(17));
        let hint =
            Hint { kind: Kind::InputTokens, window: Window::Minute, limit: Some(1000), remaining: Some(0), reset };
        assert_eq!(hints, [hint]);
    }

    #[test]
    fn a_limit_below_one_and_a_remainder_below_zero_are_unknown() {
        assert_eq!(
            told(BY_THE_MINUTE, &[("x-ratelimit-limit-requests", "0"), ("x-ratelimit-remaining-tokens", "-1")]),
            []
        );
    }

    proptest! {
        #[test]
        fn no_value_panics_and_no_reset_is_too_far(text in "\\PC{0,40}|[0-9.hmsTZ:-]{0,24}") {
            for hint in told(BY_THE_MINUTE, &[("x-ratelimit-reset-tokens", &text), ("x-ratelimit-limit-tokens", &text)]) {
                prop_assert!(hint.reset.is_none_or(|reset| reset <= FARTHEST));
            }
        }
    }
}
