//! Where in which file something was said.
//!
//! A [`SourceFile`] keeps only the text that may be shown: secrets are overwritten byte for byte before anything can
//! point at them, so that no diagnostic, however it comes about, can print a key.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A file as diagnostics may show it.
pub(crate) struct SourceFile {
    name: String,
    shown: String,
}

impl SourceFile {
    /// The file `name` with the byte ranges in `hidden` made unreadable. Line breaks stay, so positions do not move.
    pub(crate) fn new(name: &str, text: &str, hidden: &[Range<usize>]) -> Arc<Self> {
        let mask = |at: usize, byte: u8| {
            let secret = byte != b'\n' && hidden.iter().any(|range| range.contains(&at));
            if secret { b'*' } else { byte }
        };
        let bytes = text.bytes().enumerate().map(|(at, byte)| mask(at, byte)).collect::<Vec<u8>>();
        // A range that cut a character in two leaves no valid text; then nothing is shown rather than too much.
        let shown = String::from_utf8(bytes).unwrap_or_default();
        Arc::new(Self { name: name.to_owned(), shown })
    }

    /// The file's name as people know it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text in `range` as it may be shown.
    pub(crate) fn shown(&self, range: &Range<usize>) -> &str {
        self.shown.get(range.clone()).unwrap_or_default()
    }

    /// The line that holds the byte at `offset`, with its 1-based number and the range's columns in characters.
    pub(crate) fn line_at(&self, range: &Range<usize>) -> Line<'_> {
        let offset = range.start.min(self.shown.len());
        let before = self.shown.get(..offset).unwrap_or_default();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let text = self.shown.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let column_of = |byte: usize| self.shown.get(start..byte).map_or(0, |part| part.chars().count()) + 1;
        let column = column_of(offset);
        let end = range.end.min(start + text.len()).max(offset);
        let number = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Line { number, column, end_column: column_of(end).max(column + 1), text }
    }
}

impl fmt::Debug for SourceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SourceFile({})", self.name)
    }
}

/// One line of a file, and the columns that a diagnostic points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'f> {
    /// Counted from 1.
    pub(crate) number: usize,
    /// Counted from 1, in characters.
    pub(crate) column: usize,
    /// One past the last column; at least one character wide.
    pub(crate) end_column: usize,
    /// The line without its end.
    pub(crate) text: &'f str,
}

/// A range of a file, and the field it belongs to (`upstreams.zhipu.keys[1]`).
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: Arc<SourceFile>,
    pub(crate) range: Range<usize>,
    pub(crate) field: Arc<str>,
}

impl Place {
    /// The field's own name, without the tables that it is in: `keys[1]`. Empty for a whole file.
    pub(crate) fn name(&self) -> &str {
        let mut quoted = false;
        let is_end = |c: char| {
            quoted ^= c == '"';
            c == '.' && !quoted
        };
        self.field.rsplit(is_end).next().unwrap_or_default()
    }

    /// What follows the name of something that should be in this table: which it is. Nothing for a whole file.
    pub(crate) fn inside(&self) -> String {
        if self.field.is_empty() { String::new() } else { format!(" in `{}`", self.field) }
    }
}

/// A value, and where it was written.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_and_lines_count_from_one() {
        let text = "a = 1\nname = \"通义\" # x\n";
        let file = SourceFile::new("f", text, &[]);
        let start = text.find('#').unwrap();
        let line = file.line_at(&(start..start + 3));
        assert_eq!((line.number, line.column, line.end_column, line.text), (2, 13, 16, "name = \"通义\" # x"));
    }

    #[test]
    fn a_hidden_range_is_unreadable_and_moves_nothing() {
        let file = SourceFile::new("f", "key = \"abc\"\nnext = 1", std::slice::from_ref(&(7..10)));
        assert_eq!(file.line_at(&(0..3)).text, "key = \"***\"");
        assert_eq!(file.line_at(&(12..16)).number, 2);
    }

    #[test]
    fn a_field_is_called_by_its_last_name() {
        let file = SourceFile::new("f", "", &[]);
        for (field, name) in [
            ("", ""),
            ("server", "server"),
            ("upstreams.a.keys[1]", "keys[1]"),
            ("upstreams.a.models.\"qwen2.5-72b\"", "\"qwen2.5-72b\""),
            ("upstreams.a.models.\"qwen2.5-72b\".price", "price"),
        ] {
            let place = Place { file: Arc::clone(&file), range: 0..0, field: field.into() };
            assert_eq!(place.name(), name);
        }
    }

    #[test]
    fn a_range_past_the_end_points_at_the_last_line() {
        let file = SourceFile::new("f", "a = [", &[]);
        let line = file.line_at(&(5..5));
        assert_eq!((line.number, line.column, line.end_column), (1, 6, 7));
        assert_eq!(file.line_at(&(99..120)).number, 1);
    }
}
