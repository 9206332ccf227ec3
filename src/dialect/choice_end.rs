//! How a choice of an answer ends: some providers tell of errors by the reason to finish.
//!
//! Whole answers and streams are read by one rule. A reason that no client of OpenAI's knows is an error as long as
//! nothing has been said; what has been said is worth more than another try.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::error::is_empty;

/// Reasons to finish by which Zhipu tells of errors.
const BAD_ENDS: [&str; 3] = ["\"sensitive\"", "\"network_error\"", "\"model_context_window_exceeded\""];
/// In which fields a message says something.
const SAID: [&str; 7] =
    ["content", "reasoning_content", "reasoning", "tool_calls", "function_call", "refusal", "audio"];

/// How a choice ends, if it does: the worse, the larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ChoiceEnd {
    /// As answers end.
    #[default]
    Usual,
    /// For a reason that is an error to whoever has seen nothing yet.
    Bad,
    /// With an error.
    Failed,
}

impl ChoiceEnd {
    /// What a reason to finish, in JSON, says.
    pub(super) fn of(reason: Option<&str>) -> Self {
        match reason {
            Some("\"error\"") => Self::Failed,
            Some(reason) if BAD_ENDS.contains(&reason) => Self::Bad,
            Some(_) | None => Self::Usual,
        }
    }
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
}

impl Choice<'_> {
    fn says_something(&self) -> bool {
        let value = |raw: Option<&RawValue>| raw.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let message = value(self.message).unwrap_or_default();
        SAID.iter().filter_map(|name| message.get(name)).chain(&value(self.text)).any(|part| !is_empty(part))
    }
}

/// Whether the choices of a whole answer, in JSON, tell of an error by how they end.
pub(super) fn end_in_error(choices: &RawValue) -> bool {
    let Ok(choices) = serde_json::from_str::<Vec<Choice<'_>>>(choices.get()) else { return false };
    let ends = choices.iter().map(|choice| ChoiceEnd::of(choice.finish_reason.map(RawValue::get)));
    match ends.max().unwrap_or_default() {
        ChoiceEnd::Usual => false,
        ChoiceEnd::Bad => !choices.iter().any(Choice::says_something),
        ChoiceEnd::Failed => true,
    }
}
