//! What a request itself says: providers quote it in their errors, and what they quote tells nothing of them.

use std::sync::OnceLock;

use serde_json::Value;

/// Longer requests are not looked through: all that an error says may be theirs.
const LONGEST: usize = 4 * 1024 * 1024;
/// No code or type of an error is longer.
const LONGEST_NAME: usize = 300;

/// A request, to be looked through if need be.
#[derive(Debug)]
pub struct Asked<'a> {
    body: &'a [u8],
    texts: OnceLock<Vec<String>>,
}

impl<'a> Asked<'a> {
    /// The request with this body.
    pub const fn new(body: &'a [u8]) -> Self {
        Self { body, texts: OnceLock::new() }
    }

    /// Whether `words`, in small letters, may be quoted from it.
    pub(super) fn has(&self, words: &str) -> bool {
        self.body.len() > LONGEST || self.texts().iter().any(|text| text.contains(words))
    }

    /// Whether `name`, plain, is one of its texts. Of a request that is too long to be looked through none is.
    pub(super) fn names(&self, name: &str, plain: fn(&str) -> String) -> bool {
        self.body.len() <= LONGEST && self.texts().iter().any(|text| text.len() < LONGEST_NAME && plain(text) == name)
    }

    fn texts(&self) -> &[String] {
        self.texts.get_or_init(|| {
            let mut texts = Vec::new();
            if let Ok(value) = serde_json::from_slice(self.body) {
                gather(&value, &mut texts);
            }
            texts
        })
    }
}

/// All texts in small letters, names of fields included.
fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.to_lowercase()),
        Value::Array(items) => items.iter().for_each(|item| gather(item, texts)),
        Value::Object(fields) => {
            for (name, value) in fields {
                texts.push(name.to_lowercase());
                gather(value, texts);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_however_they_are_written_and_wherever_they_stand() {
        let body = r#"{"effort":"Insufficient\u0020Balance","tools":[{"Out of credit":1}]}"#;
        let asked = Asked::new(body.as_bytes());
        assert!(asked.has("insufficient balance") && asked.has("out of credit") && !asked.has("please recharge"));
        assert!(!Asked::new(b"").has("insufficient balance"));
        assert!(Asked::new(&vec![b' '; LONGEST + 1]).has("whatever"));
    }
}
