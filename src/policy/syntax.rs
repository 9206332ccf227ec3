//! Syntax errors, said once each: a table that is there twice is one mistake, however many of its fields are too.

use std::ops::Range;
use std::sync::Arc;

use toml::de::Error;

use super::diagnostic::Diagnostic;
use super::source::{Place, SourceFile};

/// What the parser says of a name that is there before.
const TWICE: &str = "duplicate key";

/// What is wrong with the syntax of `file`, whose text is `text`.
pub(super) fn complaints(text: &str, file: &Arc<SourceFile>, errors: &[Error]) -> Vec<Diagnostic> {
    let mut repeated: Vec<Range<usize>> = Vec::new();
    let mut complaints = Vec::new();
    for error in errors {
        let range = error.span().unwrap_or(text.len()..text.len());
        let place = Place { file: Arc::clone(file), range: range.clone(), field: "".into() };
        if error.message() != TWICE {
            complaints.push(Diagnostic::error(&place, format!("not valid TOML: {}", error.message())));
            continue;
        }
        let header = header_above(text, range.end);
        let is_header = header.as_ref().is_some_and(|header| header.contains(&range.start));
        let known = header.clone().is_some_and(|header| repeated.iter().any(|one| is_within(text, &header, one)));
        if !known {
            complaints.push(twice(&place, header.clone().filter(|_| is_header)));
        }
        repeated.extend(header.filter(|_| is_header));
    }
    complaints
}

fn twice(place: &Place, header: Option<Range<usize>>) -> Diagnostic {
    let Some(header) = header else {
        let key = place.file.shown(&place.range);
        let message = format!("not valid TOML: the field `{key}` is in its table twice");
        return Diagnostic::error(place, message).hint("keep one of the two");
    };
    let message = format!("not valid TOML: the table `{}` is there twice", place.file.shown(&header));
    Diagnostic::error(place, message).hint("put all of its fields into one, or give the other another name")
}

/// The last line before `end` that begins a table, from its bracket to its bracket.
fn header_above(text: &str, end: usize) -> Option<Range<usize>> {
    let (mut start, mut found) = (0, None);
    for line in text.split_inclusive('\n') {
        if start >= end {
            break;
        }
        let at = start + line.len() - line.trim_start().len();
        found = header(line.trim_start()).map(|length| at..at + length).or(found);
        start += line.len();
    }
    found
}

/// How long the header is that `line` begins with. The values of a list over several lines have other characters.
fn header(line: &str) -> Option<usize> {
    let brackets = if line.starts_with("[[") { 2 } else { usize::from(line.starts_with('[')) };
    let length = line.find(']').filter(|_| brackets > 0)? + brackets;
    let name = line.get(brackets..length.checked_sub(brackets)?)?;
    let fit = |c: char| c.is_alphanumeric() || " \t_-.\"':".contains(c);
    let ends = line.get(length..)?.trim_start();
    (name.chars().all(fit) && (ends.is_empty() || ends.starts_with('#'))).then_some(length)
}

/// Whether the table under one header is another's, or inside of it.
fn is_within(text: &str, header: &Range<usize>, other: &Range<usize>) -> bool {
    let name = |header: &Range<usize>| text.get(header.clone()).unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let (name, other) = (name(header), name(other));
    name.strip_prefix(&*other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
