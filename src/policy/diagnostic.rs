//! What is wrong with a file, where, and what to do about it.
//!
//! A diagnostic is complete in itself (it carries the line it points at, secrets already masked), so that `check`, the
//! log of a running daemon and an editor show the same thing. All of a file's mistakes are collected; none hides another.

use std::cell::RefCell;
use std::fmt;

use serde::{Serialize, Serializer};

use super::source::Place;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Note,
    /// Probably not what was meant; the files are used.
    Warning,
    /// The files cannot be used.
    Error,
}

/// One thing to know about a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The field, as a path: `upstreams.zhipu.keys[1]`.
    pub field: Option<String>,
    /// Where; `None` for what concerns no line.
    pub location: Option<Location>,
}

/// A place in a file, with the text there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The first column, from 1, in characters.
    pub column: usize,
    /// One past the last column.
    pub end_column: usize,
    /// The line's text, with secrets masked.
    pub text: String,
}

impl Diagnostic {
    pub(crate) fn new(severity: Severity, place: &Place, message: impl Into<String>) -> Self {
        let line = place.file.line_at(&place.range);
        let location = Location {
            file: place.file.name().to_owned(),
            line: line.number,
            column: line.column,
            end_column: line.end_column,
            text: line.text.to_owned(),
        };
        let field = Some(place.field.to_string()).filter(|field| !field.is_empty());
        Self { severity, message: message.into(), hint: None, field, location: Some(location) }
    }

    pub(crate) fn error(place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, place, message)
    }

    pub(crate) fn warning(place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, place, message)
    }

    pub(crate) fn note(place: &Place, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, place, message)
    }

    /// A diagnostic that concerns no line of a file.
    pub fn general(severity: Severity, message: impl Into<String>) -> Self {
        Self { severity, message: message.into(), hint: None, field: None, location: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// For tools: severity, file, line, column, `end_column`, message, hint, field.
impl Serialize for Diagnostic {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = self.location.as_ref();
        let json = Json {
            severity: self.severity,
            file: at.map(|at| at.file.as_str()),
            line: at.map(|at| at.line),
            column: at.map(|at| at.column),
            end_column: at.map(|at| at.end_column),
            message: &self.message,
            hint: self.hint.as_deref(),
            field: self.field.as_deref(),
        };
        json.serialize(serializer)
    }
}

#[derive(Serialize)]
struct Json<'d> {
    severity: Severity,
    file: Option<&'d str>,
    line: Option<usize>,
    column: Option<usize>,
    end_column: Option<usize>,
    message: &'d str,
    hint: Option<&'d str>,
    field: Option<&'d str>,
}

/// For people, as compilers write it; ends with a line break.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        writeln!(f, "{severity}: {}", self.message)?;
        let Some(at) = &self.location else {
            return self.hint.as_ref().map_or(Ok(()), |hint| writeln!(f, "  = help: {hint}"));
        };
        let number = at.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{gutter}--> {}:{}:{}", at.file, at.line, at.column)?;
        // A note is about something that needs no mending, so its line is not shown.
        if self.severity > Severity::Note {
            writeln!(f, "{gutter} |")?;
            writeln!(f, "{number} | {}", at.text)?;
            writeln!(f, "{gutter} | {}", underline(at))?;
        }
        self.hint.as_ref().map_or(Ok(()), |hint| writeln!(f, "{gutter} = help: {hint}"))
    }
}

/// Carets below the columns, aligned on a terminal: tabs stay tabs, wide characters take two cells.
fn underline(at: &Location) -> String {
    let cells = |c: char| {
        if c == '\t' {
            "\t"
        } else if is_wide(c) {
            "  "
        } else {
            " "
        }
    };
    let lead = at.text.chars().take(at.column.saturating_sub(1)).map(cells).collect::<String>();
    let width = at.end_column.saturating_sub(at.column);
    let marked = at.text.chars().skip(at.column.saturating_sub(1)).take(width);
    let carets = marked.map(|c| if is_wide(c) { 2 } else { 1 }).sum::<usize>().max(1);
    format!("{lead}{}", "^".repeat(carets))
}

/// Whether a terminal gives `c` two cells (the East Asian blocks that names and comments are likely to use).
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe4f}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' | '\u{1f300}'..='\u{1faff}')
}

/// All of `diagnostics` for people: each with its line, a caret and a hint.
pub fn render(diagnostics: &[Diagnostic]) -> String {
    diagnostics.iter().flat_map(|one| [one.to_string(), "\n".to_owned()]).collect()
}

/// Where diagnostics gather while files are read and compiled.
#[derive(Debug, Default)]
pub(crate) struct Diagnostics {
    all: RefCell<Vec<Diagnostic>>,
    files: RefCell<Vec<String>>,
}

impl Diagnostics {
    /// Says that `file` is read next: diagnostics come in the order of the files.
    pub(crate) fn begin(&self, file: &str) {
        self.files.borrow_mut().push(file.to_owned());
    }

    /// Adds one, unless the very same is there already.
    pub(crate) fn push(&self, diagnostic: Diagnostic) {
        let mut all = self.all.borrow_mut();
        if !all.contains(&diagnostic) {
            all.push(diagnostic);
        }
    }

    /// How many of them make the files unusable.
    pub(crate) fn errors(&self) -> usize {
        self.all.borrow().iter().filter(|one| one.severity == Severity::Error).count()
    }

    /// All, in the order of the files and of the lines in each; what concerns no line comes first.
    pub(crate) fn into_sorted(self) -> Vec<Diagnostic> {
        let (mut all, files) = (self.all.into_inner(), self.files.into_inner());
        all.sort_by_key(|one| {
            one.location.as_ref().map(|at| (files.iter().position(|file| *file == at.file), at.line, at.column))
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::source::SourceFile;

    fn place(text: &str, marked: &str) -> Place {
        let start = text.find(marked).unwrap();
        let file = SourceFile::new("faregate.toml", text, &[]);
        Place { file, range: start..start + marked.len(), field: "server.lissten".into() }
    }

    #[test]
    fn a_diagnostic_shows_the_line_a_caret_and_a_hint() {
        let text = "[server]\nlissten = 1\n";
        let one = Diagnostic::error(&place(text, "lissten"), "unknown field `lissten`").hint("did you mean `listen`?");
        insta::assert_snapshot!(one.to_string(), @r"
        error: unknown field `lissten`
         --> faregate.toml:2:1
          |
        2 | lissten = 1
          | ^^^^^^^
          = help: did you mean `listen`?
        ");
        insta::assert_snapshot!(serde_json::to_string(&one).unwrap(), @r#"{"severity":"error","file":"faregate.toml","line":2,"column":1,"end_column":8,"message":"unknown field `lissten`","hint":"did you mean `listen`?","field":"server.lissten"}"#);
    }

    #[test]
    fn carets_stand_below_wide_characters_and_tabs() {
        let one = Diagnostic::warning(&place("\tname = \"通义千问\" # 注", "\"通义千问\""), "m");
        let rendered = one.to_string();
        assert!(rendered.ends_with("  | \t       ^^^^^^^^^^\n"), "{rendered}");
    }

    #[test]
    fn diagnostics_come_in_the_order_of_the_lines_and_once_each() {
        let text = "a = 1\nb = 2";
        let all = Diagnostics::default();
        for marked in ["b", "a", "b"] {
            all.push(Diagnostic::error(&place(text, marked), marked));
        }
        let sorted = all.into_sorted();
        assert_eq!(sorted.iter().map(|one| one.message.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    }
}
