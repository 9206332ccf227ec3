//! The catalogue and the shipped policies are valid, and fit each other.

use super::{World, tiers};
use crate::catalog::PROVIDERS;
use crate::policy::compile::Providers;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::{BUILTIN, Severity};

/// Every provider with every one of its regions as an upstream of its own, under one built-in policy.
fn whole_catalogue(policy: &str) -> World<'static> {
    let report = Diagnostics::default();
    let providers = Providers::new(&report);
    let mut config = format!("policy = \"builtin:{policy}\"\n");
    for entry in PROVIDERS {
        for (index, host) in providers.find(entry.name).unwrap().hosts.iter().enumerate() {
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

#[test]
fn every_row_of_the_catalogue_compiles_without_a_word() {
    let loaded = whole_catalogue("balanced").load();
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    let model = loaded.model.unwrap();
    assert_eq!(model.upstreams.len(), PROVIDERS.len() + 3);
    assert_eq!(model.endpoints.len(), 88);
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
        let silent = loaded.diagnostics.is_empty();
        assert!(silent || policy.name == "domestic-only", "{}: {:#?}", policy.name, loaded.diagnostics);
        let model = loaded.model.unwrap();
        for name in ["gpt-4o", "gpt-4o-2024-08-06", "gpt-4o-mini", "gpt-3.5-turbo-0125", "chat", "small"] {
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
fn the_dearest_published_price_stands_where_it_depends_on_what_is_not_known() {
    let model = whole_catalogue("balanced").model();
    let price = |id: &str| model.endpoints.values().find(|one| one.id.as_str() == id).unwrap().price.clone().unwrap();
    // Answers of 200 tokens or more: 3 and 14 yuan; short ones would be 2 and 8.
    assert_eq!(
        (price("zhipu/glm-4.7#KEY").rates.input.0, price("zhipu/glm-4.7#KEY").rates.output.0),
        (418_500, 1_953_000)
    );
    // Thinking: 8 yuan; 2 without.
    assert_eq!(price("dashscope/qwen-plus#KEY").rates.output.0, 1_116_000);
    // Peak hours.
    assert_eq!(price("deepseek/deepseek-v4-pro#KEY").rates.input.0, 1_320_000);
}
