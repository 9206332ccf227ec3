//! An answer as the stream that this provider makes of it.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, CALLS, common, id, thoughts};
use crate::facts::{Facts, Index, UsageAt};

/// A stream that is being written.
struct Writer<'a> {
    facts: &'a Facts,
    common: Map<String, Value>,
    /// Whether `stream_options` asks for usage.
    asked: bool,
    events: Vec<String>,
}

/// The events of the answer to `body`.
pub(crate) fn events(answer: &Answer, body: &Value, facts: &Facts) -> Vec<String> {
    let mut common = common(body, facts);
    if facts.stream.object {
        common.insert("object".to_owned(), "chat.completion.chunk".into());
    }
    let asked = body["stream_options"]["include_usage"] == true;
    let end = &facts.stream.end;
    let events = facts.stream.comments.iter().map(|comment| format!("{comment}{end}{end}")).collect();
    let mut writer = Writer { facts, common, asked, events };
    writer.first(answer);
    if answer.calls {
        writer.calls();
    } else {
        writer.text(&answer.text);
    }
    writer.end(answer.calls);
    writer.events.push(format!("{}[DONE]{end}{end}", facts.stream.data));
    writer.events
}

impl Writer<'_> {
    /// The role and what is thought.
    fn first(&mut self, answer: &Answer) {
        let role = json!({ "role": "assistant", "content": if answer.calls { Value::Null } else { "".into() } });
        self.delta(role);
        if let Some(name) = answer.thoughts {
            let mut delta = json!({ "content": null });
            delta[name] = thoughts(name);
            self.delta(delta);
        }
    }

    fn text(&mut self, text: &str) {
        let letters: Vec<char> = text.chars().collect();
        for piece in letters.chunks(5) {
            self.delta(json!({ "content": piece.iter().collect::<String>() }));
        }
    }

    fn calls(&mut self) {
        for (at, (name, arguments)) in CALLS.iter().enumerate() {
            let middle = if self.facts.calls.whole { arguments.len() } else { arguments.len() / 2 };
            let (one, other) = arguments.split_at(middle);
            let mut first = json!({ "type": "function", "function": { "name": name, "arguments": one } });
            if !self.facts.calls.no_ids {
                first["id"] = id(at).into();
            }
            self.piece(at, first);
            if !self.facts.calls.whole {
                let mut more = json!({ "function": { "arguments": other } });
                if self.facts.calls.empty_ids {
                    more["id"] = "".into();
                    more["type"] = "function".into();
                }
                if self.facts.calls.empty_names {
                    more["function"]["name"] = "".into();
                }
                self.piece(at, more);
            }
        }
    }

    fn piece(&mut self, at: usize, mut piece: Value) {
        let index = match self.facts.calls.index {
            Index::Counted => Some(json!(at)),
            Index::MinusOne => Some(json!(-1)),
            Index::Zero => Some(json!(0)),
            Index::Absent => None,
        };
        if let Some(index) = index {
            piece["index"] = index;
        }
        let mut delta = json!({ "tool_calls": [piece] });
        if self.facts.calls.stray_index {
            delta["index"] = 0.into();
            delta["content"] = "".into();
        }
        self.delta(delta);
    }

    fn delta(&mut self, mut delta: Value) {
        if self.facts.stream.role_always {
            delta["role"] = "assistant".into();
        }
        let mut choice = json!({ "index": 0, "delta": delta });
        if !self.facts.stream.finish_absent {
            choice["finish_reason"] = Value::Null;
        }
        let usage = match self.facts.stream.usage {
            UsageAt::Every => Some(self.usage_so_far()),
            UsageAt::Asked if self.asked => Some(Value::Null),
            UsageAt::Asked | UsageAt::Last | UsageAt::LastAndAsked | UsageAt::ChoiceAndAsked => None,
        };
        self.chunk(json!([choice]), usage);
    }

    /// As much as could be known in the middle: the answer is not at its end.
    fn usage_so_far(&self) -> Value {
        let mut usage = self.facts.usage.report.0.clone();
        usage["completion_tokens"] = 1.into();
        usage["total_tokens"] = (usage["prompt_tokens"].as_u64().unwrap_or_default() + 1).into();
        usage
    }

    fn end(&mut self, calls: bool) {
        let usage = self.facts.usage.report.0.clone();
        let reason = if calls && !self.facts.calls.ends_with_stop { "tool_calls" } else { "stop" };
        let mut choice = json!({ "index": 0, "delta": {}, "finish_reason": reason });
        let at = self.facts.stream.usage;
        if at == UsageAt::ChoiceAndAsked {
            choice["usage"] = usage.clone();
        }
        let with_end = match at {
            UsageAt::Last | UsageAt::LastAndAsked | UsageAt::Every => Some(usage.clone()),
            UsageAt::Asked => self.asked.then_some(Value::Null),
            UsageAt::ChoiceAndAsked => None,
        };
        self.chunk(json!([choice]), with_end);
        if self.asked && matches!(at, UsageAt::Asked | UsageAt::LastAndAsked | UsageAt::ChoiceAndAsked) {
            self.chunk(json!([]), Some(usage));
        }
    }

    fn chunk(&mut self, choices: Value, usage: Option<Value>) {
        let mut object = self.common.clone();
        object.insert("choices".to_owned(), choices);
        if let Some(usage) = usage {
            object.insert("usage".to_owned(), usage);
        }
        let (data, end) = (&self.facts.stream.data, &self.facts.stream.end);
        self.events.push(format!("{data}{}{end}{end}", Value::Object(object)));
    }
}
