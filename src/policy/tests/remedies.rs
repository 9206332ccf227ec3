//! An error names the field, and how to write it.

use super::{CONFIG, World};
use crate::policy::Severity;

fn complaints(config: &str) -> String {
    World::new(config, "").complaints()
}

/// What is said of an upstream with this in its table.
fn of_upstream(table: &str) -> String {
    complaints(&format!("[upstreams.x]\nbase_url = \"http://127.0.0.1:1/v1\"\n{table}\n"))
}

#[test]
fn a_value_of_another_kind_names_its_field_and_how_it_is_written() {
    for (table, expected, remedy) in [
        ("keys = \"env:KEY\"", "`keys`: expected a list, found a string", "write keys = [\"env:KEY\"]"),
        ("keys = [5]", "`keys[0]`: expected a key", "write \"env:NAME\" or { name = \"…\", key = \"env:NAME\" }"),
        ("tags = \"zdr\"", "`tags`: expected a list, found a string", "write tags = [\"zdr\"]"),
        ("tags = [5]", "`tags[0]`: expected a text in quotes, found an integer", "write \"5\""),
        (
            "quirks = { drop = [\"a\"] }",
            "`quirks`: expected a list",
            "quirks = [{ … }], or [[upstreams.x.quirks]] above it",
        ),
        ("[upstreams.x.quirks]", "`quirks`: expected a list", "quirks = [{ … }], or [[upstreams.x.quirks]] above it"),
        ("models = [\"m1\"]", "`models`: expected a table, found an array", "write models = { \"m1\" = … }"),
        (
            "models.m = { price = \"1 USD\" }",
            "`price`: expected a table, found a string",
            "with these fields: input, output, ",
        ),
        ("models.m = \"1 USD\"", "`m`: expected a table, found a string", "price, tiers, windows"),
        (
            "models.m = { context = \"32k\" }",
            "`context`: expected a whole number",
            "write it without quotes, such as 1_000",
        ),
        ("models.m = { price = { input = \"1\" } }", "`input`: `1` has no unit", "such as \"0.0002 USD\""),
        ("limits = { rpm = 0 }", "`rpm`: must be at least 1", ""),
        ("price_times = [1]", "`price_times`: expected a quantity in quotes", ""),
    ] {
        let text = of_upstream(table);
        assert!(text.contains(&format!("error: {expected}")) && text.contains(remedy), "{table}: {text}");
    }
    assert!(!of_upstream("models.m = { price = \"1 USD\" }").contains("image"), "what is not supported is no advice");
}

#[test]
fn a_remedy_repeats_no_key() {
    for keys in ["keys = \"SECRETMATERIAL\"", "keys = 1234567", "api_keys = \"literal:SECRETMATERIAL\""] {
        let text = of_upstream(keys);
        assert!(!text.contains("SECRETMATERIAL") && !text.contains("1234567"), "{text}");
    }
    assert!(of_upstream("keys = \"SECRETMATERIAL\"").contains("write keys = [\"…\"]"));
}

#[test]
fn what_is_missing_is_said_with_its_table() {
    for (table, expected) in [
        ("keys = [{ name = \"a\" }]", "missing field `key` in `upstreams.x.keys[0]`"),
        ("models.m = { price = { input = \"1 USD\" } }", "missing field `output` in `upstreams.x.models.m.price`"),
        ("limits = { rpn = 1 }", "unknown field `rpn` in `upstreams.x.limits`"),
    ] {
        assert!(of_upstream(table).contains(expected), "{table}: {}", of_upstream(table));
    }
    let text = complaints("[upstreams.zhipu]\nprovider = \"zhipu\"\n");
    assert!(text.contains("missing field `keys` in `upstreams.zhipu`"), "{text}");
}

/// What is wrong with a text, without its places.
fn syntax(text: &str) -> Vec<String> {
    World::new(text, "").load().diagnostics.into_iter().map(|one| one.message).collect()
}

#[test]
fn what_is_there_twice_is_named_and_said_once() {
    assert_eq!(
        syntax("[upstreams.a]\nprovider = \"zhipu\"\nprovider = \"openai\"\n"),
        ["not valid TOML: the field `provider` is in its table twice"]
    );
    let table = "[upstreams.a]\nprovider = \"zhipu\"\nkeys = [\n  \"env:KEY\",\n]\n[upstreams.a.models.\"m.1\"] # own\ncontext = 1\n";
    assert_eq!(syntax(&format!("{table}{table}")), ["not valid TOML: the table `[upstreams.a]` is there twice"]);
    let other = "[server]\ndrain = \"1s\"\ndrain = \"1s\"\n";
    assert_eq!(
        syntax(&format!("{table}{table}{other}")),
        [
            "not valid TOML: the table `[upstreams.a]` is there twice",
            "not valid TOML: the field `drain` is in its table twice"
        ]
    );
    let list = "[upstreams.ab]\nx = 1\n[upstreams.a]\nx = 1\n[[upstreams.a]]\nx = 1\n[upstreams.ab]\n";
    assert_eq!(
        syntax(list),
        [
            "not valid TOML: the table `[[upstreams.a]]` is there twice",
            "not valid TOML: the table `[upstreams.ab]` is there twice"
        ]
    );
    let secret = syntax("[upstreams.a]\nkeys = [\"SECRETMATERIAL\"]\nkeys = [\"SECRETMATERIAL\"]\n");
    assert_eq!(secret, ["not valid TOML: the field `keys` is in its table twice"]);
}

#[test]
fn what_is_not_supported_is_no_advice_unless_it_is_meant() {
    let unknown = complaints("[redis]\nurl = \"x\"\n");
    assert!(
        unknown.contains("known here: policy, server, upstreams, exchange, calendars, prices, tenants"),
        "{unknown}"
    );
    assert!(of_upstream("timeouts = {}").contains("known here: "), "{}", of_upstream("timeouts = {}"));
    assert!(complaints("[budget]\n").contains("did you mean `budgets`?"));
    assert!(complaints("[state]\n").contains("`state` is not supported yet"), "also without a field");
    for (table, remedy) in [
        ("dialect = \"anthropic\"", "only \"openai\" is spoken so far"),
        ("base_url = [\"http://a\"]", "write an upstream for each"),
        ("base_url = \"dns:a\"", "write the URL itself"),
    ] {
        let text = complaints(&format!("[upstreams.x]\nprovider = \"zhipu\"\nkeys = []\n{table}\n"));
        assert!(text.contains("not supported yet") && text.contains(remedy), "{text}");
        assert!(!text.contains("leave it out"), "{text}");
    }
}

#[test]
fn content_filtered_has_two_names() {
    let with = |name: &str| {
        let route = format!("[[routes]]\nname = \"r\"\ncluster = [\"b/m1\"]\nfailover_on = [\"{name}\"]");
        World::new(CONFIG, &route)
    };
    for name in ["content_filter", "content_filtered"] {
        let model = with(name).model();
        assert!(super::route(&model, "r").asks_others_if_filtered, "{name}");
    }
    assert!(with("timeout").load().diagnostics.iter().any(|one| one.severity == Severity::Error));
}
