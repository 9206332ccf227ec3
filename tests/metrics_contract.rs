//! Dashboards and alerts are promises about names: what they ask for must be what the daemon renders.
//!
//! The daemon's own registry is filled through the handles that the request path uses, and its text is the reference
//! for the contract below, for `deploy/` and for the README.

#![expect(clippy::unwrap_used, clippy::string_slice, reason = "a test says what it needs by failing")]

#[path = "support/files.rs"]
mod files;
#[path = "support/selectors.rs"]
mod selectors;
#[path = "support/tools.rs"]
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use faregate::engine::Usage;
use faregate::ids::EndpointId;
use faregate::observe::{
    AttemptResult, EndpointState, FeedResult, HedgeResult, Metrics, Outcome, PriceKind, QuotaKind, Waste,
};
use faregate::units::{Dollars, PicoUsd, PricePerMtok, Share, Tokens};
use files::project;
use selectors::{Selector, selectors};

/// Every metric with its labels. Renaming one breaks somebody's dashboard; adding one belongs here, in the README and
/// in the place that records it.
const CONTRACT: &[(&str, &str)] = &[
    ("faregate_access_log_dropped_total", ""),
    ("faregate_allowance_remaining_ratio", "allowance upstream"),
    ("faregate_attempts_total", "model result upstream"),
    ("faregate_balance", "account currency upstream"),
    ("faregate_balance_lasts_seconds", "account upstream"),
    ("faregate_build_info", "version"),
    ("faregate_config_generation", ""),
    ("faregate_config_last_reload_successful", ""),
    ("faregate_config_reloads_total", "result"),
    ("faregate_cost_usd_total", "model route tenant upstream"),
    ("faregate_endpoint_benched", "endpoint reason"),
    ("faregate_endpoint_inflight", "endpoint"),
    ("faregate_endpoint_score_usd", "endpoint"),
    ("faregate_endpoint_state", "endpoint state"),
    ("faregate_estimated_requests_total", "model upstream"),
    ("faregate_exchange_rate_usd", "currency"),
    ("faregate_failovers_total", "from reason"),
    ("faregate_hedges_total", "result"),
    ("faregate_inflight_requests", ""),
    ("faregate_overhead_seconds", ""),
    ("faregate_price_age_seconds", "source"),
    ("faregate_price_feed_refreshes_total", "result source"),
    ("faregate_price_held", "model upstream"),
    ("faregate_price_usd_per_mtok", "kind model upstream"),
    ("faregate_prompt_estimate_error_ratio", "model upstream"),
    ("faregate_quota_remaining_ratio", "endpoint kind"),
    ("faregate_request_duration_seconds", "model route upstream"),
    ("faregate_requests_total", "model outcome route tenant upstream"),
    ("faregate_shadow_cost_usd_total", "model route side upstream"),
    ("faregate_shadow_duration_seconds", "model route side upstream"),
    ("faregate_shadow_output_tokens_total", "model route side upstream"),
    ("faregate_shadow_requests_total", "model result route upstream"),
    ("faregate_shadow_time_to_first_token_seconds", "model route side upstream"),
    ("faregate_time_per_output_token_seconds", "model upstream"),
    ("faregate_time_to_first_token_seconds", "model upstream"),
    ("faregate_tokens_total", "kind model tenant upstream"),
    ("faregate_unpriced_requests_total", "model upstream"),
    ("faregate_wasted_cost_usd_total", "reason"),
    ("process_start_time_seconds", ""),
];

/// Labels that Prometheus itself adds.
const SCRAPED: [&str; 2] = ["instance", "job"];

/// What the daemon renders once everything that can happen has happened.
fn rendered() -> String {
    let metrics = Metrics::new().unwrap();
    let id = EndpointId::new("zhipu", "glm-5.3", Some("main"));
    let endpoint = metrics.endpoint("zhipu", "glm-5.3", &id);
    endpoint.record_attempt(AttemptResult::Ok);
    endpoint.record_attempt(AttemptResult::Failed("overloaded"));
    endpoint.record_failover("overloaded");
    endpoint.observe_first_token(Duration::from_millis(300));
    endpoint.observe_prompt_error(Tokens(90), Tokens(100));
    endpoint.observe_pace(Tokens(100), Duration::from_secs(2));
    endpoint.add_wasted(Waste::Timeout, PicoUsd(1_000));
    let request = metrics.request("chat", "zhipu", "glm-5.3", "search-team");
    for outcome in Outcome::ALL {
        request.record_outcome(*outcome);
    }
    request.observe_duration(Duration::from_secs(2));
    request.observe_overhead(Duration::from_micros(80));
    request.add_usage(&Usage { input: Tokens(10), output: Tokens(100), ..Usage::default() });
    request.add_cost(PicoUsd(3_085_000_000));
    request.record_unpriced();
    request.record_estimated();
    metrics.shadow("chat", "zhipu", "glm-5.3").record(AttemptResult::Ok);
    metrics.reload_succeeded(2);
    metrics.record_hedge(HedgeResult::Won);
    metrics.record_feed("litellm", FeedResult::Read);
    let fill = |gauges: &faregate::observe::Gauges| {
        gauges.set_state(&id, EndpointState::Closed);
        gauges.set_benched(&id, "region_blocked");
        gauges.set_inflight(&id, 3);
        gauges.set_score(&id, Dollars(0.002));
        for kind in QuotaKind::ALL {
            gauges.set_quota(&id, *kind, Share(0.5));
        }
        for kind in PriceKind::ALL {
            gauges.set_price("zhipu", "glm-5.3", *kind, PricePerMtok(600_000));
        }
        gauges.set_price_age("litellm", Duration::from_hours(6));
        gauges.set_price_held("zhipu", "glm-5.3");
        gauges.set_allowance("zhipu", "glm-5.3", Share(0.4));
        gauges.set_balance("zhipu", "acme", Dollars(12.5), Some(Duration::from_hours(48)));
        gauges.set_exchange("CNY", Dollars(0.1395));
    };
    metrics.render_with(fill).unwrap()
}

/// The label names of every sample, by its name.
fn samples(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut samples: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for selector in text.lines().filter(|line| !line.starts_with('#')).flat_map(selectors) {
        samples.entry(selector.name).or_default().extend(selector.labels);
    }
    samples
}

/// What is wrong with a text that uses metrics: an expression with its legends, or a rule with its annotations.
fn mismatches(text: &str, samples: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let used: Vec<Selector> = selectors(text);
    let mut wrong = Vec::new();
    let mut known: BTreeSet<&str> = SCRAPED.into();
    for selector in &used {
        let Some(labels) = samples.get(&selector.name) else {
            wrong.push(format!("no metric is called {}", selector.name));
            continue;
        };
        known.extend(labels.iter().map(String::as_str));
        let scraped = |label: &String| SCRAPED.contains(&label.as_str());
        let strange = selector.labels.iter().filter(|label| !labels.contains(*label) && !scraped(label));
        wrong.extend(strange.map(|label| format!("{} has no label {label}", selector.name)));
    }
    let strange = selectors::grouped_by(text).into_iter().filter(|label| !known.contains(label.as_str()));
    wrong.extend(strange.map(|label| format!("no metric here has a label {label}: {text}")));
    wrong
}

/// Every string under the keys `expr`, `legendFormat` and `definition` of one panel or variable, joined.
fn dashboard_texts(dashboard: &serde_json::Value) -> Vec<String> {
    let mut texts = Vec::new();
    for target in find_all(dashboard, "expr") {
        let legend = target.get("legendFormat").and_then(serde_json::Value::as_str).unwrap_or_default();
        texts.push(format!("{} {legend}", target["expr"].as_str().unwrap()));
    }
    texts
        .extend(find_all(dashboard, "definition").iter().map(|value| value["definition"].as_str().unwrap().to_owned()));
    texts
}

/// Every object that has the key.
fn find_all<'a>(value: &'a serde_json::Value, key: &str) -> Vec<&'a serde_json::Value> {
    let inner: Box<dyn Iterator<Item = &serde_json::Value>> = match value {
        serde_json::Value::Array(items) => Box::new(items.iter()),
        serde_json::Value::Object(fields) => Box::new(fields.values()),
        _ => return Vec::new(),
    };
    let below = inner.flat_map(|item| find_all(item, key));
    value.get(key).map(|_| value).into_iter().chain(below).collect()
}

fn dashboard() -> serde_json::Value {
    serde_json::from_str(&read("deploy/grafana/overview.json")).unwrap()
}

fn read(path: &str) -> String {
    fs::read_to_string(project(path)).unwrap()
}

fn promtool(arguments: &[&str], folder: &Path, input: &str) {
    let Some(tool) = tools::find("promtool", &format!("promtool {}", arguments.join(" "))) else { return };
    let mut child = Command::new(tool)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {}: {said}", arguments.join(" "));
}

#[test]
fn the_contract_is_what_the_daemon_renders() {
    let text = rendered();
    let typed = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let samples = samples(&text);
    let found: BTreeMap<String, String> = typed
        .map(|(name, kind)| {
            let sample = if kind == "histogram" { format!("{name}_sum") } else { name.to_owned() };
            let labels: Vec<_> = samples[&sample].iter().cloned().collect();
            (name.to_owned(), labels.join(" "))
        })
        .collect();
    let contract = CONTRACT.iter().map(|(name, labels)| ((*name).to_owned(), (*labels).to_owned())).collect();
    assert_eq!(found, contract);
}

#[test]
fn the_dashboard_asks_only_for_what_exists() {
    let samples = samples(&rendered());
    let texts = dashboard_texts(&dashboard());
    assert!(texts.len() > 20, "the dashboard's expressions were not found");
    let wrong: Vec<_> = texts.iter().flat_map(|text| mismatches(text, &samples)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_alerts_ask_only_for_what_exists() {
    let samples = samples(&rendered());
    let rules = read("deploy/prometheus/alerts.yml");
    let rules: Vec<_> = rules.split("- alert:").skip(1).collect();
    assert!(rules.len() >= 8, "the rules were not found");
    let wrong: Vec<_> = rules.iter().flat_map(|rule| mismatches(rule, &samples)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_misspelt_metric_or_label_is_found() {
    let samples = samples(&rendered());
    let cases = [
        ("rate(faregate_request_total[5m])", "faregate_request_total"),
        ("faregate_requests_total{result=\"ok\"}", "no label result"),
        ("sum by (endpoint) (faregate_requests_total)", "label endpoint"),
        ("sum without(le, kinds) (faregate_tokens_total)", "label kinds"),
        ("faregate_endpoint_state {{upstream}}", "label upstream"),
        ("faregate_endpoint_state {{ $labels.upstream }}", "label upstream"),
        ("faregate_overhead_seconds", "faregate_overhead_seconds"),
    ];
    for (text, expected) in cases {
        let wrong = mismatches(text, &samples);
        assert!(wrong.iter().any(|wrong| wrong.contains(expected)), "{text}: {wrong:?}");
    }
    let right = "sum by (le) (rate(faregate_overhead_seconds_bucket{instance=~\"a{2},b\"}[5m])) {{instance}}";
    assert_eq!(mismatches(right, &samples), Vec::<String>::new());
}

#[test]
fn the_readme_names_every_metric() {
    let readme = read("README.md");
    let silent: Vec<_> = CONTRACT.iter().map(|(name, _)| name).filter(|name| !readme.contains(**name)).collect();
    assert!(silent.is_empty(), "README.md does not mention {silent:?}");
}

#[test]
fn prometheus_accepts_the_metrics() {
    promtool(&["check", "metrics"], &project(""), &rendered());
}

#[test]
fn prometheus_accepts_the_configuration_and_the_alerts_fire_when_they_should() {
    let folder = project("deploy/prometheus");
    promtool(&["check", "config", "prometheus.yml"], &folder, "");
    promtool(&["test", "rules", "alerts_test.yml"], &folder, "");
}

#[test]
fn prometheus_can_parse_every_expression_of_the_dashboard() {
    let dashboard = dashboard();
    let rules: Vec<_> = find_all(&dashboard, "expr")
        .iter()
        .enumerate()
        .map(|(number, target)| {
            let expression = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m").replace('$', "");
            serde_json::json!({"record": format!("panel_{number}"), "expr": expression})
        })
        .collect();
    // JSON is YAML.
    let rules = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules}]}).to_string();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules.yml"), rules).unwrap();
    promtool(&["check", "rules", "rules.yml"], folder.path(), "");
}
