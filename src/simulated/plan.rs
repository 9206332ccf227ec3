//! From a request to the script of its answer, fault included: pure, given a generator.
//!
//! A fault edits the script of the answer that would have been given. So an answer that is cut after five tokens has
//! the same five tokens, at the same times, as the one that is not.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::Value;

use super::ask::{Ask, Delivery};
use super::refuse::Refused;
use super::script::{Act, Beat};
use super::tally::End;
use super::words::{Words, data};
use super::{Fault, Profile};
use crate::units::Tokens;

/// Longer answers than any model gives: a wild sigma must not fill the memory.
const LONGEST: Tokens = Tokens(200_000);
/// `created` of the first answer; a real date would make two runs differ.
const EPOCH: u64 = 1_750_000_000;

/// An answer, ready to be played.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) beats: Vec<Beat>,
    pub(super) content_type: &'static str,
    /// Announced as `content-length`.
    pub(super) length: Option<u64>,
    /// What it counts for in the quota, the prompt included.
    pub(super) tokens: Tokens,
}

/// What a plan depends on besides the request.
pub(super) struct Circumstances<'a> {
    pub(super) profile: &'a Profile,
    pub(super) fault: Option<&'a Fault>,
    /// The number of the request.
    pub(super) number: u64,
    /// Other requests in flight.
    pub(super) others: u32,
}

impl Plan {
    /// Plans the answer to `ask`.
    pub(super) fn new(ask: &Ask, around: &Circumstances<'_>, rng: &mut StdRng) -> Self {
        let profile = around.profile;
        let wished = profile.output_tokens.draw(rng).min(LONGEST);
        let words = Words::new(ask, wished, rng.random(), EPOCH.saturating_add(around.number));
        let prompt = u32::try_from(ask.prompt.0).unwrap_or(u32::MAX);
        let first = profile.first_token.draw(rng)
            + profile.per_prompt_token.saturating_mul(prompt)
            + profile.load.saturating_mul(around.others);
        let waits = std::iter::once(first).chain(std::iter::from_fn(|| Some(profile.per_token.draw(rng))));
        let mut plan = match ask.delivery {
            Delivery::Plain => Self::plain(&words, waits),
            Delivery::Stream | Delivery::StreamWithUsage => Self::stream(&words, waits),
        };
        if let Some(fault) = around.fault {
            plan.break_by(fault);
        }
        plan
    }

    /// An answer that no model works for.
    pub(super) fn listing(body: &Value, fault: Option<&Fault>) -> Self {
        let mut plan = Self { beats: Vec::new(), content_type: "", length: None, tokens: Tokens::ZERO };
        plan.say_instead(&body.to_string(), End::Answered);
        if let Some(fault) = fault {
            plan.break_by(fault);
        }
        plan
    }

    fn plain(words: &Words<'_>, mut waits: impl Iterator<Item = Duration>) -> Self {
        let body = words.plain();
        let mut beats: Vec<Beat> = waits
            .by_ref()
            .take(usize::try_from(words.output.0).unwrap_or(usize::MAX))
            .map(|wait| Beat::after(wait, Act::Token(Bytes::new())))
            .collect();
        // Without tokens (an embedding), the first-token time is the time of the whole answer.
        let wait = if beats.is_empty() { waits.next().unwrap_or_default() } else { Duration::ZERO };
        let length = u64::try_from(body.len()).ok();
        beats.extend([Beat::after(wait, Act::Head), Beat::now(Act::Text(body)), Beat::now(Act::Finish(End::Answered))]);
        Self { beats, content_type: "application/json", length, tokens: words.ask.prompt + words.output }
    }

    /// The head and the role chunk come at once: whoever takes them for the first token measures nothing.
    fn stream(words: &Words<'_>, waits: impl Iterator<Item = Duration>) -> Self {
        let mut beats = vec![Beat::now(Act::Head)];
        beats.extend(words.preamble().map(|event| Beat::now(Act::Text(event))));
        let tokens = words.token_events().into_iter().zip(waits);
        beats.extend(tokens.map(|(event, wait)| Beat::after(wait, Act::Token(event))));
        beats.extend(words.closing().into_iter().map(|event| Beat::now(Act::Text(event))));
        beats.push(Beat::now(Act::Finish(End::Answered)));
        Self { beats, content_type: "text/event-stream", length: None, tokens: words.ask.prompt + words.output }
    }

    fn break_by(&mut self, fault: &Fault) {
        match fault {
            // These two never reach a plan: they are decided before there is a request to plan for.
            Fault::Refuse | Fault::Status { .. } => {}
            Fault::Slow { factor } => self.slow(*factor),
            Fault::HangBeforeHead => self.beats = vec![Beat::now(Act::Hang)],
            Fault::HangBeforeFirstToken => self.end_at_token(0, [Beat::now(Act::Hang)]),
            Fault::CutBeforeContent => self.end_at_token(0, [Beat::now(Act::Break)]),
            Fault::CutAfter { tokens } => self.cut_after(*tokens),
            Fault::ErrorEventFirst => self.error_after(0),
            Fault::ErrorEventAfter { tokens } => self.error_after(*tokens),
            Fault::ErrorIn200 => self.say_instead(&Refused::server(StatusCode::OK).json().to_string(), End::Failed),
            Fault::GarbageJson => self.say_garbage(),
            Fault::KeepAlives { count, every } => self.keep_alive(*count, *every),
        }
    }

    fn slow(&mut self, factor: f64) {
        for beat in &mut self.beats {
            let stretched = Duration::try_from_secs_f64(beat.wait.as_secs_f64() * factor);
            beat.wait = stretched.unwrap_or(beat.wait);
        }
    }

    /// Keeps what happens up to and with the `tokens`-th token, makes sure of a head, and then only plays `end`.
    fn end_at_token(&mut self, tokens: u32, end: impl IntoIterator<Item = Beat>) {
        self.beats.truncate(self.after_token(tokens));
        if !self.has_head() {
            self.beats.push(Beat::now(Act::Head));
        }
        self.beats.extend(end);
    }

    /// The index behind the `tokens`-th token (0: just before the first).
    fn after_token(&self, tokens: u32) -> usize {
        let is_token = |beat: &Beat| matches!(beat.act, Act::Token(_));
        let kept = usize::try_from(tokens).unwrap_or(usize::MAX);
        let mut places = self.beats.iter().enumerate().filter(|(_, beat)| is_token(beat)).map(|(place, _)| place);
        match places.nth(kept) {
            Some(next) => next,
            None => self.beats.iter().rposition(is_token).map_or(0, |last| last + 1),
        }
    }

    fn has_head(&self) -> bool {
        self.beats.iter().any(|beat| beat.act == Act::Head)
    }

    fn is_stream(&self) -> bool {
        self.length.is_none()
    }

    fn cut_after(&mut self, tokens: u32) {
        // Half of a plain body, or nothing: the tokens of a stream have gone out as they were made.
        let half = self.beats.iter().find_map(|beat| match &beat.act {
            Act::Text(body) if !self.is_stream() => Some(body.slice(..body.len() / 2)),
            Act::Text(_) | Act::Head | Act::Token(_) | Act::Break | Act::Hang | Act::Finish(_) => None,
        });
        let end = half.map(|half| Beat::now(Act::Text(half))).into_iter().chain([Beat::now(Act::Break)]);
        self.end_at_token(tokens, end);
    }

    /// In a plain answer there are no events: what would have been one is the body of a 200.
    fn error_after(&mut self, tokens: u32) {
        let error = Refused::server(StatusCode::INTERNAL_SERVER_ERROR).json().to_string();
        let failed = Beat::now(Act::Finish(End::Failed));
        if self.is_stream() {
            if tokens == 0 {
                self.beats.truncate(1);
            }
            self.end_at_token(tokens, [Beat::now(Act::Text(data(&error))), failed]);
        } else {
            self.length = u64::try_from(error.len()).ok();
            self.end_at_token(tokens, [Beat::now(Act::Text(Bytes::from(error))), failed]);
        }
    }

    fn say_instead(&mut self, body: &str, end: End) {
        self.content_type = "application/json";
        self.length = u64::try_from(body.len()).ok();
        let body = Bytes::from(body.to_owned());
        self.beats = vec![Beat::now(Act::Head), Beat::now(Act::Text(body)), Beat::now(Act::Finish(end))];
    }

    fn say_garbage(&mut self) {
        const GARBAGE: &str = "{\"choices\": [{\"delta\": <html>";
        if self.is_stream() {
            let garbage = Beat::now(Act::Text(data(GARBAGE)));
            self.end_at_token(0, [garbage, Beat::now(Act::Finish(End::Failed))]);
        } else {
            self.say_instead(GARBAGE, End::Failed);
        }
    }

    /// Comments in a stream; blank lines, which JSON ignores, before a plain body. The answer then comes as it would.
    fn keep_alive(&mut self, count: u32, every: Duration) {
        let (text, head) =
            if self.is_stream() { (": keep-alive\n\n", None) } else { ("\n", Some(Beat::now(Act::Head))) };
        if head.is_some() {
            // The head moves to the front; the time until it would have come stays.
            for beat in self.beats.iter_mut().filter(|beat| beat.act == Act::Head) {
                beat.act = Act::Text(Bytes::from_static(b"\n"));
            }
            self.length = None;
        }
        let alive = (0..count).map(|_| Beat::after(every, Act::Text(Bytes::from_static(text.as_bytes()))));
        let place = self.after_token(0);
        self.beats.splice(place..place, head.into_iter().chain(alive));
    }

    /// Whether a model worked for it. What fails before its first token is nobody's bill.
    pub(super) fn is_charged(&self) -> bool {
        self.beats.iter().any(|beat| matches!(beat.act, Act::Token(_) | Act::Finish(End::Answered)))
    }
}
