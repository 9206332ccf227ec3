//! When to ask again, where only an error's text says so: `Please try again in 41.724s`, `retry after 20 seconds`,
//! Google's `retryDelay`.
//!
//! Headers say it better and come first; many providers send none.

use std::time::Duration;

use super::quota_headers::{FARTHEST, go_duration};

/// What stands before the time, in lower case.
const PHRASES: [&str; 4] = ["again in ", "again after ", "retry in ", "retry after "];
const DELAY: &str = "\"retrydelay\"";

/// The wait that `body` asks for.
pub fn retry_hint(body: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(body).ok()?.to_ascii_lowercase();
    let told = delay(&text).or_else(|| PHRASES.iter().find_map(|phrase| spoken(text.split_once(phrase)?.1)))?;
    Duration::try_from_secs_f64(told).ok().filter(|wait| !wait.is_zero() && *wait <= FARTHEST)
}

/// Seconds of `"retryDelay": "34.4s"`.
fn delay(text: &str) -> Option<f64> {
    let rest = text.split_once(DELAY)?.1.trim_start().strip_prefix(':')?;
    go_duration(rest.trim_start().strip_prefix('"')?.split('"').next()?)
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

    fn hint(text: &str) -> Option<f64> {
        retry_hint(text.as_bytes()).map(|wait| wait.as_secs_f64())
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
            "try again in 20 apples",
            "",
        ] {
            assert_eq!(hint(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), tail in "\\PC{0,20}") {
            std::hint::black_box(retry_hint(&bytes));
            std::hint::black_box(retry_hint(format!("retry after {tail}").as_bytes()));
        }
    }
}
