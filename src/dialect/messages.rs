//! What is changed in the messages of a chat: roles that are called otherwise, and the reasoning of earlier turns.

use serde_json::value::RawValue;

use super::adjust::Reasoning;
use super::object::Object;

/// Where some models put what they thought, and want it back.
pub(super) const REASONING: &str = "reasoning_content";
/// What they did with it.
pub(super) const TOOL_CALLS: &str = "tool_calls";
/// For turns whose reasoning is not there: another provider's model has had them.
const NOT_AT_HAND: &str = "\"(not available)\"";

/// The messages in `raw` with these changes; `None` if there are none to make.
pub(super) fn adjust(
    raw: &str,
    roles: &[(String, String)],
    reasoning: Reasoning,
    told: &mut Vec<String>,
) -> Option<String> {
    let messages: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    let mut changes = Vec::new();
    let mut written = Vec::with_capacity(messages.len());
    for message in messages {
        let changed = Object::read(message.get().as_bytes()).ok().and_then(|mut object| {
            let found = change(&mut object, roles, reasoning)?;
            changes.push(found);
            Some(object.write())
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
fn change(object: &mut Object<'_>, roles: &[(String, String)], reasoning: Reasoning) -> Option<String> {
    let role: String = serde_json::from_str(object.get("role")?).ok()?;
    if let Some((from, to)) = roles.iter().find(|(from, _)| *from == role) {
        object.set("role", serde_json::Value::from(to.as_str()).to_string());
        return Some(format!("role {from} to {to}"));
    }
    if role != "assistant" {
        return None;
    }
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
