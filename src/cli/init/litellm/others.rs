//! What an entry says besides: what it is here, or what to do instead. None of it is passed over in silence.

use crate::cli::init::draft::Draft;
use crate::cli::init::said::Said;

use super::facts::{Entry, LIMITS, is_ability, is_price};

const TAGS: &str = "requests are not routed by tags; a tenant's `routes` say what it may use";
const TEAMS: &str = "teams are [[tenants]] with `keys` and `routes`";
const HEADERS: &str = "own headers are not sent to upstreams";

/// What has been taken over of `litellm_params`, or is done anyway.
const TAKEN: [&str; 9] = [
    "model",
    "api_key",
    "api_base",
    "base_url",
    "order",
    "timeout",
    "custom_llm_provider",
    "drop_params",
    "base_model",
];

/// The same of `model_info`; the first two are names for people.
const TAKEN_OF_INFO: [&str; 6] = ["id", "db_model", "mode", "base_model", "max_input_tokens", "max_output_tokens"];

/// The same of the entry itself.
const TAKEN_OF_ENTRY: [&str; 3] = ["model_name", "litellm_params", "model_info"];

/// What to do instead of some others.
const INSTEAD: [(&str, &str); 18] = [
    (
        "weight",
        "weights are gone: inside a tier the lowest expected cost wins; a `handicap` in policy.toml holds one back",
    ),
    ("api_version", "it belongs to Azure; the OpenAI API has none"),
    ("organization", "an organisation header is not sent: use a key of that organisation's project"),
    ("extra_headers", HEADERS),
    ("headers", HEADERS),
    ("stream_timeout", "policy.toml has `first_token` and `idle` for streams"),
    ("max_retries", "policy.toml has `retry` for all tries together"),
    ("num_retries", "policy.toml has `retry` for all tries together, and for each route"),
    ("max_budget", "budgets are not supported yet"),
    ("budget_duration", "budgets are not supported yet"),
    ("litellm_credential_name", "credentials by name are not read: give the upstream its `keys`"),
    ("tags", TAGS),
    ("access_groups", "everybody may use every route; [[tenants]] with `keys` and `routes` say otherwise"),
    ("team_id", TEAMS),
    ("team_public_model_name", TEAMS),
    ("merge_reasoning_content_in_choices", "reasoning stays in its own field"),
    ("use_in_pass_through", "requests are passed on by routes only"),
    ("max_tokens", "as a bound for all requests of a route it can stand in its `params`; as a length say `max_output`"),
];

/// What fields of deployments that pass names on would have to hold for.
const OF_ONE_MODEL: [&str; 2] = ["timeout", "base_model"];

/// Remarks on everything that has not been taken over of `entry`.
pub(super) fn remarks(entry: &Entry<'_>, draft: &mut Draft) {
    let usual = "not taken over; parameters for all requests of a route can stand in its `params`";
    let tables = [
        (Some(&entry.params), "litellm_params", &TAKEN[..], usual),
        (entry.info.as_ref(), "model_info", &TAKEN_OF_INFO[..], "nothing here asks for it"),
        (Some(&entry.whole), "the entry", &TAKEN_OF_ENTRY[..], "not taken over"),
    ];
    for (table, place, taken, usual) in tables {
        for (name, said) in table.and_then(|table| table.table().ok()).unwrap_or_default() {
            if let Some(what) = instead(name, &said, taken, usual) {
                draft.remark_on(format!("{place}.{name} of {}", entry.called), what);
            }
        }
    }
}

/// Remarks on what is said of all models of a deployment that passes names on: each of them has facts of its own here.
pub(super) fn remark_passed_on(entry: &Entry<'_>, wish: &str, draft: &mut Draft) {
    let counts =
        |name: &str| LIMITS.contains(&name) || OF_ONE_MODEL.contains(&name) || is_price(name) || is_ability(name);
    let said = entry.fields().into_iter().filter(|(name, said)| counts(name) && !said.is_idle());
    for (name, _) in said {
        let what = format!(
            "it would hold for every model of `{wish}`, and is not taken over; `limits` of [upstreams.{wish}] bound all \
             together, the rest can be said of each model"
        );
        draft.remark_on(format!("{name} of {}", entry.called), what);
    }
}

fn instead(name: &str, said: &Said<'_>, taken: &[&str], usual: &'static str) -> Option<&'static str> {
    let is_nought = said.whole_number() == Ok(0);
    if (LIMITS.contains(&name) || name == "weight") && is_nought {
        return Some("nought is no limit here; leave the entry out if nothing is to be sent to it");
    }
    if said.is_idle() || taken.contains(&name) || LIMITS.contains(&name) || is_price(name) || is_ability(name) {
        return None;
    }
    let known = INSTEAD.iter().find(|(known, _)| *known == name).map(|(_, what)| *what);
    let of_price = name.contains("_cost_").then_some("this part of a price is not known here");
    Some(known.or(of_price).unwrap_or(usual))
}
