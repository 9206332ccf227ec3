//! How a call of an upstream may end, and what is to be said of it then.

use std::time::Duration;

use crate::engine::{Failure, Fault, Usage};
use crate::observe::AttemptResult;
use crate::state::Half;
use crate::units::PicoUsd;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a whole answer.
    Answered,
    /// The upstream refused the request as the client's fault, which is of this class.
    Refused(Failure),
    /// With a failure before anything reached the client.
    Failed {
        /// What it is.
        fault: Fault,
        /// When the provider wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// After the client had part of the answer.
    Cut,
    /// Nobody waits for the answer any more.
    Abandoned,
    /// Another try of the same request answered first.
    Outrun,
}

/// Where token counts come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Basis {
    /// The upstream.
    #[default]
    Reported,
    /// Lengths in bytes.
    Estimated,
}

/// What a call used and cost, in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Settlement {
    /// Tokens, as reported or else estimated.
    pub usage: Usage,
    /// Which of the two.
    pub basis: Basis,
    /// The bill of what reached the client; `None` without a price.
    pub cost: Option<PicoUsd>,
    /// What the provider has probably billed, wasted or not.
    pub billed: PicoUsd,
    /// From sending the request to its end.
    pub took: Duration,
    /// To the first token, if it is a stream.
    pub first_token: Option<Duration>,
}

impl Settlement {
    /// A whole answer, to be compared with another.
    pub(super) const fn half(&self) -> Half {
        Half { cost: self.cost, output: self.usage.output, took: self.took, first_token: self.first_token }
    }
}

impl End {
    /// Whether a provider may charge for it, were it only its fee for a request.
    pub(super) const fn may_be_billed(self) -> bool {
        match self {
            Self::Answered | Self::Cut | Self::Abandoned | Self::Outrun => true,
            Self::Failed { fault, .. } => fault.failure.may_have_been_billed(),
            Self::Refused(_) => false,
        }
    }

    /// What is counted.
    pub(super) const fn result(self) -> AttemptResult {
        match self {
            Self::Answered => AttemptResult::Ok,
            Self::Refused(failure) => AttemptResult::Failed(failure.label()),
            Self::Failed { fault, .. } => AttemptResult::Failed(fault.failure.label()),
            Self::Cut => AttemptResult::Failed("cut"),
            Self::Abandoned | Self::Outrun => AttemptResult::Cancelled,
        }
    }
}
