//! Settings of channels that have no place here, and what to do instead.

use serde_json::Value;

use crate::cli::init::draft::Draft;
use crate::cli::init::said::Said;
use crate::cli::init::tree;

const ELSEWHERE: &str = "not taken over";
const PROMPTS: &str = "prompts are not added to";

/// Settings, and what to do instead.
const INSTEAD: [(&str, &str); 10] = [
    (
        "weight",
        "weights are gone: inside a tier the lowest expected cost wins; a `handicap` in policy.toml holds one back",
    ),
    ("system_prompt", PROMPTS),
    ("system_prompt_override", PROMPTS),
    ("param_override", "parameters for all requests of a route can stand in its `params`"),
    ("header_override", "own headers are not sent to upstreams"),
    ("status_code_mapping", "what errors mean can be said in [[upstreams.X.errors]]"),
    ("openai_organization", "an organisation header is not sent: use a key of that organisation's project"),
    ("proxy", "upstreams are called directly"),
    ("thinking_to_content", "reasoning stays in its own field"),
    ("other", ELSEWHERE),
];

/// Settings that are tables of settings, or the texts of such.
const TABLES: [&str; 3] = ["setting", "settings", "config"];

/// Of them, what is said of channels that are not called anyway.
const OF_OTHERS: [&str; 2] = ["vertex_key_type", "azure_responses_version"];

/// Remarks on everything that `channel` says and that is not taken over.
pub(super) fn remarks(channel: &Said<'_>, called: &str, draft: &mut Draft) {
    for (name, what) in INSTEAD {
        if channel.field(name).is_some_and(|said| !said.is_idle()) {
            draft.remark_on(called, format!("`{name}`: {what}"));
        }
    }
    for table in TABLES {
        if let Some(said) = channel.field(table).filter(|said| !said.is_idle()) {
            inner(table, &said, called, draft);
        }
    }
    let group = channel.field("group").and_then(|group| group.text().ok()).unwrap_or_default();
    if !["", "default"].contains(&group) {
        let what = "everybody may use every route; [[tenants]] with `keys` and `routes` say otherwise";
        draft.remark_on(called, format!("`group`: {what}"));
    }
    if channel.field("auto_ban").is_some_and(|said| said.is_idle()) {
        draft.remark_on(called, "`auto_ban` is off: here circuits open after failures for every key, for a while");
    }
}

/// What a table in a table says. Names are shown, values never: some are addresses with passwords.
fn inner(table: &str, said: &Said<'_>, called: &str, draft: &mut Draft) {
    let Some(fields) = self::table(said) else {
        draft.remark_on(called, format!("`{table}`: {ELSEWHERE}"));
        return;
    };
    for (name, value) in &fields {
        if !Said::whole(value).is_idle() && !OF_OTHERS.contains(&name.as_str()) {
            let what = INSTEAD.iter().find(|(known, _)| *known == name).map_or(ELSEWHERE, |(_, what)| *what);
            draft.remark_on(called, format!("`{table}.{name}`: {what}"));
        }
    }
}

/// The fields of a table, or of the text of one.
pub(super) fn table(said: &Said<'_>) -> Option<serde_json::Map<String, Value>> {
    let own = || Some(said.table().ok()?.into_iter().map(|(name, to)| (name.to_owned(), to.value().clone())).collect());
    let Ok(text) = said.text() else { return own() };
    match tree::json(text) {
        Ok(Value::Object(table)) => Some(table),
        Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) | Err(_) => None,
    }
}
