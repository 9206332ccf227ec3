//! What is known of each provider from its own documentation and from what others met there, and not from faregate.
//!
//! One file per provider in `facts/`; each fact says in a few words whose word it is. A strict server holds requests
//! against them and answers as they say.

use std::collections::BTreeMap;

use faregate::catalog;
use serde::Deserialize;
use serde_json::Value;

use crate::rule::Rule;

/// One provider.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Facts {
    /// The catalogue's name for it.
    #[serde(skip)]
    pub(crate) name: String,
    /// Where it is, by the catalogue's names for its regions.
    pub(crate) hosts: BTreeMap<String, String>,
    /// Whether it wants a key.
    #[serde(default)]
    pub(crate) key: Key,
    /// The model that stands for the others where one is enough.
    pub(crate) model: String,
    /// Models that the catalogue leaves to the operator, with what they can do.
    #[serde(default)]
    pub(crate) models: BTreeMap<String, Vec<String>>,
    /// Parameters of its own that a client may send to it.
    #[serde(default)]
    pub(crate) own_parameters: Option<Json>,
    /// What it refuses.
    #[serde(default)]
    pub(crate) refuses: Vec<Rule>,
    /// How it says so.
    pub(crate) refusal: Reply,
    /// What it says to a wrong key.
    pub(crate) denial: Option<Reply>,
    #[serde(default)]
    pub(crate) answer: Answer,
    #[serde(default)]
    pub(crate) stream: Stream,
    #[serde(default)]
    pub(crate) calls: Calls,
    pub(crate) usage: Usage,
    /// What its replies' heads say of quota.
    #[serde(default)]
    pub(crate) quota: Option<Quota>,
    #[serde(default)]
    pub(crate) errors: Vec<Error>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Key {
    #[default]
    Bearer,
    None,
}

/// A whole reply; `{why}` in its body becomes the reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// Whose word that is.
    pub(crate) source: String,
}

/// How a model answers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Answer {
    /// Models that think before they answer.
    pub(crate) thinks: Vec<String>,
    /// Where the thoughts are.
    pub(crate) thoughts: Thoughts,
    /// Fields beside the usual ones, in every object.
    pub(crate) beside: Option<Json>,
    /// What stands before the object of a plain answer.
    pub(crate) before: String,
}

/// Where thoughts are put.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Thoughts {
    #[default]
    ReasoningContent,
    Reasoning,
    /// In the text, between tags, unless `reasoning_split` is set.
    TagsUnlessSplit,
    /// Under `reasoning`, unless `reasoning_format` is `deepseek-style`.
    ReasoningUnlessDeepseekStyle,
    /// They are not shown.
    Hidden,
}

/// The form of a stream.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Stream {
    /// Before the object of an event.
    pub(crate) data: String,
    /// The end of a line.
    pub(crate) end: String,
    /// Comments before the first event, and between events.
    pub(crate) comments: Vec<String>,
    /// Whether chunks have an `object`.
    pub(crate) object: bool,
    /// Whether every delta has the role, rather than the first.
    pub(crate) role_always: bool,
    /// Whether `finish_reason` is left out, rather than null, until the end.
    pub(crate) finish_absent: bool,
    pub(crate) usage: UsageAt,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            data: "data: ".to_owned(),
            end: "\n".to_owned(),
            comments: Vec::new(),
            object: true,
            role_always: false,
            finish_absent: false,
            usage: UsageAt::Last,
        }
    }
}

/// Where a stream has its usage.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UsageAt {
    /// In a chunk of its own without choices, if `stream_options` asks for it.
    Asked,
    /// In the chunk with the finish reason.
    #[default]
    Last,
    /// There, and in a chunk of its own if it is asked for.
    LastAndAsked,
    /// In the choice with the finish reason, and in a chunk of its own if it is asked for.
    ChoiceAndAsked,
    /// In every chunk, growing.
    Every,
}

/// How a stream's tool calls are cut.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Calls {
    pub(crate) index: Index,
    /// Later pieces have an empty id, rather than none.
    pub(crate) empty_ids: bool,
    /// Later pieces have an empty name, rather than none.
    pub(crate) empty_names: bool,
    /// No call has an id.
    pub(crate) no_ids: bool,
    /// A call comes in one piece.
    pub(crate) whole: bool,
    /// Deltas have an index too.
    pub(crate) stray_index: bool,
    /// The finish reason is `stop`.
    pub(crate) ends_with_stop: bool,
}

/// The number of a call in a stream.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Index {
    #[default]
    Counted,
    /// Always -1.
    MinusOne,
    /// Always 0.
    Zero,
    Absent,
}

/// What an answer used: as the provider reports it, and what that means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Usage {
    pub(crate) report: Json,
    pub(crate) input: u64,
    #[serde(default)]
    pub(crate) cached_input: u64,
    pub(crate) output: u64,
    #[serde(default)]
    pub(crate) reasoning: u64,
    pub(crate) price: Price,
    pub(crate) source: String,
}

/// The list price of a million tokens of this model, for a request of this length.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    pub(crate) input: f64,
    pub(crate) cached_input: Option<f64>,
    pub(crate) output: f64,
    pub(crate) currency: String,
    /// How many times as much it is at hours that are dear.
    pub(crate) at_peak: Option<f64>,
}

/// What is told of quota.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quota {
    /// None where nothing is told.
    #[serde(default)]
    pub(crate) headers: Vec<(String, String)>,
    /// The share that is left, by the kind of limit.
    #[serde(default)]
    pub(crate) left: BTreeMap<String, f64>,
    pub(crate) source: String,
}

/// An error that somebody has met, or that is documented.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Error {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) status: u16,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    /// It comes in a stream that has begun.
    #[serde(default)]
    pub(crate) stream: bool,
    pub(crate) source: String,
}

/// JSON, written as text in a TOML file.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Json(pub(crate) Value);

impl TryFrom<String> for Json {
    type Error = serde_json::Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        serde_json::from_str(&text).map(Self)
    }
}

/// What is known of every provider of the catalogue, in its order.
pub(crate) fn all() -> Vec<Facts> {
    catalog::PROVIDERS.iter().map(|entry| read(entry.name)).collect()
}

impl Facts {
    /// Whose words these are.
    fn sources(&self) -> impl Iterator<Item = &str> {
        let rules = self.refuses.iter().map(|rule| &rule.source);
        let replies = [Some(&self.refusal), self.denial.as_ref()].into_iter().flatten().map(|reply| &reply.source);
        let rest = [Some(&self.usage.source), self.quota.as_ref().map(|quota| &quota.source)].into_iter().flatten();
        rules.chain(replies).chain(rest).chain(self.errors.iter().map(|error| &error.source)).map(String::as_str)
    }
}

fn read(name: &str) -> Facts {
    let path = crate::files::project(&format!("tests/providers/facts/{name}.toml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut facts: Facts = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(facts.sources().all(|source| !source.is_empty()), "{name}: a fact without a source");
    name.clone_into(&mut facts.name);
    facts
}
