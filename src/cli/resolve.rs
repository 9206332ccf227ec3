//! What a model comes to, for people and tools: routes, tiers, endpoints, prices in dollars, and who is left out.
//!
//! Made from the compiled model and nothing else, so that it shows what is served by, not what a file seems to say.

use std::fmt::Write as _;

use serde::Serialize;

use crate::engine::Handicap;
use crate::ids::EndpointIx;
use crate::policy::model::{Candidate, Model, PriceHours, Route};
use crate::units::{PicoUsd, PricePerMtok, Share, round_to_u64};

/// The name that implied routes share.
const UNLISTED: &str = "unlisted";

/// The source of a price that the configuration says.
const OWN_WORD: &str = "configuration";

/// The whole of it.
#[derive(Debug, Serialize)]
pub(super) struct Resolved {
    policy: String,
    routes: Vec<ResolvedRoute>,
    never_chosen: Vec<Left>,
}

/// Who gets a share of a route's conversations.
#[derive(Debug, Serialize)]
struct Lot {
    endpoints: Vec<String>,
    percent: f64,
    /// The most that it may cost a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    max_usd_per_day: Option<String>,
}

impl Lot {
    fn new(endpoints: &[EndpointIx], share: Share, model: &Model) -> Self {
        let id = |endpoint: &EndpointIx| model.endpoints[*endpoint].id.to_string();
        Self { endpoints: endpoints.iter().map(id).collect(), percent: share.0 * 100.0, max_usd_per_day: None }
    }
}

#[derive(Debug, Serialize)]
struct ResolvedRoute {
    name: String,
    models: Vec<String>,
    value_of_second_usd: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    canary: Option<Lot>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow: Option<Lot>,
    tiers: Vec<Vec<Listed>>,
    excluded: Vec<Left>,
}

#[derive(Debug, Serialize)]
struct Listed {
    endpoint: String,
    /// The names that it serves, where not all of the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    only_for: Option<Vec<String>>,
    #[serde(rename = "input_usd_per_mtok")]
    input: Option<String>,
    #[serde(rename = "output_usd_per_mtok")]
    output: Option<String>,
    /// How many output tokens one second of waiting is worth; `None` where they are free or unpriced.
    second_in_output_tokens: Option<u64>,
    /// Who says what it costs, as of when, and how sure that is.
    price_source: Option<String>,
    price_as_of: Option<String>,
    price_confidence: Option<&'static str>,
    /// `peak`, `off-peak`; nothing for a price without hours.
    price_hours: Option<&'static str>,
    price_changes_at: Option<String>,
    handicap: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct Left {
    endpoint: String,
    reason: String,
}

impl Resolved {
    /// What `model` comes to.
    pub(super) fn new(model: &Model) -> Self {
        let routes = model.routes.values().filter(|route| named_for_people(route, model));
        Self {
            policy: model.policy_source.clone(),
            routes: routes.map(|route| ResolvedRoute::new(route, model)).collect(),
            never_chosen: never_chosen(model),
        }
    }

    /// As text.
    pub(super) fn plain(&self) -> String {
        let mut text = format!("\npolicy: {}\n", self.policy);
        let names = self.routes.iter().flat_map(|route| route.tiers.iter().flatten()).map(|one| one.endpoint.len());
        let width = names.max().unwrap_or_default();
        let (named, direct) = self.routes.iter().partition::<Vec<_>, _>(|route| route.name != UNLISTED);
        for route in named {
            route.plain(width, &mut text);
        }
        if !direct.is_empty() {
            line(&mut text, "\nmodels named directly");
            header("  endpoint", width, &mut text);
        }
        for one in direct.iter().flat_map(|route| route.tiers.iter().flatten()) {
            one.plain(width, &mut text);
        }
        if !self.never_chosen.is_empty() {
            line(&mut text, "\nnever chosen");
            left(&gathered(&self.never_chosen), &mut text);
        }
        text
    }
}

/// Implied routes come in three spellings of the same thing; people are shown the plain model name only.
fn named_for_people(route: &Route, model: &Model) -> bool {
    let [only] = route.models.as_slice() else { return true };
    let tiers = route.tiers.iter().flatten().map(|candidate| candidate.endpoint);
    let all = tiers.chain(route.excluded.iter().map(|one| one.endpoint));
    &*route.name != UNLISTED || all.into_iter().any(|endpoint| &*model.endpoints[endpoint].model == only.as_str())
}

impl ResolvedRoute {
    fn new(route: &Route, model: &Model) -> Self {
        let second = route.objective.value_of_second.0;
        let tier = |tier: &Vec<Candidate>| tier.iter().map(|one| Listed::new(one, route, model)).collect();
        let excluded = route.excluded.iter();
        Self {
            name: route.name.to_string(),
            models: route.models.clone(),
            value_of_second_usd: second,
            canary: route.canary.as_ref().map(|canary| Lot::new(&canary.endpoints, canary.share, model)),
            shadow: route.shadow.as_ref().map(|shadow| Lot {
                max_usd_per_day: Some(shadow.max_cost.to_string()),
                ..Lot::new(&shadow.endpoints, shadow.share, model)
            }),
            tiers: route.tiers.iter().map(tier).collect(),
            excluded: excluded.map(|one| Left::new(one.endpoint, &one.reason, model)).collect(),
        }
    }

    fn plain(&self, width: usize, text: &mut String) {
        line(text, &format!("\nroute {} <- {}", self.name, self.models.join(", ")));
        line(text, &format!("  one second is worth {} USD", self.value_of_second_usd));
        if let Some(Lot { endpoints, percent, .. }) = &self.canary {
            line(text, &format!("  {percent} % of the conversations go to {}", endpoints.join(", ")));
        }
        if let Some(Lot { endpoints, percent, max_usd_per_day }) = &self.shadow {
            let most = max_usd_per_day.as_deref().unwrap_or("0");
            let names = endpoints.join(", ");
            line(
                text,
                &format!("  {percent} % of the conversations are also sent to {names}, for at most {most} USD a day"),
            );
        }
        if self.tiers.is_empty() {
            line(text, "  no active endpoint");
        }
        for (index, tier) in self.tiers.iter().enumerate() {
            header(&format!("  tier {}", index + 1), width, text);
            for one in tier {
                one.plain(width, text);
            }
        }
        if !self.excluded.is_empty() {
            line(text, "  excluded");
            left(&self.excluded, text);
        }
    }
}

impl Listed {
    fn new(candidate: &Candidate, route: &Route, model: &Model) -> Self {
        let second = route.objective.value_of_second.0;
        let served = route.served_as.of(candidate.endpoint);
        let endpoint = &model.endpoints[candidate.endpoint];
        let price = endpoint.price.as_deref();
        let origin = endpoint.price_origin.as_ref();
        let per_token = price.map(|price| price.rates.output.as_dollars().0 / 1e6).filter(|dollars| *dollars > 0.0);
        let handicap = match candidate.handicap {
            Handicap::None => None,
            Handicap::Share(share) => Some(format!("{}%", share.0 * 100.0)),
            Handicap::Amount(amount) => Some(format!("{amount} USD")),
        };
        Self {
            endpoint: endpoint.id.to_string(),
            only_for: served.map(|served| served.names().map(ToString::to_string).collect()),
            input: price.map(|price| dollars(price.rates.input)),
            output: price.map(|price| dollars(price.rates.output)),
            second_in_output_tokens: per_token.map(|dollars| round_to_u64(second / dollars)),
            price_source: origin.map(|origin| origin.source.to_string()),
            price_as_of: origin.and_then(|origin| origin.as_of).map(|as_of| as_of.to_string()),
            price_confidence: origin.map(|origin| origin.confidence.label()),
            price_hours: endpoint.price_hours.map(PriceHours::label),
            price_changes_at: endpoint.price_changes_at.map(|change| change.to_string()),
            handicap,
        }
    }

    fn plain(&self, width: usize, text: &mut String) {
        let shown = |price: &Option<String>| price.clone().unwrap_or_else(|| "unknown".to_owned());
        let tokens = self.second_in_output_tokens.map_or_else(|| "-".to_owned(), |tokens| tokens.to_string());
        let handicap = self.handicap.as_ref().map_or_else(String::new, |one| format!("  (handicap {one})"));
        let only = self.only_for.as_deref().map(|names| format!("  (for {})", first_few(names))).unwrap_or_default();
        let (name, input, output) = (&self.endpoint, shown(&self.input), shown(&self.output));
        let notes = self.price_notes();
        line(text, &format!("    {name:width$}  {input:>10} {output:>10}  {tokens}{notes}{handicap}{only}"));
    }

    /// `  peak until 2026-11-23T04:00:00Z; catalogue 2026-11-01, high`. The operator's own words need no source.
    fn price_notes(&self) -> String {
        let until = |change: &String| format!("until {change}");
        let hours = [self.price_hours.map(str::to_owned), self.price_changes_at.as_ref().map(until)];
        let hours = hours.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let foreign = self.price_source.as_deref().filter(|source| *source != OWN_WORD);
        let source = foreign.map(|source| {
            let as_of = self.price_as_of.as_deref().map(|as_of| format!(" {as_of}")).unwrap_or_default();
            format!("{source}{as_of}, {}", self.price_confidence.unwrap_or_default())
        });
        let notes = Some(hours).filter(|hours| !hours.is_empty()).into_iter().chain(source).collect::<Vec<_>>();
        if notes.is_empty() { String::new() } else { format!("  {}", notes.join("; ")) }
    }
}

impl Left {
    fn new(endpoint: EndpointIx, reason: &str, model: &Model) -> Self {
        Self { endpoint: model.endpoints[endpoint].id.to_string(), reason: reason.to_owned() }
    }
}

/// Many of one upstream with one reason are one line: a catalogue is long.
fn gathered(all: &[Left]) -> Vec<Left> {
    let alike =
        |one: &Left, other: &Left| upstream(&one.endpoint) == upstream(&other.endpoint) && one.reason == other.reason;
    let gather = |group: &[Left]| match group {
        [first, _, _, ..] => {
            let endpoint = format!("{} ({} endpoints)", upstream(&first.endpoint), group.len());
            vec![Left { endpoint, reason: first.reason.clone() }]
        }
        few => few.to_vec(),
    };
    all.chunk_by(alike).flat_map(gather).collect()
}

fn upstream(endpoint: &str) -> &str {
    endpoint.split_once('/').map_or(endpoint, |(upstream, _)| upstream)
}

/// Endpoints in no tier of any route.
fn never_chosen(model: &Model) -> Vec<Left> {
    let active = |endpoint| {
        let mut candidates = model.routes.values().flat_map(|route| route.tiers.iter().flatten());
        let mut shadows = model.routes.values().filter_map(|route| route.shadow.as_ref());
        candidates.any(|candidate| candidate.endpoint == endpoint)
            || shadows.any(|shadow| shadow.endpoints.contains(&endpoint))
    };
    let reason = |endpoint| {
        let mut excluded = model.routes.values().flat_map(|route| &route.excluded);
        let found = excluded.find(|one| one.endpoint == endpoint);
        found.map_or("no route lists it, and models that no route lists are refused", |one| one.reason.as_str())
    };
    let endpoints = model.endpoints.iter().map(|(ix, _)| ix).filter(|ix| !active(*ix));
    endpoints.map(|ix| Left::new(ix, reason(ix), model)).collect()
}

fn header(title: &str, width: usize, text: &mut String) {
    let (input, output, second) = ("input", "output", "one second in output tokens");
    line(text, &format!("{title:w$}  {input:>10} {output:>10}  {second}", w = width + 4));
}

fn left(all: &[Left], text: &mut String) {
    for one in all {
        line(text, &format!("    {}: {}", one.endpoint, one.reason));
    }
}

fn dollars(price: PricePerMtok) -> String {
    PicoUsd(price.0.saturating_mul(1_000_000)).to_string()
}

fn line(text: &mut String, content: &str) {
    let written = writeln!(text, "{content}");
    debug_assert!(written.is_ok(), "writing to a string does not fail");
}

/// Some of many names; `--format json` has all of them.
fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!("and {more} more"));
    names.iter().take(SHOWN).cloned().chain(more).collect::<Vec<_>>().join(", ")
}
