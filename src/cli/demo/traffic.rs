//! The traffic of the demonstration: drawn beforehand from a seed, so that the same requests can be sent through the
//! router and computed for each provider alone.

use std::time::Duration;

use rand::RngExt;
use serde_json::json;

use crate::engine::Usage;
use crate::runtime;
use crate::simulated::Lognormal;
use crate::units::{Tokens, seconds};

/// The model that clients ask for. No provider sells it: the route says who stands in.
pub(super) const ASKED_MODEL: &str = "gpt-4o";

const PROMPT: Lognormal<Tokens> = Lognormal { median: Tokens(300), sigma: 0.8 };
const LONGEST_PROMPT: Tokens = Tokens(4_000);
const ANSWER: Lognormal<Tokens> = Lognormal { median: Tokens(50), sigma: 0.6 };
const LONGEST_ANSWER: Tokens = Tokens(250);
const STREAMED: f64 = 0.7;

/// One request that will be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Drawn {
    /// When, from the start of the traffic.
    pub(super) at: Duration,
    /// Prompt tokens.
    pub(super) prompt: Tokens,
    /// The longest answer that the client wants.
    pub(super) max_tokens: Tokens,
    /// How it wants it.
    pub(super) delivery: Delivery,
}

/// How a client wants its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Stream,
    Plain,
}

/// The requests of `length`, at `rate` a second, arriving independently of each other.
pub(super) fn draw(rate: f64, length: Duration, seed: u64) -> Vec<Drawn> {
    let mut rng = runtime::seeded(seed);
    let mut at = Duration::ZERO;
    let mut requests = Vec::new();
    loop {
        at += seconds(-(1.0 - rng.random::<f64>()).ln() / rate);
        if at >= length {
            return requests;
        }
        requests.push(Drawn {
            at,
            prompt: PROMPT.draw(&mut rng).min(LONGEST_PROMPT),
            max_tokens: ANSWER.draw(&mut rng).min(LONGEST_ANSWER),
            delivery: if rng.random::<f64>() < STREAMED { Delivery::Stream } else { Delivery::Plain },
        });
    }
}

impl Drawn {
    /// What any provider of the demonstration bills for it.
    pub(super) fn usage(&self) -> Usage {
        Usage { input: self.prompt, output: self.max_tokens, ..Usage::default() }
    }

    /// The body that asks for it.
    pub(super) fn body(&self) -> String {
        // Four bytes are a token, here as at the simulated providers; the role is one of them.
        let words = usize::try_from(self.prompt.0.saturating_sub(1)).unwrap_or(0);
        let message = json!({ "role": "user", "content": "why ".repeat(words) });
        let mut body = json!({ "model": ASKED_MODEL, "messages": [message], "max_tokens": self.max_tokens.0 });
        if let (Delivery::Stream, Some(fields)) = (self.delivery, body.as_object_mut()) {
            fields.insert("stream".to_owned(), json!(true));
        }
        body.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_come_at_the_asked_rate_in_order_and_within_the_time() {
        let length = Duration::from_secs(100);
        let requests = draw(20.0, length, 1);
        assert!((1_850..2_150).contains(&requests.len()), "{}", requests.len());
        assert!(requests.is_sorted_by_key(|request| request.at));
        assert!(requests.iter().all(|request| request.at < length));
        let streams = requests.iter().filter(|request| request.delivery == Delivery::Stream).count();
        assert!((60..80).contains(&(streams * 100 / requests.len())));
    }

    #[test]
    fn the_same_seed_draws_the_same_traffic() {
        let length = Duration::from_secs(5);
        assert_eq!(draw(20.0, length, 3), draw(20.0, length, 3));
        assert_ne!(draw(20.0, length, 3), draw(20.0, length, 4));
    }

    #[test]
    fn a_body_holds_as_many_prompt_tokens_as_were_drawn() {
        let drawn = Drawn { at: Duration::ZERO, prompt: Tokens(25), max_tokens: Tokens(7), delivery: Delivery::Stream };
        let body: serde_json::Value = serde_json::from_str(&drawn.body()).unwrap();
        let message = &body["messages"][0];
        let bytes = message["role"].as_str().unwrap().len() + message["content"].as_str().unwrap().len();
        assert_eq!(bytes, 25 * 4);
        assert_eq!((&body["max_tokens"], &body["stream"]), (&json!(7), &json!(true)));
    }
}
