//! Fields inside other fields, by their path: `tools[].function.strict` is the `strict` of every tool's function.
//!
//! Only what leads to the field is read; everything beside it keeps its bytes and its order, because a schema whose
//! fields change places is another prompt to a provider's cache.

use serde_json::Value;
use serde_json::value::RawValue;

use super::object::{Object, may_have};

/// Takes out what is at `path`. Says whether there was anything.
pub(super) fn remove(object: &mut Object<'_>, path: &str) -> bool {
    edit(object, path, &|object, name| object.remove(name))
}

/// Writes `to` where the text at `path` is `from`. Says whether it was.
pub(super) fn replace(object: &mut Object<'_>, path: &str, from: &str, to: &str) -> bool {
    edit(object, path, &|object, name| {
        let text = object.get(name).and_then(|raw| serde_json::from_str::<String>(raw).ok());
        let is_it = text.is_some_and(|text| text == from);
        if is_it {
            object.set(name, Value::from(to).to_string());
        }
        is_it
    })
}

/// What is done to a field of an object; whether anything was.
pub(super) type Edit<'e> = &'e dyn Fn(&mut Object<'_>, &str) -> bool;

/// Does `change` wherever `path` leads.
pub(super) fn edit(object: &mut Object<'_>, path: &str, change: Edit<'_>) -> bool {
    let Some((step, rest)) = path.split_once('.') else { return change(object, path) };
    let name = step.strip_suffix("[]").unwrap_or(step);
    let leads_on = |raw: &&str| may_have(raw.as_bytes(), last_name(rest));
    let Some(raw) = object.get(name).filter(leads_on) else { return false };
    let changed = if name == step { inside(raw, rest, change) } else { inside_each(raw, rest, change) };
    let Some(text) = changed else { return false };
    object.set(name, text);
    true
}

/// The last name of a path: without it in a body there is nothing to take out.
pub(super) fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

fn inside(raw: &str, path: &str, change: Edit<'_>) -> Option<String> {
    let mut object = Object::read(raw.as_bytes()).ok()?;
    edit(&mut object, path, change).then(|| object.write())
}

fn inside_each(raw: &str, path: &str, change: Edit<'_>) -> Option<String> {
    let items: Vec<&RawValue> = serde_json::from_str(raw).ok()?;
    let changed: Vec<_> = items.iter().map(|item| inside(item.get(), path, change)).collect();
    changed.iter().any(Option::is_some).then(|| {
        let written = items.iter().zip(changed).map(|(item, changed)| changed.unwrap_or_else(|| item.get().to_owned()));
        format!("[{}]", written.collect::<Vec<_>>().join(","))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without(text: &str, path: &str) -> (bool, String) {
        let mut object = Object::read(text.as_bytes()).unwrap();
        (remove(&mut object, path), object.write())
    }

    #[test]
    fn a_field_is_taken_out_of_every_item_and_the_rest_stays_as_it_is() {
        let text = r#"{"tools":[{"function":{"strict":true,"b": 1e400,"a":{"strict":1}}}, {"type":"x"},7]}"#;
        let expected = r#"{"tools":[{"function":{"b":1e400,"a":{"strict":1}}},{"type":"x"},7]}"#;
        assert_eq!(without(text, "tools[].function.strict"), (true, expected.to_owned()));
        let same = r#"{"tools":[ {"function":{"strict":true}} ]}"#;
        for path in ["tools[].strict", "tools.function.strict", "tools[].function.strict.x", "other[].x", "x"] {
            assert_eq!(without(same, path), (false, same.to_owned()), "{path}");
        }
        assert_eq!(without(r#"{"a":{"b":1}}"#, "a.b"), (true, r#"{"a":{}}"#.to_owned()));
    }

    #[test]
    fn a_text_inside_is_replaced_and_any_other_is_not() {
        let replaced = |text: &str| {
            let mut object = Object::read(text.as_bytes()).unwrap();
            (replace(&mut object, "thinking.type", "disabled", "enabled"), object.write())
        };
        let (yes, no) = (r#"{"thinking":{"type":"disabled","x":1}}"#, r#"{"thinking":{"type":"auto"}}"#);
        assert_eq!(replaced(yes), (true, r#"{"thinking":{"type":"enabled","x":1}}"#.to_owned()));
        for same in [no, r#"{"thinking":"disabled"}"#, r#"{"type":"disabled"}"#] {
            assert_eq!(replaced(same), (false, same.to_owned()));
        }
    }
}
