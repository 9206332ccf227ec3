//! A provider that takes only what the facts say it takes, and answers as they say it answers.
//!
//! Which answer it gives follows from the request; a prompt with `provoke:NAME` gets the error of that name.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::answer::Answer;
use crate::facts::{Facts, Key, Reply};
use crate::frames;
use crate::wire::{self, Body, Request, Response};

/// Headers of a client that no provider is to see.
const FOREIGN: [&str; 6] =
    ["cookie", "openai-organization", "openai-project", "x-api-key", "api-key", "x-goog-api-key"];

/// A running one.
pub(crate) struct Strict {
    pub(crate) address: String,
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Strict {
    pub(crate) fn start(facts: &Arc<Facts>) -> Self {
        let complaints = Arc::new(Mutex::new(Vec::new()));
        let provider = Provider { facts: Arc::clone(facts), complaints: Arc::clone(&complaints) };
        Self { address: wire::serve(move |request| provider.answer(request)), complaints }
    }

    /// What reached it and should not have.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.complaints.lock().clone()
    }
}

struct Provider {
    facts: Arc<Facts>,
    complaints: Arc<Mutex<Vec<String>>>,
}

/// The key that a provider takes.
pub(crate) fn right_key(name: &str) -> String {
    format!("right-key-of-{name}")
}

/// One that it does not.
pub(crate) fn wrong_key(name: &str) -> String {
    format!("wrong-key-of-{name}")
}

impl Provider {
    fn answer(&self, request: &Request) -> Response {
        for name in FOREIGN.iter().filter(|name| request.header(name).is_some()) {
            self.complain(&format!("the client's {name} arrived"));
        }
        if let Some(denied) = self.check_key(request) {
            return denied;
        }
        if request.method != "POST" || !self.is_mine(&request.path) {
            self.complain(&format!("{} {} is not served", request.method, request.path));
            return whole(404, "{\"error\":{\"message\":\"no such path\"}}".to_owned());
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
            self.complain("the body is not JSON");
            return self.refuse("malformed body");
        };
        if let Some(error) = self.provoked(&body) {
            return error;
        }
        match self.facts.refuses.iter().find_map(|rule| rule.breach(&body)) {
            Some(why) => self.refuse(&why),
            None => self.say(&body),
        }
    }

    fn check_key(&self, request: &Request) -> Option<Response> {
        let Facts { name, key, denial, .. } = &*self.facts;
        let shown = request.header("authorization");
        let is_right = match key {
            Key::Bearer => shown == Some(&format!("Bearer {}", right_key(name))),
            Key::None => shown.is_none(),
        };
        if is_right {
            return None;
        }
        if shown != Some(&format!("Bearer {}", wrong_key(name))) {
            self.complain(&format!("a foreign key arrived: {shown:?}"));
        }
        Some(denial.as_ref().map_or_else(|| whole(401, "{}".to_owned()), |reply| saying(reply, "")))
    }

    fn is_mine(&self, path: &str) -> bool {
        self.facts.hosts.values().any(|url| path == format!("{}/chat/completions", path_of(url)))
    }

    fn provoked(&self, body: &Value) -> Option<Response> {
        let text = body["messages"].to_string();
        let (_, rest) = text.split_once("provoke:")?;
        let name = rest.split(['"', ' ', '\\']).next()?;
        let error = self.facts.errors.iter().find(|error| error.name == name)?;
        let kind = if error.stream { "text/event-stream" } else { "application/json" };
        let mut headers: Vec<_> = error.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        if !error.headers.contains_key("content-type") {
            headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        Some(Response { status: error.status, headers, body: Body::Whole(error.body.clone()) })
    }

    fn refuse(&self, why: &str) -> Response {
        saying(&self.facts.refusal, why)
    }

    fn say(&self, body: &Value) -> Response {
        let answer = Answer::to(body, &self.facts);
        let is_stream = body["stream"] == true;
        let quota = self.facts.quota.iter().flat_map(|quota| quota.headers.clone());
        let kind = if is_stream { "text/event-stream" } else { "application/json" };
        let usual = [("content-type", kind), ("set-cookie", "session=theirs")];
        let headers = usual.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().chain(quota).collect();
        let body = if is_stream {
            Body::Pieces(cut(&frames::events(&answer, body, &self.facts)))
        } else {
            Body::Whole(answer.whole(body, &self.facts))
        };
        Response { status: 200, headers, body }
    }

    fn complain(&self, what: &str) {
        self.complaints.lock().push(format!("{}: {what}", self.facts.name));
    }
}

/// The path of a URL.
pub(crate) fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default()
}

/// Pieces that do not end where events do.
fn cut(events: &[String]) -> Vec<String> {
    let text = events.concat();
    let mut pieces = vec![String::new()];
    for (count, letter) in text.chars().enumerate() {
        if count % 97 == 96 {
            pieces.push(String::new());
        }
        pieces.last_mut().unwrap().push(letter);
    }
    pieces
}

fn saying(reply: &Reply, why: &str) -> Response {
    let why = Value::from(why).to_string();
    whole(reply.status, reply.body.replace("{why}", why.trim_matches('"')))
}

fn whole(status: u16, body: String) -> Response {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Response { status, headers, body: Body::Whole(body) }
}
