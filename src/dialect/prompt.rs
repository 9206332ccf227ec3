//! What a prompt is made of: text by script, token ids, descriptions of tools, images and other files inside the body.

use memchr::memmem;

use super::Kind;
use super::fields::Fields;
use super::script::{Ascii, add_text};
use crate::engine::{Capabilities, Content, ContentKind};
use crate::units::{count_to_f64, len_to_u64};

/// Tokens of an image at low detail, whatever its size, by `OpenAI`'s rule.
const LOW_DETAIL: u64 = 85;
/// Tokens of an image otherwise: by the same rule, one of 1024 × 1024 pixels.
const HIGH_DETAIL: u64 = 765;

/// What a request asks to be read; `text` is its prompt, as JSON.
pub(super) fn content_of(kind: Kind, text: &str, fields: &Fields<'_>, needs: Capabilities) -> Content {
    let mut content = match kind {
        Kind::Chat => chat(text.as_bytes(), needs),
        Kind::Completion | Kind::Embedding if is_token_ids(text) => {
            Content::of_ids(len_to_u64(memchr::memchr_iter(b',', text.as_bytes()).count()) + 1)
        }
        Kind::Completion | Kind::Embedding => {
            let mut content = Content::default();
            add_text(&mut content, text.as_bytes(), Ascii::Text);
            content
        }
    };
    let answer = fields.response_format.filter(|_| needs.covers(Capabilities::JSON_SCHEMA));
    for described in [fields.tools, fields.functions, answer].into_iter().flatten() {
        add_text(&mut content, described.get().as_bytes(), Ascii::Schema);
    }
    content
}

/// Whether a prompt is an array of token ids rather than text.
fn is_token_ids(text: &str) -> bool {
    text.bytes().find(|byte| !b"[ \n\t\r".contains(byte)).is_some_and(|byte| byte.is_ascii_digit())
}

fn chat(messages: &[u8], needs: Capabilities) -> Content {
    let mut content = Content::default();
    let mut images = Images::default();
    for part in without_files(messages, b"\"data:", is_base64) {
        if part.file.is_some_and(|url| !url.starts_with(b"image/")) {
            content.add_files();
        }
        if needs.covers(Capabilities::AUDIO) {
            // Sounds are plain base64, without a data URL around it.
            for part in without_files(part.text, b"\"data\":\"", |_| true) {
                add_text(&mut content, part.text, Ascii::Text);
            }
            content.add_files();
        } else {
            add_text(&mut content, part.text, Ascii::Text);
        }
        if needs.covers(Capabilities::VISION) {
            images.note(part.text);
        }
    }
    content.add(ContentKind::Images, count_to_f64(images.tokens()));
    content
}

/// A part of a JSON text, and the file that follows it.
struct Part<'a> {
    text: &'a [u8],
    file: Option<&'a [u8]>,
}

/// The text around the strings that begin with `opening` and are files. No byte is read twice.
fn without_files<'a>(
    json: &'a [u8],
    opening: &'static [u8],
    is_file: impl Fn(&[u8]) -> bool,
) -> impl Iterator<Item = Part<'a>> {
    let finder = memmem::Finder::new(opening);
    let mut rest = Some(json);
    std::iter::from_fn(move || {
        let text = rest.take()?;
        let mut seen = 0;
        while let Some(found) = text.get(seen..).and_then(|unseen| finder.find(unseen)) {
            let begin = seen + found + opening.len();
            let inside = text.get(begin..).unwrap_or_default();
            let (file, behind) =
                inside.split_at_checked(memchr::memchr(b'"', inside).unwrap_or(inside.len())).unwrap_or_default();
            // Behind a backslash it is a quotation inside a text, which the model reads as such.
            let is_quoted = (seen + found).checked_sub(1).and_then(|before| text.get(before)) == Some(&b'\\');
            if !is_quoted && is_file(file) {
                rest = Some(behind);
                return Some(Part { text: text.get(..begin).unwrap_or_default(), file: Some(file) });
            }
            seen = begin + file.len();
        }
        Some(Part { text, file: None })
    })
}

/// Whether a data URL's text says so, in its first few bytes.
fn is_base64(url: &[u8]) -> bool {
    const LONGEST_TYPE: usize = 128;
    memmem::find(url.get(..LONGEST_TYPE).unwrap_or(url), b";base64,").is_some()
}

/// Images by their detail.
#[derive(Clone, Copy, Debug, Default)]
struct Images {
    all: u64,
    low: u64,
}

impl Images {
    /// Counts those of which `text` speaks. In what people write quotes are escaped: these are keys.
    fn note(&mut self, text: &[u8]) {
        let is_low = |at: &usize| {
            let value = text.get(at + "\"detail\":".len()..).unwrap_or_default();
            value.trim_ascii_start().starts_with(b"\"low\"")
        };
        self.all += len_to_u64(memmem::find_iter(text, "\"image_url\":").count());
        self.low += len_to_u64(memmem::find_iter(text, "\"detail\":").filter(is_low).count());
    }

    fn tokens(self) -> u64 {
        let low = self.low.min(self.all);
        low * LOW_DETAIL + (self.all - low) * HIGH_DETAIL
    }
}
