//! How many bytes of a JSON text belong to which script, in one pass over it, or over a bounded sample of a long one.
//!
//! Scripts are told by the first bytes of characters (RFC 3629, section 3), which takes no decoding. Escapes count as the
//! characters that they stand for: many clients write everything beyond ASCII as `\uXXXX`, six bytes for a character of
//! three. Programs and tables are told from prose by how many of their characters are signs and digits.

use crate::engine::{Content, ContentKind};
use crate::units::len_to_f64;

/// What is looked at at a time. A text may be prose in one place and a program in another.
const BLOCK: usize = 512;
/// Of a text of more blocks only as many are looked at, evenly spread.
const MOST_BLOCKS: usize = 16;
/// As many bytes can be counted in one, and fill vectors of any size.
const PART: usize = 128;
/// The share of signs and digits of which there is none beyond prose, and from which on all is code.
const SIGNS: (f64, f64) = (0.03, 0.12);

/// As what ASCII counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ascii {
    /// Prose or code.
    Text,
    /// What describes tools and answers.
    Schema,
}

/// What a text is made of, as far as it was looked at, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    seen: usize,
    ascii: f64,
    /// The part of that which is code.
    code: f64,
    cjk: usize,
    /// All beyond ASCII.
    wide: usize,
}

/// One block, by script.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Characters of one byte.
    ascii: usize,
    /// Those of them that prose has few of.
    signs: usize,
    /// Chinese, Japanese and Korean characters of three bytes.
    cjk: usize,
    /// Bytes beyond ASCII, theirs included.
    wide: usize,
}

/// Adds what `json` is made of to `content`.
pub(super) fn add_text(content: &mut Content, json: &[u8], ascii: Ascii) {
    // Rounded down: it takes up to twice as many blocks.
    let skipped = (json.len() / BLOCK / MOST_BLOCKS).saturating_sub(1) * BLOCK;
    let (mut sample, mut rest) = (Sample::default(), json);
    while !rest.is_empty() {
        let (block, behind) = rest.split_at_checked(block_length(rest)).unwrap_or((rest, b""));
        sample.add(block);
        rest = behind.get(skipped..).unwrap_or_default();
    }
    let scale = len_to_f64(json.len()) / len_to_f64(sample.seen.max(1));
    match ascii {
        Ascii::Schema => content.add(ContentKind::Schema, scale * sample.ascii),
        Ascii::Text => {
            content.add(ContentKind::Latin, scale * (sample.ascii - sample.code));
            content.add(ContentKind::Code, scale * sample.code);
        }
    }
    content.add(ContentKind::Cjk, scale * len_to_f64(sample.cjk));
    content.add(ContentKind::Other, scale * len_to_f64(sample.wide.saturating_sub(sample.cjk)));
}

/// As much of `text` as is looked at at once, without an escape that is cut in two.
fn block_length(text: &[u8]) -> usize {
    const ESCAPE: usize = 6;
    let end = text.get(..BLOCK).unwrap_or(text);
    let tail = end.len().saturating_sub(ESCAPE - 1);
    let cut = end.iter().skip(tail).position(|byte| *byte == b'\\');
    cut.map_or(end.len(), |at| end.len().max(tail + at + ESCAPE)).min(text.len())
}

impl Sample {
    fn add(&mut self, block: &[u8]) {
        let tally = Tally::of(block);
        let (prose, code) = SIGNS;
        let ascii = len_to_f64(tally.ascii);
        let signs = len_to_f64(tally.signs) / ascii.max(1.0);
        self.seen += block.len();
        self.ascii += ascii;
        self.code += ascii * ((signs - prose) / (code - prose)).clamp(0.0, 1.0);
        // A character may lie across two blocks; its first byte stands for all three.
        self.cjk += 3 * tally.cjk;
        self.wide += tally.wide;
    }
}

impl Tally {
    fn of(block: &[u8]) -> Self {
        let mut escapes = 0_usize;
        let mut tally = Self::default();
        // In parts, so that the counters stay in bytes and the compiler can use vectors.
        for part in block.chunks(PART) {
            let (mut ascii, mut signs, mut cjk, mut escaped) = (0_u8, 0_u8, 0_u8, 0_u8);
            for &byte in part {
                ascii += u8::from(byte < 0x80);
                signs += u8::from(is_sign(byte));
                cjk += u8::from(begins_cjk(byte));
                escaped += u8::from(byte == b'\\');
            }
            tally.ascii += usize::from(ascii);
            tally.signs += usize::from(signs);
            tally.cjk += usize::from(cjk);
            escapes += usize::from(escaped);
        }
        tally.wide = block.len() - tally.ascii;
        if escapes > 0 {
            tally.resolve_escapes(block, escapes);
        }
        tally
    }

    /// Replaces escapes, of which there are about so `many`, by what they stand for.
    fn resolve_escapes(&mut self, block: &[u8], many: usize) {
        // A search by vectors takes longer to begin than to walk a few bytes.
        let is_dense = many * 24 > block.len();
        let find = |rest: &[u8]| {
            if is_dense { rest.iter().position(|byte| *byte == b'\\') } else { memchr::memchr(b'\\', rest) }
        };
        let mut rest = block;
        while let Some(at) = find(rest) {
            let escape = rest.get(at + 1..).unwrap_or_default();
            let length = match escape {
                [b'u', a, b, c, d, ..] => {
                    self.resolve([*a, *b, *c, *d]);
                    5
                }
                [quoted, ..] => {
                    // A quote in a text is one of a program or of data; prose mostly has others.
                    self.signs += usize::from(*quoted == b'"');
                    self.ascii = self.ascii.saturating_sub(1);
                    1
                }
                [] => return,
            };
            rest = escape.get(length..).unwrap_or_default();
        }
    }

    /// Takes `\uXXXX` for its character. Half a surrogate pair stands for two of its four bytes.
    fn resolve(&mut self, digits: [u8; 4]) {
        let figures: usize = digits.iter().map(|digit| usize::from(is_sign(*digit))).sum();
        let unit = digits.iter().fold(0_u16, |unit, digit| unit << 4 | hexadecimal(*digit));
        let is_ascii = unit < 0x80;
        let is_half = unit & 0xF800 == 0xD800;
        let is_cjk = unit >= 0x3000 && !is_half && unit & 0xF000 != 0xE000;
        let bytes = 3 - usize::from(unit < 0x800 || is_half);
        self.ascii = (self.ascii + usize::from(is_ascii)).saturating_sub(6);
        self.signs = (self.signs + usize::from(is_ascii)).saturating_sub(figures);
        self.cjk += usize::from(is_cjk);
        self.wide += bytes * usize::from(!is_ascii);
    }
}

/// The value of a hexadecimal digit.
fn hexadecimal(digit: u8) -> u16 {
    u16::from((digit & 0xF) + 9 * (digit >> 6 & 1))
}

/// Digits, and signs that programs have many of: `#$%&()*+/;<=>_` and a backtick. Not those that JSON itself is made of,
/// nor the marks of prose.
const fn is_sign(byte: u8) -> bool {
    // Each range by one subtraction, which the compiler turns into vectors; `|` is no lazy "or".
    (byte.wrapping_sub(b'#') < 4)
        | (byte.wrapping_sub(b'(') < 4)
        | (byte.wrapping_sub(b'/') < 11)
        | (byte.wrapping_sub(b';') < 4)
        | (byte.wrapping_sub(b'_') < 2)
}

/// The first bytes of U+3000 to U+DFFF and of U+F000 to U+FFFF, which hold the full-width signs.
const fn begins_cjk(byte: u8) -> bool {
    byte != 0xEE && byte.wrapping_sub(0xE3) < 13
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    const CODE: &str = "fn add(a: u32, b: u32) -> u32 { let sum = a + b; items[0] += sum * 2; return sum; }";
    const PROSE: &str = "It was the best of times, it was the worst of times: the age of wisdom, and of foolishness. ";

    /// Bytes of Latin, CJK, code and others.
    fn kinds(json: &str) -> [f64; 4] {
        let mut content = Content::default();
        add_text(&mut content, json.as_bytes(), Ascii::Text);
        [ContentKind::Latin, ContentKind::Cjk, ContentKind::Code, ContentKind::Other].map(|kind| content.amount(kind))
    }

    fn is_near(one: [f64; 4], other: [f64; 4]) -> bool {
        one.iter().zip(other).all(|(one, other)| (one - other).abs() <= 1e-6)
    }

    /// As clients write it that keep to ASCII.
    fn escaped(text: &str) -> String {
        text.encode_utf16().fold(String::new(), |all, unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => all + char::from(byte).encode_utf8(&mut [0; 4]),
            Ok(_) | Err(_) => format!("{all}\\u{unit:04x}"),
        })
    }

    #[test]
    fn each_character_counts_in_the_bytes_of_its_script() {
        assert!(is_near(kinds(""), [0.0; 4]));
        assert!(is_near(kinds("hello"), [5.0, 0.0, 0.0, 0.0]));
        assert!(is_near(kinds("价格，かな한글"), [0.0, 21.0, 0.0, 0.0]));
        assert!(is_near(kinds("приветé"), [0.0, 0.0, 0.0, 14.0]));
        assert!(is_near(kinds("hi 😀—"), [3.0, 0.0, 0.0, 7.0]));
    }

    #[test]
    fn an_escape_counts_as_what_it_stands_for() {
        assert!(is_near(kinds(r"\u4ef7\u683C"), [0.0, 6.0, 0.0, 0.0]));
        assert!(is_near(kinds(r"\ud83d\ude00\u0434\u00e9\u2014"), [0.0, 0.0, 0.0, 11.0]));
        assert!(is_near(kinds(r"one\ntwo\\three"), [13.0, 0.0, 0.0, 0.0]));
        // A backslash that is escaped itself begins no other escape.
        assert!(kinds(r"ab\\u4ef7cdefghijklmnopqrstuvwxyz").iter().sum::<f64>() > 31.0);
    }

    #[test]
    fn programs_and_figures_are_told_from_prose() {
        let json = Value::from(CODE.repeat(5)).to_string();
        let [latin, _, code, _] = kinds(&json);
        assert!(code > 0.9 * (latin + code), "{code} of {}", latin + code);
        let [latin, _, code, _] = kinds(&PROSE.repeat(5));
        assert!(latin > 0.95 * (latin + code), "{latin} of {}", latin + code);
        let data = Value::from(r#"{"id":17,"name":"x","sizes":[1,22,333]}"#.repeat(9)).to_string();
        let [latin, _, code, _] = kinds(&data);
        assert!(code > latin);
        // The JSON around a message is no program.
        let [latin, _, code, _] = kinds(r#"[{"role":"user","content":"hi"}]"#);
        assert!(latin > 25.0 && code < 1.0, "{latin} {code}");
    }

    #[test]
    fn a_long_text_is_sampled_all_over() {
        let text = format!("{}{}{}", PROSE.repeat(2_000), "价格".repeat(30_000), CODE.repeat(2_000));
        let [latin, cjk, code, _] = kinds(&text);
        let is_about = |found: f64, length: usize| (found / len_to_f64(length) - 1.0).abs() < 0.15;
        assert!(is_about(latin, PROSE.len() * 2_000), "{latin}");
        assert!(is_about(cjk, 180_000), "{cjk}");
        assert!(is_about(code, CODE.len() * 2_000), "{code}");
    }

    proptest! {
        #[test]
        fn escaped_or_not_it_is_the_same(text in "[a-z дé价格한😀]{0,300}") {
            let (plain, escaped) = (kinds(&text), kinds(&escaped(&text)));
            prop_assert!(is_near(plain, escaped), "{plain:?} {escaped:?}");
        }

        #[test]
        fn no_byte_is_lost_and_none_is_made(text in "[ -!#-\\[\\]-~дé价한😀]{0,3000}") {
            let sum: f64 = kinds(&text).iter().sum();
            prop_assert!((sum - len_to_f64(text.len())).abs() < 1e-6);
        }
    }
}
