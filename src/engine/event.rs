//! What happens to a call: every [`Event::Sent`] is followed by exactly one of the six endings, and a stream's first
//! token comes between.
//!
//! An ending carries all that is learned from it, so that no state of a call is kept here beside the caller's.

use std::time::Duration;

use super::failure::{Failure, Fault};
use super::features::Mode;
use super::price::Usage;
use crate::units::Tokens;

/// What happened to a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// It went out.
    Sent {
        /// How the answer is to be delivered.
        mode: Mode,
    },
    /// A stream's first token came.
    FirstToken {
        /// Since it was sent.
        after: Duration,
        /// Calls of ours that were in flight before this one.
        in_flight_at_send: u32,
        /// Its prompt.
        prompt: Tokens,
    },
    /// It ended with a whole answer.
    Answered {
        /// How the answer was delivered.
        mode: Mode,
        /// Since it was sent.
        total: Duration,
        /// When a stream's first token came, since it was sent.
        first_token: Option<Duration>,
        /// What it used.
        usage: Usage,
        /// Calls of ours that were in flight before this one.
        in_flight_at_send: u32,
        /// How long answers of its route are, as [`RouteState::observe_output`] says; zero where nothing was reported.
        ///
        /// [`RouteState::observe_output`]: super::RouteState::observe_output
        typical_output: Tokens,
    },
    /// It ended with a refusal that is the request's own fault.
    Refused {
        /// How the answer was to be delivered.
        mode: Mode,
        /// Since it was sent.
        after: Duration,
    },
    /// It ended before a first token.
    Failed {
        /// How the answer was to be delivered.
        mode: Mode,
        /// Why.
        fault: Fault,
        /// Since it was sent.
        after: Duration,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// A call of another endpoint has failed for a reason that holds here too.
    Implicated {
        /// Why.
        failure: Failure,
        /// How long that call took.
        after: Duration,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// It broke off after the first token.
    Cut {
        /// Since it was sent.
        after: Duration,
    },
    /// Nobody waits for it any more.
    Abandoned {
        /// How the answer was to be delivered.
        mode: Mode,
        /// Since it was sent.
        after: Duration,
        /// When a stream's first token came, since it was sent.
        first_token: Option<Duration>,
    },
    /// Another call for the same request had a first token first.
    Outrun {
        /// How the answer was to be delivered.
        mode: Mode,
        /// Since it was sent.
        after: Duration,
        /// Calls of ours that were in flight before this one.
        in_flight_at_send: u32,
        /// Its prompt.
        prompt: Tokens,
    },
}
