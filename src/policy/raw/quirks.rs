//! What is changed of requests: a provider's quirks, an operator's, and the `params` of a route.

use serde_json::Value;
use toml::de::{DeInteger, DeValue};

use crate::dialect::glob::Glob;
use crate::dialect::{Adjustments, Bounds, CallIds, Content, FakeStream, LENGTHS, Reasoning, When};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::{Fields, Spoiled};
use crate::policy::read::{Node, word};
use crate::policy::source::At;

use super::upstreams::words;

/// Fields that decide whom a request goes to, what is asked, and how the answer is read: nobody may change them here.
const DECIDED: [&str; 5] = ["model", "messages", "stream", "stream_options", "n"];
/// Of them, what a provider may be unable to take.
const DISPENSABLE: [&str; 1] = ["stream_options"];

/// Changes for some of an upstream's models.
#[derive(Clone, Debug)]
pub(crate) struct Quirk {
    /// All models if empty.
    pub(crate) models: Vec<At<Glob>>,
    /// In which form of answer.
    pub(crate) when: When,
    adjustments: Adjustments,
}

impl Quirk {
    /// What it changes for a model that goes by these names, if anything.
    pub(crate) fn of(&self, names: &[&str]) -> Option<&Adjustments> {
        let one_of_them = |glob: &At<Glob>| names.iter().any(|name| glob.value.matches(name));
        let fits = self.models.is_empty() || self.models.iter().any(one_of_them);
        fits.then_some(&self.adjustments)
    }
}

/// Reads one of `[[quirks]]`.
pub(crate) fn quirk(node: &Node<'_>) -> Option<Quirk> {
    node.fields(|fields: &Fields<'_>| {
        let models = fields.get("models", |node| node.list(|item| word(item).map(|text| item.at(Glob::new(&text)))));
        let when = fields.get("when", |node| node.choice(&WHEN)).unwrap_or_default();
        let adjustments = Adjustments {
            keep: fields.get("keep", words).unwrap_or_default(),
            rename: fields.get("rename", renamed).unwrap_or_default(),
            drop: fields.get("drop", |node| node.list(dropped)).unwrap_or_default(),
            replace: fields.get("replace", replaced).unwrap_or_default(),
            only: fields.get("only", |node| node.entries(only)).unwrap_or_default(),
            bounds: fields.get("bounds", |node| node.entries(bounded)).unwrap_or_default(),
            default: fields.get("default", values).unwrap_or_default(),
            set: fields.get("set", values).unwrap_or_default(),
            reasoning: fields.get("reasoning", |node| node.choice(&REASONING)),
            content: fields.get("content", |node| node.choice(&CONTENT)),
            call_ids: fields.get("tool_call_ids", |node| node.choice(&CALL_IDS)),
            roles: fields.get("roles", pairs).unwrap_or_default(),
            fake_stream: fields.get("fake_stream", |node| node.choice(&FAKE_STREAM)),
        };
        if adjustments.is_empty() && fields.spoiled() == Spoiled::No {
            let hint = "give keep, rename, drop, replace, only, bounds, default, set, roles, reasoning, content, tool_call_ids or fake_stream";
            fields.report.push(Diagnostic::warning(&node.place, "this quirk changes nothing").hint(hint));
        }
        Some(Quirk { models: models.unwrap_or_default(), when, adjustments })
    })?
}

const WHEN: [(&str, When); 3] = [("always", When::Always), ("plain", When::Plain), ("stream", When::Stream)];

const CONTENT: [(&str, Content); 2] = [("any", Content::Any), ("text", Content::Text)];

const CALL_IDS: [(&str, CallIds); 2] = [("any", CallIds::Any), ("nine", CallIds::Nine)];

const REASONING: [(&str, Reasoning); 3] =
    [("keep", Reasoning::Kept), ("strip", Reasoning::Stripped), ("require", Reasoning::Required)];

const FAKE_STREAM: [(&str, FakeStream); 3] =
    [("never", FakeStream::Never), ("with_tools", FakeStream::WithTools), ("always", FakeStream::Always)];

/// Reads a route's `params`.
pub(crate) fn params(node: &Node<'_>) -> Option<Adjustments> {
    node.fields(|fields: &Fields<'_>| {
        let caps = fields.get("cap", |node| node.entries(cap));
        let plain = Adjustments {
            default: fields.get("default", values).unwrap_or_default(),
            set: fields.get("set", values).unwrap_or_default(),
            ..Adjustments::default()
        };
        caps.unwrap_or_default().into_iter().fold(plain, |all, (name, max)| all.with_cap(&name, max))
    })
}

/// The most that a field may be. An answer has at least one token.
fn cap(name: At<String>, node: &Node<'_>) -> Option<(String, f64)> {
    let max = number(node)?;
    if LENGTHS.contains(&name.value.as_str()) && (max < 1.0 || max.fract() != 0.0) {
        node.error("must be a whole number of at least 1", None);
        return None;
    }
    if max < 0.0 {
        let hint = "for a field that may be negative, bound it where it is refused: `bounds` in an upstream's quirks";
        node.error("a cap is at least 0", Some(hint.to_owned()));
        return None;
    }
    Some((name.value, max))
}

/// The name of a field, unless it is not for a policy to change.
fn field(name: At<String>, node: &Node<'_>) -> Option<String> {
    if DECIDED.contains(&name.value.as_str()) {
        node.report.push(
            Diagnostic::error(&name.place, format!("`{}` cannot be changed here", name.value))
                .hint("routes choose the model, and clients what they ask and in which form; leave it out"),
        );
        return None;
    }
    Some(name.value)
}

/// A field that is taken out, by its path.
fn dropped(node: &Node<'_>) -> Option<String> {
    let path = word(node)?;
    if DISPENSABLE.contains(&path.as_str()) { Some(path) } else { field(node.at(path), node) }
}

/// Fields with other names.
fn renamed(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    node.entries(|name, node| {
        let to = word(node)?;
        if to == name.value {
            node.error("this is its name already", Some("leave it out, or write another name".to_owned()));
            return None;
        }
        Some((field(name, node)?, field(node.at(to), node)?))
    })
}

/// A field with the values that are taken.
fn only(name: At<String>, node: &Node<'_>) -> Option<(String, Vec<String>)> {
    let values = node.list(|item| json(item.value).or_else(|| not_json(item)).map(|value| value.to_string()));
    let (name, values) = (field(name, node)?, values?);
    if values.is_empty() && node.value.as_array().is_some_and(|items| items.is_empty()) {
        let hint = format!("write drop = [\"{name}\"]");
        node.error("no value is taken, so that the field would always be dropped", Some(hint));
        return None;
    }
    Some((name, values))
}

/// Names with other names.
fn pairs(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    node.entries(|name, node| Some((name.value, word(node)?)))
}

/// Fields with texts and their other names.
fn replaced(node: &Node<'_>) -> Option<Vec<(String, String, String)>> {
    let all = node.entries(|name, node| {
        let (name, texts) = (field(name, node)?, pairs(node)?);
        Some(texts.into_iter().map(|(from, to)| (name.clone(), from, to)).collect::<Vec<_>>())
    })?;
    Some(all.into_iter().flatten().collect())
}

/// A field with its bounds.
fn bounded(name: At<String>, node: &Node<'_>) -> Option<(String, Bounds)> {
    let bounds = node.fields(|fields| {
        let bounds = Bounds { min: fields.get("min", number), max: fields.get("max", number) };
        if bounds == Bounds::default() && fields.spoiled() == Spoiled::No {
            let hint = "give `min`, `max` or both";
            node.report.push(Diagnostic::warning(&node.place, "this bounds nothing").hint(hint));
        }
        bounds
    })?;
    if bounds.min.zip(bounds.max).is_some_and(|(min, max)| min > max) {
        node.error("`min` is above `max`", None);
        return None;
    }
    // How many answers there may be is a provider's own affair; fewer than were asked for are read as they come.
    let name = if name.value == "n" { name.value } else { field(name, node)? };
    Some((name, bounds))
}

fn number(node: &Node<'_>) -> Option<f64> {
    let found = match node.value {
        DeValue::Integer(number) => whole(number).and_then(|number| Value::from(number).as_f64()),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    };
    let found = found.filter(|number: &f64| number.is_finite());
    if found.is_none() {
        node.error("expected a number", Some("write it without quotes, such as 0.5".to_owned()));
    }
    found
}

/// In whatever base it is written.
fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// Fields with their values, as JSON.
fn values(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    node.entries(|name, node| {
        let value = json(node.value).or_else(|| not_json(node))?;
        Some((field(name, node)?, value.to_string()))
    })
}

fn not_json(node: &Node<'_>) -> Option<Value> {
    node.error(
        "this cannot be said in JSON",
        Some("write a text, a number, true, false, a list or a table".to_owned()),
    );
    None
}

fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Boolean(flag) => Value::from(*flag),
        DeValue::Integer(number) => Value::from(whole(number)?),
        DeValue::Float(number) => Value::from(number.as_str().parse::<f64>().ok().filter(|number| number.is_finite())?),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect::<Option<_>>()?,
        DeValue::Table(fields) => {
            let field = |(name, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
                Some((name.get_ref().to_string(), json(value.get_ref())?))
            };
            Value::Object(fields.iter().map(field).collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}
