//! What a decision is made from and what it comes to, as plain values that print.

use std::time::Duration;

use super::endpoint::Reading;
use super::features::{Capabilities, Handicap, Load, Objective};
use super::price::Price;
use super::quota::QuotaReading;
use super::route::RouteReading;
use super::score::Terms;
use super::shadow::Toll;
use super::token_rates::PromptEstimate;
use crate::ids::EndpointIx;
use crate::units::{Dollars, Timestamp, Tokens, seconds};

/// What a decision is made from.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// What a good answer is worth.
    pub objective: &'a Objective,
    /// What the route has learned.
    pub route: RouteReading,
    /// Who could answer.
    pub candidates: &'a [Candidate<'a>],
    /// The policy's longest wait for a stream's first token, or for the whole of any other answer.
    pub answer_timeout: Duration,
    /// Whether others may be asked if these fail.
    pub others: Others,
}

/// Who could answer besides those in a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Others {
    /// Nobody.
    #[default]
    None,
    /// Some, who are asked if these fail.
    Left,
}

/// An endpoint that could answer.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Which.
    pub endpoint: EndpointIx,
    /// Lower tiers are tried first.
    pub tier: usize,
    /// How long its model will find the prompt.
    pub prompt: PromptEstimate,
    /// What it charges; `None` when unknown.
    pub price: Option<&'a Price>,
    /// Ranks it behind its true cost.
    pub handicap: Handicap,
    /// The most tokens that it reads and writes.
    pub context: Option<Tokens>,
    /// The most tokens that it writes.
    pub max_output: Option<Tokens>,
    /// What it can do.
    pub capabilities: Capabilities,
    /// How it does.
    pub health: Reading,
    /// What is left of its quota, and its key's.
    pub quota: QuotaReading,
    /// What that quota is worth.
    pub toll: Toll,
    /// What is left of an allowance.
    pub free: Option<Free>,
    /// When it is worth looking again, if its account has no money: until then it gets what costs nothing.
    pub broke_until: Option<Timestamp>,
    /// Tokens of the prompt that its cache is likely to hold.
    pub warm: Tokens,
    /// Which part of what should be in its cache turned out to be.
    pub cache_hit: f64,
}

/// An allowance at hand: a free tier, or a prepaid pack.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Free {
    /// What is left.
    pub left: Left,
    /// What it is worth, used elsewhere or later.
    pub toll: Toll,
}

/// What is left of an allowance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Left {
    /// Requests of any length.
    Requests(u64),
    /// Tokens of prompts and answers.
    Tokens(Tokens),
    /// Money, at list price.
    Money(Dollars),
}

impl Free {
    /// Whether a request of so many tokens and this list price is paid for.
    pub(super) fn covers(&self, tokens: f64, list: Dollars) -> bool {
        match self.left {
            Left::Requests(left) => left > 0,
            Left::Tokens(left) => left.as_f64() >= tokens,
            Left::Money(left) => left >= list,
        }
    }
}

/// Whom to try, in order.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The first of those that may be tried: by tier, then by score.
    pub entries: Vec<Entry>,
    /// The score of each that may be tried.
    pub scores: Vec<(EndpointIx, Dollars)>,
    /// Those that may not, and why.
    pub rejected: Vec<(EndpointIx, Reason)>,
    /// When it is worth asking again, if nobody may be tried.
    pub retry_at: Option<Timestamp>,
    /// Why nobody may be tried.
    pub cause: Option<Cause>,
}

/// An endpoint that may be tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry {
    /// Which.
    pub endpoint: EndpointIx,
    /// Its tier.
    pub tier: usize,
    /// The expected total cost.
    pub score: Dollars,
    /// What the score is the sum of.
    pub terms: Terms,
    /// Seconds; a duration is only made of it for whom it concerns.
    pub(super) first_token: f64,
    /// Seconds.
    pub(super) first_token_limit: f64,
    /// The standard deviation of the first token's logarithm.
    pub(super) log_spread: f64,
    /// The chance of a first token.
    pub(super) success: f64,
    /// How long its model will find the prompt.
    pub prompt: Tokens,
    /// The answer's expected length.
    pub expected_output: Tokens,
    /// As what it is sent.
    pub admission: Admission,
    /// What it costs more than the best that is well known, if it is tried because little is known of it.
    pub exploration: Dollars,
    /// Whether its price is known. Without one its score lacks the bill, and it comes last in its tier.
    pub is_priced: bool,
}

impl Entry {
    /// What it is expected to use: prompt and answer.
    pub fn tokens(&self) -> Tokens {
        self.prompt + self.expected_output
    }

    /// What it takes of quotas.
    pub const fn load(&self) -> Load {
        Load { input: self.prompt, output: self.expected_output }
    }

    /// When the first token is expected, after sending.
    pub fn first_token(&self) -> Duration {
        seconds(self.first_token)
    }

    /// How long to wait for a stream's first token, or for the whole of a plain answer.
    pub fn first_token_limit(&self) -> Duration {
        seconds(self.first_token_limit)
    }
}

/// As what a call is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// One of many.
    Normal,
    /// The one that finds out whether the endpoint is back.
    Probe,
    /// Against an open circuit, because all are open.
    LastResort,
}

/// Why nobody may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nobody can do what is asked for.
    NoneCapable,
    /// The request is too long for all who could.
    ContextExceeded,
    /// It would cost more than it may at all who could.
    TooDear,
    /// All who could have used up what they may.
    Quota,
    /// All who could have no money left in their prepaid accounts.
    Broke,
    /// All who could are failing.
    Unavailable,
}

/// Why an endpoint may not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It cannot do what is asked for.
    Incapable,
    /// The request is longer than it reads or writes.
    TooLong,
    /// It is expected to cost more than it may, or nobody knows what.
    TooDear,
    /// Its quota does not cover the request until then.
    Quota {
        /// When it will.
        until: Timestamp,
    },
    /// The request is larger than a whole limit, and others are using the window.
    LargerThanLimit {
        /// When the window is empty.
        until: Timestamp,
    },
    /// Its account has no money.
    Broke {
        /// When it is worth looking again.
        until: Timestamp,
    },
    /// The provider asked to be left alone.
    Blocked {
        /// Until then.
        until: Timestamp,
    },
    /// Its circuit is open.
    Open {
        /// When a probe may go.
        until: Timestamp,
    },
    /// Its probe is out.
    Probing,
    /// It is coming back, and has as many calls in flight as it may for now.
    Ramp,
    /// It was slow when last heard of, and is being tried already.
    Stale,
}

impl Reason {
    /// Why, for people: it follows the endpoint's name.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Incapable => "cannot do what is asked for",
            Self::TooLong => "has too small a window",
            Self::TooDear => "is too dear",
            Self::Quota { .. } | Self::LargerThanLimit { .. } => "has no quota left",
            Self::Broke { .. } => "has no money left",
            Self::Blocked { .. } => "wants to be left alone",
            Self::Open { .. } => "has failed",
            Self::Probing | Self::Ramp | Self::Stale => "is being tried again",
        }
    }
}
