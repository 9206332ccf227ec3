//! What the access log says about a request: names from the configuration, numbers with their unit in the name, and
//! classes of failure.
//!
//! What is unknown is null, never 0. The one text that comes from the client is the model it asked for, and that is
//! clipped; prompts, answers, headers and keys have no field here.

use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use super::labels::Outcome;
use crate::engine::Usage;
use crate::units::{PicoUsd, Tokens, count_to_f64};

/// What a client may put into the log by way of a model's name, in bytes.
const LONGEST_NAME: usize = 200;

/// What is said about one request.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// When its head arrived.
    #[serde(serialize_with = "rfc3339")]
    pub time: SystemTime,
    /// As in `x-faregate-request-id`.
    pub request_id: &'a str,
    /// The client, where tenants are configured.
    pub tenant: Option<&'a str>,
    /// The route, if one matched.
    pub route: Option<&'a str>,
    /// The endpoint that answered.
    pub endpoint: Option<&'a str>,
    /// Its upstream.
    pub upstream: Option<&'a str>,
    /// The model it was asked for.
    pub model: Option<&'a str>,
    /// The model that the client named.
    pub requested_model: Option<Clipped<'a>>,
    /// The client's own word for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<Clipped<'a>>,
    /// The status the client got; `None` if it left before.
    pub status: Option<u16>,
    /// How the request ended.
    pub outcome: Outcome,
    /// Whether the client asked for a stream.
    pub stream: bool,
    /// Calls of upstreams.
    pub attempts: u32,
    /// From the request's head to the end of the answer.
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub duration: Duration,
    /// From the request's head to the first token that went to the client; `None` for plain answers.
    #[serde(rename = "first_token_ms", serialize_with = "maybe_millis")]
    pub first_token: Option<Duration>,
    /// The part of the duration that was neither the upstream's nor the client's.
    #[serde(rename = "overhead_us", serialize_with = "maybe_micros")]
    pub overhead: Option<Duration>,
    /// The tokens used, if known.
    #[serde(flatten)]
    pub usage: LoggedUsage,
    /// Whether the upstream reported them.
    #[serde(rename = "usage_estimated")]
    pub is_estimated: Option<bool>,
    /// The bill, if known.
    #[serde(rename = "cost_usd", serialize_with = "dollars")]
    pub cost: Option<PicoUsd>,
    /// The error's `code`, where faregate or the upstream sent one.
    pub error: Option<&'a str>,
    /// The tries that failed, each with its class of failure.
    pub failed: &'a [(&'a str, &'static str)],
}

/// Text from a client, cut to a length that the log can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clipped<'a>(pub &'a str);

impl Serialize for Clipped<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.get(..self.0.floor_char_boundary(LONGEST_NAME)).unwrap_or_default().serialize(to)
    }
}

/// Token counts as the log shows them: null rather than 0 when unknown.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LoggedUsage {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cached_input_tokens")]
    cached_input: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
    #[serde(rename = "reasoning_tokens")]
    reasoning: Option<u64>,
}

impl From<Option<Usage>> for LoggedUsage {
    fn from(usage: Option<Usage>) -> Self {
        let count = |of: fn(Usage) -> Tokens| usage.map(|usage| of(usage).0);
        Self {
            input: count(|usage| usage.input),
            cached_input: count(|usage| usage.cached_input),
            output: count(|usage| usage.output),
            reasoning: count(|usage| usage.reasoning),
        }
    }
}

fn rfc3339<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
    let time = jiff::Timestamp::try_from(*time).map_err(serde::ser::Error::custom)?;
    to.collect_str(&format_args!("{time:.3}"))
}

fn millis<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    in_millis(*span).serialize(to)
}

#[expect(clippy::ref_option, reason = "serde calls with a reference to the field")]
fn maybe_millis<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    span.map(in_millis).serialize(to)
}

#[expect(clippy::ref_option, reason = "serde calls with a reference to the field")]
fn maybe_micros<S: Serializer>(span: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
    span.map(whole_micros).serialize(to)
}

/// With three decimals: more were not measured.
fn in_millis(span: Duration) -> f64 {
    count_to_f64(whole_micros(span)) / 1e3
}

fn whole_micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[expect(clippy::ref_option, reason = "serde calls with a reference to the field")]
fn dollars<S: Serializer>(cost: &Option<PicoUsd>, to: S) -> Result<S::Ok, S::Error> {
    cost.map(|cost| cost.as_dollars().0).serialize(to)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::observe) fn record() -> Record<'static> {
        Record {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123),
            request_id: "r1",
            tenant: None,
            route: Some("chat"),
            endpoint: Some("house/qwen3"),
            upstream: Some("house"),
            model: Some("qwen3"),
            requested_model: Some(Clipped("gpt-4o")),
            tag: None,
            status: Some(200),
            outcome: Outcome::Ok,
            stream: true,
            attempts: 2,
            duration: Duration::from_micros(1_234_567),
            first_token: Some(Duration::from_nanos(250_000_499)),
            overhead: Some(Duration::from_micros(85)),
            usage: Some(Usage { input: Tokens(12), output: Tokens(3), ..Usage::default() }).into(),
            is_estimated: Some(false),
            cost: Some(PicoUsd(3_085_000_000)),
            error: None,
            failed: &[("openai/gpt-4o#main", "overloaded")],
        }
    }

    #[test]
    fn a_line_has_numbers_for_numbers_and_units_in_its_names() {
        let line = serde_json::to_string(&record()).unwrap();
        insta::assert_snapshot!(line, @r#"{"time":"2026-11-18T11:06:40.123Z","request_id":"r1","tenant":null,"route":"chat","endpoint":"house/qwen3","upstream":"house","model":"qwen3","requested_model":"gpt-4o","status":200,"outcome":"ok","stream":true,"attempts":2,"duration_ms":1234.567,"first_token_ms":250.0,"overhead_us":85,"input_tokens":12,"cached_input_tokens":0,"output_tokens":3,"reasoning_tokens":0,"usage_estimated":false,"cost_usd":0.003085,"error":null,"failed":[["openai/gpt-4o#main","overloaded"]]}"#);
    }

    #[test]
    fn unknown_usage_and_cost_are_null_and_not_zero() {
        let record = Record { usage: None.into(), is_estimated: None, cost: None, ..record() };
        let line = serde_json::to_value(&record).unwrap();
        assert!(line["input_tokens"].is_null() && line["cost_usd"].is_null());
    }

    #[test]
    fn a_client_cannot_fill_the_log_by_way_of_a_model_name() {
        let name = "模".repeat(10_000);
        let record = Record { requested_model: Some(Clipped(&name)), ..record() };
        let line = serde_json::to_value(&record).unwrap();
        assert_eq!(line["requested_model"].as_str().unwrap().chars().count(), LONGEST_NAME / 3);
    }
}
