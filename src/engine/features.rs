//! What the decision knows about a request and about the policy's wishes: plain values, copied in.

use std::time::Duration;

use super::content::Content;
use super::price::Thought;
use crate::units::{Dollars, PicoUsd, Share, Tokens};

/// What a request asks for, as far as choosing an endpoint needs to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Estimated prompt length, whatever the model.
    pub prompt: Tokens,
    /// What the prompt is made of, from which each model's own estimate comes.
    pub content: Content,
    /// The most output the client accepts, over all choices, if it said so.
    pub max_output: Option<Tokens>,
    /// How the answer is delivered.
    pub mode: Mode,
    /// What the endpoint must be able to do.
    pub needs: Capabilities,
    /// Whether the answer is to be thought about.
    pub thinking: Thinking,
}

/// How much an answer shall be thought about: it is longer then, and with some models dearer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Thinking {
    /// The request does not say; models differ in what they do then.
    #[default]
    Unknown,
    /// Not at all.
    Off,
    /// A little.
    Low,
    /// More.
    Medium,
    /// Much, or as much as the model likes.
    High,
}

impl Thinking {
    /// How many there are.
    pub(super) const COUNT: usize = 5;

    /// Its place among them.
    pub(super) const fn index(self) -> usize {
        match self {
            Self::Unknown => 0,
            Self::Off => 1,
            Self::Low => 2,
            Self::Medium => 3,
            Self::High => 4,
        }
    }

    /// Whether there will be any, if that is known.
    pub(super) const fn thought(self) -> Option<Thought> {
        match self {
            Self::Unknown => None,
            Self::Off => Some(Thought::No),
            Self::Low | Self::Medium | Self::High => Some(Thought::Yes),
        }
    }
}

/// How an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Token by token.
    Stream,
    /// In one piece.
    Plain,
    /// In one piece and without output tokens (embeddings).
    Embedding,
}

/// A set of what models can do beyond plain chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities(u8);

impl Capabilities {
    /// Plain chat only.
    pub const NONE: Self = Self(0);
    /// Calls tools.
    pub const TOOLS: Self = Self(1);
    /// Reads images.
    pub const VISION: Self = Self(2);
    /// Answers in a given JSON schema.
    pub const JSON_SCHEMA: Self = Self(4);
    /// Thinks before it answers.
    pub const REASONING: Self = Self(8);
    /// Hears or speaks.
    pub const AUDIO: Self = Self(16);
    /// Calls the tools that it is told to. Follows from what is changed of its requests, so that nobody has to say it.
    pub const FORCED_TOOLS: Self = Self(32);

    /// Each capability with its name in configurations.
    pub const NAMED: [(&'static str, Self); 5] = [
        ("tools", Self::TOOLS),
        ("vision", Self::VISION),
        ("json_schema", Self::JSON_SCHEMA),
        ("reasoning", Self::REASONING),
        ("audio", Self::AUDIO),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether everything in `needed` is in `self`.
    pub const fn covers(self, needed: Self) -> bool {
        self.0 & needed.0 == needed.0
    }

    /// The names of what is in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED.into_iter().filter(move |(_, one)| self.covers(*one)).map(|(name, _)| name)
    }
}

/// What a good answer is worth: the policy's `[objective]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// Whoever is expected to cost more is not asked; `None` for no such bound.
    pub max_cost: Option<Dollars>,
    /// The worth of one second of a user's waiting.
    pub value_of_second: Dollars,
    /// A stream's first token after this is late …
    pub target_first_token: Duration,
    /// … as is a plain answer after this, if set …
    pub target_answer: Option<Duration>,
    /// … and costs this much.
    pub late_cost: Dollars,
    /// What a failed answer costs beyond its tokens.
    pub failure_cost: Dollars,
    /// Endpoints this close to the best share the traffic.
    pub spread: Share,
    /// The most that trying stale endpoints may cost extra, as a share of the route's spend.
    pub exploration: Share,
}

/// Ranks an endpoint behind its true cost; never touches a bill.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Handicap {
    /// None.
    #[default]
    None,
    /// A share of the request's list price.
    Share(Share),
    /// An amount per request.
    Amount(PicoUsd),
}

/// What a provider allows, per key or per model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Requests per minute.
    pub requests_per_minute: Option<u64>,
    /// Requests per day.
    pub requests_per_day: Option<u64>,
    /// Tokens per minute, input and output.
    pub tokens_per_minute: Option<u64>,
    /// Tokens per day, input and output.
    pub tokens_per_day: Option<u64>,
    /// Input tokens per minute.
    pub input_tokens_per_minute: Option<u64>,
    /// Output tokens per minute.
    pub output_tokens_per_minute: Option<u64>,
    /// Requests at a time.
    pub concurrency: Option<u32>,
}

/// What a request uses up of quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Tokens of the prompt.
    pub input: Tokens,
    /// Tokens of the answer.
    pub output: Tokens,
}

impl Load {
    /// Both.
    pub fn total(self) -> Tokens {
        self.input + self.output
    }
}

impl From<Tokens> for Load {
    /// A prompt whose answer is not known yet.
    fn from(input: Tokens) -> Self {
        Self { input, output: Tokens::ZERO }
    }
}

/// How often a request may be tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts per request, the first included; at least 1.
    pub attempts: u32,
    /// Extra upstream calls as a share of requests.
    pub budget: Share,
    /// Extra upstream calls a second that are always allowed.
    pub floor_per_second: f64,
}
