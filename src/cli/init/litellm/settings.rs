//! The other settings: what they are here, or what to do instead. None is passed over in silence.

use std::time::Duration;

use crate::cli::init::draft::Draft;
use crate::cli::init::fault::Fault;
use crate::cli::init::policy_text::MOST_ATTEMPTS;
use crate::cli::init::said::Said;

use super::routes::setting;

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_hours(24);

const CACHE: &str = "answers are not cached; providers' prompt caches are used (`affinity` in policy.toml)";
const REDIS: &str = "state is not shared yet: each faregate counts for itself, so divide limits by their number";
const DATABASE: &str =
    "there is no database: keys, teams and models that live in it have to be written as [[tenants]] and [upstreams]";
const BUDGET: &str = "budgets are not supported yet; `max_price` in policy.toml keeps dear models out";
const LOGS: &str = "there are no callbacks: /metrics, and one JSON line per request on standard output";
const ALERTS: &str = "alerts are Prometheus's: rules are in deploy/";
const COOLDOWN: &str = "circuits open by themselves after failures, for as long as the failure says";
const SCORE: &str =
    "the expected cost of each request decides, waiting and failures included: see [objective] in policy.toml";
const ALWAYS: &str = "done anyway; `x-faregate-adjusted` tells what was changed";
const GUARDRAILS: &str = "there are no guardrails";
const LOGGING: &str = "set RUST_LOG instead";
const CERTIFICATES: &str = "certificates of upstreams are always checked, against the usual authorities";

/// Settings, with or without the end of their names, and what to do instead.
const INSTEAD: [(&str, &str); 43] = [
    ("ssl_*", CERTIFICATES),
    ("*health_check*", "nothing is asked for a test: what requests meet tells, and a probe after a failure"),
    ("drop_params", ALWAYS),
    ("modify_params", ALWAYS),
    ("cache", CACHE),
    ("cache_*", CACHE),
    ("caching*", CACHE),
    ("redis_*", REDIS),
    ("use_redis*", REDIS),
    ("routing_strategy*", SCORE),
    ("routing_groups", SCORE),
    ("weights", SCORE),
    ("allowed_fails*", COOLDOWN),
    ("cooldown_time", COOLDOWN),
    ("disable_cooldowns", COOLDOWN),
    ("retry_after", "policy.toml has `retry`; what providers say about waiting is heeded"),
    ("retry_policy", "policy.toml has `retry`; which failures go on to another endpoint is in README, \"Errors\""),
    ("model_group_retry_policy", "policy.toml has `retry` for all, and for each route"),
    ("enable_pre_call_checks", "done anyway: prompts go only to models whose `context` they fit"),
    ("optional_pre_call_checks", "conversations stay where their prompt cache is warm (`affinity` in policy.toml)"),
    ("enable_tag_filtering", "requests are not routed by tags; a tenant's `routes` say what it may use"),
    ("tag_*", "requests are not routed by tags; a tenant's `routes` say what it may use"),
    ("stream_timeout", "policy.toml has `first_token` and `idle` for streams"),
    ("max_parallel_requests", "bounds on clients are not supported yet; an upstream's `limits` bound what it is sent"),
    (
        "global_max_parallel_requests",
        "bounds on clients are not supported yet; an upstream's `limits` bound what it is sent",
    ),
    ("success_callback", LOGS),
    ("failure_callback", LOGS),
    ("callbacks", LOGS),
    ("service_callback*", LOGS),
    ("callback*", LOGS),
    ("langfuse*", LOGS),
    ("turn_off_message_logging", "bodies are never logged"),
    ("redact_user_api_key_info", "keys are never logged"),
    ("guardrails*", GUARDRAILS),
    ("set_verbose", LOGGING),
    ("debug_level", LOGGING),
    ("json_logs", "logs are JSON already"),
    ("*budget*", BUDGET),
    ("database_*", DATABASE),
    ("store_model_in_db", DATABASE),
    ("store_prompts_in_spend_logs", "bodies are never kept"),
    ("alert*", ALERTS),
    ("default_team_settings", "teams are [[tenants]] with `keys` and `routes`"),
];

/// What has been taken over.
const TAKEN: [&str; 9] = [
    "fallbacks",
    "default_fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "model_group_alias",
    "num_retries",
    "timeout",
    "request_timeout",
    "master_key",
];

/// Settings that say something by being off.
const ON_BY_ITSELF: [(&str, &str); 3] =
    [("ssl_verify", CERTIFICATES), ("allowed_fails", COOLDOWN), ("cooldown_time", COOLDOWN)];

/// Whole sections that have no place here.
const SECTIONS: [(&str, &str); 9] = [
    ("include", "other files are not read: put what they hold into this one, and take it over again"),
    ("guardrails", GUARDRAILS),
    ("callback_settings", LOGS),
    ("prompts", "there are no prompt templates"),
    ("credential_list", "credentials by name are not read: give each upstream its `keys`"),
    ("mcp_servers", "tools are the application's; requests with `tools` pass through"),
    ("vector_store_registry", "there are no vector stores"),
    ("files_settings", "files and batches are not served"),
    ("finetune_settings", "fine-tuning is not served"),
];

/// Sections that are read.
const READ: [&str; 5] =
    ["model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables"];

/// Remarks on everything in `sections` and `whole` that has not been taken over.
pub(super) fn remarks(whole: &Said<'_>, sections: &[Said<'_>], draft: &mut Draft) {
    let settings = sections.iter().filter_map(|section| section.table().ok()).flatten();
    for (name, said) in settings {
        if said.is_idle() {
            let off = ON_BY_ITSELF.iter().find(|(known, _)| *known == name);
            if let Some((_, what)) = off {
                draft.remark_on(said.place, *what);
            }
        } else if !TAKEN.contains(&name) && !is_usual(name, &said) {
            draft.remark_on(said.place, instead(name));
        }
    }
    for name in TAKEN {
        remark_hidden(name, sections, draft);
    }
    for (name, said) in whole.table().unwrap_or_default() {
        if !READ.contains(&name) && !said.is_idle() {
            let what = SECTIONS.iter().find(|(known, _)| *known == name).map_or("not taken over", |(_, what)| *what);
            draft.remark_on(name, what);
        }
    }
}

/// What says what is done anyway.
fn is_usual(name: &str, said: &Said<'_>) -> bool {
    name == "ssl_verify" && said.value() == &serde_json::Value::Bool(true)
}

/// Where two sections say different things, one of them says it in vain.
fn remark_hidden(name: &str, sections: &[Said<'_>], draft: &mut Draft) {
    let mut said = sections.iter().filter_map(|section| section.field(name)).filter(|said| counts(name, said));
    let Some(first) = said.next() else { return };
    for other in said.filter(|other| other.value() != first.value()) {
        draft.remark_on(other.place, format!("{} counts, as it does in LiteLLM", first.place));
    }
}

/// No tries again is something said, nothing else that is nought is.
fn counts(name: &str, said: &Said<'_>) -> bool {
    name == "num_retries" || !said.is_idle()
}

/// Tries per request, the first included.
pub(super) fn attempts(sections: &[Said<'_>], draft: &mut Draft) -> Result<Option<u64>, Fault> {
    let Some(said) = sections.iter().find_map(|section| section.field("num_retries")) else { return Ok(None) };
    let retries = u64::try_from(said.whole_number()?).map_err(|_| said.not("a number of tries, 0 or more"))?;
    let attempts = retries.saturating_add(1);
    if attempts > MOST_ATTEMPTS {
        draft.remark_on(said.place, format!("{MOST_ATTEMPTS} tries are the most here, the first one included"));
    }
    Ok(Some(attempts.min(MOST_ATTEMPTS)))
}

/// How long a request may take.
pub(super) fn total(sections: &[Said<'_>], draft: &mut Draft) -> Result<Option<Duration>, Fault> {
    let (own, general) = (setting(sections, "timeout"), setting(sections, "request_timeout"));
    if let (Some(own), Some(general)) = (&own, &general)
        && own.value() != general.value()
    {
        draft.remark_on(general.place.clone(), format!("{} counts, as it does in LiteLLM", own.place));
    }
    own.or(general).map(|said| time(&said, draft)).transpose()
}

/// A time in seconds, to the millisecond.
pub(super) fn time(said: &Said<'_>, draft: &mut Draft) -> Result<Duration, Fault> {
    let not = || said.not("a number of seconds");
    let digits = said.digits("a number of seconds")?;
    let (whole, part) = digits.split_once('.').unwrap_or((&digits, ""));
    let seconds: u64 = whole.parse().map_err(|_| not())?;
    let millis = format!("{part:0<3}").chars().take(3).collect::<String>().parse().map_err(|_| not())?;
    let exact = Duration::from_secs(seconds).saturating_add(Duration::from_millis(millis));
    let possible = exact.clamp(SHORTEST, LONGEST);
    if possible != exact {
        draft.remark_on(
            said.place.clone(),
            "a time is between a millisecond and a day here: the nearer of the two is taken",
        );
    }
    Ok(possible)
}

fn instead(name: &str) -> &'static str {
    let fits = |pattern: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(part), _) => name.contains(part.trim_end_matches('*')),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    };
    INSTEAD.iter().find(|(pattern, _)| fits(pattern)).map_or("not taken over", |(_, what)| *what)
}
