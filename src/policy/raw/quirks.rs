//! What is changed of requests: a provider's quirks, an operator's, and the `params` of a route.

use serde_json::Value;
use toml::de::DeValue;

use crate::dialect::glob::Glob;
use crate::dialect::{Adjustments, Bounds, Content, FakeStream, Reasoning, When};
use crate::policy::diagnostic::Diagnostic;
use crate::policy::fields::{Fields, Spoiled};
use crate::policy::read::{Node, word};

use super::upstreams::words;

/// Changes for some of an upstream's models.
#[derive(Clone, Debug)]
pub(crate) struct Quirk {
    /// All models if empty.
    models: Vec<Glob>,
    /// In which form of answer.
    pub(crate) when: When,
    adjustments: Adjustments,
}

impl Quirk {
    /// What it changes for `model`, if anything.
    pub(crate) fn of(&self, model: &str) -> Option<&Adjustments> {
        let fits = self.models.is_empty() || self.models.iter().any(|glob| glob.matches(model));
        fits.then_some(&self.adjustments)
    }
}

/// Reads one of `[[quirks]]`.
pub(crate) fn quirk(node: &Node<'_>) -> Option<Quirk> {
    node.fields(|fields: &Fields<'_>| {
        let models = fields.get("models", |node| node.list(|item| word(item).map(|text| Glob::new(&text))));
        let when = fields.get("when", |node| node.choice(&WHEN)).unwrap_or_default();
        let adjustments = Adjustments {
            rename: fields.get("rename", pairs).unwrap_or_default(),
            drop: fields.get("drop", words).unwrap_or_default(),
            replace: fields.get("replace", replaced).unwrap_or_default(),
            bounds: fields
                .get("bounds", |node| node.entries(|name, node| Some((name.value, bounds(node)?))))
                .unwrap_or_default(),
            default: fields.get("default", values).unwrap_or_default(),
            set: fields.get("set", values).unwrap_or_default(),
            reasoning: fields.get("reasoning", |node| node.choice(&REASONING)).unwrap_or_default(),
            content: fields.get("content", |node| node.choice(&CONTENT)).unwrap_or_default(),
            roles: fields.get("roles", pairs).unwrap_or_default(),
            fake_stream: fields.get("fake_stream", |node| node.choice(&FAKE_STREAM)).unwrap_or_default(),
        };
        if adjustments.is_empty() && fields.spoiled() == Spoiled::No {
            let hint = "give rename, drop, replace, bounds, default, set, roles, reasoning, content or fake_stream";
            fields.report.push(Diagnostic::warning(&node.place, "this quirk changes nothing").hint(hint));
        }
        Some(Quirk { models: models.unwrap_or_default(), when, adjustments })
    })?
}

const WHEN: [(&str, When); 3] = [("always", When::Always), ("plain", When::Plain), ("stream", When::Stream)];

const CONTENT: [(&str, Content); 2] = [("any", Content::Any), ("text", Content::Text)];

const REASONING: [(&str, Reasoning); 3] =
    [("keep", Reasoning::Kept), ("strip", Reasoning::Stripped), ("require", Reasoning::Required)];

const FAKE_STREAM: [(&str, FakeStream); 3] =
    [("never", FakeStream::Never), ("with_tools", FakeStream::WithTools), ("always", FakeStream::Always)];

/// Reads a route's `params`.
pub(crate) fn params(node: &Node<'_>) -> Option<Adjustments> {
    node.fields(|fields: &Fields<'_>| {
        let caps = fields.get("cap", |node| node.entries(|name, node| Some((name.value, number(node)?))));
        let plain = Adjustments {
            default: fields.get("default", values).unwrap_or_default(),
            set: fields.get("set", values).unwrap_or_default(),
            ..Adjustments::default()
        };
        caps.unwrap_or_default().into_iter().fold(plain, |all, (name, max)| all.with_cap(&name, max))
    })
}

/// Names with other names.
fn pairs(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    node.entries(|name, node| Some((name.value, word(node)?)))
}

/// Fields with texts and their other names.
fn replaced(node: &Node<'_>) -> Option<Vec<(String, String, String)>> {
    let all = node.entries(|name, node| {
        let texts = pairs(node)?;
        Some(texts.into_iter().map(|(from, to)| (name.value.clone(), from, to)).collect::<Vec<_>>())
    })?;
    Some(all.into_iter().flatten().collect())
}

fn bounds(node: &Node<'_>) -> Option<Bounds> {
    node.fields(|fields| Bounds { min: fields.get("min", number), max: fields.get("max", number) })
}

fn number(node: &Node<'_>) -> Option<f64> {
    let parsed = match node.value {
        DeValue::Integer(number) => number.as_str().replace('_', "").parse().ok(),
        DeValue::Float(number) => number.as_str().replace('_', "").parse().ok(),
        _ => None,
    };
    let found = parsed.filter(|number: &f64| number.is_finite());
    if found.is_none() {
        node.error("expected a number", None);
    }
    found
}

/// Fields with their values, as JSON.
fn values(node: &Node<'_>) -> Option<Vec<(String, String)>> {
    node.entries(|name, node| Some((name.value, json(node.value).or_else(|| not_json(node))?.to_string())))
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
        DeValue::Integer(number) => Value::from(number.as_str().replace('_', "").parse::<i64>().ok()?),
        DeValue::Float(number) => Value::from(number.as_str().replace('_', "").parse::<f64>().ok()?),
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
