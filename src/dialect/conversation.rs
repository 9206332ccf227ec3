//! By what a conversation is known again: its opening, which every later turn repeats.
//!
//! Providers cache prompts by their beginning. The first message (mostly the system prompt, which many conversations
//! share) and the first two together (this conversation's own) tell where a prompt may be warm; the rest of a long
//! history need not be read for that.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Deserializer;
use serde_json::value::RawValue;

/// The first messages of a chat, as they stand in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opening<'a> {
    /// The first.
    pub first: &'a str,
    /// The second, if there is one.
    pub second: Option<&'a str>,
    messages: &'a str,
}

/// So many messages are looked at for the first question.
const MOST_BEFORE_A_QUESTION: usize = 16;

impl<'a> Opening<'a> {
    /// All up to the first message of the user, which every turn of a conversation has, be it the first or not.
    pub fn question(&self) -> &'a str {
        let mut rest = self.messages;
        for _ in 0..MOST_BEFORE_A_QUESTION {
            let Some((message, after)) = element(rest) else { break };
            rest = after.trim_ascii_start().strip_prefix(',').unwrap_or_default();
            let is_question = serde_json::from_str::<Role<'_>>(message).is_ok_and(|said| said.role == "user");
            if is_question || rest.is_empty() {
                let end = self.messages.len() - after.len();
                return self.messages.get(..end).unwrap_or_default();
            }
        }
        self.first
    }
}

#[derive(Deserialize)]
struct Role<'a> {
    #[serde(borrow)]
    role: Cow<'a, str>,
}

/// The opening of `messages`, a JSON array that has been found valid; `None` if it is empty.
pub(super) fn opening(messages: &str) -> Option<Opening<'_>> {
    let messages = messages.trim_ascii_start().strip_prefix('[')?;
    let (first, rest) = element(messages)?;
    let second = rest.trim_ascii_start().strip_prefix(',').and_then(element);
    Some(Opening { first, second: second.map(|(second, _)| second), messages })
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
        assert_eq!((first.first, first.second), (second.first, second.second));
        assert_eq!(first.second, Some(r#"{"role":"user","content":"hi"}"#));
    }

    #[test]
    fn every_turn_of_a_conversation_has_the_same_question() {
        let question = |messages: &str| opening(messages).map(|opening| opening.question().to_owned());
        let user = r#"{"role":"user","content":"hi"}"#;
        for before in
            ["", r#"{"role":"system","content":"s"},"#, r#"{"role":"system"},{"content":"s","role":"developer"},"#]
        {
            let first = question(&format!("[{before}{user}]"));
            assert_eq!(first.as_deref(), Some(&*format!("{before}{user}")));
            assert_eq!(question(&format!(r#"[{before}{user},{{"role":"assistant"}},{user}]"#)), first);
        }
        assert_ne!(question(&format!("[{user}]")), question(r#"[{"role":"user","content":"ho"}]"#));
        assert_eq!(question(r#"[{"role":"system"}]"#).as_deref(), Some(r#"{"role":"system"}"#));
        assert_eq!(question("[7]").as_deref(), Some("7"));
    }

    #[test]
    fn one_message_is_an_opening_and_none_is_not() {
        let one = opening(r#"[{"role":"user","content":"hi"}]"#).unwrap();
        assert_eq!((one.first, one.second), (r#"{"role":"user","content":"hi"}"#, None));
        assert_eq!(opening("[ ]"), None);
    }
}
