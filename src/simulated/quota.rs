//! What a provider allows: a sliding window of one minute over requests and tokens, and a bound on requests at a time.
//!
//! A request is charged when it is admitted, with its prompt and its whole answer (a simulated provider knows the
//! answer's length beforehand); one that is refused is not charged. The window slides rather than resets, because a
//! reset at each full minute would let a burst through twice.

use std::collections::VecDeque;
use std::time::Duration;

use crate::units::{Timestamp, Tokens, len_to_u64};

const SPAN: Duration = Duration::from_mins(1);

/// What a provider allows; `None` allows any number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Requests a minute.
    pub rpm: Option<u64>,
    /// Tokens a minute, prompt and answer.
    pub tpm: Option<u64>,
    /// Requests at a time.
    pub concurrency: Option<u64>,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Requests at a time.
    Concurrency,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit that was met.
    pub limit: Limit,
    /// Its size.
    pub allowed: u64,
    /// When the same request would be admitted, if nothing else came; `None` if never, or if nobody can know.
    pub retry_after: Option<Duration>,
}

/// How much of one limit is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    /// Requests or tokens; concurrency is not told to clients.
    pub limit: Limit,
    /// Its size.
    pub allowed: u64,
    /// What is left of it.
    pub remaining: u64,
    /// When all of it is free again, if nothing else comes.
    pub reset: Duration,
}

/// The requests of the last minute.
#[derive(Clone, Debug)]
pub struct Window {
    quota: Quota,
    taken: VecDeque<(Timestamp, Tokens)>,
    tokens: Tokens,
}

impl Window {
    /// An empty window.
    pub const fn new(quota: Quota) -> Self {
        Self { quota, taken: VecDeque::new(), tokens: Tokens::ZERO }
    }

    /// Charges a request of `tokens` tokens that comes while `in_flight` others are served, or refuses it.
    pub fn admit(&mut self, tokens: Tokens, in_flight: u64, now: Timestamp) -> Result<(), Exceeded> {
        self.slide(now);
        if let Some(allowed) = self.quota.concurrency.filter(|allowed| in_flight >= *allowed) {
            return Err(Exceeded { limit: Limit::Concurrency, allowed, retry_after: None });
        }
        if let Some(allowed) = self.quota.rpm.filter(|allowed| len_to_u64(self.taken.len()) >= *allowed) {
            let retry_after = self.taken.front().map(|(at, _)| now.until(*at + SPAN));
            return Err(Exceeded { limit: Limit::Requests, allowed, retry_after });
        }
        if let Some(allowed) = self.quota.tpm.filter(|allowed| (self.tokens + tokens).0 > *allowed) {
            let retry_after = self.room_for(tokens, Tokens(allowed), now);
            return Err(Exceeded { limit: Limit::Tokens, allowed, retry_after });
        }
        self.taken.push_back((now, tokens));
        self.tokens += tokens;
        Ok(())
    }

    /// How much is left of each limit that there is.
    pub fn levels(&mut self, now: Timestamp) -> impl Iterator<Item = Levels> + use<> {
        self.slide(now);
        let reset = self.taken.back().map_or(Duration::ZERO, |(at, _)| now.until(*at + SPAN));
        let level = |limit, allowed: Option<u64>, used: u64| {
            allowed.map(|allowed| Levels { limit, allowed, remaining: allowed.saturating_sub(used), reset })
        };
        let requests = level(Limit::Requests, self.quota.rpm, len_to_u64(self.taken.len()));
        let tokens = level(Limit::Tokens, self.quota.tpm, self.tokens.0);
        requests.into_iter().chain(tokens)
    }

    fn slide(&mut self, now: Timestamp) {
        while let Some((_, tokens)) = self.taken.pop_front_if(|(at, _)| now.since(*at) >= SPAN) {
            self.tokens = self.tokens.saturating_sub(tokens);
        }
    }

    /// When enough of the past has left the window for `tokens` more.
    fn room_for(&self, tokens: Tokens, allowed: Tokens, now: Timestamp) -> Option<Duration> {
        let mut left = self.tokens;
        self.taken.iter().find_map(|(at, taken)| {
            left = left.saturating_sub(*taken);
            (left + tokens <= allowed).then(|| now.until(*at + SPAN))
        })
    }
}

/// A duration as Go writes it and OpenAI's headers use it: `12ms`, `1.5s`, `6m0s`.
pub(super) fn go_duration(span: Duration) -> String {
    let millis = span.as_millis();
    let (minutes, seconds, fraction) = (millis / 60_000, millis / 1_000 % 60, millis % 1_000);
    let seconds = match fraction {
        0 => format!("{seconds}"),
        _ => format!("{seconds}.{fraction:03}").trim_end_matches('0').to_owned(),
    };
    match (minutes, millis) {
        (0, 0) => "0s".to_owned(),
        (0, 1..1_000) => format!("{millis}ms"),
        (0, _) => format!("{seconds}s"),
        _ => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::START + Duration::from_secs(secs)
    }

    #[test]
    fn a_request_leaves_the_window_one_minute_after_it_came() {
        let mut window = Window::new(Quota { rpm: Some(2), ..Quota::default() });
        assert_eq!(window.admit(Tokens(1), 0, at(0)), Ok(()));
        assert_eq!(window.admit(Tokens(1), 0, at(10)), Ok(()));

        let refused = window.admit(Tokens(1), 0, at(30)).unwrap_err();
        assert_eq!((refused.limit, refused.retry_after), (Limit::Requests, Some(Duration::from_secs(30))));
        assert_eq!(window.admit(Tokens(1), 0, at(60)), Ok(()));
        assert!(window.admit(Tokens(1), 0, at(60)).is_err(), "the second is still in the window");
    }

    #[test]
    fn tokens_are_refused_until_enough_of_them_have_left() {
        let mut window = Window::new(Quota { tpm: Some(100), ..Quota::default() });
        for second in 0..4 {
            assert_eq!(window.admit(Tokens(25), 0, at(second)), Ok(()));
        }
        let refused = window.admit(Tokens(50), 0, at(10)).unwrap_err();
        assert_eq!((refused.limit, refused.retry_after), (Limit::Tokens, Some(Duration::from_secs(51))));
    }

    #[test]
    fn a_request_above_the_whole_limit_is_told_no_time() {
        let mut window = Window::new(Quota { tpm: Some(100), ..Quota::default() });
        assert_eq!(window.admit(Tokens(101), 0, at(0)).unwrap_err().retry_after, None);
    }

    #[test]
    fn a_refused_request_is_not_charged() {
        let mut window = Window::new(Quota { rpm: Some(5), concurrency: Some(1), ..Quota::default() });
        assert_eq!(window.admit(Tokens(1), 1, at(0)).unwrap_err().limit, Limit::Concurrency);
        let remaining: Vec<u64> = window.levels(at(0)).map(|level| level.remaining).collect();
        assert_eq!(remaining, [5]);
    }

    #[test]
    fn levels_tell_what_is_left_and_when_all_of_it_is_free() {
        let mut window = Window::new(Quota { rpm: Some(10), tpm: Some(1_000), concurrency: None });
        window.admit(Tokens(300), 0, at(0)).unwrap();
        let levels: Vec<Levels> = window.levels(at(20)).collect();
        let reset = Duration::from_secs(40);
        assert_eq!(
            levels,
            [
                Levels { limit: Limit::Requests, allowed: 10, remaining: 9, reset },
                Levels { limit: Limit::Tokens, allowed: 1_000, remaining: 700, reset },
            ]
        );
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        let texts = [0, 12, 1_000, 1_500, 59_999, 360_000, 61_250].map(|ms| go_duration(Duration::from_millis(ms)));
        assert_eq!(texts, ["0s", "12ms", "1s", "1.5s", "59.999s", "6m0s", "1m1.25s"]);
    }
}
