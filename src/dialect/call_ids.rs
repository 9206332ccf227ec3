//! Ids of tool calls for a provider that takes only nine letters and digits.
//!
//! A conversation that moves there brings the ids of another provider. Each becomes what a hash of it says: the same in
//! the call and in its result, in this turn and in the next one, with nothing to remember.

use serde_json::Value;

use super::nested::edit;
use super::object::Object;

const LENGTH: usize = 9;
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Shortens the ids in one message. Says whether there were any.
pub(super) fn shorten(message: &mut Object<'_>) -> bool {
    let in_calls = edit(message, "tool_calls[].id", &shorten_one);
    edit(message, "tool_call_id", &shorten_one) || in_calls
}

fn shorten_one(object: &mut Object<'_>, name: &str) -> bool {
    let Some(short) = object.get(name).and_then(shortened) else { return false };
    object.set(name, short);
    true
}

/// The id in `raw`, as JSON, if it has to be another one.
fn shortened(raw: &str) -> Option<String> {
    let id: String = serde_json::from_str(raw).ok()?;
    let fits = id.len() == LENGTH && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (!fits).then(|| Value::from(short(&id)).to_string())
}

/// FNV-1a, in base 36: the same on every machine and in every version.
fn short(id: &str) -> String {
    let mut hash = id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let letter = |_| {
        let index = usize::try_from(hash % 36).unwrap_or_default();
        hash /= 36;
        char::from(LETTERS.get(index).copied().unwrap_or(b'0'))
    };
    (0..LENGTH).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shorten_in(message: &str) -> (bool, Value) {
        let mut object = Object::read(message.as_bytes()).unwrap();
        (shorten(&mut object), serde_json::from_str(&object.write()).unwrap())
    }

    #[test]
    fn a_call_and_its_result_keep_to_one_id() {
        let (changed, call) = shorten_in(
            r#"{"role":"assistant","tool_calls":[{"id":"call_abc","function":{"name":"f"}},{"id":"aB3456789"}]}"#,
        );
        let (_, result) = shorten_in(r#"{"role":"tool","tool_call_id":"call_abc","content":"x"}"#);
        let id = call["tool_calls"][0]["id"].as_str().unwrap();
        assert!(changed && id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert_eq!((&result["tool_call_id"], &call["tool_calls"][1]["id"]), (&id.into(), &"aB3456789".into()));
        assert_eq!(call["tool_calls"][0]["function"]["name"], "f");
    }

    #[test]
    fn ids_that_fit_are_left_alone() {
        for message in
            [r#"{"tool_call_id":"aB3456789"}"#, r#"{"tool_calls":[{"id":"123456789"}]}"#, r#"{"tool_calls":3}"#]
        {
            assert_eq!(shorten_in(message), (false, serde_json::from_str(message).unwrap()));
        }
    }
}
