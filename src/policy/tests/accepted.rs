//! Values that can be read and cannot be meant: none of them passes without a word.

use super::{CONFIG, World};
use crate::policy::Severity;

const ROUTE: &str = "[[routes]]\nname = \"r\"\nmodels = [\"gpt\"]\ncluster = [\"a/m1\", \"b/m1\"]\n";

fn complaints(config: &str, policy: &str) -> String {
    World::new(config, policy).complaints()
}

/// What is said of an upstream of one's own with this in its table.
fn of_upstream(table: &str) -> String {
    let model = "[upstreams.x.models.m]\nprice = { input = \"1 USD\", output = \"1 USD\" }\n";
    complaints(&format!("[upstreams.x]\nbase_url = \"http://127.0.0.1:1/v1\"\n{table}\n{model}"), "")
}

#[test]
fn a_share_is_from_nothing_to_everything() {
    for wrong in ["-1%", "101%"] {
        for policy in [
            format!("{ROUTE}canary = {{ endpoint = \"a/x1\", share = \"{wrong}\" }}"),
            format!("{ROUTE}shadow = {{ endpoint = \"a/x1\", share = \"{wrong}\", max_cost = \"1 USD/day\" }}"),
            format!("{ROUTE}retry = {{ budget = \"{wrong}\" }}"),
            format!("{ROUTE}objective = {{ spread = \"{wrong}\" }}"),
            format!("[objective]\nexploration = \"{wrong}\""),
            format!("[defaults]\nretry = {{ budget = \"{wrong}\" }}"),
        ] {
            let text = complaints(CONFIG, &policy);
            assert!(text.contains("a percentage from 0% to 100%") && text.contains(wrong), "{policy}: {text}");
        }
    }
    let dearer = ROUTE.replace("\"a/m1\"", "{ endpoint = \"a/m1\", handicap = \"150%\" }");
    assert!(!complaints(CONFIG, &dearer).contains("error"));
}

#[test]
fn a_canary_needs_somebody_beside_it() {
    let with = |cluster: &str, canary: &str| {
        let route = format!(
            "[[routes]]\nname = \"r\"\ncluster = {cluster}\ncanary = {{ endpoint = \"{canary}\", share = \"5%\" }}"
        );
        complaints(CONFIG, &route)
    };
    let alone = "nobody but `a/m1` serves this route, so that its share as a canary changes nothing";
    assert!(with("[\"a/m1\"]", "a/m1").contains(alone), "{}", with("[\"a/m1\"]", "a/m1"));
    assert!(with("[\"b/unpriced\"]", "a/m1").contains(alone), "the other one is excluded");
    for (cluster, canary) in [("[\"a/m1\", \"b/m1\"]", "a/m1"), ("[\"b/m1\"]", "a/m1"), ("[\"a/m1\"]", "a/m1#second")] {
        assert!(!with(cluster, canary).contains("as a canary"), "{cluster} {canary}");
    }
}

#[test]
fn a_shadow_is_somebody_else_and_may_cost_something() {
    let with = |cluster: &str, shadow: &str, max_cost: &str| {
        let shadow = format!("{{ endpoint = \"{shadow}\", share = \"5%\", max_cost = \"{max_cost}\" }}");
        complaints(CONFIG, &format!("[[routes]]\nname = \"r\"\ncluster = {cluster}\nshadow = {shadow}"))
    };
    let text = with("[\"a/m1\"]", "a/m1", "1 USD/day");
    assert!(text.contains("nobody but `a/m1` serves this route, so that it would be compared with itself"), "{text}");
    let text = with("[\"b/m1\"]", "a/m1", "0 USD/day");
    assert!(text.contains("nothing is sent to `a/m1`: it has a price, and may cost nothing"), "{text}");
    assert!(!with("[\"b/m1\"]", "a/m1", "1 USD/day").contains("a/m1"));
    assert!(!with("[\"a/m1\"]", "b/m1", "0 USD/day").contains("b/m1"), "what is free needs no money");
}

#[test]
fn a_cap_is_no_less_than_nothing() {
    let with = |cap: &str| complaints(CONFIG, &format!("{ROUTE}params = {{ cap = {{ {cap} }} }}"));
    for cap in ["temperature = -0.5", "top_logprobs = -1"] {
        assert!(with(cap).contains("a cap is at least 0"), "{}", with(cap));
    }
    assert!(!with("temperature = 0").contains("error"));
}

#[test]
fn a_quirk_that_does_nothing_or_the_wrong_thing_is_pointed_out() {
    for (quirk, expected) in [
        ("bounds = { temperature = {} }", "warning: this bounds nothing"),
        ("rename = { a = \"a\" }", "error: `a`: this is its name already"),
        ("only = { x = [] }", "= help: write drop = [\"x\"]"),
    ] {
        let text = of_upstream(&format!("quirks = [{{ {quirk} }}]"));
        assert!(text.contains(expected), "{quirk}: {text}");
        assert!(!text.contains("this quirk changes nothing"), "said once: {text}");
    }
    assert_eq!(of_upstream("quirks = [{ bounds = { temperature = { max = 1 } }, only = { x = [1] } }]"), "");
}

#[test]
fn a_route_that_nobody_can_ask_for_is_pointed_out() {
    let first = "[[routes]]\nname = \"one\"\nmodels = [\"two\"]\ncluster = [\"b/m1\"]\n";
    let second = "[[routes]]\nname = \"two\"\ncluster = [\"b/m1\"]\n";
    let text = complaints(CONFIG, &format!("{first}{second}"));
    assert!(text.contains("warning: nobody can reach this route: the route `one` lists `two` as a model"), "{text}");
    for reachable in [
        format!("[defaults]\nallow_headers = [\"route\"]\n{first}{second}"),
        format!("{first}{second}models = [\"x*\"]\n"),
        // A route answers to its own name.
        second.to_owned(),
    ] {
        assert!(!complaints(CONFIG, &reachable).contains("nobody can reach"), "{reachable}");
    }
}

#[test]
fn a_name_that_clients_do_not_send_is_pointed_out() {
    let with = |name: &str| complaints(CONFIG, &ROUTE.replace("\"gpt\"", &format!("\"{name}\"")));
    for name in ["gpt-4o-mini ", " gpt-4o-mini"] {
        let text = with(name);
        assert!(text.contains("so no client asks for it") && text.contains("= help: write \"gpt-4o-mini\""), "{text}");
    }
    assert!(with("gpt-4o, gpt-4").contains("warning: `gpt-4o, gpt-4` has a space in it"), "{}", with("gpt-4o, gpt-4"));
}

#[test]
fn a_provider_that_wants_a_key_and_gets_none_is_pointed_out() {
    let with = |more: &str| complaints(&format!("[upstreams.z]\nprovider = \"zhipu\"\nkeys = []\n{more}"), "");
    let text = with("");
    assert!(text.contains("refuses requests without a key, and `z` has none"), "{text}");
    assert!(text.contains("write keys = [\"env:ZHIPU_API_KEY\"]"), "{text}");
    let elsewhere = with("base_url = \"http://127.0.0.1:1/v1\"");
    assert!(!elsewhere.contains("without a key"), "what stands there may have the keys: {elsewhere}");
    let own = "[upstreams.v]\nprovider = \"vllm\"\nbase_url = \"http://127.0.0.1:1/v1\"\nkeys = []\n[upstreams.v.models.m]\nprice = { input = \"0\", output = \"0\" }\n";
    assert_eq!(complaints(own, ""), "");
}

#[test]
fn no_more_of_an_allowance_is_used_than_there_is() {
    let with =
        |used: &str| of_upstream(&format!("allowances = [{{ amount = \"20M tokens\", used = \"{used} tokens\" }}]"));
    assert!(with("21M").contains("error: `used` is more than `amount`"), "{}", with("21M"));
    assert!(with("20M").contains("warning: all of it is used, so it pays for nothing"), "{}", with("20M"));
    assert_eq!(with("19M"), "");
}

#[test]
fn the_policies_that_ship_say_nothing_in_vain() {
    for builtin in crate::policy::BUILTIN {
        let mut world = World::new("", builtin.text);
        world.variables.clear();
        let loaded = world.with(|sources| crate::policy::load_policy("etc/p.toml".as_ref(), None, sources));
        // How old prices and models are is no matter of the policy, and has no line.
        let of_policy = loaded.diagnostics.iter().filter(|one| one.location.is_some());
        let wrong = of_policy.filter(|one| one.severity > Severity::Note).collect::<Vec<_>>();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", builtin.name);
    }
}
