//! How many tokens an answer has whose provider does not say: by the same rates as prompts, and no better.

use super::script::{Ascii, add_text};
use crate::engine::Content;
use crate::units::{Tokens, count_to_f64};

/// Of text of which nothing but its size is known.
const BYTES_PER_TOKEN: f64 = 4.0;

/// The estimate for JSON text that is an answer.
pub(super) fn answer_tokens(json: &str) -> Tokens {
    let mut content = Content::default();
    add_text(&mut content, json.as_bytes(), Ascii::Text);
    content.usual_tokens()
}

/// The estimate for a piece of an answer: providers send about a token at a time, so a piece is never less than one.
pub(super) fn delta_tokens(json: &str) -> Tokens {
    answer_tokens(json).max(Tokens(1))
}

/// The estimate for an answer of which only its size is known.
pub fn relayed_tokens(bytes: u64) -> Tokens {
    Tokens::from_estimate(count_to_f64(bytes) / BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin_text_is_four_bytes_to_a_token_and_chinese_three_tokens_to_four_characters() {
        assert_eq!(answer_tokens(&"word".repeat(100)), Tokens(100));
        assert_eq!(answer_tokens(&"价".repeat(400)), Tokens(300));
        assert_eq!(answer_tokens(&"\\u4ef7".repeat(100)), Tokens(75));
        assert_eq!(answer_tokens(""), Tokens(0));
    }
}
