//! What is changed in the messages of a chat: roles that are called otherwise, the reasoning of earlier turns, and texts
//! that came in parts.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::adjustments::{Adjustments, CallIds, Content, Reasoning};
use super::call_ids;
use super::object::Object;

/// Where some models put what they thought, and want it back.
pub(super) const REASONING: &str = "reasoning_content";
/// What they did with it.
pub(super) const TOOL_CALLS: &str = "tool_calls";
/// What stands wherever a tool's call is spoken of: `tool_calls`, `tool_call_id`.
pub(super) const TOOL_CALL: &str = "tool_call";
/// How a part of a message is marked as text.
pub(super) const PART: &str = "\"text\"";
/// For turns whose reasoning is not there: another provider's model has had them.
const NOT_AT_HAND: &str = "\"(not available)\"";

/// The messages in `raw` with these changes; `None` if there are none to make.
pub(super) fn adjust(raw: &str, rules: &Adjustments, told: &mut Vec<String>) -> Option<String> {
    let messages: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    let mut changes = Vec::new();
    let mut written = Vec::with_capacity(messages.len());
    for message in messages {
        let changed = Object::read(message.get().as_bytes()).ok().and_then(|mut object| {
            let before = changes.len();
            change(&mut object, rules, &mut changes);
            (changes.len() > before).then(|| object.write())
        });
        written.push(changed.unwrap_or_else(|| message.get().to_owned()));
    }
    if changes.is_empty() {
        return None;
    }
    changes.sort_unstable();
    changes.dedup();
    told.append(&mut changes);
    Some(format!("[{}]", written.join(",")))
}

/// Changes one message, and says how.
fn change(object: &mut Object<'_>, rules: &Adjustments, told: &mut Vec<String>) {
    let role = object.get("role").and_then(|raw| serde_json::from_str::<String>(raw).ok());
    let Some(role) = role else { return };
    if let Some((from, to)) = rules.roles.iter().find(|(from, _)| *from == role) {
        object.set("role", Value::from(to.as_str()).to_string());
        told.push(format!("role {from} to {to}"));
    }
    if rules.content == Some(Content::Text)
        && let Some(text) = object.get("content").and_then(joined)
    {
        object.set("content", Value::from(text).to_string());
        told.push("content joined".to_owned());
    }
    if role == "assistant"
        && let Some(reasoning) = rules.reasoning
    {
        told.extend(think(object, reasoning));
    }
    if rules.call_ids == Some(CallIds::Nine) && call_ids::shorten(object) {
        told.push("ids of tool calls shortened".to_owned());
    }
}

/// Changes what a turn of the assistant says that it thought.
fn think(object: &mut Object<'_>, reasoning: Reasoning) -> Option<String> {
    let has = |name: &str| object.get(name).is_some_and(|raw| !matches!(raw, "null" | "\"\"" | "[]"));
    match reasoning {
        Reasoning::Stripped if object.get(REASONING).is_some() => {
            object.remove(REASONING);
            Some(format!("{REASONING} dropped"))
        }
        Reasoning::Required if has(TOOL_CALLS) && !has(REASONING) => {
            object.set(REASONING, NOT_AT_HAND.to_owned());
            Some(format!("{REASONING} filled"))
        }
        Reasoning::Kept | Reasoning::Stripped | Reasoning::Required => None,
    }
}

/// The text of a message that came in parts; `None` for one text, and for one with more than texts.
fn joined(content: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(rename = "type")]
        kind: String,
        text: Option<String>,
    }
    let parts: Vec<Part> = serde_json::from_str(content).ok()?;
    let texts = parts.into_iter().map(|part| part.text.filter(|_| part.kind == "text"));
    texts.collect::<Option<Vec<_>>>().map(|texts| texts.join("\n"))
}
