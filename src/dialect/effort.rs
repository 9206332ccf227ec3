//! How much an answer shall be thought about, in the words of any of the dialects that `OpenAI`'s has grown.
//!
//! `reasoning_effort` (`OpenAI`), `reasoning` (`OpenRouter`, the Responses API), `thinking` (Anthropic, Zhipu, Volcengine),
//! `enable_thinking` with `thinking_budget` (Alibaba Cloud), `chat_template_kwargs` (vLLM and `SGLang`). Nothing here is
//! refused: what is not understood is as good as not said, and passes on to whoever does understand it.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Fields, Text};
use crate::engine::Thinking;

/// A budget of fewer tokens is a small effort …
const LOW_BUDGET: i64 = 2_048;
/// … and of fewer than these a middling one.
const MEDIUM_BUDGET: i64 = 8_192;

/// What a `reasoning` or a `thinking` object holds.
#[derive(Deserialize)]
struct Stated<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    effort: Option<Text<'a>>,
    enabled: Option<bool>,
    budget_tokens: Option<i64>,
    max_tokens: Option<i64>,
}

/// What a chat template is told, of which models call it what they like.
#[derive(Deserialize)]
struct Template<'a> {
    enable_thinking: Option<bool>,
    thinking: Option<bool>,
    #[serde(borrow)]
    reasoning_effort: Option<Text<'a>>,
}

/// What `fields` say. A plain "no" is taken before all else, and a degree before a plain "yes".
pub(super) fn thinking(fields: &Fields<'_>) -> Thinking {
    let template: Option<Template<'_>> = read(fields.chat_template_kwargs);
    let templates = template.as_ref();
    let degrees = [
        read(fields.reasoning_effort).map(|Text(name)| degree(&name)),
        templates.and_then(|told| told.reasoning_effort.as_ref()).map(|name| degree(&name.0)),
        read(fields.reasoning).map(|stated: Stated<'_>| stated.degree()),
        read(fields.thinking).map(|stated: Stated<'_>| stated.degree()),
        read(fields.thinking_budget).map(budget),
    ];
    let switches = [
        read(fields.reasoning).and_then(|stated: Stated<'_>| stated.switch()),
        read(fields.thinking).and_then(|stated: Stated<'_>| stated.switch()),
        read(fields.enable_thinking),
        templates.and_then(|told| told.enable_thinking),
        templates.and_then(|told| told.thinking),
    ];
    let stated = degrees.into_iter().flatten().chain(switches.into_iter().flatten().map(switched));
    let mut stated = stated.filter(|thinking| *thinking != Thinking::Unknown);
    let Some(first) = stated.next() else { return Thinking::Unknown };
    if stated.any(|other| other == Thinking::Off) { Thinking::Off } else { first }
}

fn read<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

impl Stated<'_> {
    fn degree(&self) -> Thinking {
        if let Some(Text(name)) = &self.effort {
            return degree(name);
        }
        self.budget_tokens.or(self.max_tokens).map_or(Thinking::Unknown, budget)
    }

    /// Other types, such as "auto" and "adaptive", leave it to the model.
    fn switch(&self) -> Option<bool> {
        let by_type = self.kind.as_ref().and_then(|Text(kind)| match &**kind {
            "enabled" => Some(true),
            "disabled" => Some(false),
            _ => None,
        });
        by_type.or(self.enabled)
    }
}

fn degree(name: &str) -> Thinking {
    match name {
        "none" => Thinking::Off,
        "minimal" | "low" => Thinking::Low,
        "medium" => Thinking::Medium,
        "high" | "xhigh" | "max" => Thinking::High,
        _ => Thinking::Unknown,
    }
}

const fn budget(tokens: i64) -> Thinking {
    match tokens {
        ..0 => Thinking::Unknown,
        0 => Thinking::Off,
        1..LOW_BUDGET => Thinking::Low,
        LOW_BUDGET..MEDIUM_BUDGET => Thinking::Medium,
        MEDIUM_BUDGET.. => Thinking::High,
    }
}

const fn switched(on: bool) -> Thinking {
    if on { Thinking::High } else { Thinking::Off }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thinking_of(fields: &str) -> Thinking {
        let body = format!("{{{fields}}}");
        thinking(&serde_json::from_str(&body).unwrap())
    }

    #[test]
    fn every_dialects_word_for_it_is_read() {
        use Thinking::{High, Low, Medium, Off, Unknown};
        for (fields, expected) in [
            ("", Unknown),
            (r#""reasoning_effort":"none""#, Off),
            (r#""reasoning_effort":"minimal""#, Low),
            (r#""reasoning_effort":"low""#, Low),
            (r#""reasoning_effort":"medium""#, Medium),
            (r#""reasoning_effort":"high""#, High),
            (r#""reasoning_effort":"xhigh""#, High),
            (r#""reasoning_effort":null"#, Unknown),
            (r#""reasoning":{"effort":"medium","summary":"auto"}"#, Medium),
            (r#""reasoning":{"max_tokens":2000}"#, Low),
            (r#""reasoning":{"enabled":false}"#, Off),
            (r#""reasoning":{"enabled":true,"exclude":true}"#, High),
            (r#""thinking":{"type":"enabled","budget_tokens":4096}"#, Medium),
            (r#""thinking":{"type":"enabled","budget_tokens":32000}"#, High),
            (r#""thinking":{"type":"enabled"}"#, High),
            (r#""thinking":{"type":"disabled"}"#, Off),
            (r#""thinking":{"type":"disabled","budget_tokens":4096}"#, Off),
            (r#""thinking":{"type":"auto"}"#, Unknown),
            (r#""enable_thinking":true"#, High),
            (r#""enable_thinking":false"#, Off),
            (r#""enable_thinking":true,"thinking_budget":1000"#, Low),
            (r#""enable_thinking":false,"thinking_budget":1000"#, Off),
            (r#""thinking_budget":0"#, Off),
            (r#""thinking_budget":-1"#, Unknown),
            (r#""chat_template_kwargs":{"enable_thinking":false}"#, Off),
            (r#""chat_template_kwargs":{"thinking":true}"#, High),
            (r#""chat_template_kwargs":{"reasoning_effort":"low","enable_thinking":true,"x":[]}"#, Low),
        ] {
            assert_eq!(thinking_of(fields), expected, "{fields}");
        }
    }

    #[test]
    fn what_is_not_understood_is_as_good_as_not_said() {
        for fields in [
            r#""reasoning_effort":7"#,
            r#""reasoning_effort":"a lot""#,
            r#""reasoning":true"#,
            r#""thinking":{"type":{},"budget_tokens":"many"}"#,
            r#""enable_thinking":"yes""#,
            r#""chat_template_kwargs":[]"#,
        ] {
            assert_eq!(thinking_of(fields), Thinking::Unknown, "{fields}");
        }
    }
}
