//! Errors on the wire: written in OpenAI's shape, read in anybody's.
//!
//! Providers do not share a shape: an `error` object, an `error` string, fields at the top level, an array, `detail`,
//! `Response.Error`, plain text, HTML. Reading is lenient and never fails; what cannot be understood is its own text.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::beginning::begun;
use super::usage;
use crate::engine::Usage;

/// Longer messages are cut: some gateways answer with whole pages.
const LONGEST_MESSAGE: usize = 300;
/// So much is looked through for what an error means.
const LONGEST_SAID: usize = 4_096;
/// An error has no more names that say what it is. Each is compared with every rule.
const MOST_NAMES: usize = 64;
/// Fields that name a kind of error, in one provider's body or another's.
const NAMES: [&str; 15] = [
    "code",
    "Code",
    "type",
    "status",
    "reason",
    "error_code",
    "status_code",
    "error_type",
    "http_code",
    "innererror",
    "limit_source",
    "quotaId",
    "finish_reason",
    ":exception-type",
    "__type",
];
/// Fields that say nothing about it.
const SILENT: [&str; 7] = ["id", "request_id", "RequestId", "model", "param", "object", "loc"];
/// Fields in which validators give back what they were sent.
const ECHOES: [&str; 4] = ["input", "ctx", "body", "received"];
/// Letters and digits in a row that look like a credential rather than a word.
const SECRET_LENGTH: usize = 20;
/// How the keys of the usual providers begin.
const KEY_PREFIXES: [&str; 5] = ["sk-", "sk_", "gsk_", "xai-", "pk-"];

/// An upstream's error, as far as it could be understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireError {
    /// For people.
    pub message: String,
    /// The provider's `type`.
    pub kind: Option<String>,
    /// The provider's `code`, number or text.
    pub code: Option<String>,
    /// Everything in it that names a kind of error: codes, types, reasons.
    pub names: Vec<String>,
    /// Everything else that it says.
    pub said: String,
    /// What was used nevertheless, if it tells that.
    pub usage: Option<Usage>,
}

impl WireError {
    /// The error in `body`.
    pub fn parse(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => Self::from_whole(&value),
            Err(_) => Self::from_text(&String::from_utf8_lossy(body)),
        }
    }

    /// The error in a body of which no more than `beginning` was read.
    pub fn parse_beginning(beginning: &[u8]) -> Self {
        let text = String::from_utf8_lossy(beginning);
        begun(&text).map_or_else(|| Self::from_text(&text), |value| Self::from_whole(&value))
    }

    fn from_whole(value: &Value) -> Self {
        let mut error = Self::from_value(value);
        error.gather(value, "");
        error.usage = value.get("usage").and_then(|usage| usage::parse(&usage.to_string()));
        error
    }

    fn from_text(text: &str) -> Self {
        Self { message: clip(text, LONGEST_MESSAGE), said: clip(text, LONGEST_SAID), ..Self::default() }
    }

    /// Notes the texts in `value`, which is called `name`, wherever they stand.
    fn gather(&mut self, value: &Value, name: &str) {
        match value {
            _ if ECHOES.contains(&name) => {}
            Value::Array(choices) if name == "choices" => choices.iter().for_each(|choice| self.gather_choice(choice)),
            Value::Array(items) => items.iter().for_each(|item| self.gather(item, name)),
            Value::Object(_) if SILENT.contains(&name) => {}
            Value::Object(fields) => fields.iter().for_each(|(name, value)| self.gather(value, name)),
            Value::String(text) if NAMES.contains(&name) => self.name(clip(text, LONGEST_MESSAGE)),
            Value::Number(number) if NAMES.contains(&name) => self.name(number.to_string()),
            Value::String(text) if !SILENT.contains(&name) && self.said.len() < LONGEST_SAID => {
                self.said.push_str(&clip(text, LONGEST_SAID));
                self.said.push('\n');
            }
            Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => {}
        }
    }

    /// Of an answer's choice only how it ends: what a model says is about anything.
    fn gather_choice(&mut self, choice: &Value) {
        for name in ["error", "finish_reason"] {
            if let Some(value) = choice.get(name) {
                self.gather(value, name);
            }
        }
    }

    fn name(&mut self, name: String) {
        if self.names.len() < MOST_NAMES {
            self.names.push(name);
        }
    }

    /// The error in a JSON value.
    pub(super) fn from_value(value: &Value) -> Self {
        let inner = match value {
            Value::Array(items) => return items.first().map_or_else(Self::default, Self::from_value),
            Value::String(text) => return Self { message: clip(text, LONGEST_MESSAGE), ..Self::default() },
            Value::Object(object) => {
                let nested = ["error", "Response", "Error", "base_resp"].iter().find_map(|name| object.get(*name));
                match nested {
                    Some(nested @ (Value::Object(_) | Value::String(_))) => {
                        let inner = Self::from_value(nested);
                        // xAI and others put the text under `error` and the code beside it.
                        return Self { code: inner.code.or_else(|| text(value, &["code"])), ..inner };
                    }
                    Some(_) | None => match object.get("choices") {
                        Some(choices) => return Self::of_choices(choices),
                        None => value,
                    },
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        };
        let message = text(inner, &["message", "Message", "msg", "status_msg", "error_msg", "detail"]);
        Self {
            message: clip(&message.unwrap_or_else(|| inner.to_string()), LONGEST_MESSAGE),
            kind: text(inner, &["type"]),
            code: text(inner, &["code", "Code", "status_code", "error_code", "status"]),
            ..Self::default()
        }
    }

    /// The error that the choices of an answer tell of by how they end.
    fn of_choices(choices: &Value) -> Self {
        let mut choices = choices.as_array().into_iter().flatten();
        let end = choices.find_map(|choice| match choice.get("error").filter(|error| !is_empty(error)) {
            Some(error) => Some(Self::from_value(error)),
            None => choice.get("finish_reason").and_then(Value::as_str).map(|reason| Self {
                message: format!("the answer ends with {}", clip(reason, LONGEST_MESSAGE)),
                ..Self::default()
            }),
        });
        end.unwrap_or_else(|| Self { message: "the answer has no choice".to_owned(), ..Self::default() })
    }

    /// The HTTP status that the error amounts to, for errors that come without one: inside a 200, or in a stream.
    pub fn status(&self) -> Option<u16> {
        let number =
            self.code.as_deref().and_then(|code| code.parse::<u16>().ok()).filter(|code| (400..600).contains(code));
        let names = [self.code.as_deref(), self.kind.as_deref()];
        let says = |word: &str| names.iter().flatten().any(|name| name.to_ascii_lowercase().contains(word));
        number.or_else(|| {
            let known = [("rate_limit", 429), ("insufficient_quota", 402), ("overloaded", 529), ("timeout", 504)];
            known.into_iter().find(|(word, _)| says(word)).map(|(_, status)| status)
        })
    }

    /// The message without anything that looks like a key or an organisation's id: providers echo them.
    pub fn redacted_message(&self) -> String {
        redact(&self.message)
    }
}

/// Whether an error, in JSON, names `field` by itself, and not in what it gives back of the request.
pub fn complains_of(body: &[u8], field: &str) -> bool {
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => names_field(&value, field),
        Err(_) => String::from_utf8_lossy(body).contains(field),
    }
}

fn names_field(value: &Value, field: &str) -> bool {
    match value {
        Value::String(text) => text.contains(field),
        Value::Array(items) => items.iter().any(|item| names_field(item, field)),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| !ECHOES.contains(&&**name) && names_field(value, field))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether an `error` field tells of one though there is an answer beside it: many answers carry an empty one, or a
/// number that says that there is none.
pub(super) fn is_told(error: &RawValue) -> bool {
    error.get().starts_with(['"', '{', '[']) && is_filled(error)
}

/// Whether there is anything in an `error` field.
pub(super) fn is_filled(error: &RawValue) -> bool {
    // What is nested too deep to be read is not empty.
    serde_json::from_str::<Value>(error.get()).map_or(true, |error| !is_empty(&error))
}

/// Whether nothing is said: no text, no number but nought, and no list or object with a member that says something.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

fn text(value: &Value, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match value.get(*name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

fn clip(text: &str, longest: usize) -> String {
    let text = text.trim();
    text.get(..text.floor_char_boundary(longest)).unwrap_or_default().to_owned()
}

/// `body` without words that begin like a provider's key. Everything else stays byte for byte.
pub fn conceal_keys(body: Bytes) -> Bytes {
    match std::str::from_utf8(&body) {
        Ok(text) if KEY_PREFIXES.iter().any(|prefix| text.contains(prefix)) => mask(text, is_key).into(),
        Ok(_) | Err(_) => body,
    }
}

/// Masks every word that could be a credential or an account.
fn redact(text: &str) -> String {
    mask(text, |word| {
        is_key(word) || ["org-", "proj-"].iter().any(|prefix| word.starts_with(prefix)) || is_opaque(word)
    })
}

fn mask(text: &str, secret: impl Fn(&str) -> bool) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '*');
    let mut clean = String::with_capacity(text.len());
    for piece in text.split_inclusive(|c| !is_part(c)) {
        let word = piece.trim_end_matches(|c| !is_part(c));
        if secret(word) {
            clean.push_str("[redacted]");
            clean.push_str(piece.strip_prefix(word).unwrap_or_default());
        } else {
            clean.push_str(piece);
        }
    }
    clean
}

fn is_key(word: &str) -> bool {
    KEY_PREFIXES.iter().any(|prefix| word.len() > prefix.len() + 4 && word.starts_with(prefix))
}

/// A long run of letters and digits mixed. A model's dated name has hyphens between shorter ones.
fn is_opaque(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= SECRET_LENGTH && digits > 0 && digits < run.len()
    })
}

/// An error of faregate's own, in OpenAI's shape.
pub fn error_body(message: &str, kind: &str, param: Option<&str>, code: &str) -> Bytes {
    json!({ "error": { "message": message, "type": kind, "param": param, "code": code } }).to_string().into()
}

/// The event that ends a stream which could not be completed. No `[DONE]` follows it.
pub fn error_event(message: &str, kind: &str, code: &str) -> Bytes {
    let body = json!({ "error": { "message": message, "type": kind, "param": null, "code": code } });
    format!("data: {body}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_read_in_whatever_shape_it_comes() {
        let cases = [
            (r#"{"error":{"message":"m","type":"t","code":"c"}}"#, "m", Some("c")),
            (r#"{"error":{"message":"m","code":1302}}"#, "m", Some("1302")),
            (r#"{"error":"m","code":"c"}"#, "m", Some("c")),
            (r#"{"message":"m","code":"c"}"#, "m", Some("c")),
            (r#"[{"error":{"message":"m","code":429}}]"#, "m", Some("429")),
            (r#"{"detail":"m"}"#, "m", None),
            (r#"{"Response":{"Error":{"Message":"m","Code":"c"}}}"#, "m", Some("c")),
            (r#"{"error_code":336,"error_msg":"m"}"#, "m", Some("336")),
            ("error code: 1015", "error code: 1015", None),
        ];
        for (body, message, code) in cases {
            let error = WireError::parse(body.as_bytes());
            assert_eq!((error.message.as_str(), error.code.as_deref()), (message, code), "{body}");
        }
    }

    #[test]
    fn nothing_that_looks_like_a_key_survives() {
        let text = "Incorrect API key provided: sk-ab12****wxyz. In organization org-A1b2C3 on tokens per min.";
        let clean = redact(text);
        assert_eq!(clean, "Incorrect API key provided: [redacted]. In organization [redacted] on tokens per min.");
        assert_eq!(redact("Bearer eyJhbGciOiJIUzI1NiIsInR5"), "Bearer [redacted]");
        for harmless in ["maximum context length is 8192 tokens", "no model claude-3-5-sonnet-20241022-preview"] {
            assert_eq!(redact(harmless), harmless);
        }
    }

    #[test]
    fn a_body_that_goes_on_loses_its_keys_and_nothing_else() {
        let concealed = |body: &'static str| conceal_keys(Bytes::from_static(body.as_bytes()));
        let harmless = r#"{"error":{"message":"task-1 at org-A1b2C3 0123456789abcdefghijk"}}"#;
        assert_eq!(concealed(harmless), harmless);
        assert_eq!(
            concealed(r#"{"error":"your key sk-ab12****wxyz is bad"}"#),
            r#"{"error":"your key [redacted] is bad"}"#
        );
    }

    #[test]
    fn our_own_errors_escape_what_they_quote() {
        let body: Value = serde_json::from_slice(&error_body("a \"b\"\n", "t", Some("model"), "c")).unwrap();
        assert_eq!(body["error"]["message"], "a \"b\"\n");
        assert_eq!(body["error"]["param"], "model");
    }

    #[test]
    fn an_error_with_names_without_end_keeps_the_first() {
        let details: Vec<_> = (0..50_000).map(|number| json!({ "code": format!("a{number}") })).collect();
        let error = WireError::parse(json!({ "error": { "details": details } }).to_string().as_bytes());
        assert_eq!((error.names.len(), error.names[0].as_str()), (MOST_NAMES, "a0"));
    }

    #[test]
    fn an_error_without_a_status_is_given_the_one_it_amounts_to() {
        let status = |body: &str| WireError::parse(body.as_bytes()).status();
        assert_eq!(status(r#"{"error":{"message":"m","code":503}}"#), Some(503));
        assert_eq!(status(r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#), Some(429));
        assert_eq!(status(r#"{"error":{"message":"m","type":"overloaded_error"}}"#), Some(529));
        assert_eq!(status(r#"{"error":{"message":"m","code":"1302"}}"#), None);
    }
}
