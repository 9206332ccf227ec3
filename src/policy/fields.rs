//! Tables while they are read: what nobody asks for is reported as unknown.
//!
//! A list of known names beside the reader would be forgotten one day; here asking is what makes a name known, so an
//! unknown field cannot be overlooked by the code, only by the one who wrote the file.

use std::cell::RefCell;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::nearest::{advice, nearest};
use super::read::{Node, not_supported_yet};
use super::secrecy::{Syntax, hidden};
use super::source::{At, Place, SourceFile};
use super::syntax;

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
        for one in syntax::complaints(text, &file, &errors) {
            report.push(one);
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

/// A name that a reader knows, and what becomes of it.
#[derive(Clone, Copy)]
struct Known {
    name: &'static str,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is acted on.
    Supported,
    /// It will be.
    Later,
    /// Another file has it.
    Elsewhere,
}

/// A table while it is read.
pub(crate) struct Fields<'t> {
    table: &'t DeTable<'t>,
    /// The table itself.
    pub(crate) place: Place,
    pub(crate) report: &'t Diagnostics,
    known: RefCell<Vec<Known>>,
    errors_before: usize,
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
    pub(super) fn new(table: &'t DeTable<'t>, place: Place, report: &'t Diagnostics) -> Self {
        Self { table, place, report, known: RefCell::default(), errors_before: report.errors() }
    }

    fn path(&self, name: &str) -> Arc<str> {
        let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        let name = if bare { name.to_owned() } else { format!("\"{name}\"") };
        if self.place.field.is_empty() { name.into() } else { format!("{}.{name}", self.place.field).into() }
    }

    pub(super) fn node(&self, name: &str) -> Option<Node<'t>> {
        let (key, value) = self.table.get_key_value(name)?;
        // A table's own range may be its header or nothing at all; its name is what a reader looks for.
        let inline = !value.get_ref().is_table() || value.span().start > key.span().end;
        let range = if inline { value.span() } else { key.span() };
        let place = Place { file: Arc::clone(&self.place.file), range, field: self.path(name) };
        Some(Node { value: value.get_ref(), place, report: self.report })
    }

    fn know(&self, name: &'static str, standing: Standing) {
        self.known.borrow_mut().push(Known { name, standing });
    }

    /// The names that were asked for and are acted on.
    pub(super) fn supported(&self) -> Vec<&'static str> {
        let known = self.known.borrow();
        known.iter().filter(|one| one.standing == Standing::Supported).map(|one| one.name).collect()
    }

    /// Whether the field is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Whether anything in this table could not be read so far.
    pub(crate) fn spoiled(&self) -> Spoiled {
        if self.report.errors() > self.errors_before { Spoiled::Yes } else { Spoiled::No }
    }

    /// A field that may be left out.
    pub(crate) fn get<T>(&self, name: &'static str, read: impl FnOnce(&Node<'_>) -> Option<T>) -> Option<T> {
        self.know(name, Standing::Supported);
        read(&self.node(name)?)
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
        let diagnostic = Diagnostic::error(&self.place, format!("missing field `{name}`{}", self.place.inside()));
        self.report.push(match hint {
            Some(hint) => diagnostic.hint(hint),
            None => diagnostic,
        });
    }

    /// Fields that are part of the contract and not acted on yet: refused at their place, never ignored.
    pub(crate) fn later(&self, names: &[&'static str]) {
        const REMEDY: &str = "this version would ignore it, so it refuses it; leave it out";
        for name in names {
            self.know(name, Standing::Later);
            self.node(name).and_then(|node| not_supported_yet::<()>(&node, &format!("`{name}` is"), REMEDY));
        }
    }

    /// Fields that belong into another kind of file.
    pub(crate) fn elsewhere(&self, names: &[&'static str], file: &str) {
        for name in names {
            self.know(name, Standing::Elsewhere);
        }
        for name in names.iter().filter(|name| self.has(name)) {
            let place = self.name_place(name);
            let message = format!("`{name}` does not belong here");
            self.report.push(Diagnostic::error(&place, message).hint(format!("it belongs into {file}")));
        }
    }

    fn name_place(&self, name: &str) -> Place {
        let range = self.table.get_key_value(name).map_or(0..0, |(key, _)| key.span());
        Place { file: Arc::clone(&self.place.file), range, field: self.path(name) }
    }

    pub(super) fn finish(self) {
        let known = self.known.borrow().iter().map(|one| one.name).collect::<Vec<_>>();
        let supported = self.supported();
        let name_of = |key: &'t Spanned<_>| AsRef::<str>::as_ref(key.get_ref());
        for name in self.table.keys().map(name_of).filter(|name| !known.contains(name)) {
            let diagnostic =
                Diagnostic::error(&self.name_place(name), format!("unknown field `{name}`{}", self.place.inside()));
            // What does not work is no advice, unless it is what was meant.
            let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
            self.report.push(match near.or_else(|| advice(name, &supported)) {
                Some(hint) => diagnostic.hint(hint),
                None => diagnostic,
            });
        }
    }
}
