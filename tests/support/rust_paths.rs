//! Reads the paths that Rust source names, without compiling it.
//!
//! Comments, strings and everything from the first `#[cfg(test)]` on are left out; `use a::{b, c::d}` is spelt out as
//! `a::b` and `a::c::d`. That is all that checking imports needs, and it also sees a path in the middle of a function.

/// A path as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: Vec<String>,
}

/// The source without its tests.
pub(crate) fn without_tests(source: &str) -> &str {
    source.split("#[cfg(test)]").next().unwrap_or(source)
}

/// Every path that the source names outside its tests.
pub(crate) fn named_paths(source: &str) -> Vec<Named> {
    let tokens = tokens(without_tests(source));
    let mut reader = Reader { tokens: &tokens, found: Vec::new() };
    while !reader.tokens.is_empty() {
        reader.path(&[]);
    }
    reader.found
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Word(String),
    Separator,
    Mark(char),
}

#[derive(Clone, Debug)]
struct Token {
    line: usize,
    kind: Kind,
}

struct Reader<'a> {
    tokens: &'a [Token],
    found: Vec<Named>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.first().map(|token| &token.kind)
    }

    /// Reads one path, or one token that begins none.
    fn path(&mut self, prefix: &[String]) {
        let Some(token) = self.next() else { return };
        let Kind::Word(word) = token.kind else { return };
        let mut path = prefix.to_vec();
        path.push(word);
        while self.peek() == Some(&Kind::Separator) {
            self.next();
            match self.peek() {
                Some(Kind::Word(word)) => {
                    path.push(word.clone());
                    self.next();
                }
                Some(Kind::Mark('{')) => return self.group(&path),
                Some(Kind::Mark('*')) => path.push("*".to_owned()),
                Some(Kind::Mark(_) | Kind::Separator) | None => break,
            }
        }
        self.found.push(Named { line: token.line, path });
    }

    /// Reads `{a, b::c}` after `prefix::`.
    fn group(&mut self, prefix: &[String]) {
        self.next();
        while let Some(kind) = self.peek() {
            if *kind == Kind::Mark('}') {
                self.next();
                return;
            }
            self.path(prefix);
        }
    }
}

fn tokens(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = blank_length(rest).unwrap_or_else(|| {
            let (kind, length) = token(rest, first);
            tokens.push(Token { line, kind });
            length
        });
        let (passed, after) = rest.split_at(length);
        line += passed.matches('\n').count();
        rest = after;
    }
    tokens
}

fn token(rest: &str, first: char) -> (Kind, usize) {
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if word > 0 {
        return (Kind::Word(rest[..word].to_owned()), word);
    }
    if rest.starts_with("::") { (Kind::Separator, 2) } else { (Kind::Mark(first), first.len_utf8()) }
}

/// The length of a space, comment, string or character at the start, if there is one.
fn blank_length(rest: &str) -> Option<usize> {
    let until = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    if rest.starts_with(char::is_whitespace) {
        return Some(rest.find(|c: char| !c.is_whitespace()).unwrap_or(rest.len()));
    }
    if rest.starts_with("//") {
        return Some(until("\n", 0));
    }
    if rest.starts_with("/*") {
        return Some(until("*/", 2));
    }
    let raw = rest.trim_start_matches(['b', 'c']).strip_prefix('r').map(|raw| raw.trim_start_matches('#'));
    if let Some(text) = raw.filter(|text| text.starts_with('"')) {
        let hashes = rest.chars().skip_while(|c| *c != '#').take_while(|c| *c == '#').count();
        let opening = rest.len() - text.len() + 1;
        let hashes = if rest[..opening].contains('#') { hashes } else { 0 };
        return Some(until(&format!("\"{}", "#".repeat(hashes)), opening));
    }
    quoted_length(rest)
}

fn quoted_length(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| *c == '"' || *c == '\'')?;
    let mut characters = rest.char_indices().skip(1);
    // A quote that neither escapes nor closes after one character is a lifetime.
    if quote == '\'' && !rest[1..].starts_with('\\') && rest.chars().nth(2) != Some('\'') {
        return Some(1);
    }
    while let Some((at, c)) = characters.next() {
        if c == '\\' {
            characters.next();
        } else if c == quote {
            return Some(at + 1);
        }
    }
    Some(rest.len())
}
