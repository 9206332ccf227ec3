//! Every field of the contract is acted on or refused as "not supported yet": none is unknown, none is ignored.

use super::World;
use crate::policy::Severity;

const CONFIG: &str = include_str!("everything.toml");
const POLICY: &str = include_str!("everything_policy.toml");

fn world() -> World<'static> {
    let mut world = World::new("", POLICY);
    world.files[0].1 = CONFIG.to_owned();
    world.files.push(("/run/secrets/zhipu-2", "sk-trial".to_owned()));
    world
}

#[test]
fn every_field_that_is_not_acted_on_is_refused_at_its_place_and_no_other() {
    let loaded = world().load();
    let errors = loaded.diagnostics.iter().filter(|one| one.severity == Severity::Error).collect::<Vec<_>>();
    for one in &errors {
        assert!(one.message.ends_with("not supported yet"), "{one}");
        assert!(one.location.as_ref().is_some_and(|at| at.line > 1), "{one}");
    }
    let mut refused = errors.iter().filter_map(|one| one.field.as_deref()).collect::<Vec<_>>();
    refused.sort_unstable();
    assert_eq!(
        refused,
        [
            "baselines",
            "budgets",
            "routes[0].cluster[0][1].target_first_token",
            "routes[0].cluster[0][1].timeouts",
            "routes[0].hold",
            "routes[0].match",
            "routes[0].over_budget",
            "server.tls",
            "state",
            "tenants[0].group",
            "tenants[0].limits",
            "upstreams.dns.base_url",
            "upstreams.dns.dialect",
            "upstreams.house.models.qwen3-8b.price.image",
            "upstreams.spread.base_url",
            "upstreams.spread.dialect",
            "upstreams.zhipu.http2",
        ]
    );
}

/// A small valid pair of files; `§name§` marks where a field may be put.
const BASE: &str = r#"
policy = "p.toml"
[server]
§server§
[upstreams.u]
base_url = "http://127.0.0.1:1/v1"
§upstream§
[upstreams.u.models.m]
price = { input = "1 USD", output = "2 USD" §price§ }
§model§
[upstreams.z]
provider = "dashscope"
keys = [{ key = "env:KEY" §key§ }]
§listed§
[exchange]
§exchange§
[[tenants]]
name = "t"
keys = ["env:OTHER"]
§tenant§
"#;
const BASE_POLICY: &str = r#"
[objective]
§objective§
[defaults]
§defaults§
[[routes]]
name = "r"
cluster = [{ endpoint = "u/m" §entry§ }]
§route§
"#;

/// What `field` at `place` makes of the model, as text; without the fingerprint, which every byte changes.
fn compiled(place: &str, field: &str) -> String {
    let fill = |text: &str| {
        let filled = text.replace(&format!("§{place}§"), field);
        let rest = filled.split('§').enumerate().filter(|(index, _)| index % 2 == 0);
        rest.map(|(_, part)| part).collect::<String>()
    };
    let mut world = World::new("", &fill(BASE_POLICY));
    world.files[0].1 = fill(BASE);
    let mut model = world.model();
    model.fingerprint.clear();
    // A hash map's own order says nothing.
    let mut exact = model.names.exact.drain().collect::<Vec<_>>();
    exact.sort();
    format!("{model:?}{exact:?}")
}

/// Fields that are acted on, by place; each with a value that is not the usual one.
const SUPPORTED: &[(&str, &[&str])] = &[
    (
        "server",
        &[
            "open = true",
            "listen = \"127.0.0.1:1\"",
            "admin = \"127.0.0.1:1\"",
            "admin_token = \"env:KEY\"",
            "max_body = \"1MiB\"",
            "header_timeout = \"1s\"",
            "body_timeout = \"1s\"",
            "drain = \"1s\"",
            "workers = 2",
            "access_log = \"off\"",
        ],
    ),
    (
        "upstream",
        &[
            "keys = [\"env:KEY\"]",
            "limits = { rpm = 1 }",
            "limits = { tpm = 1 }",
            "limits = { rpd = 1 }",
            "limits = { tpd = 1 }",
            "limits = { concurrency = 1 }",
            "regions = [\"x\"]",
            "tags = [\"x\"]",
            "price_times = \"0.8\"",
        ],
    ),
    (
        "price",
        &[
            ", cached_input = \"1 USD\"",
            ", cache_write = \"1 USD\"",
            ", reasoning = \"1 USD\"",
            ", request = \"1 USD\"",
        ],
    ),
    (
        "model",
        &[
            "tiers = [{ above_input = 1, input = \"1 USD\", output = \"1 USD\" }]",
            "tiers = [{ above_input = 1, input = \"1 USD\", output = \"1 USD\", cached_input = \"1 USD\" }]",
            "tiers = [{ above_output = 1, input = \"1 USD\", output = \"1 USD\", cache_write = \"1 USD\" }]",
            "tiers = [{ thinking = true, input = \"1 USD\", output = \"1 USD\", reasoning = \"1 USD\" }]",
            "windows = [{ zone = \"UTC\", from = \"00:00\", to = \"24:00\", times = 2 }]",
            "windows = [{ zone = \"UTC\", days = \"mon\", from = \"09:00\", to = \"10:00\", times = \"0.5\", except = \"cn-holidays\" }]",
            "windows = [{ zone = \"UTC\", from = \"00:00\", to = \"00:00\", input = \"3 USD\", output = \"3 USD\" }]",
            "dated = [{ from = 2026-01-01T00:00:00Z, input = \"3 USD\", output = \"3 USD\" }]",
            "dated = [{ from = \"2030-01-01T00:00:00Z\", input = \"3 USD\", output = \"3 USD\" }]",
            "until = \"2026-01-01T00:00:00Z\"",
            "base = \"openai/gpt-4.1\"",
            "base = \"glm-5.3\"",
            "context = 1",
            "max_output = 1",
            "retires = \"2026-12-11\"",
            "capabilities = [\"tools\"]",
            "limits = { rpm = 1 }",
        ],
    ),
    ("key", &[", name = \"other\"", ", models = [\"qwen*\"]"]),
    ("listed", &["region = \"intl\"", "base_url = \"https://other.example\""]),
    ("exchange", &["CNY = { usd = \"0.5\", as_of = \"2026-11-20\" }"]),
    ("tenant", &["routes = [\"r\"]", "routes = [\"unlisted\"]"]),
    (
        "objective",
        &[
            "value_of_second = \"1 USD\"",
            "target_first_token = \"1s\"",
            "target_answer = \"1s\"",
            "late_cost = \"1 USD\"",
            "failure_cost = \"1 USD\"",
            "spread = \"2%\"",
            "exploration = 0",
        ],
    ),
    (
        "defaults",
        &[
            "unlisted = \"refuse\"",
            "require = { regions = [\"cn\"] }",
            "require = { tags = [\"x\"] }",
            "max_price = { input = \"0.5 USD\" }",
            "max_price = { output = \"0.5 USD\" }",
            "timeouts = { connect = \"9s\" }",
            "timeouts = { first_token = \"9s\" }",
            "timeouts = { idle = \"9s\" }",
            "timeouts = { total = \"9s\" }",
            "retry = { attempts = 9 }",
            "retry = { budget = \"9%\" }",
            "retry = { floor = \"9/s\" }",
        ],
    ),
    ("entry", &[", handicap = \"1%\"", ", handicap = \"1 USD\""]),
    (
        "route",
        &[
            "models = [\"x\"]",
            "models = [\"x*\"]",
            "objective = { spread = \"5%\" }",
            "timeouts = { idle = \"9s\" }",
            "retry = { attempts = 9 }",
            "require = { regions = [\"cn\"] }",
        ],
    ),
];

#[test]
fn every_supported_field_changes_the_model() {
    let usual = compiled("nothing", "");
    assert_eq!(usual, compiled("nothing", ""));
    for (place, fields) in SUPPORTED {
        for field in *fields {
            assert_ne!(compiled(place, field), usual, "{place}: {field} is ignored");
        }
    }
}

#[test]
fn what_only_says_the_usual_is_accepted() {
    let usual = compiled("nothing", "");
    for (place, field) in [
        ("upstream", "dialect = \"openai\""),
        ("listed", "region = \"cn\""),
        ("defaults", "allow_headers = []\nunlisted = \"allow\"\nunknown_price = \"exclude\""),
        ("route", "affinity = \"prompt-prefix\""),
    ] {
        assert_eq!(compiled(place, field), usual, "{place}: {field}");
    }
}
