//! How deep a body is nested, before any parser has to follow it.

use memchr::memchr2;

/// Nesting deeper than this is refused: no API needs it, and it is how parsers downstream are made to overflow.
pub(super) const MAX_DEPTH: usize = 128;

/// Nesting takes brackets: counting them all is far cheaper than following them, and enough for nearly every body.
pub(super) fn is_too_deep(json: &[u8]) -> bool {
    if count_opening(json) <= MAX_DEPTH {
        return false;
    }
    let mut depth = 0_usize;
    let mut rest = json;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(tail),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return true;
        }
    }
    false
}

fn count_opening(json: &[u8]) -> usize {
    // In blocks, so that the counter stays in a byte and the compiler can use vectors.
    let block = |block: &[u8]| block.iter().map(|byte| u8::from(matches!(byte, b'{' | b'['))).sum::<u8>();
    json.chunks(255).map(|bytes| usize::from(block(bytes))).sum()
}

/// What follows the string that begins here. An unterminated one is for the parser to report.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let escape = rest.get(at) == Some(&b'\\');
        rest = rest.get(at + 1 + usize::from(escape)..).unwrap_or_default();
        if !escape {
            return rest;
        }
    }
    &[]
}
