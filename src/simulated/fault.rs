//! The ways in which a provider fails, each as a client sees it on the wire, and their names on a command line.
//!
//! A fault that makes sense only for streams shows itself on a plain reply as its nearest kin, said at each variant: a
//! fault that is asked for never does nothing.

use std::str::FromStr;
use std::time::Duration;

/// One way to fail.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// Not there: connections are accepted and closed, and requests on open connections are cut without a word.
    Outage,
    /// Reads the request, then resets the connection (a stream of HTTP/2: resets the stream).
    Reset,
    /// Answers with a fixed reply instead.
    Reply(Canned),
    /// Everything takes so many times as long.
    Slow(f64),
    /// Reads the request and says nothing, ever.
    HangBeforeHead,
    /// Sends the reply head (of a stream also the role), and then nothing, ever.
    HangBeforeFirstToken,
    /// Sends the reply head (of a stream also the role), and at the first token's time cuts the connection.
    CutBeforeContent,
    /// Cuts the connection after so many tokens; a plain reply after half of its bytes.
    CutAfter(u64),
    /// The stream's first event is an error; a plain reply is an error under status 200.
    ErrorEventFirst,
    /// After so many tokens comes an error event, and the stream ends; a plain reply is an error under status 200.
    ErrorEventAfter(u64),
    /// Status 200, but the body is an error object in plain JSON, for streams as well.
    ErrorIn200,
    /// Status 200, but what should be JSON is not.
    GarbageJson,
    /// So many comments before the first token, so far apart: signs of life that are not an answer. A plain reply
    /// begins with as many empty lines.
    KeepAliveComments(u64, Duration),
}

/// A fixed reply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Canned {
    /// The status code; one that HTTP does not allow is sent as 500.
    pub status: u16,
    /// Further headers. `content-type` is `application/json` unless given.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Fault {
    /// A fixed reply without headers of its own.
    pub fn status(status: u16, body: &str) -> Self {
        Self::Reply(Canned { status, headers: Vec::new(), body: body.to_owned() })
    }

    /// A fixed reply with an error body as OpenAI would write it.
    pub fn error_status(status: u16) -> Self {
        let kind = if status < 500 { "invalid_request_error" } else { "server_error" };
        let body = serde_json::json!({ "error": {
            "message": "The simulated provider was told to fail.", "type": kind, "param": null, "code": null,
        }});
        Self::status(status, &body.to_string())
    }
}

/// A text that names no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseFaultError {
    /// No fault has this name.
    #[error(
        "unknown fault {0:?}; known are outage, reset, status:CODE, slow:TIMES, hang-before-head, \
         hang-before-first-token, cut-before-content, cut-after:TOKENS, error-event-first, error-event-after:TOKENS, \
         error-in-200, garbage-json, keep-alive:COUNT:INTERVAL"
    )]
    UnknownFault(String),
    /// The fault needs a value that is missing or malformed.
    #[error("{fault:?} needs a number, as in {example:?}")]
    BadValue {
        /// What was written.
        fault: String,
        /// How it should look.
        example: &'static str,
    },
    /// A duration such as `50ms` was expected.
    #[error("{0:?} is no duration; write it as \"50ms\", \"1.5s\" or \"2m\"")]
    BadDuration(String),
    /// The probability is not between 0 and 1.
    #[error("{0:?} is no probability between 0 and 1")]
    BadProbability(String),
    /// The time span is malformed.
    #[error("{0:?} is no span of time; write it as \"10s-20s\"")]
    BadSpan(String),
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once(':').map_or((text, ""), |(name, value)| (name, value));
        let bad = |example| ParseFaultError::BadValue { fault: text.to_owned(), example };
        let count = |example| value.parse::<u64>().map_err(|_| bad(example));
        match name {
            "status" => value.parse().map(Self::error_status).map_err(|_| bad("status:503")),
            "slow" => value.parse().map(Self::Slow).map_err(|_| bad("slow:3")),
            "cut-after" => count("cut-after:5").map(Self::CutAfter),
            "error-event-after" => count("error-event-after:5").map(Self::ErrorEventAfter),
            "keep-alive" => {
                let (comments, interval) = value.split_once(':').ok_or_else(|| bad("keep-alive:3:100ms"))?;
                let comments = comments.parse().map_err(|_| bad("keep-alive:3:100ms"))?;
                Ok(Self::KeepAliveComments(comments, parse_duration(interval)?))
            }
            _ => Self::without_value(text).ok_or_else(|| ParseFaultError::UnknownFault(text.to_owned())),
        }
    }
}

impl Fault {
    fn without_value(name: &str) -> Option<Self> {
        Some(match name {
            "outage" => Self::Outage,
            "reset" => Self::Reset,
            "hang-before-head" => Self::HangBeforeHead,
            "hang-before-first-token" => Self::HangBeforeFirstToken,
            "cut-before-content" => Self::CutBeforeContent,
            "error-event-first" => Self::ErrorEventFirst,
            "error-in-200" => Self::ErrorIn200,
            "garbage-json" => Self::GarbageJson,
            _ => return None,
        })
    }
}

/// A duration with its unit: `50ms`, `1.5s`, `2m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, ParseFaultError> {
    let units = [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)];
    units
        .iter()
        .find_map(|(unit, scale)| text.strip_suffix(unit)?.parse::<f64>().ok().map(|count| count * scale))
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| ParseFaultError::BadDuration(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_named_on_a_command_line() {
        let cases = [
            ("outage", Fault::Outage),
            ("reset", Fault::Reset),
            ("status:503", Fault::error_status(503)),
            ("slow:2.5", Fault::Slow(2.5)),
            ("hang-before-head", Fault::HangBeforeHead),
            ("hang-before-first-token", Fault::HangBeforeFirstToken),
            ("cut-before-content", Fault::CutBeforeContent),
            ("cut-after:7", Fault::CutAfter(7)),
            ("error-event-first", Fault::ErrorEventFirst),
            ("error-event-after:7", Fault::ErrorEventAfter(7)),
            ("error-in-200", Fault::ErrorIn200),
            ("garbage-json", Fault::GarbageJson),
            ("keep-alive:3:100ms", Fault::KeepAliveComments(3, Duration::from_millis(100))),
        ];
        for (text, fault) in cases {
            assert_eq!(text.parse(), Ok(fault), "{text}");
        }
    }

    #[test]
    fn a_fault_that_is_misspelt_is_refused() {
        for text in ["", "outrage", "outage:1", "cut-after", "cut-after:x", "status:abc", "keep-alive:3", "slow:"] {
            assert!(text.parse::<Fault>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_duration_needs_its_unit() {
        assert_eq!(parse_duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_mins(2)));
        for text in ["", "5", "s", "-1s", "1h"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
