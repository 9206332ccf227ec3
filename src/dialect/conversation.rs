//! By what a conversation is known again: its opening, which every later turn repeats.
//!
//! Providers cache prompts by their beginning. The first message (mostly the system prompt, which many conversations
//! share) and the first two together (this conversation's own) tell where a prompt may be warm; the rest of a long
//! history need not be read for that.

use serde_json::Deserializer;
use serde_json::value::RawValue;

/// The first messages of a chat, as they stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// The first.
    pub first: &'a str,
    /// The second, if there is one.
    pub second: Option<&'a str>,
}

/// The opening of `messages`, a JSON array that has been found valid; `None` if it is empty.
pub(super) fn opening(messages: &str) -> Option<Opening<'_>> {
    let (first, rest) = element(messages.trim_ascii_start().strip_prefix('[')?)?;
    let second = rest.trim_ascii_start().strip_prefix(',').and_then(element);
    Some(Opening { first, second: second.map(|(second, _)| second) })
}

/// The value that `text` begins with, and what follows it.
fn element(text: &str) -> Option<(&str, &str)> {
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    Some((value, text.get(values.byte_offset()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_turn_of_a_conversation_has_the_same_opening() {
        let turns = [
            r#"[{"role":"system","content":"be brief, [please]"},{"role":"user","content":"hi"}]"#,
            r#" [ {"role":"system","content":"be brief, [please]"} , {"role":"user","content":"hi"},{"role":"assistant","content":"hi"}]"#,
        ];
        let [first, second] = turns.map(|turn| opening(turn).unwrap());
        assert_eq!(first, second);
        assert_eq!(first.second, Some(r#"{"role":"user","content":"hi"}"#));
    }

    #[test]
    fn one_message_is_an_opening_and_none_is_not() {
        let one = opening(r#"[{"role":"user","content":"hi"}]"#).unwrap();
        assert_eq!((one.first, one.second), (r#"{"role":"user","content":"hi"}"#, None));
        assert_eq!(opening("[ ]"), None);
    }
}
