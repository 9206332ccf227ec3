//! The typed reader over TOML's spanned tree: says what was expected, where, and goes on.
//!
//! serde stops at the first mistake and knows no columns inside inline tables; here every field is read on its own, a
//! wrong one becomes a diagnostic and `None`, and the rest is still checked. A table reports what nobody asked it for:
//! an unknown field can therefore not be forgotten by a reader, only by the one who wrote the file.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Diagnostics};
use super::nearest::advice;
use super::quantity::QuantityError;
use super::secrecy::{Syntax, hidden};
use super::source::{At, Place, SourceFile};

/// A parsed file.
pub(crate) struct Document<'t> {
    tree: Spanned<DeTable<'t>>,
    file: Arc<SourceFile>,
    /// Whether the parser understood all of it.
    pub(crate) syntax: Syntax,
}

impl<'t> Document<'t> {
    /// Parses `text`; every syntax error becomes a diagnostic, and what could be understood is kept.
    pub(crate) fn parse(name: &str, text: &'t str, report: &Diagnostics) -> Self {
        report.begin(name);
        let (tree, errors) = DeTable::parse_recoverable(text);
        let syntax = if errors.is_empty() { Syntax::Whole } else { Syntax::Broken };
        let file = SourceFile::new(name, text, &hidden(text, tree.get_ref(), syntax));
        for error in errors {
            let range = error.span().unwrap_or(text.len()..text.len());
            let place = Place { file: Arc::clone(&file), range, field: "".into() };
            report.push(Diagnostic::error(&place, format!("not valid TOML: {}", error.message())));
        }
        Self { tree, file, syntax }
    }

    /// The whole file as a table. What a file without valid syntax means is anybody's guess (an unclosed header hangs
    /// its fields on the wrong table), so nothing but its syntax is reported.
    pub(crate) fn root<T>(&self, report: &Diagnostics, read: impl FnOnce(&Fields<'_>) -> T) -> T {
        let guesses = Diagnostics::default();
        let report = match self.syntax {
            Syntax::Whole => report,
            Syntax::Broken => &guesses,
        };
        let place = Place { file: Arc::clone(&self.file), range: 0..0, field: "".into() };
        let fields = Fields::new(self.tree.get_ref(), place, report);
        let value = read(&fields);
        fields.finish();
        value
    }

    /// Whether the file has a field of this name at its top.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tree.get_ref().contains_key(name)
    }
}

/// One value of the tree.
pub(crate) struct Node<'t> {
    value: &'t DeValue<'t>,
    pub(crate) place: Place,
    pub(crate) report: &'t Diagnostics,
}

impl<'t> Node<'t> {
    /// The value with its place.
    pub(crate) fn at<T>(&self, value: T) -> At<T> {
        At { value, place: self.place.clone() }
    }

    /// Reports an error here.
    pub(crate) fn error(&self, message: impl Into<String>, hint: Option<String>) {
        let diagnostic = Diagnostic::error(&self.place, message);
        self.report.push(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }

    fn mismatch<T>(&self, expected: &str) -> Option<T> {
        self.error(format!("expected {expected}, found {}", with_article(self.value.type_str())), None);
        None
    }

    /// A text.
    pub(crate) fn text(&self) -> Option<String> {
        self.value.as_str().map(str::to_owned).or_else(|| self.mismatch("a text in quotes"))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        self.value.as_bool().or_else(|| self.mismatch("true or false"))
    }

    /// A quantity in quotes. A bare 0 counts as `"0"`, so that what needs no unit needs no quotes either.
    pub(crate) fn quantity<T>(&self, parse: impl FnOnce(&str) -> Result<T, QuantityError>) -> Option<T> {
        let parsed = match self.value {
            DeValue::String(text) => parse(text),
            DeValue::Integer(number) => parse(number.as_str()),
            DeValue::Float(number) => parse(number.as_str()),
            DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                return self.mismatch("a quantity in quotes");
            }
        };
        parsed.map_err(|error| self.error(error.to_string(), error.hint())).ok()
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
        let Some(items) = self.value.as_array() else { return self.mismatch("a list") };
        let entry = |(index, item): (usize, &'t Spanned<DeValue<'t>>)| {
            let field = format!("{}[{index}]", self.place.field).into();
            let place = Place { file: Arc::clone(&self.place.file), range: item.span(), field };
            read(&Node { value: item.get_ref(), place, report: self.report })
        };
        Some(items.iter().enumerate().filter_map(entry).collect())
    }

    /// A table of known fields; what `read` does not ask for is reported as unknown.
    pub(crate) fn fields<T>(&self, read: impl FnOnce(&Fields<'_>) -> T) -> Option<T> {
        let Some(table) = self.value.as_table() else { return self.mismatch("a table") };
        let fields = Fields::new(table, self.place.clone(), self.report);
        let value = read(&fields);
        fields.finish();
        Some(value)
    }

    /// A table whose names are the user's own, in the order of the file.
    pub(crate) fn entries<T>(&self, mut read: impl FnMut(At<String>, &Node<'_>) -> Option<T>) -> Option<Vec<T>> {
        let Some(table) = self.value.as_table() else { return self.mismatch("a table") };
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
        node.error("must not be empty", None);
        return None;
    }
    Some(text)
}

/// A whole number of at least 1.
pub(crate) fn count(node: &Node<'_>) -> Option<u64> {
    let DeValue::Integer(number) = node.value else { return node.mismatch("a whole number") };
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

/// A table while it is read.
pub(crate) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// The table itself.
    pub(crate) place: Place,
    pub(crate) report: &'t Diagnostics,
    known: RefCell<Vec<&'static str>>,
    spoiled: Cell<Spoiled>,
}

/// Whether a field of a table was there and could not be read, so that "missing" would be the wrong word for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Spoiled {
    /// Everything that is there was understood.
    #[default]
    No,
    /// Something was not, and has been reported.
    Yes,
}

impl<'t> Fields<'t> {
    fn new(table: &'t DeTable<'t>, place: Place, report: &'t Diagnostics) -> Self {
        Self { table, place, report, known: RefCell::default(), spoiled: Cell::default() }
    }

    fn path(&self, name: &str) -> Arc<str> {
        let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let name = if bare { name.to_owned() } else { format!("\"{name}\"") };
        if self.place.field.is_empty() { name.into() } else { format!("{}.{name}", self.place.field).into() }
    }

    fn node(&self, name: &str) -> Option<Node<'t>> {
        let (key, value) = self.table.get_key_value(name)?;
        // A table's own range may be its header or nothing at all; its name is what a reader looks for.
        let inline = !value.get_ref().is_table() || value.span().start > key.span().end;
        let range = if inline { value.span() } else { key.span() };
        let place = Place { file: Arc::clone(&self.place.file), range, field: self.path(name) };
        Some(Node { value: value.get_ref(), place, report: self.report })
    }

    fn know(&self, name: &'static str) {
        self.known.borrow_mut().push(name);
    }

    /// Whether the field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether anything could not be read so far.
    pub(crate) fn spoiled(&self) -> Spoiled {
        self.spoiled.get()
    }

    /// A field that may be left out.
    pub(crate) fn get<T>(&self, name: &'static str, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Option<T> {
        self.know(name);
        let value = read(&self.node(name)?);
        if value.is_none() {
            self.spoiled.set(Spoiled::Yes);
        }
        value
    }

    /// The same with its place.
    pub(crate) fn at<T>(&self, name: &'static str, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Option<At<T>> {
        self.get(name, |node| read(node).map(|value| node.at(value)))
    }

    /// A field that must be there.
    pub(crate) fn need<T>(&self, name: &'static str, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Option<At<T>> {
        if !self.has(name) {
            self.missing(name, None);
        }
        self.at(name, read)
    }

    /// Reports that `name` should be there.
    pub(crate) fn missing(&self, name: &'static str, hint: Option<&str>) {
        let diagnostic = Diagnostic::error(&self.place, format!("missing field `{name}`"));
        self.report.push(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }

    /// Fields that are part of the contract and not acted on yet: refused at their place, never ignored.
    pub(crate) fn later(&self, names: &[&'static str]) {
        for name in names {
            self.get(name, |node| not_supported_yet::<()>(node, &format!("`{name}` is")));
        }
    }

    /// Fields that belong into another kind of file.
    pub(crate) fn elsewhere(&self, names: &[&'static str], file: &str) {
        for name in names.iter().filter(|name| self.has(name)) {
            self.know(name);
            let place = self.name_place(name);
            let message = format!("`{name}` does not belong here");
            self.report.push(Diagnostic::error(&place, message).hint(format!("it belongs into {file}")));
        }
    }

    fn name_place(&self, name: &str) -> Place {
        let range = self.table.get_key_value(name).map_or(0..0, |(key, _)| key.span());
        Place { file: Arc::clone(&self.place.file), range, field: self.path(name) }
    }

    fn finish(self) {
        let known = self.known.borrow();
        let name_of = |key: &'t Spanned<_>| AsRef::<str>::as_ref(key.get_ref());
        for name in self.table.keys().map(name_of).filter(|name| !known.contains(name)) {
            let diagnostic = Diagnostic::error(&self.name_place(name), format!("unknown field `{name}`"));
            self.report.push(match advice(name, &known) {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
        }
    }
}

/// Refuses a value that is part of the contract but not acted on yet.
pub(crate) fn not_supported_yet<T>(node: &Node<'_>, what: &str) -> Option<T> {
    let hint = "this version would ignore it, so it refuses it; leave it out";
    node.error(format!("{what} not supported yet"), Some(hint.to_owned()));
    None
}

fn with_article(kind: &str) -> String {
    match kind {
        "integer" | "array" => format!("an {kind}"),
        "boolean" => "true or false".to_owned(),
        other => format!("a {other}"),
    }
}
