//! What must not get lost: settings in several places, parts of prices, keys and addresses that stand elsewhere.

use std::time::Duration;

use crate::cli::init::draft::Key;
use crate::cli::init::litellm;
use crate::engine::{Price, PriceTier, Rates};
use crate::units::{PricePerMtok, Tokens};

use super::{CATALOGUE, draft, remarks, with};

const ONE: &str = "model_list: [{model_name: g, litellm_params: {model: openai/gpt-4o, api_key: k}}]";

#[test]
fn a_setting_counts_where_it_first_says_something_and_the_others_are_named() {
    let of = |settings: &str| draft(&format!("{ONE}\n{settings}")).unwrap();
    let idle =
        of("router_settings: {timeout: 0, fallbacks: []}\nlitellm_settings: {timeout: 7, fallbacks: [{g: [gone]}]}");
    assert_eq!(idle.total, Some(Duration::from_secs(7)));
    assert!(idle.remarks.lines().join("\n").contains("fallback of `g` to `gone`"));
    let both =
        of("router_settings: {num_retries: 1, timeout: 5}\nlitellm_settings: {num_retries: 4, request_timeout: 9}");
    assert_eq!((both.attempts, both.total), (Some(2), Some(Duration::from_secs(5))));
    let said = both.remarks.lines().join("\n");
    assert!(said.contains("litellm_settings.num_retries: router_settings.num_retries counts"), "{said}");
    assert!(said.contains("litellm_settings.request_timeout: router_settings.timeout counts"), "{said}");
    let none = of("router_settings: {num_retries: 0}\nlitellm_settings: {num_retries: 3}");
    assert_eq!(none.attempts, Some(1), "nought means that nothing is tried again");
    assert_eq!(of("litellm_settings: {num_retries: 0}").attempts, Some(1));
    assert_eq!(of("litellm_settings: {drop_params: true}").attempts, None);
}

#[test]
fn what_is_out_of_range_is_brought_into_it_with_a_remark() {
    let of = |settings: &str| draft(&format!("{ONE}\nlitellm_settings: {{{settings}}}"));
    let many = of("num_retries: 50, request_timeout: 1000000").unwrap();
    assert_eq!((many.attempts, many.total), (Some(10), Some(Duration::from_hours(24))));
    let said = many.remarks.lines().join("\n");
    assert!(said.contains("litellm_settings.num_retries: 10 tries are the most"), "{said}");
    assert!(said.contains("litellm_settings.request_timeout: a time is between"), "{said}");
    assert!(of("num_retries: -1").is_err());
    assert_eq!(of("request_timeout: 0.25").unwrap().total, Some(Duration::from_millis(250)));
}

#[test]
fn settings_that_are_off_or_only_for_some_are_said() {
    let said = draft(&format!(
        "{ONE}\nlitellm_settings: {{ssl_verify: false}}\ngeneral_settings: {{background_health_checks: true}}\n\
         router_settings: {{allowed_fails: 0, model_group_alias: {{x: {{model: g, hidden: true}}}}, fallbacks: [{{g: [{{model: g, temperature: 0}}]}}]}}\n\
         include: [more.yaml]\nenvironment_variables: {{REDIS_HOST: h}}"
    ))
    .unwrap()
    .remarks
    .lines()
    .join("\n");
    for word in [
        "litellm_settings.ssl_verify: certificates",
        "background_health_checks: nothing is asked",
        "allowed_fails: circuits",
        "`x`: no name is hidden",
        "temperature: a fallback is asked",
        "include: other files are not read",
        "environment_variables.REDIS_HOST: no entry refers to it",
    ] {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
}

#[test]
fn every_part_of_a_price_comes_along_and_a_half_is_none() {
    let price = |params: &str| with(params).unwrap().deployments[0].facts.price.clone();
    let mtok = |dollars: u64| PricePerMtok(dollars * 1_000_000);
    let whole = "model: openai/m, input_cost_per_token: 2e-6, output_cost_per_token: 8e-6, cache_read_input_token_cost: 1e-6, \
                 cache_creation_input_token_cost: 3e-6, input_cost_per_token_above_128k_tokens: 4e-6, \
                 input_cost_per_token_above_200k_tokens: 5e-6, output_cost_per_token_above_200k_tokens: 9e-6";
    let usual = Rates {
        input: mtok(2),
        output: mtok(8),
        cached_input: Some(mtok(1)),
        cache_write: Some(mtok(3)),
        reasoning: None,
    };
    let tier = |above, input, output| PriceTier {
        above_input: Some(Tokens(above)),
        rates: Rates { input: mtok(input), output: mtok(output), ..usual },
        ..PriceTier::default()
    };
    let tiers = vec![tier(128_000, 4, 8), tier(200_000, 5, 9)];
    assert_eq!(price(whole), Some(Price { rates: usual, tiers, ..Price::default() }));
    for half in ["output_cost_per_token: 1e-6", "input_cost_per_token: 1e-6", "cache_read_input_token_cost: 1e-6"] {
        let params = format!("model: openai/m, {half}");
        assert_eq!(price(&params), None, "{half}");
        assert!(remarks(&params).contains("`g` (openai/m): its price is not said for both"), "{half}");
    }
    let vectors = price("model: openai/text-embedding-3-small, input_cost_per_token: 1e-6");
    assert_eq!(vectors, Some(Price::new(mtok(1), mtok(0))));
    assert!(remarks("model: openai/m, input_cost_per_second: 0.1").contains("this part of a price"));
}

#[test]
fn a_base_model_is_the_row_of_the_catalogue_that_it_goes_by() {
    let base = |base: &str, model: &str| {
        let text = format!(
            "model_list: [{{model_name: g, litellm_params: {{model: {model}, api_key: k}}, model_info: {{base_model: {base}}}}}]"
        );
        let draft = draft(&text).unwrap();
        (draft.deployments[0].facts.base.clone(), draft.remarks.lines().join("\n"))
    };
    assert_eq!(base("azure/gpt-4o", "openai/mine").0.as_deref(), Some("openai/gpt-4o"));
    assert_eq!(base("gpt-4o", "openai/mine").0.as_deref(), Some("openai/gpt-4o"));
    assert_eq!(base("gpt-4o", "openai/gpt-4o").0, None, "the catalogue knows it by its own name");
    assert_eq!(base("azure/gpt-4o-2024-11-20", "openai/mine").0.as_deref(), Some("openai/gpt-4o"));
    let (unknown, said) = base("azure/nobody-knows", "openai/mine");
    assert!(unknown.is_none() && said.contains("base_model `azure/nobody-knows` is not in the catalogue"), "{said}");
}

#[test]
fn nothing_that_an_entry_says_vanishes() {
    let said = draft(
        "model_list:\n\
         - {model_name: a, litellm_params: {model: openai/m, api_key: k, tags: [paid], rpm: 0, merge_reasoning_content_in_choices: true, surprise: 1},\n\
            model_info: {access_groups: [beta], team_id: t, oddity: 1}, note: x}\n\
         - {model_name: b, litellm_params: {model: openai/m, api_key: k, mock_response: hello}}\n\
         - {model_name: 'c/*', litellm_params: {model: 'openai/gpt-*', api_key: k}}\n\
         - {model_name: 'groq/*', litellm_params: {model: 'groq/*', rpm: 5, timeout: 3}}\n\
         - {model_name: '*', litellm_params: {model: 'groq/*'}}\n\
         - {model_name: d, litellm_params: {model: groq/x, timeout: 3}}\n\
         - {model_name: d, litellm_params: {model: groq/y, timeout: 9}}\n\
         - {model_name: unlisted, litellm_params: {model: groq/x}}\n",
    )
    .unwrap();
    let lines = said.remarks.lines();
    let text = lines.join("\n");
    for word in [
        "litellm_params.tags of `a` (openai/m): requests are not routed by tags",
        "litellm_params.rpm of `a` (openai/m): nought is no limit",
        "litellm_params.merge_reasoning_content_in_choices of `a`",
        "litellm_params.surprise of `a`",
        "model_info.access_groups of `a` (openai/m): everybody may use every route",
        "model_info.team_id of `a`",
        "model_info.oddity of `a`",
        "the entry.note of `a`",
        "`b` (openai/m): it answers with its `mock_response`",
        "`c/*` (openai/gpt-*): names are passed on to all models",
        "rpm of `groq/*` (groq/*), timeout of `groq/*` (groq/*): it would hold for every model of `groq`",
        "`d`: the `timeout`s of its entries differ",
        "`unlisted` (now the route `unlisted-2`): its own name stands for",
    ] {
        assert!(text.contains(word), "no {word} in\n{text}");
    }
    let passed_on = lines.iter().filter(|line| line.contains("called by their own names")).collect::<Vec<_>>();
    assert!(passed_on.len() == 1 && passed_on[0].starts_with("`groq/*`, `*`: "), "{passed_on:?}");
    assert_eq!(said.deployments.len(), 6);
}

#[test]
fn an_alias_that_a_group_has_for_its_name_is_said() {
    let draft = draft(
        "model_list:\n\
         - {model_name: a, litellm_params: {model: groq/x}}\n\
         - {model_name: b, litellm_params: {model: groq/y}}\n\
         router_settings: {model_group_alias: {b: a, c: a}}",
    )
    .unwrap();
    assert_eq!((draft.routes[0].aliases.as_slice(), draft.routes[1].aliases.len()), (&["c".to_owned()][..], 0));
    assert!(draft.remarks.lines().join("\n").contains("model_group_alias `b`: there is a group of this name too"));
}

#[test]
fn what_the_file_sets_wins_over_the_environment() {
    let text = |more: &str| {
        format!(
            "environment_variables: {{RELAY_BASE: 'https://other.example/v1', MINE: os.environ/THEIRS, LITELLM_MASTER_KEY: sk-m}}\n\
             model_list: [{{model_name: g, litellm_params: {{model: openai/m, api_base: os.environ/RELAY_BASE, {more}}}}}]"
        )
    };
    let draft = draft(&text("api_key: os.environ/MINE")).unwrap();
    let one = &draft.deployments[0];
    assert_eq!(one.address.base_url.as_deref(), Some("https://other.example/v1"));
    assert_eq!(one.key, Key::Variable("THEIRS".to_owned()));
    assert!(matches!(draft.tenants[0].key, Key::Plain(_)), "LiteLLM takes its master key from there");
    let moved = "environment_variables: {MOONSHOT_API_BASE: 'https://api.moonshot.cn/v1'}\n\
                 model_list: [{model_name: g, litellm_params: {model: moonshot/k}}]";
    let draft = litellm::draft(moved, &CATALOGUE, &|_| None).unwrap();
    assert_eq!(draft.deployments[0].address.region, None, "the usual region, where LiteLLM's own is another");
    assert!(draft.remarks.lines()[0].contains("its address is what MOONSHOT_API_BASE holds now"));
}

#[test]
fn without_a_key_the_one_is_sent_that_litellm_would_send() {
    let draft = with("model: openai/m, api_base: 'https://relay.example/v1'").unwrap();
    assert_eq!(draft.deployments[0].key, Key::Variable("OPENAI_API_KEY".to_owned()));
    assert!(draft.remarks.lines()[0].contains("LiteLLM sends the one in OPENAI_API_KEY there"));
    let text = "model_list: [{model_name: g, litellm_params: {model: hosted_vllm/m, api_base: 'http://h:1/v1'}}]";
    let key = |set: Option<&str>| {
        let env = |name: &str| (set == Some(name)).then(|| "k".to_owned());
        litellm::draft(text, &CATALOGUE, &env).unwrap().deployments[0].key.clone()
    };
    assert_eq!(key(None), Key::None);
    assert_eq!(key(Some("HOSTED_VLLM_API_KEY")), Key::Variable("HOSTED_VLLM_API_KEY".to_owned()));
}
