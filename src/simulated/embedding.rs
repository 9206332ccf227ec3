//! Embeddings: eight numbers that depend on the text alone, so that equal texts have equal vectors anywhere.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::simulated::ask::{prompt_tokens, required};
use crate::simulated::refusal::Refusal;
use crate::units::Tokens;

const DIMENSIONS: usize = 8;

/// A request for embeddings.
#[derive(Debug)]
pub(super) struct EmbeddingAsk {
    pub(super) model: String,
    pub(super) prompt: Tokens,
    inputs: Vec<Value>,
    encoding: Encoding,
}

/// How a vector is written. The OpenAI SDKs ask for base64 unless told otherwise.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

#[derive(Deserialize)]
struct RawEmbedding {
    model: Option<String>,
    input: Option<Value>,
    encoding_format: Option<Encoding>,
}

impl EmbeddingAsk {
    pub(super) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let raw: RawEmbedding = serde_json::from_slice(body).map_err(|error| Refusal::NotJson(error.to_string()))?;
        let input = required(raw.input, "input")?;
        let prompt = prompt_tokens(&input);
        let inputs = match input {
            // A list of numbers is one text, already cut into tokens.
            Value::Array(items) if !items.iter().all(Value::is_number) => items,
            text => vec![text],
        };
        let encoding = raw.encoding_format.unwrap_or_default();
        Ok(Self { model: required(raw.model, "model")?, prompt, inputs, encoding })
    }

    pub(super) fn reply(&self) -> Value {
        let data: Vec<Value> = self.inputs.iter().enumerate().map(|(index, input)| self.entry(index, input)).collect();
        let usage = json!({ "prompt_tokens": self.prompt.0, "total_tokens": self.prompt.0 });
        json!({ "object": "list", "data": data, "model": self.model, "usage": usage })
    }

    fn entry(&self, index: usize, input: &Value) -> Value {
        let vector = vector(&input.to_string());
        let embedding = match self.encoding {
            Encoding::Float => json!(vector),
            Encoding::Base64 => Value::from(base64(&vector.map(f32::to_le_bytes).concat())),
        };
        json!({ "object": "embedding", "index": index, "embedding": embedding })
    }
}

/// Each number is in [-1, 1), from one byte of a 64-bit FNV-1a hash.
fn vector(text: &str) -> [f32; DIMENSIONS] {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash.to_le_bytes().map(|byte| f32::from(byte) / 128.0 - 1.0)
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit = |bits: u32| ALPHABET.get(usize::try_from(bits & 63).unwrap_or(0)).map_or('=', |byte| char::from(*byte));
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        let digits = [bits >> 18, bits >> 12, bits >> 6, bits].map(digit);
        text.extend(digits.iter().take(group.len() + 1));
        text.extend(std::iter::repeat_n('=', 3 - group.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_to_whole_groups() {
        let texts = [&b""[..], b"f", b"fo", b"foo", b"foob"].map(base64);
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
    }

    #[test]
    fn equal_texts_have_equal_vectors_and_other_texts_have_others() {
        let ask = EmbeddingAsk::parse(br#"{"model":"e","input":["a","b","a"]}"#).unwrap();
        let reply = ask.reply();
        let vector = |index: usize| reply["data"][index]["embedding"].clone();
        assert_eq!(vector(0).as_array().unwrap().len(), DIMENSIONS);
        assert_eq!(vector(0), vector(2));
        assert_ne!(vector(0), vector(1));
    }

    #[test]
    fn a_list_of_tokens_is_one_input() {
        let ask = EmbeddingAsk::parse(br#"{"model":"e","input":[1,2,3]}"#).unwrap();
        assert_eq!((ask.prompt, ask.inputs.len()), (Tokens(3), 1));
    }
}
