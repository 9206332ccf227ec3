//! The provider's own count of what it allows: exact, over a sliding minute.

use std::collections::VecDeque;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::profile::Quota;
use crate::units::{Timestamp, Tokens};

const MINUTE: Duration = Duration::from_mins(1);

/// What was used in the last minute.
#[derive(Debug, Default)]
pub(super) struct Usage {
    admitted: VecDeque<(Timestamp, u64)>,
}

/// A request that has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Throttled {
    pub(super) wait: Duration,
}

impl Usage {
    /// Counts a request of `tokens`, or says how long it has to wait.
    pub(super) fn admit(
        &mut self,
        quota: &Quota,
        in_flight: u32,
        tokens: Tokens,
        now: Timestamp,
    ) -> Result<(), Throttled> {
        while self.admitted.front().is_some_and(|(at, _)| now.since(*at) >= MINUTE) {
            self.admitted.pop_front();
        }
        if quota.concurrency.is_some_and(|most| in_flight >= most) {
            return Err(Throttled { wait: Duration::from_secs(1) });
        }
        let requests = crate::units::len_to_u64(self.admitted.len());
        let full = quota.rpm.is_some_and(|most| requests >= most)
            || quota.tpm.is_some_and(|most| self.tokens() + tokens.0 > most && requests > 0);
        if full {
            let oldest = self.admitted.front().map_or(now, |(at, _)| *at);
            return Err(Throttled { wait: now.until(oldest + MINUTE) });
        }
        self.admitted.push_back((now, tokens.0));
        Ok(())
    }

    fn tokens(&self) -> u64 {
        self.admitted.iter().map(|(_, tokens)| tokens).sum()
    }

    /// OpenAI's rate-limit headers, with Go durations.
    pub(super) fn headers(&self, quota: &Quota, now: Timestamp) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let reset = self.admitted.front().map_or(Duration::ZERO, |(at, _)| now.until(*at + MINUTE));
        let requests = crate::units::len_to_u64(self.admitted.len());
        for (kind, limit, used) in [("requests", quota.rpm, requests), ("tokens", quota.tpm, self.tokens())] {
            let Some(limit) = limit else { continue };
            put(&mut headers, &format!("x-ratelimit-limit-{kind}"), &limit.to_string());
            put(&mut headers, &format!("x-ratelimit-remaining-{kind}"), &limit.saturating_sub(used).to_string());
            put(&mut headers, &format!("x-ratelimit-reset-{kind}"), &go_duration(reset));
        }
        headers
    }
}

/// As Go prints durations: `12ms`, `59.5s`, `6m0s`.
fn go_duration(span: Duration) -> String {
    let millis = span.as_millis();
    match (millis / 60_000, millis % 60_000) {
        (0, rest @ ..1_000) => format!("{rest}ms"),
        (0, rest) => format!("{}.{:03}s", rest / 1_000, rest % 1_000),
        (minutes, rest) => format!("{minutes}m{}s", rest / 1_000),
    }
}

pub(super) fn put(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}
