//! JSON that breaks off, read as if it were closed there: what came before the cut is worth reading.

use serde_json::Value;

/// What is nested deeper is not read by `serde_json` either.
const DEEPEST: usize = 128;

/// The object or list that `text` begins, with all that stands in it before the cut. A text that is cut counts as far
/// as it goes, a number or a word does not.
pub(super) fn begun(text: &str) -> Option<Value> {
    let mut open: Vec<char> = Vec::new();
    let mut whole = None;
    let (mut in_text, mut is_escaped) = (false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_text,
            '"' => in_text = !in_text,
            _ if in_text => {}
            '{' | '[' => {
                open.push(if letter == '{' { '}' } else { ']' });
                if open.len() > DEEPEST {
                    return None;
                }
                whole = Some((at + 1, open.clone()));
            }
            '}' | ']' => drop(open.pop()),
            ',' => whole = Some((at, open.clone())),
            _ => {}
        }
    }
    let cut_text = (in_text && !open.is_empty()).then(|| closed(&format!("{text}\""), &open)).flatten();
    cut_text.or_else(|| whole.and_then(|(end, open)| closed(text.get(..end)?, &open)))
}

fn closed(text: &str, open: &[char]) -> Option<Value> {
    let ends: String = open.iter().rev().collect();
    serde_json::from_str(&format!("{text}{ends}")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_stands_before_a_cut_is_read() {
        for (text, value) in [
            (r#"{"error":{"code":"c","input":"x"#, json!({ "error": { "code": "c", "input": "x" } })),
            (r#"{"error":{"code":"c","inp"#, json!({ "error": { "code": "c" } })),
            (r#"{"error":{"code":"c","n":12"#, json!({ "error": { "code": "c" } })),
            (r#"{"a":"]}\"","b":[1,{"c":2},"#, json!({ "a": "]}\"", "b": [1, { "c": 2 }] })),
            (r#"{"a":1,"b":"\"#, json!({ "a": 1 })),
            ("{\"a\"", json!({})),
        ] {
            assert_eq!(begun(text), Some(value), "{text}");
        }
        for text in ["", "<html>", "\"cut", &"[".repeat(1_000)] {
            assert_eq!(begun(text), None, "{text}");
        }
    }
}
