//! A plain reply: an answer with its usage, or an error in disguise.
//!
//! Status 200 proves nothing: several providers put errors into it. The body is skimmed, not parsed into a tree.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::choice_end::end_in_error;
use super::error::{WireError, is_told};
use super::estimate::answer_tokens;
use super::{Kind, usage};
use crate::engine::Usage;
use crate::units::Tokens;

/// What a plain reply holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlainReply {
    /// An answer.
    Answer {
        /// What it used, as reported.
        usage: Option<Usage>,
        /// Its length, estimated; for when nothing was reported.
        output: Tokens,
    },
    /// An error.
    Error(WireError),
    /// Something else, or half of something.
    NotJson,
}

#[derive(Deserialize)]
struct Skimmed<'a> {
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Looks through a complete reply.
pub fn inspect_plain(kind: Kind, body: &Bytes) -> PlainReply {
    let Ok(text) = std::str::from_utf8(body) else { return PlainReply::NotJson };
    // DeepSeek keeps waiting clients alive with blank lines.
    let text = text.trim_ascii();
    if !text.starts_with('{') {
        return PlainReply::NotJson;
    }
    let Ok(reply) = serde_json::from_str::<Skimmed<'_>>(text) else { return PlainReply::NotJson };
    let answered = match kind {
        // None at all is no answer either, and billed to nobody.
        Kind::Chat | Kind::Completion => reply.choices.filter(|choices| !is_empty(choices.get())),
        Kind::Embedding => reply.data,
    };
    if is_error(kind, &reply, answered) {
        return PlainReply::Error(WireError::parse(text.as_bytes()));
    }
    PlainReply::Answer {
        usage: reply.usage.and_then(|raw| usage::parse(raw.get())),
        output: match kind {
            Kind::Chat | Kind::Completion => answered.map_or(Tokens::ZERO, |raw| answer_tokens(raw.get())),
            Kind::Embedding => Tokens::ZERO,
        },
    }
}

fn is_empty(list: &str) -> bool {
    list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// Without an answer it is an error, whatever its shape.
fn is_error(kind: Kind, reply: &Skimmed<'_>, answered: Option<&RawValue>) -> bool {
    let ends_badly = |choices| match kind {
        Kind::Chat | Kind::Completion => end_in_error(choices),
        Kind::Embedding => false,
    };
    reply.error.is_some_and(is_told) || answered.is_none_or(ends_badly)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(body: &'static str) -> PlainReply {
        inspect_plain(Kind::Chat, &Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn an_answer_gives_its_usage() {
        let body = r#"{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}"#;
        let PlainReply::Answer { usage: Some(usage), .. } = inspect(body) else { panic!("no answer") };
        assert_eq!((usage.input, usage.output), (Tokens(3), Tokens(1)));
    }

    #[test]
    fn blank_lines_before_the_answer_do_not_hide_it() {
        let body = "\n\n\n{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}";
        assert!(matches!(inspect(body), PlainReply::Answer { .. }));
    }

    #[test]
    fn an_error_inside_a_200_is_an_error() {
        for body in [
            r#"{"error":{"message":"quota","code":"x"}}"#,
            r#"{"error":"boom"}"#,
            r#"{"error_code":336003,"error_msg":"bad"}"#,
            r#"{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}"#,
            r#"{"Response":{"Error":{"Code":"c","Message":"m"}}}"#,
            r#"{"choices":[{"finish_reason":"error"}],"error":{"message":"m","code":502}}"#,
        ] {
            assert!(matches!(inspect(body), PlainReply::Error(_)), "{body}");
        }
    }

    #[test]
    fn an_answer_without_a_choice_is_none() {
        for choices in ["[]", "[ ]", "null"] {
            let body = format!(r#"{{"id":"1","choices":{choices},"usage":null}}"#);
            assert!(matches!(inspect_plain(Kind::Chat, &body.into()), PlainReply::Error(_)), "{choices}");
        }
        let vectors = Bytes::from_static(br#"{"data":[]}"#);
        assert!(matches!(inspect_plain(Kind::Embedding, &vectors), PlainReply::Answer { .. }));
    }

    #[test]
    fn what_a_model_says_is_no_evidence_and_no_message() {
        let body = r#"{"choices":[{"finish_reason":"error","message":{"content":"your bill is overdue, and the API key"}}],
            "usage":{"prompt_tokens":100,"completion_tokens":9}}"#;
        let PlainReply::Error(error) = inspect(body) else { panic!("no error") };
        assert_eq!((error.message.as_str(), error.said.as_str()), ("the answer ends with error", ""));
        assert_eq!(error.usage.map(|usage| usage.input), Some(Tokens(100)), "it was used nevertheless");
        let told = r#"{"choices":[{"error":{"message":"upstream is down","code":502},"message":{"content":"no"}}],"error":null}"#;
        let PlainReply::Error(error) =
            inspect_plain(Kind::Chat, &told.replace("\"error\":{", "\"finish_reason\":\"error\",\"error\":{").into())
        else {
            panic!("no error")
        };
        assert_eq!((error.message.as_str(), error.status()), ("upstream is down", Some(502)));
    }

    #[test]
    fn a_reason_to_finish_tells_of_an_error_however_it_is_spaced() {
        let answer = |reason: &str, message: &str| {
            let body = format!(r#"{{"choices": [{{"finish_reason": "{reason}", "message": {message}}}]}}"#);
            inspect_plain(Kind::Chat, &body.into())
        };
        let (nothing, something) = (r#"{"role":"assistant","content":""}"#, r#"{"content":"half an answer"}"#);
        assert!(matches!(answer("error", something), PlainReply::Error(_)));
        for reason in ["network_error", "sensitive", "model_context_window_exceeded"] {
            assert!(matches!(answer(reason, nothing), PlainReply::Error(error) if error.names == [reason]));
            assert!(matches!(answer(reason, something), PlainReply::Answer { .. }), "as in a stream: {reason}");
        }
        assert!(matches!(answer("stop", nothing), PlainReply::Answer { .. }));
    }

    #[test]
    fn an_empty_error_beside_an_answer_is_none() {
        for error in ["null", "false", "0", "7", "[]", "\" \"", "{ }", r#"{"message":"", "code": null}"#] {
            let body = format!(r#"{{"choices":[{{"message":{{"content":"hi"}}}}],"error":{error}}}"#);
            assert!(matches!(inspect_plain(Kind::Chat, &body.into()), PlainReply::Answer { .. }), "{error}");
        }
        for error in ["\"boom\"", r#"{"message":"m"}"#, r#"{"code":500}"#, "[\"m\"]"] {
            let body = format!(r#"{{"choices":[],"error":{error}}}"#);
            assert!(matches!(inspect_plain(Kind::Chat, &body.into()), PlainReply::Error(_)), "{error}");
        }
    }

    #[test]
    fn error_null_is_no_error_and_half_a_reply_is_no_answer() {
        let answer = r#"{"choices":[{"message":{"content":"hi"}}],"error":null}"#;
        assert!(matches!(inspect(answer), PlainReply::Answer { .. }));
        assert_eq!(inspect(r#"{"choices":[{"mess"#), PlainReply::NotJson);
        assert_eq!(inspect("<html>bad gateway</html>"), PlainReply::NotJson);
    }
}
