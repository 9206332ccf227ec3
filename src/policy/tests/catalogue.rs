//! The catalogue and the shipped policies are valid, and fit each other.

use super::{World, route, tiers};
use crate::catalog::PROVIDERS;
use crate::engine::Usage;
use crate::policy::compile::Providers;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::model::{Confidence, PriceHours, PriceOrigin};
use crate::policy::raw::provider::Host;
use crate::policy::{BUILTIN, Diagnostic, Severity};
use crate::units::{PricePerMtok, Tokens};

/// Every provider with every one of its regions as an upstream of its own, under one built-in policy.
fn whole_catalogue(policy: &str) -> World<'static> {
    let report = Diagnostics::default();
    let providers = Providers::new(&report);
    let mut config = format!("policy = \"builtin:{policy}\"\n");
    for entry in PROVIDERS {
        // Those without a list are for models that only their user knows.
        let listed = |host: &&Host| !host.models.is_empty();
        for (index, host) in providers.find(entry.name).unwrap().hosts.iter().filter(listed).enumerate() {
            let name = if index == 0 { entry.name.to_owned() } else { format!("{}-{}", entry.name, host.region) };
            let (provider, region) = (entry.name, &host.region);
            config.push_str("[upstreams.");
            config.push_str(&name);
            config.push_str("]\nkeys = [\"env:KEY\"]\n");
            config.push_str(&["provider = \"", provider, "\"\nregion = \"", region, "\"\n"].concat());
        }
    }
    let mut world = World::new("", "");
    world.files[0].1 = config;
    world
}

/// Some sources are old, some disagree, and some models will be gone: that is said of their rows, and is no fault of them.
fn is_doubt(diagnostic: &Diagnostic) -> bool {
    let said = ["some prices that are used are", "some models that are used are about to be taken away"];
    diagnostic.severity == Severity::Warning && said.iter().any(|said| diagnostic.message.starts_with(said))
}

#[test]
fn every_row_of_the_catalogue_compiles_without_a_word() {
    let loaded = whole_catalogue("balanced").load();
    let words = loaded.diagnostics.iter().filter(|one| !is_doubt(one)).collect::<Vec<_>>();
    assert!(words.is_empty(), "{words:#?}");
    let model = loaded.model.unwrap();
    assert_eq!(model.upstreams.len(), 28);
    assert_eq!(model.endpoints.len(), 147);
    for endpoint in model.endpoints.values() {
        let price = endpoint.price.as_ref().unwrap_or_else(|| panic!("{} has no price", endpoint.id));
        assert!(
            price.rates.input <= price.rates.output || price.rates.output.0 == 0,
            "{}: output cheaper than input",
            endpoint.id
        );
        assert!(price.rates.cached_input.is_none_or(|cached| cached <= price.rates.input), "{}", endpoint.id);
        assert!(price.tiers.iter().all(|tier| tier.rates.input >= price.rates.input), "{}", endpoint.id);
    }
}

#[test]
fn every_built_in_policy_compiles_against_the_catalogue_and_uses_all_of_its_clusters() {
    for policy in BUILTIN {
        let loaded = whole_catalogue(policy.name).load();
        let silent = loaded.diagnostics.iter().all(is_doubt);
        assert!(silent || policy.name == "domestic-only", "{}: {:#?}", policy.name, loaded.diagnostics);
        let model = loaded.model.unwrap();
        let names = ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-3.5-turbo-0125", "chat", "small"];
        // There the names are OpenAI's alone.
        let names = if policy.name == "migrate-from-openai" { &names[..4] } else { &names[..] };
        for name in names {
            assert!(tiers(&model, name).concat().len() >= 6, "{}: {name}", policy.name);
        }
    }
}

#[test]
fn every_built_in_policy_compiles_against_a_small_configuration() {
    for policy in BUILTIN {
        for (provider, region) in [("zhipu", "cn"), ("dashscope", "intl"), ("moonshot", "intl"), ("openai", "global")] {
            let mut world = World::new("", "");
            world.files[0].1 = format!(
                "policy = \"builtin:{}\"\n[upstreams.{provider}]\nprovider = \"{provider}\"\nregion = \"{region}\"\nkeys = [\"env:KEY\"]\n",
                policy.name
            );
            let loaded = world.load();
            assert!(loaded.model.is_some(), "{} {provider}: {}", policy.name, world.complaints());
            assert!(loaded.diagnostics.iter().all(|one| one.severity != Severity::Error));
        }
    }
}

#[test]
fn domestic_only_reaches_nothing_abroad_by_any_name() {
    let model = whole_catalogue("domestic-only").model();
    for name in model.names.exact.keys() {
        for endpoint in tiers(&model, name).concat() {
            let abroad = ["openai", "dashscope-intl", "moonshot-intl"];
            assert!(!abroad.iter().any(|one| endpoint.starts_with(&format!("{one}/"))), "{name} reaches {endpoint}");
        }
    }
    assert!(tiers(&model, "openai/gpt-4o#KEY").is_empty());
}

#[test]
fn published_prices_depend_on_what_they_depend_on() {
    let model = whole_catalogue("balanced").model();
    let find = |id: &str| model.endpoints.values().find(|one| one.id.as_str() == id).unwrap();
    let price = |id: &str| find(id).price.clone().unwrap();
    // In thousandths of a yuan for a thousand tokens each way, at 0.1395 dollars.
    let bill = |id: &str, input: u64, output: u64, reasoning: u64| {
        let [input, output, reasoning] = [input, output, reasoning].map(Tokens);
        price(id).bill(&Usage { input, output, reasoning, ..Usage::default() }).0
    };
    // By the length of the answer: 2 and 8 yuan below 200 tokens, else 3 and 14; above 32,000 of prompt 4 and 16.
    assert_eq!(bill("zhipu/glm-4.7#KEY", 100, 199, 0), 100 * 279_000 + 199 * 1_116_000);
    assert_eq!(bill("zhipu/glm-4.7#KEY", 100, 200, 0), 100 * 418_500 + 200 * 1_953_000);
    assert_eq!(bill("zhipu/glm-4.7#KEY", 32_001, 200, 0), 32_001 * 558_000 + 200 * 2_232_000);
    // By thinking: 2 yuan without, 8 with it; above 128,000 of prompt 20 and 24.
    assert_eq!(bill("dashscope/qwen-plus#KEY", 100, 10, 0), 100 * 111_600 + 10 * 279_000);
    assert_eq!(bill("dashscope/qwen-plus#KEY", 100, 10, 5), 100 * 111_600 + 10 * 1_116_000);
    assert_eq!(bill("dashscope/qwen-plus#KEY", 128_001, 10, 5), 128_001 * 334_800 + 10 * 3_348_000);
    // By what is written to the cache.
    assert_eq!(price("openai/gpt-6-luna#KEY").rates.cache_write, Some(PricePerMtok(125_000)));
}

#[test]
fn working_hours_in_china_are_dear_at_deepseek_and_holidays_are_not() {
    let at = |instant: &str| {
        let mut world = whole_catalogue("balanced");
        world.now = instant.parse::<jiff::Timestamp>().unwrap().into();
        let model = world.model();
        let endpoint = model.endpoints.values().find(|one| one.id.as_str() == "deepseek/deepseek-v4-pro#KEY").unwrap();
        let price = endpoint.price.as_ref().unwrap().rates;
        let changes_at = endpoint.price_changes_at.unwrap().to_string();
        (price.input.0, price.output.0, endpoint.price_hours.unwrap(), changes_at)
    };
    let (dear, cheap) = ((1_320_000, 3_960_000), (660_000, 1_980_000));
    for (now, (input, output), hours, changes_at) in [
        ("2026-11-23T01:00:00Z", dear, PriceHours::Peak, "2026-11-23T04:00:00Z"),
        ("2026-11-23T04:00:00Z", cheap, PriceHours::OffPeak, "2026-11-23T06:00:00Z"),
        ("2026-11-23T09:59:59Z", dear, PriceHours::Peak, "2026-11-23T10:00:00Z"),
        ("2026-11-20T10:00:00Z", cheap, PriceHours::OffPeak, "2026-11-23T01:00:00Z"),
        ("2026-10-01T02:00:00Z", cheap, PriceHours::OffPeak, "2026-10-08T01:00:00Z"),
    ] {
        assert_eq!(at(now), (input, output, hours, changes_at.to_owned()), "{now}");
    }
}

#[test]
fn every_price_says_whose_word_it_is() {
    let model = whole_catalogue("balanced").model();
    let origin = |id: &str| model.endpoints.values().find(|one| one.id.as_str() == id).unwrap().price_origin.clone();
    let expected = PriceOrigin {
        source: "catalogue".into(),
        as_of: Some(jiff::civil::Date::constant(2026, 10, 27)),
        confidence: Confidence::High,
    };
    assert_eq!(origin("zhipu/glm-5.3#KEY"), Some(expected));
}

#[test]
fn moving_away_from_openai_keeps_to_the_model_that_is_asked_for() {
    let model = whole_catalogue("migrate-from-openai").model();
    let served = |asked: &str| {
        let route = route(&model, asked);
        let all = route.tiers.iter().flatten().map(|candidate| candidate.endpoint);
        let id = |endpoint| model.endpoints[endpoint].id.as_str().to_owned();
        all.filter(|endpoint| route.served_as.admits(*endpoint, asked)).map(id).collect::<Vec<_>>()
    };
    for asked in
        ["gpt-4o", "gpt-4.1", "gpt-4o-mini", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "gpt-5.5", "o3", "gpt-6-luna"]
    {
        let by_openai = served(asked).into_iter().filter(|id| id.starts_with("openai/")).collect::<Vec<_>>();
        assert_eq!(by_openai, [format!("openai/{asked}#KEY")], "{asked}");
    }
    assert!(served("gpt-4o-2024-08-06").contains(&"openai/gpt-4o#KEY".to_owned()), "a date is left out");
    for (asked, small) in
        [("gpt-4-turbo-2024-04-09", false), ("gpt-3.5-turbo-0125", true), ("o1-mini", false), ("gpt-5-nano", true)]
    {
        let served = served(asked);
        assert_eq!(served.contains(&"zhipu/glm-5.3-flash#KEY".to_owned()), small, "{asked}: {served:?}");
        assert_eq!(served.contains(&"zhipu/glm-5.3#KEY".to_owned()), !small, "{asked}: {served:?}");
    }
    assert!(!route(&model, "gpt-99").knows("gpt-99"), "nobody has it, and nobody stands in for it");
    for row in crate::catalog::find("openai")
        .unwrap()
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("[hosts.global.models.\""))
    {
        let name = row.trim_end_matches("\"]");
        let stood_in_for = served(name).iter().any(|id| !id.starts_with("openai/"));
        assert!(stood_in_for || name.starts_with("text-embedding"), "nobody stands in for {name}");
    }
}

#[test]
fn whatever_is_asked_for_at_a_provider_is_asked_of_its_accounts_whatever_they_are_called() {
    let config = "[upstreams.mine]\nprovider = \"openai\"\nkeys = [\"env:KEY\"]\n\
                  [upstreams.glm]\nprovider = \"zhipu\"\nkeys = [\"env:KEY\"]\n";
    let policy = |cluster: &str| format!("[[routes]]\nname = \"r\"\nmodels = [\"gpt-*\"]\ncluster = [{cluster}]\n");
    let model = World::new(config, &policy("[\"openai/*\"], [\"@*\"]")).model();
    let tiers = tiers(&model, "gpt-4o");
    assert!(tiers[0].contains(&"mine/gpt-4o#KEY".to_owned()), "{tiers:?}");
    // A model by its name is one of an upstream by its name.
    let complaints = World::new(config, &policy("[\"openai/gpt-4o\"], [\"glm/glm-5.3\"]")).complaints();
    assert!(complaints.contains("warning: `openai` is not configured"), "{complaints}");
    assert!(complaints.contains("write `mine/…` here"), "{complaints}");
}
