//! The fields of a JSON object in their order, each with its value as text: to change some and leave the others alone.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use memchr::memmem;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::fields::Text;

/// Whether a field called `name` may stand anywhere in `json`, without reading it.
pub(super) fn may_have(json: &[u8], name: &str) -> bool {
    memmem::find(json, format!("\"{name}\"").as_bytes()).is_some()
}

/// An object whose values are not understood.
#[derive(Debug, Default)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Object<'a> {
    /// The object in `text`.
    pub(super) fn read(text: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// The value of the field called `name`, as JSON.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Takes out the field called `name`. Says whether there was one.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|(known, _)| known != name);
        self.0.len() < before
    }

    /// Gives the field called `name` another value, in JSON, or puts it at the end.
    pub(super) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = Cow::Owned(value),
            None => self.0.push((Cow::Owned(name.to_owned()), Cow::Owned(value))),
        }
    }

    /// As JSON.
    pub(super) fn write(&self) -> String {
        let mut text = String::with_capacity(self.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum());
        for (name, value) in &self.0 {
            text.push(if text.is_empty() { '{' } else { ',' });
            text.push_str(&Value::from(&**name).to_string());
            text.push(':');
            text.push_str(value);
        }
        if text.is_empty() {
            text.push('{');
        }
        text.push('}');
        text
    }
}

/// Of fields with the same name the last: two readers might take another one each, and one may be checked here.
fn last_of_each<'a>(fields: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
    let mut seen = HashSet::with_capacity(fields.len());
    if fields.iter().all(|(name, _)| seen.insert(&**name)) {
        return fields;
    }
    let mut seen = HashSet::with_capacity(fields.len());
    let mut last: Vec<_> = fields.into_iter().rev().filter(|(name, _)| seen.insert(name.clone())).collect();
    last.reverse();
    last
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(Text(name)) = map.next_key()? {
                    let value: &'de RawValue = map.next_value()?;
                    fields.push((name, Cow::Borrowed(value.get())));
                }
                Ok(Object(last_of_each(fields)))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}
