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
    // Under both names at once some report; an alias would call that a mistake.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    total_tokens: Option<u64>,
    prompt_cache_hit_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// The usage in `json`, an OpenAI-shaped `usage` object; `None` for null and for what is no such object.
///
/// Providers differ in what they count where, and most say a total: where parts add up to it only if the reasoning is
/// added to the answer (xAI), or the cached tokens to the prompt (Anthropic's names), they are.
pub(super) fn parse(json: &str) -> Option<Usage> {
    let reported: Reported = serde_json::from_str::<Option<Reported>>(json).ok()??;
    let prompt = reported.prompt_tokens.or(reported.input_tokens);
    let answer = reported.completion_tokens.or(reported.output_tokens).unwrap_or(0);
    let stated = prompt.or(reported.total_tokens)?;
    let cached = reported.cached();
    let written = reported.written();
    let reasoning = reported.reasoning();
    let total = reported.total_tokens.filter(|_| prompt.is_some());
    let adds_up = |prompt: u64, answer: u64| total == Some(prompt.saturating_add(answer));
    let all_prompt = stated.saturating_add(cached).saturating_add(written);
    let all_answer = answer.saturating_add(reasoning);
    // More than the whole cannot be a part of it.
    let apart = adds_up(all_prompt, answer) || adds_up(all_prompt, all_answer) || cached > stated;
    let input = if !adds_up(stated, answer) && apart { all_prompt } else { stated };
    let thought_apart = adds_up(stated, all_answer) || adds_up(all_prompt, all_answer) || reasoning > answer;
    let output = if !adds_up(stated, answer) && thought_apart { all_answer } else { answer };
    Some(Usage {
        input: Tokens(input),
        cached_input: Tokens(cached),
        cache_write: Tokens(written),
        output: Tokens(output),
        reasoning: Tokens(reasoning),
    })
}

impl Reported {
    fn cached(&self) -> u64 {
        let details = self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        let cached = details.or(self.prompt_cache_hit_tokens).or(self.cached_tokens).or(self.cache_read_input_tokens);
        cached.unwrap_or(0)
    }

    fn written(&self) -> u64 {
        let details = self.prompt_tokens_details.as_ref().and_then(|details| details.cache_creation_input_tokens);
        details.or(self.cache_creation_input_tokens).unwrap_or(0)
    }

    fn reasoning(&self) -> u64 {
        let details = self.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
        details.or(self.reasoning_tokens).unwrap_or(0)
    }
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
    fn reasoning_beside_the_answer_is_added_to_it_and_inside_it_is_not() {
        let xai = r#"{"prompt_tokens":100,"completion_tokens":20,"total_tokens":150,
            "completion_tokens_details":{"reasoning_tokens":30}}"#;
        assert_eq!(parse(xai), Some(usage(100, 0, 50, 30)));
        let openai = r#"{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,
            "completion_tokens_details":{"reasoning_tokens":30}}"#;
        assert_eq!(parse(openai), Some(usage(100, 0, 50, 30)));
        let more_than_all = r#"{"prompt_tokens":100,"completion_tokens":20,"reasoning_tokens":30}"#;
        assert_eq!(parse(more_than_all), Some(usage(100, 0, 50, 30)));
    }

    #[test]
    fn a_cache_beside_the_prompt_is_added_to_it_and_inside_it_is_not() {
        let beside =
            r#"{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":900,"cache_creation_input_tokens":90}"#;
        let expected = Usage { cache_write: Tokens(90), ..usage(1_000, 900, 5, 0) };
        assert_eq!(parse(beside), Some(expected));
        let inside = r#"{"prompt_tokens":1000,"completion_tokens":5,"total_tokens":1005,
            "prompt_tokens_details":{"cached_tokens":900,"cache_creation_input_tokens":90}}"#;
        assert_eq!(parse(inside), Some(expected));
    }

    #[test]
    fn both_names_at_once_are_no_mistake() {
        let both =
            r#"{"prompt_tokens":10,"completion_tokens":5,"input_tokens":10,"output_tokens":5,"total_tokens":15}"#;
        assert_eq!(parse(both), Some(usage(10, 0, 5, 0)));
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
