//! The typed reader over TOML's spanned tree: says what was expected, where, and goes on.
//!
//! serde stops at the first mistake and knows no columns inside inline tables; here every field is read on its own, a
//! wrong one becomes a diagnostic and `None`, and the rest is still checked. A reader never returns `None` in silence.

use std::fmt;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeValue;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::fields::Fields;
use super::nearest::advice;
use super::quantity::QuantityError;
use super::remedy;
use super::source::{At, Place};

/// One value of the tree.
pub(crate) struct Node<'t> {
    pub(super) value: &'t DeValue<'t>,
    pub(crate) place: Place,
    pub(crate) report: &'t Diagnostics,
}

impl<'t> Node<'t> {
    /// The value with its place.
    pub(crate) fn at<T>(&self, value: T) -> At<T> {
        At { value, place: self.place.clone() }
    }

    /// Reports an error here, with the name of the field: its line may be one of many that look alike.
    pub(crate) fn error(&self, message: impl fmt::Display, hint: Option<String>) {
        match self.place.name() {
            "" => self.say(message.to_string(), hint),
            name => self.say(format!("`{name}`: {message}"), hint),
        }
    }

    fn say(&self, message: String, hint: Option<String>) {
        let diagnostic = Diagnostic::error(&self.place, message);
        self.report.push(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }

    pub(super) fn mismatch<T>(&self, expected: &str, hint: Option<String>) -> Option<T> {
        self.error(format!("expected {expected}, found {}", with_article(self.value.type_str())), hint);
        None
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<String> {
        self.value.as_str().map(str::to_owned).or_else(|| self.mismatch("a text in quotes", remedy::text(self)))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.mismatch("true or false", None))
    }

    /// A quantity in quotes. A bare 0 counts as `"0"`, so that what needs no unit needs no quotes either.
    pub(crate) fn quantity<T>(&self, parse: impl FnOnce(&str) -> Result<T, QuantityError>) -> Option<T> {
        let parsed = match self.value {
            DeValue::String(text) => parse(text),
            DeValue::Integer(number) => parse(number.as_str()),
            DeValue::Float(number) => parse(number.as_str()),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.mismatch("a quantity in quotes", None);
            }
        };
        parsed.map_err(|error| self.error(&error, error.hint())).ok()
    }

    /// One of a few words.
    pub(crate) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names = choices.iter().map(|(name, _)| *name).collect::<Vec<_>>();
        self.error(format!("unknown value `{text}`"), advice(&text, &names));
        None
    }

    /// Whether this is an array.
    pub(crate) fn is_list(&self) -> bool {
        self.value.is_array()
    }

    /// Whether this is a table.
    pub(crate) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// Whether this is a text.
    pub(crate) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    /// Every entry of an array; wrong ones are reported and left out.
    pub(crate) fn list<T>(&self, mut read: impl FnMut(&Node<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Some(items) = self.value.as_array() else { return self.mismatch("a list", remedy::list(self)) };
        let entry = |(index, item): (usize, &'t Spanned<DeValue<'t>>)| {
            let field = format!("{}[{index}]", self.place.field).into();
            let place = Place { file: Arc::clone(&self.place.file), range: item.span(), field };
            read(&Node { value: item.get_ref(), place, report: self.report })
        };
        Some(items.iter().enumerate().filter_map(entry).collect())
    }

    /// A table of known fields; what `read` does not ask for is reported as unknown.
    pub(crate) fn fields<T>(&self, read: impl FnOnce(&Fields<'_>) -> T) -> Option<T> {
        let Some(table) = self.value.as_table() else {
            return self.mismatch("a table", Some(remedy::fields(self, read)));
        };
        let fields = Fields::new(table, self.place.clone(), self.report);
        let value = read(&fields);
        fields.finish();
        Some(value)
    }

    /// A table whose names are the user's own, in the order of the file.
    pub(crate) fn entries<T>(&self, mut read: impl FnMut(At<String>, &Node<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Some(table) = self.value.as_table() else { return self.mismatch("a table", remedy::entries(self)) };
        let fields = Fields::new(table, self.place.clone(), self.report);
        let mut names = table.iter().collect::<Vec<_>>();
        names.sort_by_key(|(name, _)| name.span().start);
        let entry = |(name, _): (&Spanned<_>, _)| {
            let node = fields.node(AsRef::<str>::as_ref(name.get_ref()))?;
            let place = Place { range: name.span(), ..node.place.clone() };
            read(At { value: AsRef::<str>::as_ref(name.get_ref()).to_owned(), place }, &node)
        };
        Some(names.into_iter().filter_map(entry).collect())
    }
}

/// A text that is not empty.
pub(crate) fn word(node: &Node<'_>) -> Option<String> {
    let text = node.text()?;
    if text.trim().is_empty() {
        node.error("must not be empty", Some("write it, or leave the field out".to_owned()));
        return None;
    }
    Some(text)
}

/// A whole number of at least 1.
pub(crate) fn count(node: &Node<'_>) -> Option<u64> {
    let DeValue::Integer(number) = node.value else {
        return node.mismatch("a whole number", Some("write it without quotes, such as 1_000".to_owned()));
    };
    let digits = number.as_str();
    match u64::from_str_radix(digits, number.radix()) {
        Ok(0) => {
            node.error("must be at least 1", None);
            None
        }
        Ok(count) => Some(count),
        Err(_) => {
            node.error(format!("`{digits}` is not a whole number that fits"), None);
            None
        }
    }
}

/// A list of texts.
pub(crate) fn texts(node: &Node<'_>) -> Option<Vec<At<String>>> {
    node.list(|item| word(item).map(|text| item.at(text)))
}

/// Refuses a value that is part of the contract but not acted on yet.
pub(crate) fn not_supported_yet<T>(node: &Node<'_>, what: &str, remedy: &str) -> Option<T> {
    node.say(format!("{what} not supported yet"), Some(remedy.to_owned()));
    None
}

fn with_article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        "boolean" => "true or false".to_owned(),
        other => format!("a {other}"),
    }
}
