//! A provider: who may ask, what is drawn for them, and the answer. Its faults may be changed while it answers.
//!
//! All checks come in the order of the real thing: key, then path, then body, then model, then quota. A fault that
//! replaces the answer comes before all of them, as an outage does.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::ask::{Ask, Kind};
use super::plan::{Circumstances, Plan};
use super::quota::{Refusal, Standing, Windows, write_retry_after};
use super::refuse::Refused;
use super::respond::{failure, json_response, rate_limited, refusal, with_type};
use super::script::Script;
use super::tally::{End, Tally, Visit};
use super::{Fault, Profile, Recorded, Stats};
use crate::engine::Price;
use crate::runtime;
use crate::units::Tokens;

/// The golden ratio in 64 bits: neighbouring requests get seeds that are far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A simulated provider. One may serve any number of connections.
#[derive(Debug)]
pub struct Provider {
    profile: Profile,
    seed: u64,
    tally: Arc<Tally>,
    windows: Mutex<Windows>,
    prices: Mutex<Vec<Price>>,
    trouble: Mutex<Trouble>,
}

#[derive(Debug)]
struct Trouble {
    once: Option<Fault>,
    fault: Option<Fault>,
    share: f64,
}

impl Provider {
    /// A provider without faults. The same seed gives the same answers to the same requests in the same order.
    pub fn new(profile: Profile, seed: u64) -> Arc<Self> {
        let prices = profile.models.iter().map(|model| model.price.clone()).collect();
        Arc::new(Self {
            profile,
            seed,
            tally: Arc::default(),
            windows: Mutex::default(),
            prices: Mutex::new(prices),
            trouble: Mutex::new(Trouble { once: None, fault: None, share: 1.0 }),
        })
    }

    /// The profile's name.
    pub fn name(&self) -> &str {
        &self.profile.name
    }

    /// What it is like. Its prices are those of the beginning.
    pub const fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Lets the next request, and no other, meet `fault`.
    pub fn fail_once(&self, fault: Fault) {
        self.trouble.lock().once = Some(fault);
    }

    /// What goes wrong from the next request on; `None`: nothing.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.trouble.lock().fault = fault;
    }

    /// The probability, from 0 to 1, that a request meets the fault. It is 1 in the beginning.
    pub fn set_fault_share(&self, probability: f64) {
        self.trouble.lock().share = probability;
    }

    /// What `model` charges from the next request on. A model that is not offered is ignored.
    pub fn set_price(&self, model: &str, price: Price) {
        let mut prices = self.prices.lock();
        let mut offers = self.profile.models.iter().zip(prices.iter_mut());
        if let Some((_, current)) = offers.find(|(offered, _)| offered.id == model) {
            *current = price;
        }
    }

    /// The counts so far.
    pub fn stats(&self) -> Stats {
        self.tally.stats()
    }

    /// The requests that have been read since the last call, at most the last 1000.
    pub fn take_requests(&self) -> Vec<Recorded> {
        self.tally.take_requests()
    }

    /// Answers one request; `Err`: the connection is to break without an answer.
    pub(super) async fn answer<B>(&self, request: Request<B>) -> io::Result<Response<Script>>
    where
        B: Body<Data = Bytes>,
        B::Error: std::error::Error + Send + Sync + 'static,
    {
        if request.uri().path() == "/stats" {
            return Ok(self.show_stats());
        }
        let (mut visit, number) = Visit::begin(&self.tally);
        let own_seed = self.seed ^ number.wrapping_mul(SPREAD);
        let mut rng = runtime::seeded(own_seed);
        let fault = self.draw_fault(&mut rng);
        if fault == Some(Fault::Refuse) {
            visit.end(End::Failed);
            return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
        }
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        self.record(&head, &body);
        let mut response = if let Some(Fault::Status { status, body, retry_after }) = &fault {
            let mut response = failure(visit, *status, body.clone());
            if let Some(wait) = retry_after {
                write_retry_after(response.headers_mut(), *wait);
            }
            response
        } else {
            self.respond(visit, &head, &body, &Draw { number, fault }, rng).await?
        };
        let id = format!("req_{own_seed:016x}");
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
        }
        Ok(response)
    }

    /// Works whatever the fault, and counts as nothing: a test that looks must not change what it sees.
    fn show_stats(&self) -> Response<Script> {
        let (mut uncounted, _) = Visit::begin(&Arc::default());
        uncounted.end(End::Answered);
        json_response(uncounted, StatusCode::OK, &json!(self.stats()))
    }

    /// Always takes one number from the generator, so that a fault changes no other draw.
    fn draw_fault(&self, rng: &mut StdRng) -> Option<Fault> {
        let drawn = rng.random::<f64>();
        let mut trouble = self.trouble.lock();
        if let Some(fault) = trouble.once.take() {
            return Some(fault);
        }
        trouble.fault.clone().filter(|_| drawn < trouble.share)
    }

    fn record(&self, head: &Parts, body: &Bytes) {
        self.tally.record(Recorded {
            method: head.method.clone(),
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            headers: head.headers.clone(),
            body: body.clone(),
        });
    }

    async fn respond(
        &self,
        visit: Visit,
        head: &Parts,
        body: &Bytes,
        draw: &Draw,
        rng: StdRng,
    ) -> io::Result<Response<Script>> {
        match self.route(head) {
            Ok(Route::Json(body)) => {
                let plan = Plan::listing(&body, draw.fault.as_ref());
                let script = Script::start(visit, plan.beats, plan.length).play_to_head().await?;
                Ok(with_type(script, StatusCode::OK, plan.content_type))
            }
            Ok(Route::Generate(kind)) => match Ask::read(kind, body) {
                Ok(ask) => self.generate(visit, &ask, draw, rng).await,
                Err(refused) => Ok(refusal(visit, &refused)),
            },
            Err(refused) => Ok(refusal(visit, &refused)),
        }
    }

    fn route(&self, head: &Parts) -> Result<Route, Refused> {
        let path = head.uri.path();
        let path = path.strip_prefix("/v1").unwrap_or(path);
        self.check_key(head)?;
        let generate = |kind| match head.method {
            Method::POST => Ok(Route::Generate(kind)),
            _ => Err(Refused::wrong_method(&head.method)),
        };
        match path {
            "/chat/completions" => generate(Kind::Chat),
            "/completions" => generate(Kind::Text),
            "/embeddings" => generate(Kind::Embedding),
            "/models" => {
                let models: Vec<Value> = self.profile.models.iter().map(|model| self.model(&model.id)).collect();
                Ok(Route::Json(json!({ "object": "list", "data": models })))
            }
            other => match other.strip_prefix("/models/") {
                Some(id) => self.price(id).map(|_| Route::Json(self.model(id))),
                None => Err(Refused::unknown_path(&head.method, head.uri.path())),
            },
        }
    }

    fn check_key(&self, head: &Parts) -> Result<(), Refused> {
        let Some(key) = &self.profile.api_key else { return Ok(()) };
        let sent = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let matches = sent.and_then(|value| value.strip_prefix("Bearer ")).is_some_and(|sent| sent == key);
        if matches { Ok(()) } else { Err(Refused::wrong_key()) }
    }

    fn model(&self, id: &str) -> Value {
        json!({ "id": id, "object": "model", "created": 1_750_000_000, "owned_by": self.profile.name })
    }

    fn price(&self, model: &str) -> Result<Price, Refused> {
        let prices = self.prices.lock();
        let mut offers = self.profile.models.iter().zip(prices.iter());
        offers
            .find(|(offered, _)| offered.id == model)
            .map(|(_, price)| price.clone())
            .ok_or_else(|| Refused::unknown_model(model))
    }

    async fn generate(
        &self,
        mut visit: Visit,
        ask: &Ask,
        draw: &Draw,
        mut rng: StdRng,
    ) -> io::Result<Response<Script>> {
        let price = match self.price(&ask.model) {
            Ok(price) => price,
            Err(refused) => return Ok(refusal(visit, &refused)),
        };
        let (profile, others) = (&self.profile, visit.in_flight().saturating_sub(1));
        let around = Circumstances { profile, fault: draw.fault.as_ref(), number: draw.number, others };
        let plan = Plan::new(ask, &around, &mut rng);
        let standing = match self.admit(&visit, plan.tokens) {
            Ok(standing) => standing,
            Err(over) => return Ok(rate_limited(visit, &over)),
        };
        if plan.is_charged() {
            visit.admit(price, ask.prompt);
        }
        let script = Script::start(visit, plan.beats, plan.length).play_to_head().await?;
        let mut response = with_type(script, StatusCode::OK, plan.content_type);
        if let Some(standing) = standing {
            standing.write(response.headers_mut());
        }
        Ok(response)
    }

    fn admit(&self, visit: &Visit, tokens: Tokens) -> Result<Option<Standing>, Refusal> {
        let Some(quota) = self.profile.quota else { return Ok(None) };
        self.windows.lock().admit(quota, runtime::now(), tokens, visit.in_flight()).map(Some)
    }
}

/// What was drawn for a request before it was read.
struct Draw {
    number: u64,
    fault: Option<Fault>,
}

/// What a path leads to.
enum Route {
    Json(Value),
    Generate(Kind),
}
