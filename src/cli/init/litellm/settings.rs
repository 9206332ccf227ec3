//! The other settings: what they are here, or what to do instead. None is passed over in silence.

use crate::cli::init::draft::{Draft, grouped};
use crate::cli::init::said::Said;

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

/// Settings, with or without the end of their names, and what to do instead.
const INSTEAD: [(&str, &str); 41] = [
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
const TAKEN: [&str; 12] = [
    "fallbacks",
    "default_fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "model_group_alias",
    "num_retries",
    "timeout",
    "request_timeout",
    "master_key",
    "set_verbose",
    "ssl_verify",
    "background_health_checks",
];

/// Whole sections that have no place here.
const SECTIONS: [(&str, &str); 8] = [
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
    let others = settings.filter(|(name, said)| !TAKEN.contains(name) && !said.is_idle());
    for (what, settings) in grouped(others, |(name, _)| instead(name)) {
        settings.into_iter().for_each(|(_, said)| draft.remark_on(said.place, what));
    }
    for (name, said) in whole.table().unwrap_or_default() {
        if !READ.contains(&name) && !said.is_idle() {
            let what = SECTIONS.iter().find(|(known, _)| *known == name).map_or("not taken over", |(_, what)| *what);
            draft.remark_on(name, what);
        }
    }
}

fn instead(name: &str) -> &'static str {
    let fits = |pattern: &str| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
        (Some(part), _) => name.contains(part.trim_end_matches('*')),
        (None, Some(start)) => name.starts_with(start),
        (None, None) => name == pattern,
    };
    INSTEAD.iter().find(|(pattern, _)| fits(pattern)).map_or("not taken over", |(_, what)| *what)
}
