//! No way of naming a model gets around the policy's demands.

use super::{CONFIG, World, excluded, tiers};

const ROUTES: &str =
    "[[routes]]\nname = \"chat\"\nmodels = [\"gpt-4o\"]\ncluster = [\"a/m1\", \"b/m1\", \"b/unpriced\"]\n";

fn world(defaults: &str) -> World<'static> {
    World::new(CONFIG, &format!("[defaults]\n{defaults}\n{ROUTES}"))
}

/// Every name in `names` serves from `allowed` endpoints only.
fn only(defaults: &str, allowed: &[&str]) {
    let model = world(defaults).model();
    for name in model.names.exact.keys() {
        for endpoint in tiers(&model, name).concat() {
            assert!(allowed.contains(&endpoint.as_str()), "{name} reaches {endpoint} under {defaults}");
        }
    }
}

#[test]
fn every_name_obeys_the_required_regions_and_tags() {
    let a = ["a/m1#KEY", "a/m1#second", "a/x1#KEY"];
    only("require = { regions = [\"cn\"] }", &a);
    only("require = { tags = [\"zdr\"] }", &a);
    only("require = { regions = [\"us\"] }", &[]);
    only("require = { regions = [\"cn\"], tags = [\"other\"] }", &[]);
}

#[test]
fn every_name_obeys_the_price_cap_and_unknown_prices_never_satisfy_it() {
    let cheap = ["a/x1#KEY", "b/m1"];
    only("max_price = { output = \"3 USD\" }", &cheap);
    only("max_price = { output = \"3 USD\" }\nunknown_price = \"allow\"", &cheap);
}

#[test]
fn an_unknown_price_is_excluded_unless_the_policy_says_otherwise_and_zero_is_known() {
    let model = world("").model();
    assert_eq!(tiers(&model, "chat"), [vec!["a/m1#KEY", "a/m1#second", "b/m1"]]);
    assert!(tiers(&model, "b/unpriced").is_empty());
    let reason = "price unknown; the policy's unknown_price is \"exclude\"".to_owned();
    assert_eq!(excluded(&model, "unpriced"), [("b/unpriced".to_owned(), reason)]);

    let model = world("unknown_price = \"last_resort\"").model();
    assert_eq!(tiers(&model, "chat"), [vec!["a/m1#KEY", "a/m1#second", "b/m1"], vec!["b/unpriced"]]);

    let model = world("unknown_price = \"allow\"").model();
    assert_eq!(tiers(&model, "unpriced"), [["b/unpriced"]]);
}

#[test]
fn refusing_unlisted_models_leaves_no_name_but_the_routes() {
    let model = world("unlisted = \"refuse\"").model();
    let mut names = model.names.exact.keys().map(String::as_str).collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, ["chat", "gpt-4o"]);
    assert_eq!(model.routes.len(), 1);
}

#[test]
fn a_route_narrows_the_regions_and_cannot_widen_them() {
    let policy = |region: &str| {
        format!("[defaults]\nrequire = {{ regions = [\"cn\"] }}\n{ROUTES}require = {{ regions = [\"{region}\"] }}\n")
    };
    let model = World::new(CONFIG, &policy("cn.shanghai")).model();
    assert!(tiers(&model, "gpt-4o").is_empty());
    let complaints = World::new(CONFIG, &policy("us")).complaints();
    assert!(complaints.contains("error: `us` is outside of what the policy's defaults require"), "{complaints}");
}

#[test]
fn an_upstream_in_several_regions_needs_all_of_them_allowed() {
    let config = CONFIG.replace("[\"cn.beijing\"]", "[\"cn\", \"sg\"]");
    let policy = format!("[defaults]\nrequire = {{ regions = [\"cn\"] }}\n{ROUTES}");
    let model = World::new(&config, &policy).model();
    assert_eq!(excluded(&model, "a/m1#KEY")[0].1, "processes data in sg; the policy requires cn");
}

#[test]
fn another_address_does_not_inherit_a_providers_regions() {
    let config =
        "[upstreams.zhipu]\nprovider = \"zhipu\"\nkeys = [\"env:KEY\"]\nbase_url = \"https://elsewhere.example/v1\"";
    let model = World::new(config, "[defaults]\nrequire = { regions = [\"cn\"] }").model();
    let reason = "region unknown; the policy requires cn: at a base_url of its own, `regions = [\"…\"]` of `zhipu` has to tell it";
    assert_eq!(excluded(&model, "glm-5.3")[0].1, reason);
}

#[test]
fn a_price_cap_counts_the_dearest_tier() {
    let config = "[upstreams.b]\nbase_url = \"http://127.0.0.1/v1\"\n[upstreams.b.models.m]\n\
        price = { input = \"1 USD\", output = \"2 USD\" }\n\
        tiers = [{ above_input = 1000, input = \"5 USD\", output = \"6 USD\" }]";
    let model = World::new(config, "[defaults]\nmax_price = { input = \"3 USD\" }").model();
    let reason = "input costs up to 5 USD per million tokens for some requests; max_price is 3 USD";
    assert_eq!(excluded(&model, "m"), [("b/m".to_owned(), reason.to_owned())]);
}
