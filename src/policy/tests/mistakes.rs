//! The usual mistakes, and what people are told.

use super::{CONFIG, World, priced};
use crate::policy::Severity;

fn complaints(config: &str, policy: &str) -> String {
    World::new(config, policy).complaints()
}

#[test]
fn all_mistakes_of_both_files_come_at_once() {
    let config = r#"
[server]
lissten = "127.0.0.1:1"
admin = "localhost"
max_body = 32
header_timeout = "10 sec"

[upstreams.a]
base_url = "a.example/v1"
keys = ["KEY", { name = "k" }]
limits = { rpm = 0, rpn = 5 }
[upstreams.a.models.m]
price = { input = "0.10", output = "0.30 EUR" }
capabilities = ["tool"]
context = "32k"

[upstreams.b]
provider = "zhipuu"
"#;
    let policy = r#"
[objective]
value_of_second = 0.0002
spread = "one percent"

[defaults]
unlisted = "deny"
timeouts = { conect = "1s" }

[[routes]]
models = ["x"]
cluster = ["glm-5.3", ["zhipu/glm-5.3"]]
"#;
    insta::assert_snapshot!(complaints(config, policy));
}

#[test]
fn names_that_lead_nowhere_are_reported_with_the_nearest() {
    let policy = r#"
[[routes]]
name = "chat"
models = ["gpt-4o", "gpt-4o*", "chat2"]
cluster = ["a/m2", "a/m1#thrid", "zhipu/glm-5.3", "zihpu/glm-5.3", "b/m1"]
[[routes]]
name = "chat2"
models = ["gpt-4o", "gpt-4o*", "*-mini"]
cluster = ["openai/gpt-4o"]
[[routes]]
name = "unlisted"
cluster = ["b/m1", "b/m1"]
[[routes]]
name = "chat"
cluster = ["b/unpriced"]
"#;
    let config = format!("{CONFIG}\n[[tenants]]\nname = \"t\"\nkeys = [\"literal:abc\"]\nroutes = [\"chta\"]\n");
    insta::assert_snapshot!(complaints(&config, policy));
}

#[test]
fn every_syntax_error_is_reported_and_nothing_is_guessed_from_such_a_file() {
    let config = "a = \nb = 5 5\n[server]\nlisten = \"127.0.0.1:1\nmax_body = [1\n";
    let loaded = World::new(config, "[defaults").load();
    let all = loaded.diagnostics.iter().all(|one| one.message.starts_with("not valid TOML"));
    let lines = loaded.diagnostics.iter().filter_map(|one| one.location.as_ref()).map(|at| (&*at.file, at.line));
    let lines = lines.collect::<std::collections::BTreeSet<_>>();
    assert!(all && lines.len() >= 4 && lines.contains(&("etc/p.toml", 1)), "{:#?}", loaded.diagnostics);
    assert!(loaded.model.is_none());
}

#[test]
fn a_listener_beyond_loopback_needs_tenants_or_a_decision() {
    let complaints = |text: &str| complaints(&format!("[server]\n{text}\n{}", priced()), "[defaults]");
    let open = complaints("listen = \"0.0.0.0:3273\"");
    assert!(open.contains("error: beyond loopback anybody could spend your money"), "{open}");
    assert_eq!(complaints("listen = \"0.0.0.0:3273\"\nopen = true"), "");
    let admin = complaints("admin = \"[::]:3274\"");
    assert!(admin.contains("warning: without a token only /metrics, /healthz and /readyz answer"), "{admin}");
    assert_eq!(complaints("admin = \"0.0.0.0:3274\"\nadmin_token = \"env:KEY\""), "");
    assert_eq!(complaints("listen = \"[::1]:3273\""), "");
}

#[test]
fn stale_and_unknown_exchange_rates_are_said() {
    let mut world = World::new(CONFIG, "[defaults]");
    world.now += std::time::Duration::from_hours(24 * 90);
    let text = world.complaints();
    assert!(text.starts_with("warning: the rate of CNY is 93 days old (2026-11-20), as built in"), "{text}");
    let rate = "[exchange]\nEUR = { usd = \"1.1\", as_of = \"2026-01-01\" }\nJPY = { usd = \"0\", as_of = \"soon\" }\n";
    let text =
        complaints(&format!("{rate}{CONFIG}"), "[defaults]\nmax_price = { input = \"1 EUR\", output = \"1 GBP\" }");
    assert!(text.contains("error: no exchange rate is known for `GBP`\n --> etc/p.toml:2:"), "{text}");
    assert!(text.contains("error: `usd`: `0` is not a rate: a currency is worth something"), "{text}");
    assert!(text.contains("error: `as_of`: `soon` is not a date"), "{text}");
}

#[test]
fn an_old_rate_that_nothing_needs_is_not_mentioned() {
    let rate = "[exchange]\nEUR = { usd = \"1.1\", as_of = \"2025-01-01\" }\n";
    assert_eq!(complaints(&format!("{rate}{}", priced()), "[defaults]"), "");
}

#[test]
fn a_price_that_would_round_to_free_is_refused() {
    let config = CONFIG.replace("8 CNY", "0.0000001 USD");
    let text = complaints(&config, "[defaults]");
    assert!(text.contains("it would round to nothing and count as free"), "{text}");
}

#[test]
fn a_half_price_is_no_price() {
    let config = CONFIG.replace(", output = \"2 USD\"", "");
    let text = complaints(&config, "[defaults]");
    assert!(text.contains("error: missing field `output`"), "{text}");
}

#[test]
fn a_policy_in_the_place_of_a_configuration_is_said_to_be_one() {
    let text = complaints("[objective]\nspread = \"1%\"\n", "[server]\nlisten = 1\n");
    assert!(text.contains("error: `objective` does not belong here"), "{text}");
    assert!(text.contains("= help: it belongs into the policy file that `policy` names"), "{text}");
    assert!(text.contains("= help: it belongs into the configuration file"), "{text}");
}

#[test]
fn an_upstream_of_a_provider_needs_keys_and_a_known_region() {
    let text = complaints("[upstreams.dashscope]\nprovider = \"dashscope\"\nregion = \"mars\"\n", "");
    assert!(text.contains("help: it has: cn, intl"), "{text}");
    let text = complaints("[upstreams.zhipu]\nprovider = \"zhipu\"\n", "");
    assert!(text.contains("error: missing field `keys`"), "{text}");
    assert!(text.contains("write keys = [\"env:ZHIPU_API_KEY\"]"), "{text}");
}

#[test]
fn a_route_without_active_endpoints_is_a_warning_that_says_why() {
    let policy =
        "[[routes]]\nname = \"r\"\ncluster = [\"openai/gpt-4o\"]\n[[routes]]\nname = \"s\"\ncluster = [\"b/unpriced\"]";
    let loaded = World::new(CONFIG, policy).load();
    assert!(loaded.model.is_some());
    let warnings = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Warning);
    let hints = warnings.map(|one| one.hint.clone().unwrap_or_default()).collect::<Vec<_>>();
    assert_eq!(
        hints,
        [
            "say its `price`, or with `base` which model of the catalogue it is; or write unknown_price = \"last_resort\" in the policy's [defaults]",
            "configure one of the upstreams that it names",
            "the policy excludes them all; the first: price unknown; the policy's unknown_price is \"exclude\""
        ]
    );
}

#[test]
fn a_region_list_that_requires_nothing_is_refused() {
    let text = complaints(CONFIG, "[defaults]\nrequire = { regions = [] }");
    assert!(text.contains("error: `regions`: an empty list requires nothing"), "{text}");
}

#[test]
fn a_plain_text_address_with_keys_is_a_warning() {
    let config = CONFIG.replace("https://a.example", "http://a.example");
    let text = complaints(&config, "[defaults]");
    assert!(text.contains("warning: keys would travel over the network in plain text"), "{text}");
}

#[test]
fn a_wrong_key_raises_no_false_alarm_about_what_needs_it() {
    let config = priced().replace("\"env:KEY\", {", "\"KEY\", {").replace("env:OTHER", "env:GONE");
    let policy = "[[routes]]\nname = \"r\"\ncluster = [\"a/m1#KEY\", \"a/m1#second\"]";
    let loaded = World::new(&config, policy).load();
    let messages = loaded.diagnostics.iter().map(|one| one.message.as_str()).collect::<Vec<_>>();
    assert_eq!(messages, ["`keys[0]`: a key must say where it comes from", "the variable `GONE` is not set"]);
}

#[test]
fn a_hedge_needs_a_silence_and_a_bound_on_its_cost() {
    let wrong = |hedge: &str| {
        let route = format!("[[routes]]\nname = \"r\"\ncluster = [\"b/m1\"]\nhedge = {hedge}");
        complaints(CONFIG, &route)
    };
    assert!(wrong("{ after = \"p95\" }").contains("missing field `max_extra_cost`"));
    assert!(wrong("{ after = \"p5\", max_extra_cost = \"2%\" }").contains("a percentile such as \"p95\""));
    assert!(wrong("{ after = \"soon\", max_extra_cost = \"2%\" }").contains("a duration such as"));
    assert!(!wrong("{ after = \"800ms\", max_extra_cost = \"2%\" }").contains("error"));
}

#[test]
fn what_is_said_of_a_model_that_is_not_there_is_pointed_out() {
    let config = r#"
[upstreams.z]
provider = "zhipu"
keys = [{ name = "k", key = "literal:k-1", models = ["glm-9*"] }, { name = "l", key = "literal:k-2", models = ["glm-4*"] }]
quirks = [{ models = ["glm-5-3*", "glm-5.3"], drop = ["seed"] }]
[upstreams.z.models."glm-5-3"]
limits = { concurrency = 5 }
[upstreams.z.models."glm-6"]
price = { input = "1 CNY", output = "2 CNY" }
"#;
    let text = complaints(&config.replace("glm-5-3*", "glm-5-4*"), "");
    for complaint in [
        "no model of `z` has a name that this key may call",
        "no model of `z` has a name that is meant here, so this changes nothing",
        "the catalogue has no `glm-5-3` for `z`, and nothing is said of its price",
        "did you mean `glm-5.3`?",
    ] {
        assert!(text.contains(complaint), "{complaint}: {text}");
    }
    assert!(!text.contains("`glm-6`"), "{text}");
}

#[test]
fn what_routes_and_clients_decide_cannot_be_changed_by_the_way() {
    let with = |quirk: &str| {
        format!(
            "[upstreams.x]\nbase_url = \"http://127.0.0.1:1/v1\"\nkeys = []\nquirks = [{quirk}]\n[upstreams.x.models.m]\nprice = {{ input = \"1 USD\", output = \"1 USD\" }}\n"
        )
    };
    for (quirk, name) in [
        ("{ set = { stream = true } }", "stream"),
        ("{ rename = { a = \"model\" } }", "model"),
        ("{ drop = [\"messages\"] }", "messages"),
        ("{ default = { n = 2 } }", "n"),
    ] {
        let text = complaints(&with(quirk), "");
        assert!(text.contains(&format!("`{name}` cannot be changed here")), "{name}: {text}");
    }
    assert_eq!(complaints(&with("{ drop = [\"stream_options\"] }"), ""), "");
    let text = complaints(&with("{ bounds = { temperature = { min = 2, max = 1 } } }"), "");
    assert!(text.contains("`min` is above `max`"), "{text}");
}

#[test]
fn the_parameters_of_a_route_are_what_can_be_sent() {
    let policy = r#"
[[routes]]
name = "r"
models = ["a"]
cluster = ["a/m1"]
params = { set = { model = "other", k = nan }, cap = { max_tokens = 0 } }
"#;
    let text = complaints(CONFIG, policy);
    for complaint in
        ["`model` cannot be changed here", "this cannot be said in JSON", "must be a whole number of at least 1"]
    {
        assert!(text.contains(complaint), "{complaint}: {text}");
    }
}

#[test]
fn a_model_of_ones_own_that_is_never_used_for_want_of_a_price_is_named_with_what_to_do() {
    let said = "warning: `b/unpriced` is never used: price unknown; the policy";
    let excluded = complaints(CONFIG, "[defaults]\nunknown_price = \"exclude\"");
    for part in [said, "say its `price`", "with `base`", "unknown_price = \"last_resort\""] {
        assert!(excluded.contains(part), "{part}: {excluded}");
    }
    let capped = complaints(CONFIG, "[defaults]\nunknown_price = \"allow\"\nmax_price = { input = \"9 USD\" }");
    assert!(capped.contains(said) && !capped.contains("last_resort"), "{capped}");
    for policy in ["unknown_price = \"allow\"", "unknown_price = \"last_resort\""] {
        assert_eq!(complaints(CONFIG, &format!("[defaults]\n{policy}")), "");
    }
    let fed = format!("{CONFIG}[[prices.feeds]]\nurl = \"https://a/p\"\nformat = \"models-dev\"\n");
    assert!(!complaints(&fed, "").contains("never used"), "a feed may know it");
}
