//! The head of a request: the few fields that choosing an endpoint needs, read strictly and borrowed.
//!
//! Everything else is skipped, not understood: a field of tomorrow's API passes untouched. What is read is read
//! strictly, because a model name that two parsers read differently would be a way around the policy.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use simdutf8::compat::{Utf8Error, from_utf8};

use super::conversation::{Opening, opening};
use super::depth::{MAX_DEPTH, is_too_deep};
use super::effort::thinking;
use super::fields::{Fields, Text};
use super::prompt::content_of;
use super::splice::{SplicePoints, UsagePoint};
use crate::engine::{Capabilities, Content, Thinking};
use crate::units::Tokens;

/// Which API a body is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `POST /v1/chat/completions`.
    Chat,
    /// `POST /v1/completions`.
    Completion,
    /// `POST /v1/embeddings`.
    Embedding,
}

/// What the client wants to hear about usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UsageWish {
    /// The answer comes in one piece, with its usage.
    NotStream,
    /// The stream shall end with a usage chunk.
    Asked,
    /// It did not ask, so it must not get one.
    NotAsked,
}

/// What is read of a request.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// The model asked for.
    pub model: Cow<'a, str>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// The most output accepted, over all choices.
    pub max_output: Option<Tokens>,
    /// How many answers are asked for.
    pub choices: u64,
    /// What the endpoint must be able to do.
    pub needs: Capabilities,
    /// What the client wants to hear about usage.
    pub usage_wish: UsageWish,
    /// The end user, if the client names one.
    pub user: Option<Cow<'a, str>>,
    /// The first messages of a chat.
    pub opening: Option<Opening<'a>>,
    /// What the prompt is made of.
    pub content: Content,
    /// How much the answer shall be thought about.
    pub thinking: Thinking,
    /// Whether it speaks of something that only one account has: a file that was uploaded, a sound that was made.
    pub is_pinned: bool,
    model_span: Range<usize>,
    usage_point: UsagePoint,
    has_escaped_names: bool,
}

impl Head<'_> {
    /// Where the body changes on its way to an upstream.
    pub fn splice_points(&self) -> SplicePoints {
        SplicePoints {
            model: self.model_span.clone(),
            usage: self.usage_point.clone(),
            has_escaped_names: self.has_escaped_names,
        }
    }
}

/// Why a body cannot be served. Says what, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not text.
    #[error("the request body is not valid UTF-8 at byte {}; send JSON encoded as UTF-8", .0.valid_up_to())]
    NotUtf8(#[source] Utf8Error),
    /// It is no JSON object.
    #[error("the request body must be a JSON object")]
    NotObject,
    /// It is malformed, or a field that is read stands in it twice.
    #[error("the request body is not valid JSON for this path: {0}")]
    Syntax(#[source] serde_json::Error),
    /// It is nested too deep.
    #[error("the request body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// A field is missing.
    #[error("the field '{field}' is missing")]
    Missing {
        /// Which.
        field: &'static str,
    },
    /// A field has the wrong type or an impossible value.
    #[error("the field '{field}' must be {expected}, not {found}")]
    WrongType {
        /// Which.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
        /// The beginning of what it is.
        found: String,
    },
}

impl BodyError {
    /// The field to blame.
    pub const fn param(&self) -> Option<&'static str> {
        match self {
            Self::Missing { field } | Self::WrongType { field, .. } => Some(field),
            Self::NotUtf8(_) | Self::NotObject | Self::Syntax(_) | Self::TooDeep => None,
        }
    }
}

/// Reads the head of `body`.
pub fn read_head(kind: Kind, body: &[u8]) -> Result<Head<'_>, BodyError> {
    let text = from_utf8(body).map_err(BodyError::NotUtf8)?;
    // `serde` would take an array for a struct, field by field.
    let open = text.find(|c: char| !c.is_ascii_whitespace()).ok_or(BodyError::NotObject)?;
    if text.as_bytes().get(open) != Some(&b'{') {
        return Err(BodyError::NotObject);
    }
    if is_too_deep(text.as_bytes()) {
        return Err(BodyError::TooDeep);
    }
    let fields: Fields<'_> = serde_json::from_str(text).map_err(BodyError::Syntax)?;
    let raw_model = fields.model.ok_or(BodyError::Missing { field: "model" })?;
    let model = text_of("model", raw_model)?;
    if model.is_empty() {
        return Err(wrong("model", "a non-empty string", raw_model));
    }
    let stream = fields.stream.map_or(Ok(None), |raw| parse("stream", "true or false", raw))?.unwrap_or(false);
    if stream && kind == Kind::Embedding {
        return Err(BodyError::WrongType { field: "stream", expected: "false for embeddings", found: "true".into() });
    }
    let asked = asks_for_usage(&fields)?;
    let prompt = prompt(kind, &fields)?;
    let choices = whole("n", fields.n)?.unwrap_or(1).max(1);
    let needs = needs(&fields, prompt);
    Ok(Head {
        stream,
        max_output: max_output(&fields, choices)?,
        choices,
        needs,
        usage_wish: match (stream, asked) {
            (false, _) => UsageWish::NotStream,
            (true, true) => UsageWish::Asked,
            (true, false) => UsageWish::NotAsked,
        },
        opening: if kind == Kind::Chat { opening(prompt) } else { None },
        user: fields.user.map(|raw| text_of("user", raw)).transpose()?,
        content: content_of(kind, prompt, &fields, needs),
        thinking: thinking(&fields),
        is_pinned: kind == Kind::Chat && names_what_an_account_has(prompt.as_bytes()),
        has_escaped_names: fields.has_escaped_names,
        model_span: span(text, raw_model),
        usage_point: UsagePoint::new(open + 1, fields.stream_options.map(|raw| (span(text, raw), raw.get()))),
        model,
    })
}

/// Where `raw` lies in `text`, of which it is a part.
fn span(text: &str, raw: &RawValue) -> Range<usize> {
    let start = raw.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + raw.get().len()
}

fn text_of<'a>(field: &'static str, raw: &'a RawValue) -> Result<Cow<'a, str>, BodyError> {
    parse::<Text<'_>>(field, "a string", raw).map(|text| text.0)
}

fn parse<'a, T: Deserialize<'a>>(
    field: &'static str,
    expected: &'static str,
    raw: &'a RawValue,
) -> Result<T, BodyError> {
    serde_json::from_str(raw.get()).map_err(|_| wrong(field, expected, raw))
}

fn wrong(field: &'static str, expected: &'static str, raw: &RawValue) -> BodyError {
    BodyError::WrongType { field, expected, found: raw.get().chars().take(40).collect() }
}

fn asks_for_usage(fields: &Fields<'_>) -> Result<bool, BodyError> {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    let Some(raw) = fields.stream_options else { return Ok(false) };
    let options: Option<Options> = parse("stream_options", "an object with include_usage true or false", raw)?;
    Ok(options.and_then(|options| options.include_usage).unwrap_or(false))
}

fn max_output(fields: &Fields<'_>, choices: u64) -> Result<Option<Tokens>, BodyError> {
    let new = whole("max_completion_tokens", fields.max_completion_tokens)?;
    let most = new.or(whole("max_tokens", fields.max_tokens)?);
    Ok(most.map(|most| Tokens(most.saturating_mul(choices))))
}

fn whole(field: &'static str, raw: Option<&RawValue>) -> Result<Option<u64>, BodyError> {
    raw.map_or(Ok(None), |raw| parse::<Option<u64>>(field, "a whole number", raw))
}

/// What the prompt is made of.
fn prompt<'a>(kind: Kind, fields: &Fields<'a>) -> Result<&'a str, BodyError> {
    let (field, raw, form) = match kind {
        Kind::Chat => ("messages", fields.messages, "["),
        Kind::Completion => ("prompt", fields.prompt, "[\""),
        Kind::Embedding => ("input", fields.input, "[\""),
    };
    let raw = raw.ok_or(BodyError::Missing { field })?;
    if raw.get().starts_with(|first| form.contains(first)) {
        return Ok(raw.get());
    }
    let expected = if kind == Kind::Chat { "an array of messages" } else { "a string or an array" };
    Err(wrong(field, expected, raw))
}

/// Whether messages name a file by its id, or an earlier answer's sound. In what people write quotes are escaped: these
/// bytes are keys.
fn names_what_an_account_has(messages: &[u8]) -> bool {
    let is_followed = |at: usize, tokens: &[&[u8]]| {
        let rest =
            tokens.iter().try_fold(messages.get(at..)?, |rest, token| rest.trim_ascii_start().strip_prefix(*token));
        rest.map(|_| ())
    };
    let file = b"\"file_id\"";
    let sound = b"\"audio\"";
    memmem::find_iter(messages, file).any(|at| is_followed(at + file.len(), &[b":"]).is_some())
        || memmem::find_iter(messages, sound)
            .any(|at| is_followed(at + sound.len(), &[b":", b"{", b"\"id\""]).is_some())
}

fn needs(fields: &Fields<'_>, prompt: &str) -> Capabilities {
    let filled = |raw: Option<&RawValue>| raw.is_some_and(|raw| raw.get().len() > 2 && raw.get() != "null");
    let has = |needle: &str| memmem::find(prompt.as_bytes(), needle.as_bytes()).is_some();
    let wanted = [
        (Capabilities::TOOLS, filled(fields.tools) || filled(fields.functions)),
        (
            Capabilities::FORCED_TOOLS,
            fields.tool_choice.is_some_and(|raw| raw.get() == "\"required\"" || raw.get().starts_with('{')),
        ),
        // In a text, quotes are escaped: these bytes can only be a key or a value of the API's own.
        (Capabilities::VISION, has("\"image_url\"")),
        (Capabilities::AUDIO, has("\"input_audio\"")),
        (Capabilities::JSON_SCHEMA, fields.response_format.is_some_and(|raw| raw.get().contains("\"json_schema\""))),
    ];
    wanted.into_iter().filter(|(_, needed)| *needed).fold(Capabilities::NONE, |all, (one, _)| all.with(one))
}
