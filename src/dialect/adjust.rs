//! What is changed of a request before it goes to one endpoint: providers call, bound and refuse parameters differently.
//!
//! The rules are data. A body in which no rule finds anything goes on byte for byte; otherwise its top level is put
//! together anew from slices of the client's bytes, and each change is told.

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use super::adjustments::{Adjustments, Bounds, CallIds, Content, LENGTHS, Reasoning};
use super::body::Kind;
use super::messages;
use super::nested;
use super::object::{Object, may_have};
use super::splice::{InjectUsage, SplicePoints, splice};

/// Fields that requests for vectors have, in one provider's API or another's. No other is put into them: most say how to
/// write an answer, and are refused where there is none.
const OF_VECTORS: [&str; 8] =
    ["user", "dimensions", "encoding_format", "input_type", "task", "truncate", "metadata", "safety_identifier"];

/// A body as it is sent, and what was changed.
#[derive(Debug)]
pub struct Adjusted {
    /// To be sent one after the other.
    pub segments: Vec<Bytes>,
    /// Each change, in words.
    pub told: Vec<String>,
    /// How many answers it asks for now, if it was put together anew.
    pub choices: Option<u64>,
}

impl Adjustments {
    /// Whether it could change `body`. Looks for names only, so that a body without them need not be read again.
    fn may_concern(&self, body: &[u8]) -> bool {
        let renamed = self.rename.iter().map(|(name, _)| name.as_str());
        let dropped = self.drop.iter().map(|path| nested::last_name(path));
        let replaced = self.replace.iter().map(|(path, ..)| nested::last_name(path));
        let chosen = self.only.iter().map(|(name, _)| name.as_str());
        let bounded = self.bounds.iter().map(|(name, _)| name.as_str());
        !self.default.is_empty()
            || !self.set.is_empty()
            || renamed.chain(dropped).chain(replaced).chain(chosen).chain(bounded).any(|name| may_have(body, name))
            || self.may_concern_messages(body)
    }

    /// The same of messages, or of a body that has them.
    fn may_concern_messages(&self, messages: &[u8]) -> bool {
        let has = |text: &str| memmem::find(messages, text.as_bytes()).is_some();
        self.roles.iter().any(|(role, _)| has(role))
            || (self.content == Some(Content::Text) && has(messages::PART))
            || (self.call_ids == Some(CallIds::Nine) && has(messages::TOOL_CALL))
            || match self.reasoning {
                None | Some(Reasoning::Kept) => false,
                Some(Reasoning::Stripped) => has(messages::REASONING),
                Some(Reasoning::Required) => has(messages::TOOL_CALLS),
            }
    }

    /// Whether `body` may have a field by the name that it has here, for which a bound of `earlier` rules holds.
    fn hides(&self, body: &[u8], earlier: &[&Self]) -> bool {
        let is_bounded = |name: &str| bounds_on(earlier, name).next().is_some();
        self.rename.iter().any(|(from, to)| is_bounded(from) && may_have(body, to))
    }
}

/// `body` for an upstream that calls the model `model`, with the changes of `rules`, one after the other.
pub fn adjust(
    kind: Kind,
    body: &Bytes,
    points: &SplicePoints,
    model: &str,
    inject: InjectUsage,
    rules: &[&Adjustments],
) -> Adjusted {
    let concerns = |(at, one): (usize, &&Adjustments)| one.may_concern(body) || one.hides(body, rules.split_at(at).0);
    if !points.has_escaped_names && !rules.iter().enumerate().any(concerns) {
        return Adjusted { segments: splice(body, points, model, inject), told: Vec::new(), choices: None };
    }
    let usual = splice(body, points, model, inject).concat();
    let mut told = Vec::new();
    // It was read before, so it is an object.
    let Ok(mut object) = Object::read(&usual) else {
        return Adjusted { segments: vec![usual.into()], told, choices: None };
    };
    for (at, one) in rules.iter().enumerate() {
        let (earlier, _) = rules.split_at(at);
        one.apply(&mut object, kind, earlier, &mut told);
    }
    let choices = object.get("n").map_or(Some(1), |raw| raw.parse().ok()).map(|choices: u64| choices.max(1));
    Adjusted { segments: vec![object.write().into()], told, choices }
}

impl Adjustments {
    /// Makes these changes, after those of `earlier` rules.
    fn apply(&self, object: &mut Object<'_>, kind: Kind, earlier: &[&Self], told: &mut Vec<String>) {
        self.apply_names(object, earlier, told);
        for name in &self.drop {
            if nested::remove(object, name) {
                told.push(format!("{name} dropped"));
            }
        }
        for (path, from, to) in &self.replace {
            if nested::replace(object, path, from, to) {
                told.push(format!("{path} {from} to {to}"));
            }
        }
        for (name, values) in &self.only {
            choose(object, name, values, told);
        }
        let is_of_it = |name: &str| kind != Kind::Embedding || OF_VECTORS.contains(&name);
        for (name, value) in self.default.iter().filter(|(name, _)| is_of_it(name)) {
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
            if is_of_it(name) || object.get(name).is_some() {
                set(object, name, value, told);
            }
        }
        self.apply_to_messages(object, told);
    }

    /// What `earlier` rules have decided holds by the new names too.
    fn apply_names(&self, object: &mut Object<'_>, earlier: &[&Self], told: &mut Vec<String>) {
        for (from, to) in &self.rename {
            let is_set = earlier.iter().any(|rules| rules.set.iter().any(|(name, _)| name == from));
            rename(object, from, to, if is_set { Standing::Set } else { Standing::Asked }, told);
            for bounds in bounds_on(earlier, from) {
                bound(object, to, bounds, told);
            }
        }
    }

    fn apply_to_messages(&self, object: &mut Object<'_>, told: &mut Vec<String>) {
        let concerned = object.get("messages").filter(|raw| self.may_concern_messages(raw.as_bytes()));
        let changed = concerned.and_then(|raw| messages::adjust(raw, self, told));
        if let Some(messages) = changed {
            object.set("messages", messages);
        }
    }
}

/// What `rules` bound the field called `name` to.
fn bounds_on<'a>(rules: &'a [&Adjustments], name: &'a str) -> impl Iterator<Item = Bounds> + 'a {
    rules.iter().flat_map(|rules| &rules.bounds).filter(move |(known, _)| known == name).map(|(_, bounds)| *bounds)
}

/// How firm the value of a field is that gets another name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// The client's own: a field that has the other name already counts more.
    Asked,
    /// A route has set it.
    Set,
}

/// Gives a field its other name. Where both stand, the one by that name counts, but of two bounds on the answer the
/// smaller.
fn rename(object: &mut Object<'_>, from: &str, to: &str, standing: Standing, told: &mut Vec<String>) {
    let Some(value) = object.get(from).map(str::to_owned) else { return };
    object.remove(from);
    let other = object.get(to).map(str::trim).filter(|other| *other != "null");
    let wins =
        other.is_none_or(|other| standing == Standing::Set || (LENGTHS.contains(&from) && is_tighter(&value, other)));
    if wins {
        object.set(to, value);
        told.push(format!("{from} renamed {to}"));
    } else {
        told.push(format!("{from} dropped"));
    }
}

/// Whether `value` is a bound, and `other` a larger one or none.
fn is_tighter(value: &str, other: &str) -> bool {
    let number = |text: &str| text.trim().parse::<f64>().ok();
    number(value).is_some_and(|value| number(other).is_none_or(|other| value < other))
}

/// A field is this, whatever the client says. Of the names of an answer's length none but this one stays.
fn set(object: &mut Object<'_>, name: &str, value: &str, told: &mut Vec<String>) {
    for other in LENGTHS.iter().filter(|other| LENGTHS.contains(&name) && **other != name) {
        if object.remove(other) {
            told.push(format!("{other} dropped"));
        }
    }
    if object.get(name) != Some(value) {
        object.set(name, value.to_owned());
        told.push(format!("{name} set to {value}"));
    }
}

/// A field that has none of these values is left out. Who may not be told to call no tools gets none.
fn choose(object: &mut Object<'_>, name: &str, values: &[String], told: &mut Vec<String>) {
    let Some(value) = object.get(name).map(str::trim) else { return };
    if value == "null" || values.iter().any(|taken| taken == value) {
        return;
    }
    let calls_none = name == "tool_choice" && value == "\"none\"";
    object.remove(name);
    told.push(format!("{name} dropped"));
    if calls_none && object.remove("tools") {
        told.push("tools dropped".to_owned());
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
