//! How long a prompt is, from what it is made of: text, token ids, and files inside the body.

use memchr::memmem;

use super::Kind;
use super::estimate::prompt_tokens;
use crate::engine::Capabilities;
use crate::units::{Tokens, count_to_f64, len_to_u64};

/// What an image costs, roughly, whatever its size.
const IMAGE_TOKENS: f64 = 800.0;

/// The estimate for what a request is made of.
pub(super) fn prompt_estimate(kind: Kind, content: &str, needs: Capabilities) -> Tokens {
    match kind {
        Kind::Chat => {
            prompt_tokens(content).saturating_sub(Tokens(inline_bytes(content, needs) / 4)) + images(content, needs)
        }
        Kind::Completion | Kind::Embedding if is_token_ids(content) => {
            Tokens(len_to_u64(memchr::memchr_iter(b',', content.as_bytes()).count()) + 1)
        }
        Kind::Completion | Kind::Embedding => prompt_tokens(content),
    }
}

/// Whether a prompt is an array of token ids rather than text.
fn is_token_ids(content: &str) -> bool {
    content.bytes().find(|byte| !b"[ \n\t\r".contains(byte)).is_some_and(|byte| byte.is_ascii_digit())
}

/// Bytes of images, sounds and documents inside the body. They are not read as text, at four bytes a token.
fn inline_bytes(content: &str, needs: Capabilities) -> u64 {
    let files = strings_after(content, b"\"data:").filter(|text| is_base64(text)).map(<[u8]>::len).sum::<usize>();
    let sounds = if needs.covers(Capabilities::AUDIO) {
        strings_after(content, b"\"data\":\"").map(<[u8]>::len).sum()
    } else {
        0
    };
    len_to_u64(files + sounds)
}

/// What lies between each `opening` and the next quote. Goes on behind that quote, so that no byte is read twice.
fn strings_after<'a>(content: &'a str, opening: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    let finder = memmem::Finder::new(opening);
    let mut rest = content.as_bytes();
    std::iter::from_fn(move || {
        let inside = rest.get(finder.find(rest)? + opening.len()..)?;
        let length = memchr::memchr(b'"', inside).unwrap_or(inside.len());
        let (text, behind) = inside.split_at_checked(length)?;
        rest = behind;
        Some(text)
    })
}

/// Whether a data URL's text says so, in its first few bytes.
fn is_base64(text: &[u8]) -> bool {
    const LONGEST_TYPE: usize = 128;
    memmem::find(text.get(..LONGEST_TYPE).unwrap_or(text), b";base64,").is_some()
}

fn images(content: &str, needs: Capabilities) -> Tokens {
    if !needs.covers(Capabilities::VISION) {
        return Tokens::ZERO;
    }
    let images = memmem::find_iter(content.as_bytes(), "\"image_url\":").count();
    Tokens::from_estimate(count_to_f64(len_to_u64(images)) * IMAGE_TOKENS)
}
