//! What is changed of a request before it goes to one endpoint: providers call, bound and refuse parameters differently.
//!
//! The rules are data. A body in which no rule finds anything goes on byte for byte; otherwise its top level is put
//! together anew from slices of the client's bytes, and each change is told.

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use super::messages;
use super::nested;
use super::object::Object;
use super::splice::{InjectUsage, SplicePoints, splice};

/// Changes to a request, made in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adjustments {
    /// Fields that have another name there. Where both stand in the body, the other one counts.
    pub rename: Vec<(String, String)>,
    /// Fields that are refused there, by their paths: `seed`, `tools[].function.strict`.
    pub drop: Vec<String>,
    /// Texts that are called otherwise: the field, the text, and what is written instead.
    pub replace: Vec<(String, String, String)>,
    /// Numbers that have to lie between others.
    pub bounds: Vec<(String, Bounds)>,
    /// JSON values for fields that are missing.
    pub default: Vec<(String, String)>,
    /// JSON values for fields whatever they are.
    pub set: Vec<(String, String)>,
    /// What becomes of the reasoning in earlier turns.
    pub reasoning: Reasoning,
    /// In which form messages are taken.
    pub content: Content,
    /// Roles that are called otherwise.
    pub roles: Vec<(String, String)>,
    /// Which streams are asked for as whole answers.
    pub fake_stream: FakeStream,
}

/// Which streams an endpoint cannot give: they are asked for as whole answers, and made into streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FakeStream {
    /// It can give all.
    #[default]
    Never,
    /// Not where tools may be called.
    WithTools,
    /// None.
    Always,
}

/// The least and the most that a number may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The least.
    pub min: Option<f64>,
    /// The most.
    pub max: Option<f64>,
}

/// What becomes of `reasoning_content` in the messages of the assistant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reasoning {
    /// It stays as it is.
    #[default]
    Kept,
    /// It is taken out: a field that is not known there is refused.
    Stripped,
    /// It has to be there where tools were called, and is put there if it is not.
    Required,
}

/// In which form messages are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Content {
    /// As texts and as lists of parts.
    #[default]
    Any,
    /// As texts: a list of nothing but texts becomes one.
    Text,
}

/// A body as it is sent, and what was changed.
#[derive(Debug)]
pub struct Adjusted {
    /// To be sent one after the other.
    pub segments: Vec<Bytes>,
    /// Each change, in words.
    pub told: Vec<String>,
}

/// Names of one and the same bound on the answer.
const LENGTHS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

impl Adjustments {
    /// Whether it changes nothing, whatever the request.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What makes a stream's request one for a whole answer.
    pub fn whole_answer() -> Self {
        let set = vec![("stream".to_owned(), "false".to_owned())];
        Self { drop: vec!["stream_options".to_owned()], set, ..Self::default() }
    }

    /// Whether a stream has to be made of a whole answer.
    pub const fn fakes_stream(&self, with_tools: bool) -> bool {
        match self.fake_stream {
            FakeStream::Never => false,
            FakeStream::WithTools => with_tools,
            FakeStream::Always => true,
        }
    }

    /// Whether a field is refused.
    pub fn drops(&self, name: &str) -> bool {
        self.drop.iter().any(|dropped| dropped == name)
    }

    /// The most tokens of an answer of which the client accepts `asked`.
    pub fn answer_bound(&self, asked: Option<u64>) -> Option<u64> {
        let length = |(name, value): &(String, String)| LENGTHS.contains(&name.as_str()).then(|| value.parse().ok())?;
        let wanted = asked.or_else(|| self.default.iter().find_map(length));
        let most = self.bounds.iter().filter(|(name, _)| LENGTHS.contains(&name.as_str()));
        let most = most.filter_map(|(_, bounds)| bounds.max).fold(f64::INFINITY, f64::min);
        let wanted = self.set.iter().find_map(length).or(wanted)?;
        Some(if most.is_finite() { wanted.min(crate::units::round_to_u64(most)) } else { wanted })
    }

    /// A cap on one of the names of an answer's length holds for both, and where the client asks for no bound.
    #[must_use]
    pub fn with_cap(mut self, name: &str, max: f64) -> Self {
        let bounds = Bounds { min: None, max: Some(max) };
        if !LENGTHS.contains(&name) {
            self.bounds.push((name.to_owned(), bounds));
            return self;
        }
        self.bounds.extend(LENGTHS.map(|length| (length.to_owned(), bounds)));
        if !self.default.iter().any(|(known, _)| LENGTHS.contains(&known.as_str())) {
            self.default.push((name.to_owned(), crate::units::round_to_u64(max).to_string()));
        }
        self
    }

    /// These, and then `more`.
    pub fn extend(&mut self, more: &Self) {
        self.rename.extend_from_slice(&more.rename);
        self.drop.extend_from_slice(&more.drop);
        self.replace.extend_from_slice(&more.replace);
        self.bounds.extend_from_slice(&more.bounds);
        self.default.extend_from_slice(&more.default);
        self.set.extend_from_slice(&more.set);
        self.roles.extend_from_slice(&more.roles);
        if more.fake_stream != FakeStream::Never {
            self.fake_stream = more.fake_stream;
        }
        if more.reasoning != Reasoning::Kept {
            self.reasoning = more.reasoning;
        }
        if more.content != Content::Any {
            self.content = more.content;
        }
    }

    /// Whether it could change `body`. Looks for names only, so that a body without them need not be read again.
    fn may_concern(&self, body: &[u8]) -> bool {
        let has = |name: &str| memmem::find(body, name.as_bytes()).is_some();
        let renamed = self.rename.iter().map(|(name, _)| name.as_str());
        let dropped = self.drop.iter().map(|path| nested::last_name(path));
        let replaced = self.replace.iter().map(|(name, ..)| name.as_str());
        let bounded = self.bounds.iter().map(|(name, _)| name.as_str());
        !self.default.is_empty()
            || !self.set.is_empty()
            || renamed.chain(dropped).chain(replaced).chain(bounded).any(has)
            || self.roles.iter().any(|(role, _)| has(role))
            || (self.content == Content::Text && has(messages::PART))
            || match self.reasoning {
                Reasoning::Kept => false,
                Reasoning::Stripped => has(messages::REASONING),
                Reasoning::Required => has(messages::TOOL_CALLS),
            }
    }
}

/// `body` for an upstream that calls the model `model`, with the changes of `rules`, one after the other.
pub fn adjust(
    body: &Bytes,
    points: &SplicePoints,
    model: &str,
    inject: InjectUsage,
    rules: &[&Adjustments],
) -> Adjusted {
    if !rules.iter().any(|rules| rules.may_concern(body)) {
        return Adjusted { segments: splice(body, points, model, inject), told: Vec::new() };
    }
    let usual = splice(body, points, model, inject).concat();
    let mut told = Vec::new();
    // It was read before, so it is an object.
    let Ok(mut object) = Object::read(&usual) else { return Adjusted { segments: vec![usual.into()], told } };
    for rules in rules {
        rules.apply(&mut object, &mut told);
    }
    let text = object.write();
    Adjusted { segments: vec![text.into()], told }
}

impl Adjustments {
    fn apply(&self, object: &mut Object<'_>, told: &mut Vec<String>) {
        for (from, to) in &self.rename {
            rename(object, from, to, told);
        }
        for name in &self.drop {
            if nested::remove(object, name) {
                told.push(format!("{name} dropped"));
            }
        }
        for (name, from, to) in &self.replace {
            if object.get(name).and_then(as_text).is_some_and(|text| text == *from) {
                object.set(name, Value::from(to.as_str()).to_string());
                told.push(format!("{name} {from} to {to}"));
            }
        }
        for (name, value) in &self.default {
            let is_there = |name: &str| object.get(name).is_some_and(|raw| raw != "null");
            let other = LENGTHS.contains(&name.as_str()) && LENGTHS.iter().any(|length| is_there(length));
            if !other && !is_there(name) {
                object.set(name, value.clone());
                told.push(format!("{name} set to {value}"));
            }
        }
        for (name, bounds) in &self.bounds {
            bound(object, name, *bounds, told);
        }
        for (name, value) in &self.set {
            if object.get(name) != Some(value) {
                object.set(name, value.clone());
                told.push(format!("{name} set to {value}"));
            }
        }
        self.apply_to_messages(object, told);
    }

    fn apply_to_messages(&self, object: &mut Object<'_>, told: &mut Vec<String>) {
        if self.roles.is_empty() && self.reasoning == Reasoning::Kept && self.content == Content::Any {
            return;
        }
        let changed = object.get("messages").and_then(|raw| messages::adjust(raw, self, told));
        if let Some(messages) = changed {
            object.set("messages", messages);
        }
    }
}

fn rename(object: &mut Object<'_>, from: &str, to: &str, told: &mut Vec<String>) {
    let Some(value) = object.get(from).map(str::to_owned) else { return };
    object.remove(from);
    if object.get(to).is_some() {
        told.push(format!("{from} dropped"));
    } else {
        object.set(to, value);
        told.push(format!("{from} renamed {to}"));
    }
}

/// A number that is too large or too small becomes the nearest that is allowed. A whole number stays one.
fn bound(object: &mut Object<'_>, name: &str, bounds: Bounds, told: &mut Vec<String>) {
    let Some(raw) = object.get(name) else { return };
    let Ok(number) = raw.parse::<f64>() else { return };
    let nearest = number.max(bounds.min.unwrap_or(number)).min(bounds.max.unwrap_or(f64::INFINITY));
    if nearest.to_bits() == number.to_bits() {
        return;
    }
    let is_whole = !raw.contains(['.', 'e', 'E']) && nearest.fract().abs() < f64::EPSILON;
    let text = if is_whole { format!("{nearest:.0}") } else { Value::from(nearest).to_string() };
    told.push(format!("{name} {raw} to {text}"));
    object.set(name, text);
}

fn as_text(raw: &str) -> Option<String> {
    serde_json::from_str(raw).ok()
}
