//! One request at the provider, from its head to the end of its reply.
//!
//! Whatever ends it, it is counted and billed exactly once: by its outcome, or as aborted if it is dropped before it
//! has one, since a client that leaves makes the server drop whatever it was doing.

use std::sync::Arc;

use crate::engine::Usage;
use crate::simulated::{Answer, Provider};
use crate::units::{Timestamp, Tokens};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The client got its answer.
    Answered,
    /// Refused with 429.
    Throttled,
    /// Refused for a fault of the client.
    Refused,
    /// Failed by a fault of the provider.
    Failed,
    /// The client left.
    Aborted,
}

/// How much of the answer exists.
#[derive(Clone, Copy, Debug)]
enum Progress {
    /// Nothing was begun, or nothing that could be billed.
    Nothing,
    /// A plain answer, which grows unseen.
    ByTime(Answer),
    /// A stream, of which so much was sent.
    Sent(Answer, Tokens),
}

/// A request being served.
pub(super) struct Call {
    provider: Arc<Provider>,
    began: Timestamp,
    model: String,
    progress: Progress,
    outcome: Outcome,
}

impl Call {
    /// A request that has just come. The provider has counted it as in flight already.
    pub(super) fn new(provider: Arc<Provider>, began: Timestamp) -> Self {
        Self { provider, began, model: String::new(), progress: Progress::Nothing, outcome: Outcome::Aborted }
    }

    /// The answer to `model`'s prompt is being made, to be delivered in one piece.
    pub(super) fn making(&mut self, model: &str, answer: Answer) {
        model.clone_into(&mut self.model);
        self.progress = Progress::ByTime(answer);
    }

    /// The answer to `model`'s prompt is being made, to be streamed.
    pub(super) fn streaming(&mut self, model: &str, answer: Answer) {
        model.clone_into(&mut self.model);
        self.progress = Progress::Sent(answer, Tokens::ZERO);
    }

    /// So many tokens of a stream have been sent.
    pub(super) fn sent(&mut self, tokens: Tokens) {
        match &mut self.progress {
            Progress::Sent(_, sent) => *sent = tokens,
            Progress::Nothing | Progress::ByTime(_) => {}
        }
    }

    /// It is over.
    pub(super) fn settle(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }

    fn usage(&self, now: Timestamp) -> Usage {
        match (self.progress, self.outcome) {
            (Progress::Nothing, _) => Usage::default(),
            (Progress::ByTime(answer) | Progress::Sent(answer, _), Outcome::Answered) => answer.usage(),
            (Progress::ByTime(answer), _) => answer.usage_after(answer.tokens_by(now.since(self.began))),
            (Progress::Sent(answer, sent), _) => answer.usage_after(sent),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let now = crate::runtime::now();
        self.provider.leave(self.outcome, &self.model, &self.usage(now), now);
    }
}
