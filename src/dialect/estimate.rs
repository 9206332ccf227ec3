//! How many tokens a text has, without a tokenizer: exact counting costs fifty times the reading.
//!
//! Ratios by script, from the published vocabularies of today's models: about four bytes of Latin text to a token, and
//! three tokens to two characters of Chinese, Japanese or Korean (three bytes each in UTF-8). Other scripts lie
//! between. The estimate is corrected by what providers report, further down the road.

use crate::units::{Tokens, count_to_f64, len_to_f64};

const LATIN_BYTES_PER_TOKEN: f64 = 4.0;
/// Per three-byte character.
const TOKENS_PER_WIDE_CHARACTER: f64 = 0.75;
/// Per two-byte character: Greek, Cyrillic, Arabic, accents.
const TOKENS_PER_MIDDLE_CHARACTER: f64 = 0.5;

/// The estimate for JSON text that is part of a prompt.
pub(super) fn prompt_tokens(json: &str) -> Tokens {
    let (mut ascii, mut middle, mut wide) = (0_usize, 0_usize, 0_usize);
    // In blocks, so that the counters stay in bytes and the compiler can use vectors.
    for block in json.as_bytes().chunks(255) {
        let (mut a, mut m, mut w) = (0_u8, 0_u8, 0_u8);
        for &byte in block {
            a += u8::from(byte < 0x80);
            m += u8::from(byte & 0xE0 == 0xC0);
            w += u8::from(byte >= 0xE0);
        }
        ascii += usize::from(a);
        middle += usize::from(m);
        wide += usize::from(w);
    }
    Tokens::from_estimate(
        len_to_f64(ascii) / LATIN_BYTES_PER_TOKEN
            + len_to_f64(middle) * TOKENS_PER_MIDDLE_CHARACTER
            + len_to_f64(wide) * TOKENS_PER_WIDE_CHARACTER,
    )
}

/// The estimate for a piece of an answer: providers send about a token at a time, so a piece is never less than one.
pub(super) fn delta_tokens(json: &str) -> Tokens {
    prompt_tokens(json).max(Tokens(1))
}

/// The estimate for an answer of which only its size is known.
pub fn relayed_tokens(bytes: u64) -> Tokens {
    Tokens::from_estimate(count_to_f64(bytes) / LATIN_BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_text_is_four_bytes_to_a_token_and_chinese_three_tokens_to_four_characters() {
        assert_eq!(prompt_tokens(&"word".repeat(100)), Tokens(100));
        assert_eq!(prompt_tokens(&"价".repeat(400)), Tokens(300));
        assert_eq!(prompt_tokens(""), Tokens(0));
    }
}
