//! What a client may say about one request in `x-faregate-*` headers, where the policy lets it.
//!
//! A header that the policy does not allow is refused rather than ignored: whoever sent it counts on it. No header widens
//! what a tenant may use.

use std::time::Duration;

use http::HeaderMap;

use super::reply::Refusal;
use crate::ids::RouteIx;
use crate::policy::model::{AllowedHeaders, Candidate, ClientHeader, Model};
use crate::units::Dollars;

/// A request's wishes.
#[derive(Clone, Debug, Default)]
pub(super) struct Overrides {
    /// The route to use, whatever the model.
    pub route: Option<String>,
    /// By what the conversation is known.
    pub session: Option<String>,
    /// The most that the answer is expected to cost.
    pub max_cost: Option<Dollars>,
    /// What a second of waiting is worth.
    pub value_of_second: Option<Dollars>,
    /// Upstreams or endpoints, one of which has to answer.
    pub only: Vec<String>,
    /// Upstreams or endpoints that must not.
    pub avoid: Vec<String>,
    /// How long it may take in all.
    pub deadline: Option<Duration>,
    /// For the access log.
    pub tag: Option<String>,
    /// Whether the reply shall say why.
    pub explain: Explain,
}

/// Whether a reply says why its endpoint was chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Explain {
    /// It does.
    Yes,
    /// It does not.
    #[default]
    No,
}

/// The wishes in `headers`.
pub(super) fn read(headers: &HeaderMap, allowed: AllowedHeaders) -> Result<Overrides, Refusal> {
    let mut overrides = Overrides::default();
    if let Some(unknown) = headers.keys().find(|name| is_unknown(name.as_str())) {
        let known: Vec<_> = ClientHeader::ALL.iter().map(|header| header.name()).collect();
        let message = format!("there is no header {unknown}; known are {}", known.join(", "));
        return Err(Refusal::Invalid { message, param: None });
    }
    for header in ClientHeader::ALL {
        let name = header.name();
        let Some(value) = headers.get(name) else { continue };
        if !allowed.has(header) {
            let short = name.trim_start_matches("x-faregate-");
            let message = format!(
                "the header {name} is not allowed here; the policy's allow_headers would have to list \"{short}\""
            );
            return Err(Refusal::Invalid { message, param: None });
        }
        let text = value.to_str().map(str::trim).unwrap_or_default();
        if text.is_empty() || overrides.take(header, text).is_none() {
            let message = format!("the header {name} must be {}", expected(header));
            return Err(Refusal::Invalid { message, param: None });
        }
    }
    Ok(overrides)
}

/// Whether it is one of ours by its name, and none that exists: whoever sent it counts on it.
fn is_unknown(name: &str) -> bool {
    name.starts_with("x-faregate-") && ClientHeader::ALL.iter().all(|header| header.name() != name)
}

impl Overrides {
    /// Whether what they name exists, and they leave anybody who may answer on `route`.
    pub(super) fn check(&self, model: &Model, route: RouteIx) -> Result<(), Refusal> {
        if self.only.is_empty() && self.avoid.is_empty() {
            return Ok(());
        }
        let refused = |message| Err(Refusal::Invalid { message, param: None });
        let is_called = |wish: &String| {
            let upstream = model.upstreams.values().any(|upstream| *upstream.name == **wish);
            upstream || model.endpoints.values().any(|endpoint| is_named(wish, "", endpoint.id.as_str()))
        };
        for (header, wishes) in [(ClientHeader::Only, &self.only), (ClientHeader::Avoid, &self.avoid)] {
            if let Some(unknown) = wishes.iter().find(|wish| !is_called(wish)) {
                return refused(format!(
                    "the header {} names `{unknown}`, which is no upstream and no endpoint",
                    header.name()
                ));
            }
        }
        let route = &model.routes[route];
        let remains = |candidate: &Candidate| {
            let endpoint = &model.endpoints[candidate.endpoint];
            self.permits(&model.upstreams[endpoint.upstream].name, endpoint.id.as_str())
        };
        if route.tiers.iter().flatten().any(remains) {
            return Ok(());
        }
        let message = "the headers x-faregate-only and x-faregate-avoid leave no endpoint of the route";
        refused(format!("{message} `{}`", route.name))
    }

    fn take(&mut self, header: ClientHeader, text: &str) -> Option<()> {
        let list = || text.split(',').map(|one| one.trim().to_owned()).filter(|one| !one.is_empty()).collect();
        match header {
            ClientHeader::Route => self.route = Some(text.to_owned()),
            ClientHeader::Session => self.session = Some(text.to_owned()),
            ClientHeader::MaxCostUsd => self.max_cost = Some(dollars(text)?),
            ClientHeader::ValueOfSecondUsd => self.value_of_second = Some(dollars(text)?),
            ClientHeader::Only => self.only = list(),
            ClientHeader::Avoid => self.avoid = list(),
            ClientHeader::DeadlineMs => {
                self.deadline = Some(Duration::from_millis(text.parse().ok().filter(|millis| *millis > 0)?));
            }
            ClientHeader::Tag => self.tag = Some(text.to_owned()),
            ClientHeader::Explain => {
                self.explain = match text {
                    "1" => Explain::Yes,
                    "0" => Explain::No,
                    _ => return None,
                }
            }
        }
        Some(())
    }

    /// Whether the endpoint called `id` at `upstream` may answer.
    pub(super) fn permits(&self, upstream: &str, id: &str) -> bool {
        let named = |wish: &String| is_named(wish, upstream, id);
        (self.only.is_empty() || self.only.iter().any(named)) && !self.avoid.iter().any(named)
    }
}

fn is_named(wish: &str, upstream: &str, id: &str) -> bool {
    wish == upstream || wish == id || id.split('#').next() == Some(wish)
}

fn dollars(text: &str) -> Option<Dollars> {
    text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount >= 0.0).map(Dollars)
}

const fn expected(header: ClientHeader) -> &'static str {
    match header {
        ClientHeader::Route => "the name of a route",
        ClientHeader::Session | ClientHeader::Tag => "a text",
        ClientHeader::MaxCostUsd | ClientHeader::ValueOfSecondUsd => "an amount of dollars such as 0.002",
        ClientHeader::Only | ClientHeader::Avoid => "a list of upstreams or endpoints, separated by commas",
        ClientHeader::DeadlineMs => "a whole number of milliseconds above 0",
        ClientHeader::Explain => "1 or 0",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn what_is_allowed_is_read_and_what_is_not_is_refused_by_name() {
        let allowed = AllowedHeaders::default().with(ClientHeader::Only).with(ClientHeader::DeadlineMs);
        let read = |pairs: &[(&'static str, &str)]| read(&headers(pairs), allowed);
        let wishes = read(&[("x-faregate-only", "a, b/m"), ("x-faregate-deadline-ms", "1500")]).unwrap();
        assert!(wishes.permits("a", "a/x") && wishes.permits("b", "b/m#k") && !wishes.permits("b", "b/other"));
        assert_eq!(wishes.deadline, Some(Duration::from_millis(1500)));
        for (name, value) in [
            ("x-faregate-tag", "x"),
            ("x-faregate-deadline-ms", "soon"),
            ("x-faregate-only", ""),
            ("x-faregate-max-cost", "1"),
        ] {
            let Err(Refusal::Invalid { message, .. }) = read(&[(name, value)]) else { panic!("{name}: {value}") };
            assert!(message.contains(name), "{message}");
        }
    }
}
