//! A value of an imported file together with its place, so that whatever is wrong with it can be found.

use serde_json::Value;

use super::fault::Fault;

/// A value and where it stands: `model_list[0].litellm_params.model`.
#[derive(Clone, Debug)]
pub(super) struct Said<'v> {
    value: &'v Value,
    pub(super) place: String,
}

impl<'v> Said<'v> {
    /// The whole file.
    pub(super) fn whole(value: &'v Value) -> Self {
        Self { value, place: String::new() }
    }

    /// The same value under another place.
    pub(super) fn called(&self, place: String) -> Self {
        Self { value: self.value, place }
    }

    /// The field `name`, unless it is missing or null, or this is no table.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { value, place: self.at(name) })
    }

    /// Where the field `name` is, or should be.
    pub(super) fn at(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// The field `name`, which must be there.
    pub(super) fn need(&self, name: &str) -> Result<Self, Fault> {
        self.field(name).ok_or_else(|| Fault::Missing { place: self.at(name) })
    }

    /// The value itself.
    pub(super) fn value(&self) -> &'v Value {
        self.value
    }

    /// Whether it is a text.
    pub(super) fn is_text(&self) -> bool {
        self.value.is_string()
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Whether it says that something is off, empty or nought.
    pub(super) fn is_idle(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::Bool(flag) => !flag,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => ["", "{}", "[]", "null"].contains(&text.trim()),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
        }
    }

    /// The text, without blanks around it.
    pub(super) fn text(&self) -> Result<&'v str, Fault> {
        self.value.as_str().map(str::trim).ok_or_else(|| self.not("a text"))
    }

    /// The entries of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, Fault> {
        let items = self.value.as_array().ok_or_else(|| self.not("a list"))?;
        let entry = |(index, value)| Self { value, place: format!("{}[{index}]", self.place) };
        Ok(items.iter().enumerate().map(entry).collect())
    }

    /// The fields of a table, by name.
    pub(super) fn table(&self) -> Result<Vec<(&'v str, Self)>, Fault> {
        let fields = self.value.as_object().ok_or_else(|| self.not("a table"))?;
        Ok(fields.keys().filter_map(|name| Some((name.as_str(), self.field(name)?))).collect())
    }

    /// A whole number, which may stand in quotes or end in `.0`.
    pub(super) fn whole_number(&self) -> Result<i64, Fault> {
        let digits = self.digits("a whole number")?;
        let plain = digits.strip_suffix(".0").unwrap_or(&digits);
        plain.parse().map_err(|_| self.not("a whole number"))
    }

    /// A number above nought, as limits are.
    pub(super) fn count(&self) -> Result<u64, Fault> {
        u64::try_from(self.whole_number()?).ok().filter(|count| *count > 0).ok_or_else(|| self.not("a number above 0"))
    }

    /// The digits of a number, as they are written.
    pub(super) fn digits(&self, expected: &'static str) -> Result<String, Fault> {
        match self.value {
            Value::Number(number) => Ok(number.to_string()),
            Value::String(text) => Ok(text.trim().to_owned()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(self.not(expected)),
        }
    }

    /// It should have been something else.
    pub(super) fn not(&self, expected: &'static str) -> Fault {
        let found = match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a table",
        };
        // A text that is no number is still a text.
        let found = if found == expected { "another one" } else { found };
        Fault::Kind { place: self.place.clone(), expected, found }
    }
}
