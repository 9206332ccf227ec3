//! What an answer used, from any provider's words to one normal form: cached tokens inside the input count, reasoning
//! tokens inside the output count.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::engine::Usage;
use crate::units::Tokens;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reported {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_cache_hit_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// The usage in `json`, an OpenAI-shaped `usage` object; `None` for null and for what is no such object.
pub(super) fn parse(json: &str) -> Option<Usage> {
    let reported: Reported = serde_json::from_str::<Option<Reported>>(json).ok()??;
    let input = reported.prompt_tokens.or(reported.total_tokens)?;
    let cached = reported
        .prompt_tokens_details
        .and_then(|details| details.cached_tokens)
        .or(reported.prompt_cache_hit_tokens)
        .or(reported.cached_tokens);
    Some(Usage {
        input: Tokens(input),
        cached_input: Tokens(cached.unwrap_or(0)),
        cache_write: Tokens::ZERO,
        output: Tokens(reported.completion_tokens.unwrap_or(0)),
        reasoning: Tokens(reported.completion_tokens_details.and_then(|d| d.reasoning_tokens).unwrap_or(0)),
    })
}

/// The usage in the last bytes of a reply that was too large to be read whole. Every provider puts it at the end.
pub fn usage_in_tail(tail: &[u8]) -> Option<Usage> {
    const NAME: &[u8] = b"\"usage\"";
    let at = memmem::rfind(tail, NAME)?;
    let (before, rest) = (tail.get(..at)?, tail.get(at + NAME.len()..)?);
    // Inside a text its quotes would be escaped.
    if before.last() == Some(&b'\\') {
        return None;
    }
    let value = rest.trim_ascii_start().strip_prefix(b":")?;
    let first = serde_json::Deserializer::from_slice(value).into_iter::<&RawValue>().next()?.ok()?;
    parse(first.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, cached_input: u64, output: u64, reasoning: u64) -> Usage {
        let [input, cached_input, output, reasoning] = [input, cached_input, output, reasoning].map(Tokens);
        Usage { input, cached_input, output, reasoning, ..Usage::default() }
    }

    #[test]
    fn cached_tokens_are_found_wherever_providers_put_them() {
        let openai = r#"{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13,
            "prompt_tokens_details":{"cached_tokens":5,"audio_tokens":null},"completion_tokens_details":{"reasoning_tokens":3}}"#;
        assert_eq!(parse(openai), Some(usage(9, 5, 4, 3)));
        assert_eq!(
            parse(r#"{"prompt_tokens":9,"completion_tokens":4,"prompt_cache_hit_tokens":6}"#),
            Some(usage(9, 6, 4, 0))
        );
        assert_eq!(
            parse(r#"{"prompt_tokens":9,"completion_tokens":4,"cached_tokens":7,"prompt_tokens_details":null}"#),
            Some(usage(9, 7, 4, 0))
        );
    }

    #[test]
    fn the_usage_at_the_end_of_a_large_reply_is_found_without_its_beginning() {
        let tail = br#"0.25,0.5]}],"model":"e","usage": {"prompt_tokens":12,"total_tokens":12},"id":"x"}"#;
        assert_eq!(usage_in_tail(tail), Some(usage(12, 0, 0, 0)));
        assert_eq!(usage_in_tail(br#"say \"usage\": {\"prompt_tokens\":1}"}"#), None);
        assert_eq!(usage_in_tail(br#""usage":{"prompt_tok"#), None);
        assert_eq!(usage_in_tail(b""), None);
    }

    #[test]
    fn embeddings_report_a_prompt_only() {
        assert_eq!(parse(r#"{"prompt_tokens":12,"total_tokens":12}"#), Some(usage(12, 0, 0, 0)));
    }

    #[test]
    fn what_is_no_usage_is_none_rather_than_zero() {
        for json in ["null", "{}", "[]", r#"{"prompt_tokens":"many"}"#] {
            assert_eq!(parse(json), None, "{json}");
        }
    }
}
