//! What errors mean: examples as providers answer, each with its class.

use serde_json::Value;

use super::World;
use crate::catalog;
use crate::dialect::faults::FaultTable;
use crate::dialect::{Asked, WireError};
use crate::engine::{Failure, Fault, Scope};

/// One answer, and what it means. Bodies are as they were seen, or composed in the documented shape.
struct Example {
    id: String,
    provider: String,
    status: u16,
    body: String,
    class: String,
}

fn examples() -> Vec<Example> {
    let example = |line: &str| {
        let fields: Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| fields[name].as_str().unwrap().to_owned();
        let body = match &fields["body"] {
            // Of a stream, what its error event says.
            Value::String(text) => {
                text.lines().rev().find_map(|line| line.strip_prefix("data:")).unwrap_or(text).trim().to_owned()
            }
            other => other.to_string(),
        };
        let status = u16::try_from(fields["status"].as_u64().unwrap()).unwrap();
        Example { id: text("id"), provider: text("provider"), status, body, class: text("class") }
    };
    // A stream of nothing but comments is no error that is told; the first-token limit ends it.
    include_str!("errors.jsonl")
        .lines()
        .map(example)
        .filter(|one| one.class != "timeout" || one.status != 200)
        .collect()
}

/// What the errors of a provider mean; of one that is not in the catalogue, what is usual.
fn table(provider: &str) -> FaultTable {
    table_with(provider, "")
}

fn table_with(provider: &str, more: &str) -> FaultTable {
    let known = catalog::find(provider).is_some();
    let address = if known { format!("provider = \"{provider}\"") } else { "base_url = \"http://h/v1\"".to_owned() };
    let config = format!("[upstreams.x]\n{address}\nkeys = []\n{more}\n");
    let model = World::new(&config, "").model();
    model.upstreams.values().next().unwrap().faults.clone()
}

fn classify(table: &FaultTable, status: u16, body: &str) -> Fault {
    table.classify(status, &WireError::parse(body.as_bytes()), &Asked::new(b"{}"))
}

#[test]
fn every_known_error_has_its_class() {
    let mut wrong = Vec::new();
    for Example { id, provider, status, body, class } in examples() {
        let found = classify(&table(&provider), status, &body).failure.label();
        if found != class {
            wrong.push(format!("{id}: {found}, not {class}: {status} {body}"));
        }
    }
    assert!(wrong.is_empty(), "{} wrong\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_is_on_no_list_is_found_by_what_it_says_or_by_its_status() {
    let unknown = table("openai");
    for (status, body, class) in [
        (
            429,
            r#"{"error":{"message":"Account balance is not enough, please recharge","code":"E771"}}"#,
            "quota_exhausted",
        ),
        (403, r#"{"error":{"message":"This service is not available in your region."}}"#, "region_blocked"),
        (400, r#"{"detail":"the prompt exceeds the context window of this model"}"#, "context_exceeded"),
        (500, r#"{"error":{"message":"GPU workers are at capacity"}}"#, "overloaded"),
        (400, r#"{"error":{"code":"SensitiveContentFound","message":"no"}}"#, "content_filtered"),
        (400, r#"{"error":{"message":"temperature must be at most 1"}}"#, "bad_request"),
        (403, "<html>forbidden</html>", "auth"),
        (502, "<html>bad gateway</html>", "server_error"),
        (503, "", "overloaded"),
        (418, "", "bad_request"),
        (200, r#"{"error":{"message":"what?"}}"#, "server_error"),
    ] {
        assert_eq!(classify(&unknown, status, body).failure.label(), class, "{status} {body}");
    }
}

#[test]
fn one_name_means_two_things_at_two_providers() {
    let body = r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota"}}"#;
    assert_eq!(classify(&table("openai"), 429, body), Fault { failure: Failure::QuotaExhausted, scope: Scope::Key });
    assert_eq!(
        classify(&table("dashscope"), 429, body),
        Fault { failure: Failure::RateLimited, scope: Scope::Endpoint }
    );
}

#[test]
fn an_allowance_of_one_model_says_nothing_of_the_others() {
    let openrouter = r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add 10 credits"}}"#;
    for (provider, status, body) in [
        (
            "dashscope",
            403,
            r#"{"error":{"code":"AllocationQuota.FreeTierOnly","message":"The free tier of the model is exhausted"}}"#,
        ),
        (
            "volcengine",
            429,
            r#"{"error":{"code":"SetLimitExceeded","message":"Your account has reached the set inference limit"}}"#,
        ),
        ("openrouter", 429, openrouter),
        (
            "groq",
            429,
            r#"{"error":{"code":"rate_limit_exceeded","message":"Rate limit reached on tokens per day (TPD): Limit 1"}}"#,
        ),
    ] {
        let expected = Fault { failure: Failure::QuotaExhausted, scope: Scope::Endpoint };
        assert_eq!(classify(&table(provider), status, body), expected, "{provider}");
    }
}

#[test]
fn what_a_client_has_sent_is_no_name_of_an_error() {
    let body =
        r#"{"detail":[{"msg":"no"}],"sent":{"metadata":{"code":"insufficient_quota","type":"unsupported_country"}}}"#;
    let error = WireError::parse(body.as_bytes());
    let table = table("openai");
    assert_eq!(table.classify(422, &error, &Asked::new(b"{}")).failure, Failure::QuotaExhausted);
    let asked = br#"{"metadata":{"code":"insufficient_quota","type":"unsupported_country"}}"#;
    assert_eq!(table.classify(422, &error, &Asked::new(asked)).scope, Scope::Nothing);
    // Where validators give it back it is not looked at.
    let echoed = r#"{"detail":[{"msg":"no","input":"x"}],"body":{"metadata":{"code":"insufficient_quota"}}}"#;
    assert_eq!(classify(&table, 422, echoed).failure, Failure::BadRequest);
}

#[test]
fn one_request_that_a_firewall_does_not_like_is_no_reason_to_leave_a_provider_alone() {
    let page = "<title>Attention Required! | Cloudflare</title>Sorry, you have been blocked";
    assert_eq!(classify(&table("groq"), 403, page), Fault { failure: Failure::Auth, scope: Scope::Endpoint });
    let closed = r#"{"error":{"message":"This organization has been disabled for violating our Usage Policy."}}"#;
    assert_eq!(classify(&table("openai"), 403, closed).failure, Failure::Auth, "and is no filter");
    let busy = r#"{"error":{"message":"Concurrency limit: too many requests, see your usage limit"}}"#;
    assert_eq!(classify(&table("openai"), 429, busy).failure, Failure::RateLimited);
}

#[test]
fn an_operator_knows_better_than_the_catalogue() {
    let more = "errors = [{ names = [\"1113\"], class = \"rate_limited\" }, { status = 418, class = \"overloaded\", scope = \"endpoint\" }]";
    let table = table_with("zhipu", more);
    let body = r#"{"error":{"code":"1113","message":"Insufficient balance"}}"#;
    assert_eq!(classify(&table, 429, body).failure, Failure::RateLimited);
    let forbidden = Fault { failure: Failure::Auth, scope: Scope::Endpoint };
    assert_eq!(classify(&table, 403, "no"), forbidden, "it may be about one model");
    let tea = Fault { failure: Failure::Overloaded, scope: Scope::Endpoint };
    assert_eq!(classify(&table, 418, ""), tea);
}

#[test]
fn a_rule_without_a_condition_is_a_mistake() {
    let config = "[upstreams.x]\nbase_url = \"http://h/v1\"\nkeys = []\nerrors = [{ class = \"auth\" }, { class = \"aut\", status = 1000 }]\n";
    let text = World::new(config, "").complaints();
    for complaint in ["this rule would hold for every error", "unknown value `aut`", "1000 is no HTTP status"] {
        assert!(text.contains(complaint), "{text}");
    }
}
