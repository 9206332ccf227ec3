//! Embeddings without meaning: the same text always has the same eight numbers, and that is all they promise.

use rand::RngExt;

use crate::runtime::seeded;

/// Fixed rather than the provider's seed: providers of one model must agree, or a router could not mix them.
const DIMENSIONS: usize = 8;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The vector of `text`, each number in -1..1.
pub(super) fn of(model: &str, text: &str) -> [f32; DIMENSIONS] {
    let mut rng = seeded(fnv1a(&[model.as_bytes(), b"\0", text.as_bytes()]));
    std::array::from_fn(|_| rng.random::<f32>() * 2.0 - 1.0)
}

/// The numbers as little-endian f32, in standard base64 with padding.
pub(super) fn base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    bytes.chunks(3).flat_map(sextets).collect()
}

/// One to three bytes as four characters.
fn sextets(bytes: &[u8]) -> [char; 4] {
    let byte = |index: usize| u32::from(bytes.get(index).copied().unwrap_or_default());
    let joined = byte(0) << 16 | byte(1) << 8 | byte(2);
    std::array::from_fn(|index| {
        if index > bytes.len() {
            return '=';
        }
        let sextet = usize::try_from(joined >> (18 - 6 * index) & 63).unwrap_or_default();
        ALPHABET.get(sextet).map_or('=', |letter| char::from(*letter))
    })
}

/// A hash that stays the same between versions of the standard library, which promises no such thing of its own.
fn fnv1a(parts: &[&[u8]]) -> u64 {
    let bytes = parts.iter().copied().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads_what_three_does_not_divide() {
        let encode = |bytes: &[u8]| bytes.chunks(3).flat_map(sextets).collect::<String>();
        assert_eq!([encode(b"M"), encode(b"Ma"), encode(b"Man")], ["TQ==", "TWE=", "TWFu"]);
        // 1.0f32 is 00 00 80 3f in little-endian order.
        assert_eq!(base64(&[1.0]), "AACAPw==");
    }

    #[test]
    fn a_text_has_one_vector_and_another_text_another() {
        assert_eq!(of("m", "a").map(f32::to_bits), of("m", "a").map(f32::to_bits));
        assert_ne!(of("m", "a").map(f32::to_bits), of("m", "b").map(f32::to_bits));
        assert!(of("m", "a").iter().all(|number| (-1.0..1.0).contains(number)));
    }
}
