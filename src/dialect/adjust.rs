//! What is changed of a request before it goes to one endpoint: providers call, bound and refuse parameters differently.
//!
//! The rules are data. A body in which no rule finds anything goes on byte for byte; otherwise its top level is put
//! together anew from slices of the client's bytes, and each change is told.

use bytes::Bytes;
use memchr::memmem;
use serde_json::Value;

use super::adjustments::{Adjustments, Bounds, CallIds, Content, LENGTHS, Reasoning};
use super::messages;
use super::nested;
use super::object::Object;
use super::splice::{InjectUsage, SplicePoints, splice};

/// A body as it is sent, and what was changed.
#[derive(Debug)]
pub struct Adjusted {
    /// To be sent one after the other.
    pub segments: Vec<Bytes>,
    /// Each change, in words.
    pub told: Vec<String>,
}

impl Adjustments {
    /// Whether it could change `body`. Looks for names only, so that a body without them need not be read again.
    fn may_concern(&self, body: &[u8]) -> bool {
        let has = |name: &str| memmem::find(body, name.as_bytes()).is_some();
        let renamed = self.rename.iter().map(|(name, _)| name.as_str());
        let dropped = self.drop.iter().map(|path| nested::last_name(path));
        let replaced = self.replace.iter().map(|(path, ..)| nested::last_name(path));
        let chosen = self.only.iter().map(|(name, _)| name.as_str());
        let bounded = self.bounds.iter().map(|(name, _)| name.as_str());
        !self.default.is_empty()
            || !self.set.is_empty()
            || renamed.chain(dropped).chain(replaced).chain(chosen).chain(bounded).any(has)
            || self.roles.iter().any(|(role, _)| has(role))
            || (self.content == Some(Content::Text) && has(messages::PART))
            || (self.call_ids == Some(CallIds::Nine) && has(messages::TOOL_CALL))
            || match self.reasoning {
                None | Some(Reasoning::Kept) => false,
                Some(Reasoning::Stripped) => has(messages::REASONING),
                Some(Reasoning::Required) => has(messages::TOOL_CALLS),
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
    if !points.has_escaped_names && !rules.iter().any(|rules| rules.may_concern(body)) {
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
        for (path, from, to) in &self.replace {
            if nested::replace(object, path, from, to) {
                told.push(format!("{path} {from} to {to}"));
            }
        }
        for (name, values) in &self.only {
            choose(object, name, values, told);
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
        let concerned = !self.roles.is_empty()
            || self.reasoning.is_some_and(|reasoning| reasoning != Reasoning::Kept)
            || self.content == Some(Content::Text)
            || self.call_ids == Some(CallIds::Nine);
        if !concerned {
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
