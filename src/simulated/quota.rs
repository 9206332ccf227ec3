//! What a provider allows: real sliding windows over the last 60 seconds, and the headers that tell a client about them.
//!
//! A log of requests rather than a bucket: a bucket refills while it is drained, and would forgive a burst that a
//! window does not. Tokens count when a request is admitted, as providers count them, and are not given back.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::Quota;
use crate::units::{Timestamp, Tokens, len_to_u64};

const WINDOW: Duration = Duration::from_mins(1);
/// Nobody knows when a slot becomes free; this is what providers say instead.
const CONCURRENCY_RETRY: Duration = Duration::from_secs(1);

/// The last minute of one provider.
#[derive(Debug, Default)]
pub(super) struct Windows {
    admitted: VecDeque<(Timestamp, Tokens)>,
}

/// What is left after a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    requests: Option<Remaining>,
    tokens: Option<Remaining>,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Remaining {
    limit: u64,
    left: u64,
    /// Until all of the limit is there again.
    reset: Duration,
}

/// A request that was one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The limit that was met, in the words of the error message.
    pub(super) limit: &'static str,
    /// When the same request would pass.
    pub(super) retry_after: Duration,
    /// What is left.
    pub(super) standing: Standing,
}

impl Windows {
    /// Counts a request, or says why not. `in_flight` includes the request itself.
    pub(super) fn admit(
        &mut self,
        quota: Quota,
        now: Timestamp,
        tokens: Tokens,
        in_flight: u32,
    ) -> Result<Standing, Refusal> {
        self.forget_before(now);
        let refuse = |limit, retry_after| Refusal { limit, retry_after, standing: self.standing(quota, now) };
        if quota.concurrency.is_some_and(|most| in_flight > most) {
            return Err(refuse("concurrent requests", CONCURRENCY_RETRY));
        }
        if let Some(wait) = quota.rpm.and_then(|rpm| self.wait_for(now, rpm, 1, |_| 1)) {
            return Err(refuse("requests per min (RPM)", wait));
        }
        if let Some(wait) = quota.tpm.and_then(|tpm| self.wait_for(now, tpm, tokens.0, |tokens| tokens.0)) {
            return Err(refuse("tokens per min (TPM)", wait));
        }
        self.admitted.push_back((now, tokens));
        Ok(self.standing(quota, now))
    }

    fn forget_before(&mut self, now: Timestamp) {
        while self.admitted.front().is_some_and(|(at, _)| now.since(*at) >= WINDOW) {
            self.admitted.pop_front();
        }
    }

    /// How long until `wanted` fits into `limit`; `None`: now. What never fits waits a whole window each time.
    fn wait_for(&self, now: Timestamp, limit: u64, wanted: u64, weigh: fn(Tokens) -> u64) -> Option<Duration> {
        let mut used: u64 = self.admitted.iter().map(|(_, tokens)| weigh(*tokens)).sum();
        if used.saturating_add(wanted) <= limit {
            return None;
        }
        for (at, tokens) in &self.admitted {
            used = used.saturating_sub(weigh(*tokens));
            if used.saturating_add(wanted) <= limit {
                return Some(now.until(*at + WINDOW));
            }
        }
        Some(WINDOW)
    }

    fn standing(&self, quota: Quota, now: Timestamp) -> Standing {
        let reset = self.admitted.back().map_or(Duration::ZERO, |(at, _)| now.until(*at + WINDOW));
        let tokens: u64 = self.admitted.iter().map(|(_, tokens)| tokens.0).sum();
        let remaining = |limit: u64, used: u64| Remaining { limit, left: limit.saturating_sub(used), reset };
        Standing {
            requests: quota.rpm.map(|limit| remaining(limit, len_to_u64(self.admitted.len()))),
            tokens: quota.tpm.map(|limit| remaining(limit, tokens)),
        }
    }
}

impl Standing {
    /// Adds the `x-ratelimit-*` headers of the limits that exist.
    pub(super) fn write(&self, headers: &mut HeaderMap) {
        const REQUESTS: [&str; 3] =
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
        const TOKENS: [&str; 3] =
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
        for (remaining, [limit, left, reset]) in [(self.requests, REQUESTS), (self.tokens, TOKENS)] {
            let Some(remaining) = remaining else { continue };
            headers.insert(HeaderName::from_static(limit), HeaderValue::from(remaining.limit));
            headers.insert(HeaderName::from_static(left), HeaderValue::from(remaining.left));
            // Digits and unit letters are always a valid value.
            if let Ok(text) = HeaderValue::try_from(go_duration(remaining.reset)) {
                headers.insert(HeaderName::from_static(reset), text);
            }
        }
    }
}

/// Adds `retry-after` (whole seconds, rounded up) and `retry-after-ms`.
pub(super) fn write_retry_after(headers: &mut HeaderMap, wait: Duration) {
    let millis = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    headers.insert(http::header::RETRY_AFTER, HeaderValue::from(millis.div_ceil(1_000)));
    headers.insert(HeaderName::from_static("retry-after-ms"), HeaderValue::from(millis));
}

/// As Go prints a duration, in milliseconds: `0s`, `6ms`, `1.5s`, `1m0s`.
fn go_duration(span: Duration) -> String {
    let millis = span.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1_000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let fraction = format!(".{:03}", rest % 1_000);
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    let seconds = format!("{}{fraction}s", rest / 1_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => seconds,
        (0, minutes) => format!("{minutes}m{seconds}"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::START;

    #[test]
    fn a_window_forgets_each_request_sixty_seconds_after_it() {
        let quota = Quota { rpm: Some(2), ..Quota::default() };
        let mut windows = Windows::default();
        assert!(windows.admit(quota, START, Tokens(1), 1).is_ok());
        assert!(windows.admit(quota, START + Duration::from_secs(30), Tokens(1), 1).is_ok());
        let early = windows.admit(quota, START + Duration::from_secs(59), Tokens(1), 1);
        assert_eq!(early.map_err(|refusal| refusal.retry_after), Err(Duration::from_secs(1)));
        assert!(windows.admit(quota, START + Duration::from_mins(1), Tokens(1), 1).is_ok());
        assert!(
            windows.admit(quota, START + Duration::from_secs(61), Tokens(1), 1).is_err(),
            "the second still counts"
        );
    }

    #[test]
    fn tokens_wait_until_enough_of_them_are_forgotten() {
        let quota = Quota { tpm: Some(100), ..Quota::default() };
        let mut windows = Windows::default();
        assert!(windows.admit(quota, START, Tokens(40), 1).is_ok());
        assert!(windows.admit(quota, START + Duration::from_secs(10), Tokens(40), 1).is_ok());
        let wait = |windows: &mut Windows, tokens| {
            windows.admit(quota, START + Duration::from_secs(20), tokens, 1).map_err(|refusal| refusal.retry_after)
        };
        assert_eq!(wait(&mut windows, Tokens(60)), Err(Duration::from_secs(40)));
        assert_eq!(wait(&mut windows, Tokens(61)), Err(Duration::from_secs(50)));
        assert!(wait(&mut windows, Tokens(20)).is_ok());
    }

    #[test]
    fn a_refused_request_uses_nothing_up() {
        let quota = Quota { rpm: Some(1), concurrency: Some(1), tpm: None };
        let mut windows = Windows::default();
        assert!(windows.admit(quota, START, Tokens(1), 2).is_err());
        assert!(windows.admit(quota, START, Tokens(1), 1).is_ok());
    }

    #[test]
    fn durations_are_spelled_as_go_spells_them() {
        let spelled = |millis| go_duration(Duration::from_millis(millis));
        assert_eq!([0, 6, 1_500, 17_000].map(spelled), ["0s", "6ms", "1.5s", "17s"]);
        assert_eq!([60_000, 61_250, 3_600_000].map(spelled), ["1m0s", "1m1.25s", "1h0m0s"]);
    }
}
