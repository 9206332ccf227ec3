//! When to ask again, where only an error's text says so: `Please try again in 41.724s`, `retry after 20 seconds`,
//! Google's `retryDelay`, the `X-RateLimit-Reset` that `OpenRouter` quotes.
//!
//! Headers say it better and come first; many providers send none.

use std::time::Duration;

use jiff::Timestamp;

use super::quota_headers::{FARTHEST, go_duration, reset};

/// What stands before the time, in lower case.
const PHRASES: [&str; 4] = ["again in ", "again after ", "retry in ", "retry after "];
const DELAY: &str = "\"retrydelay\"";
const RESET: &str = "\"x-ratelimit-reset\"";

/// The wait that `body` asks for at `now`, by the wall clock.
pub fn retry_hint(body: &[u8], now: Timestamp) -> Option<Duration> {
    let text = std::str::from_utf8(body).ok()?.to_ascii_lowercase();
    let told = || field(&text, DELAY).and_then(go_duration).or_else(|| PHRASES.iter().find_map(|one| said(&text, one)));
    let wait = match field(&text, RESET).and_then(|text| reset(text, now)) {
        Some(wait) => Some(wait),
        None => Duration::try_from_secs_f64(told()?).ok(),
    };
    wait.filter(|wait| !wait.is_zero() && *wait <= FARTHEST)
}

/// The text of a field that is called `name`, in quotes.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let rest = text.split_once(name)?.1.trim_start().strip_prefix(':')?;
    rest.trim_start().strip_prefix('"')?.split('"').next()
}

/// Seconds of a time that is told after `phrase`.
fn said(text: &str, phrase: &str) -> Option<f64> {
    spoken(text.split_once(phrase)?.1)
}

/// Seconds of `41.724s`, `1m30s`, `20 seconds` at the beginning of a text.
fn spoken(text: &str) -> Option<f64> {
    let mut words = text.split_whitespace();
    let first = words.next()?.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    let Ok(number) = first.parse::<f64>() else { return go_duration(first) };
    let unit = words.next()?.trim_end_matches(|c: char| !c.is_ascii_alphabetic());
    let scale = match unit {
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    };
    (number >= 0.0).then_some(number * scale)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn hint(text: &str) -> Option<f64> {
        retry_hint(text.as_bytes(), now()).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn times_are_read_as_providers_write_them() {
        for (text, seconds) in [
            (r#"{"error":{"message":"Rate limit reached. Please try again in 41.724s. Visit https://x"}}"#, 41.724),
            ("Limit: 3 / min. Please try again in 20s. Contact us", 20.0),
            ("Please try again in 2.0s.\"}", 2.0),
            ("try again in 6ms", 0.006),
            ("Please try again in 1m30s", 90.0),
            ("max RPM: 3, please try again after 1 seconds\"", 1.0),
            ("Rate limit is exceeded. Try again in 2 seconds.", 2.0),
            ("Please retry after 86400 seconds. Please contact", 86_400.0),
            (r#"{"details":[{"@type":"x","retryDelay": "34.4s"}]}"#, 34.4),
            (r#"{"metadata":{"headers":{"X-RateLimit-Remaining":"0","X-RateLimit-Reset":"1795435230000"}}}"#, 30.0),
        ] {
            assert_eq!(hint(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_names_no_time_asks_for_none() {
        for text in [
            "please try again later",
            "Please top up and try again.",
            "try again in a minute",
            "retry after 0 seconds",
            "retry after 99999999999 seconds",
            "retry after -3 seconds",
            r#"{"retryDelay": 3}"#,
            r#"{"X-RateLimit-Reset":"1695435230000"}"#,
            "try again in 20 apples",
            "",
        ] {
            assert_eq!(hint(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), tail in "\\PC{0,20}") {
            std::hint::black_box(retry_hint(&bytes, now()));
            std::hint::black_box(retry_hint(format!("retry after {tail}").as_bytes(), now()));
        }
    }
}
