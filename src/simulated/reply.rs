//! From a request to its reply: the key, the path, the body and the quota are checked in that order, as OpenAI does,
//! and the first that fails decides the refusal. Refusals come at once; answers take their time.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Response, StatusCode, request};
use serde_json::{Value, json};

use crate::simulated::ask::{Delivery, Surface, TextAsk};
use crate::simulated::call::{Call, Outcome};
use crate::simulated::embedding::EmbeddingAsk;
use crate::simulated::provider::Arrival;
use crate::simulated::quota::go_duration;
use crate::simulated::refusal::Refusal;
use crate::simulated::script::{Ends, Kind, Script};
use crate::simulated::stream::Playback;
use crate::simulated::wire::Wire;
use crate::simulated::{Answer, Canned, Exceeded, Fault, Limit, Provider};
use crate::units::{PicoUsd, Tokens};

/// `created` of the first answers: a date, but never today's, so that the same seed gives the same bytes.
const EPOCH: u64 = 1_763_856_000;

/// How a request will be answered.
struct Plan {
    script: Script,
    tokens: Option<Wire>,
}

impl Provider {
    /// Answers or refuses. A body of `None` was too large to read.
    pub(super) async fn answer(
        self: &Arc<Self>,
        head: &request::Parts,
        body: Option<&[u8]>,
        mut arrival: Arrival,
    ) -> Response<Playback> {
        let number = arrival.number;
        let mut response = match self.plan(head, body, &mut arrival) {
            Ok(plan) => {
                tokio::time::sleep(plan.script.before_head).await;
                let content_type = content_type(plan.script.kind);
                respond(StatusCode::OK, content_type, Playback::new(plan.script, plan.tokens, Some(arrival.call)))
            }
            Err(refusal) => refuse(&refusal, arrival.call),
        };
        let id = format!("req_{}_{number:08}", self.profile().name);
        insert(response.headers_mut(), HeaderName::from_static("x-request-id"), &id);
        self.tell_levels(response.headers_mut());
        response
    }

    fn plan(&self, head: &request::Parts, body: Option<&[u8]>, arrival: &mut Arrival) -> Result<Plan, Refusal> {
        self.check_key(&head.headers)?;
        let body = body.ok_or(Refusal::TooLarge)?;
        let full_path = head.uri.path();
        let path = full_path.strip_prefix("/v1").unwrap_or(full_path);
        match (path, &head.method) {
            ("/chat/completions", &Method::POST) => self.text(TextAsk::parse(Surface::Chat, body)?, arrival),
            ("/completions", &Method::POST) => self.text(TextAsk::parse(Surface::Completion, body)?, arrival),
            ("/embeddings", &Method::POST) => self.embedding(&EmbeddingAsk::parse(body)?, arrival),
            ("/models", &Method::GET) => Ok(unmetered(&self.models(), arrival.fault.as_ref())),
            ("/user/balance", &Method::GET) if self.balance().is_some() => {
                Ok(unmetered(&self.told_balance(), arrival.fault.as_ref()))
            }
            ("/chat/completions" | "/completions" | "/embeddings" | "/models", method) => {
                Err(Refusal::WrongMethod { method: method.to_string(), path: full_path.to_owned() })
            }
            (path, &Method::GET) if path.starts_with("/models/") => {
                let id = path.trim_start_matches("/models/");
                let model = self.sells(id).then(|| self.model(id));
                let model = model.ok_or_else(|| Refusal::UnknownModel(id.to_owned()))?;
                Ok(unmetered(&model, arrival.fault.as_ref()))
            }
            (_, method) => Err(Refusal::UnknownPath { method: method.to_string(), path: full_path.to_owned() }),
        }
    }

    /// As DeepSeek tells it.
    fn told_balance(&self) -> Value {
        let left = self.balance().unwrap_or_default().as_dollars().0;
        let wallet = json!({ "currency": "USD", "total_balance": format!("{left:.6}") });
        json!({ "is_available": left > 0.0, "balance_infos": [wallet] })
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(key) = &self.profile().api_key else { return Ok(()) };
        let sent = headers.get(AUTHORIZATION).ok_or(Refusal::MissingKey)?;
        if sent.as_bytes() == format!("Bearer {key}").as_bytes() { Ok(()) } else { Err(Refusal::WrongKey) }
    }

    fn text(&self, ask: TextAsk, arrival: &mut Arrival) -> Result<Plan, Refusal> {
        if self.balance() == Some(PicoUsd::ZERO) {
            return Err(Refusal::NoMoney);
        }
        let mut answer = self.draw(&ask.model, ask.prompt, ask.max_output, arrival)?;
        if let Some(tool) = &ask.tool {
            answer = answer.with_output(Wire::tool_tokens(tool));
        }
        self.charge(&ask.model, &answer)?;
        let (model, delivery) = (ask.model.clone(), ask.delivery);
        let created = EPOCH + self.elapsed().as_secs();
        let wire = Wire::new(ask, &self.profile().name, arrival.number, created);
        let script = Script::of(&answer, &wire, arrival.fault.as_ref());
        match (delivery, script.ends) {
            (_, Ends::WithNothing) => {}
            (Delivery::Plain, Ends::Well | Ends::Badly) => arrival.call.making(&model, answer),
            (Delivery::Stream | Delivery::StreamWithUsage, Ends::Well | Ends::Badly) => {
                arrival.call.streaming(&model, answer);
            }
        }
        Ok(Plan { script, tokens: Some(wire) })
    }

    fn embedding(&self, ask: &EmbeddingAsk, arrival: &mut Arrival) -> Result<Plan, Refusal> {
        let answer = self.draw(&ask.model, ask.prompt, Some(Tokens::ZERO), arrival)?;
        self.charge(&ask.model, &answer)?;
        let script = Script::plain(ask.reply().to_string().into(), &answer, arrival.fault.as_ref());
        match script.ends {
            Ends::Well | Ends::Badly => arrival.call.making(&ask.model, answer),
            Ends::WithNothing => {}
        }
        Ok(Plan { script, tokens: None })
    }

    fn draw(
        &self,
        model: &str,
        prompt: Tokens,
        max_output: Option<Tokens>,
        arrival: &mut Arrival,
    ) -> Result<Answer, Refusal> {
        if !self.sells(model) {
            return Err(Refusal::UnknownModel(model.to_owned()));
        }
        let answer = self.profile().draw(prompt, max_output, self.others_in_flight(), &mut arrival.rng);
        Ok(match &arrival.fault {
            Some(Fault::Slow(factor)) => answer.slowed(*factor),
            _ => answer,
        })
    }

    fn charge(&self, model: &str, answer: &Answer) -> Result<(), Refusal> {
        self.admit(answer.prompt + answer.output)
            .map_err(|exceeded| Refusal::Throttled { model: model.to_owned(), exceeded })
    }

    fn models(&self) -> Value {
        let models: Vec<Value> = self.profile().models.iter().map(|sold| self.model(&sold.id)).collect();
        json!({ "object": "list", "data": models })
    }

    fn model(&self, id: &str) -> Value {
        json!({ "id": id, "object": "model", "created": EPOCH, "owned_by": self.profile().name })
    }

    fn tell_levels(&self, headers: &mut HeaderMap) {
        for level in self.levels() {
            let (allowed, remaining, reset) = match level.limit {
                Limit::Requests => {
                    ("x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests")
                }
                Limit::Tokens => {
                    ("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens")
                }
                Limit::Concurrency => continue,
            };
            insert(headers, HeaderName::from_static(allowed), &level.allowed.to_string());
            insert(headers, HeaderName::from_static(remaining), &level.remaining.to_string());
            insert(headers, HeaderName::from_static(reset), &go_duration(level.reset));
        }
    }
}

/// A reply that costs neither time nor quota.
fn unmetered(body: &Value, fault: Option<&Fault>) -> Plan {
    Plan { script: Script::plain(body.to_string().into(), &Answer::IMMEDIATE, fault), tokens: None }
}

/// The fixed reply of a fault.
pub(super) fn canned(reply: &Canned) -> Response<Playback> {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Bytes::from(reply.body.clone());
    let mut response = respond(status, "application/json", Playback::new(Script::fixed(body), None, None));
    for (name, value) in &reply.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            insert(response.headers_mut(), name, value);
        }
    }
    response
}

fn refuse(refusal: &Refusal, call: Call) -> Response<Playback> {
    let body = Script::fixed(refusal.body().to_string().into());
    let mut response = respond(refusal.status(), "application/json", Playback::new(body, None, None));
    if let Refusal::Throttled { exceeded: Exceeded { retry_after: Some(wait), .. }, .. } = refusal {
        let (seconds, millis) = (wait.as_millis().div_ceil(1_000), wait.as_millis());
        insert(response.headers_mut(), RETRY_AFTER, &seconds.to_string());
        insert(response.headers_mut(), HeaderName::from_static("retry-after-ms"), &millis.to_string());
    }
    call.settle(if refusal.status() == StatusCode::TOO_MANY_REQUESTS { Outcome::Throttled } else { Outcome::Refused });
    response
}

fn content_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Events => "text/event-stream; charset=utf-8",
        Kind::Json => "application/json",
    }
}

fn respond(status: StatusCode, content_type: &'static str, body: Playback) -> Response<Playback> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Values here are numbers, durations and configured names; one that HTTP cannot carry is left out.
fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
