//! The ways a provider goes wrong, each by itself and on demand, and how a command line spells them.

use std::str::FromStr;
use std::time::Duration;

/// What goes wrong with a request that has been accepted.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The connection is dropped without a word.
    Refuse,
    /// An error instead of an answer, at once.
    Status {
        /// The status code.
        status: u16,
        /// The body; `None`: an OpenAI-shaped error.
        body: Option<String>,
        /// Sent as `retry-after`, in whole seconds, and as `retry-after-ms`.
        retry_after: Option<Duration>,
    },
    /// All waiting takes this many times as long.
    Slow {
        /// The multiple.
        factor: f64,
    },
    /// The request is read and nothing ever comes back.
    HangBeforeHead,
    /// A status line and headers, then nothing, for ever.
    HangBeforeFirstToken,
    /// Headers (and the role chunk of a stream), then the connection breaks.
    CutBeforeContent,
    /// The connection breaks inside the answer.
    CutAfter {
        /// How many tokens arrive before.
        tokens: u32,
    },
    /// A stream whose first event is an error.
    ErrorEventFirst,
    /// A stream that turns into an error event.
    ErrorEventAfter {
        /// How many tokens arrive before.
        tokens: u32,
    },
    /// Status 200 and an error object as a JSON body, whatever was asked for.
    ErrorIn200,
    /// Status 200 and a body (or an event) that is not JSON.
    GarbageJson,
    /// SSE comments before the first token, as routers of providers send them while they wait.
    KeepAlives {
        /// How many.
        count: u32,
        /// The time before each.
        every: Duration,
    },
}

/// A fault that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// No such kind.
    #[error(
        "unknown fault {0:?}: expected refuse, status:CODE, slow:FACTOR, hang, hang-before-token, cut, cut-after:N, \
         error-first, error-after:N, error-in-200, garbage or keep-alives:N:MILLISECONDS"
    )]
    Unknown(String),
    /// The kind wants a number that is not there, or is none.
    #[error("fault {kind:?} wants a number after the colon, not {found:?}")]
    Number {
        /// The kind of fault.
        kind: String,
        /// What stands in the number's place.
        found: String,
    },
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "status" => Ok(Self::Status { status: number(kind, rest)?, body: None, retry_after: None }),
            "slow" => Ok(Self::Slow { factor: number(kind, rest)? }),
            "cut-after" => Ok(Self::CutAfter { tokens: number(kind, rest)? }),
            "error-after" => Ok(Self::ErrorEventAfter { tokens: number(kind, rest)? }),
            "keep-alives" => {
                let (count, every) = rest.split_once(':').unwrap_or((rest, "1000"));
                let every = Duration::from_millis(number(kind, every)?);
                Ok(Self::KeepAlives { count: number(kind, count)?, every })
            }
            plain => {
                without_number(plain).filter(|_| rest.is_empty()).ok_or_else(|| FaultError::Unknown(text.to_owned()))
            }
        }
    }
}

fn without_number(kind: &str) -> Option<Fault> {
    match kind {
        "refuse" => Some(Fault::Refuse),
        "hang" => Some(Fault::HangBeforeHead),
        "hang-before-token" => Some(Fault::HangBeforeFirstToken),
        "cut" => Some(Fault::CutBeforeContent),
        "error-first" => Some(Fault::ErrorEventFirst),
        "error-in-200" => Some(Fault::ErrorIn200),
        "garbage" => Some(Fault::GarbageJson),
        _ => None,
    }
}

fn number<N: FromStr>(kind: &str, text: &str) -> Result<N, FaultError> {
    text.parse().map_err(|_| FaultError::Number { kind: kind.to_owned(), found: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_spelled_by_kind_and_number() {
        assert_eq!("refuse".parse(), Ok(Fault::Refuse));
        assert_eq!("cut-after:5".parse(), Ok(Fault::CutAfter { tokens: 5 }));
        assert_eq!("status:503".parse(), Ok(Fault::Status { status: 503, body: None, retry_after: None }));
        let every = Duration::from_millis(250);
        assert_eq!("keep-alives:3:250".parse(), Ok(Fault::KeepAlives { count: 3, every }));
    }

    #[test]
    fn a_misspelled_fault_is_refused_with_its_reason() {
        assert_eq!("explode".parse::<Fault>(), Err(FaultError::Unknown("explode".to_owned())));
        assert_eq!("hang:3".parse::<Fault>(), Err(FaultError::Unknown("hang:3".to_owned())));
        let error = FaultError::Number { kind: "status".to_owned(), found: String::new() };
        assert_eq!("status".parse::<Fault>(), Err(error));
    }
}
