//! What becomes of a LiteLLM configuration: groups, orders, fallbacks, aliases, keys, and what cannot be taken over.

use std::sync::LazyLock;
use std::time::Duration;

use crate::cli::init::draft::{Ability, Draft, Key, Refusals, Serves, Unlisted};
use crate::cli::init::fault::Fault;
use crate::cli::init::places::Catalogue;
use crate::engine::Price;
use crate::units::PricePerMtok;

mod losses;

/// Read once: it is the same for every test.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::new);

fn draft(text: &str) -> Result<Draft, Fault> {
    super::draft(text, &CATALOGUE, &|name| (name == "RELAY_BASE").then(|| "https://relay.example/v1".to_owned()))
}

/// One deployment of the group `g`, with these parameters.
fn with(params: &str) -> Result<Draft, Fault> {
    draft(&format!("model_list: [{{model_name: g, litellm_params: {{{params}}}}}]"))
}

fn remarks(params: &str) -> String {
    with(params).unwrap().remarks.lines().join("\n")
}

/// Each tier's models.
fn tiers(draft: &Draft, route: &str) -> Vec<Vec<String>> {
    let route = draft.routes.iter().find(|one| one.name == route).unwrap();
    let name = |serves: &Serves| match serves {
        Serves::Model(name) => name.clone(),
        Serves::All => "*".to_owned(),
    };
    route.tiers.iter().map(|tier| tier.iter().map(|one| name(&one.serves)).collect()).collect()
}

#[test]
fn a_providers_name_and_usual_host_are_found_in_the_catalogue() {
    let cases = [
        ("model: openai/gpt-4o", ("openai", None, None)),
        ("model: gpt-4o", ("openai", None, None)),
        ("model: zai/glm-5.3", ("zhipu", Some("intl"), None)),
        ("model: dashscope/qwen3.8-max", ("dashscope", Some("intl"), None)),
        (
            "model: dashscope/q, api_base: 'https://dashscope.aliyuncs.com/compatible-mode/v1'",
            ("dashscope", None, None),
        ),
        ("model: openai/glm-5.3, api_base: 'https://open.bigmodel.cn/api/paas/v4/'", ("zhipu", None, None)),
        ("model: openai/d, api_base: 'https://api.deepseek.com/v1'", ("deepseek", None, None)),
        ("model: together_ai/a/b", ("together", None, None)),
        ("model: ollama/l, api_base: 'http://gpu:11434'", ("ollama", None, Some("http://gpu:11434/v1"))),
        ("model: hosted_vllm/m, api_base: 'http://10.0.0.1:8000/v1'", ("vllm", None, Some("http://10.0.0.1:8000/v1"))),
        (
            "model: openai/glm-5.3, api_base: 'https://open.bigmodel.cn/api/coding/paas/v4'",
            ("zhipu", None, Some("https://open.bigmodel.cn/api/coding/paas/v4")),
        ),
        ("model: deepseek-flash", ("deepseek", None, None)),
    ];
    for (params, (provider, region, url)) in cases {
        let draft = with(&format!("{params}, api_key: os.environ/K")).unwrap();
        let address = &draft.deployments[0].address;
        let found = (address.provider, address.region.as_deref(), address.base_url.as_deref());
        assert_eq!(found, (Some(provider), region, url), "{params}");
    }
}

#[test]
fn an_address_of_nobodys_is_an_upstream_of_ones_own_and_may_stand_in_a_variable() {
    let draft = with("model: openai/m, api_base: os.environ/RELAY_BASE, api_key: sk-x").unwrap();
    let one = &draft.deployments[0];
    assert_eq!((one.address.provider, one.address.base_url.as_deref()), (None, Some("https://relay.example/v1")));
    assert_eq!(one.wish, "relay");
    let unset = with("model: openai/m, api_base: os.environ/NOT_SET").unwrap_err();
    assert_eq!(
        unset.to_string(),
        "model_list[0].litellm_params.api_base: it refers to the variable `NOT_SET`, which is not set"
    );
}

#[test]
fn keys_are_references_or_secrets_and_the_usual_variable_if_none_is_written() {
    let key = |params: &str| with(params).unwrap().deployments[0].key.clone();
    assert_eq!(key("model: openai/m, api_key: os.environ/MINE"), Key::Variable("MINE".to_owned()));
    assert!(matches!(key("model: openai/m, api_key: sk-secret"), Key::Plain(_)));
    assert_eq!(key("model: groq/m"), Key::Variable("GROQ_API_KEY".to_owned()));
    assert_eq!(key("model: ollama/m"), Key::None);
    assert_eq!(key("model: hosted_vllm/m, api_base: 'http://h:1/v1', api_key: none"), Key::None);
    let set = "environment_variables: {MINE: sk-secret}\n\
               model_list: [{model_name: g, litellm_params: {model: openai/m, api_key: os.environ/MINE}}]";
    assert!(matches!(draft(set).unwrap().deployments[0].key, Key::Plain(_)), "what the file sets, it holds");
}

#[test]
fn orders_and_fallbacks_are_tiers_and_aliases_are_names() {
    let draft = draft(
        "model_list:\n\
         - {model_name: a, litellm_params: {model: openai/second, order: 2}}\n\
         - {model_name: a, litellm_params: {model: openai/first, order: 1}}\n\
         - {model_name: a, litellm_params: {model: openai/last}}\n\
         - {model_name: b, litellm_params: {model: groq/b}}\n\
         - {model_name: c, litellm_params: {model: groq/c}}\n\
         - {model_name: e, litellm_params: {model: openai/text-embedding-3-small}}\n\
         router_settings:\n  model_group_alias: {x: a, y: {model: a, hidden: true}, z: nowhere}\n  num_retries: 4\n\
         litellm_settings:\n  fallbacks: [{a: [b, gone]}, {lost: [a]}]\n  content_policy_fallbacks: [{b: [c]}]\n  default_fallbacks: [c]\n",
    )
    .unwrap();
    assert_eq!(tiers(&draft, "a"), [["first"], ["second"], ["last"], ["b"]]);
    assert_eq!(tiers(&draft, "b"), [["b"], ["c"]]);
    assert_eq!(tiers(&draft, "c"), [["c"]], "a group is no fallback of its own");
    assert_eq!(tiers(&draft, "e"), [["text-embedding-3-small"]], "vectors of different models cannot be compared");
    assert_eq!(draft.routes[0].aliases, ["x", "y"]);
    assert_eq!((draft.routes[0].refusals, draft.routes[1].refusals), (Refusals::Final, Refusals::AskOthers));
    assert_eq!((draft.attempts, draft.unlisted), (Some(5), Unlisted::Refuse));
    let said = draft.remarks.lines().join("\n");
    assert!(
        said.contains("`gone`")
            && said.contains("fallbacks of `lost`")
            && said.contains("`nowhere`")
            && said.contains("embeddings"),
        "{said}"
    );
}

#[test]
fn a_wildcard_lets_models_be_called_by_their_own_names() {
    let all = "model_list: [{model_name: 'groq/*', litellm_params: {model: 'groq/*'}}]";
    let draft = draft(all).unwrap();
    assert_eq!((draft.unlisted, draft.routes.len(), draft.deployments.len()), (Unlisted::Allow, 0, 1));
    assert!(draft.remarks.lines()[0].contains("as `groq/…`"), "{:?}", draft.remarks.lines());
}

#[test]
fn what_is_not_called_by_this_version_is_said_with_what_to_do() {
    assert!(remarks("model: azure/gpt-4o, api_base: 'https://x.openai.azure.com'").contains("/openai/v1"));
    assert!(remarks("model: anthropic/claude").contains("OpenRouter"));
    assert!(remarks("model: claude-sonnet-5").contains("OpenRouter"));
    assert!(remarks("model: bedrock/x").contains("AWS"));
    assert!(remarks("model: some-model").contains("whose model it is"));
    assert!(remarks("model: openai/dall-e-3").contains("only chat"));
    assert!(remarks("model: openai/m, weight: 3").contains("handicap"));
    let all = "model_list: []\nguardrails: [x]\nlitellm_settings: {cache: true, cache_params: {host: h}, telemetry: false}\n\
               general_settings: {database_url: 'postgres://u:secret@h', max_budget: 5, surprise: 1}";
    let said = draft(all).unwrap().remarks.lines().join("\n");
    for word in
        ["litellm_settings.cache, litellm_settings.cache_params", "database_url", "budgets", "guardrails", "surprise"]
    {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    assert!(!said.contains("secret") && !said.contains("telemetry"), "{said}");
}

#[test]
fn prices_lengths_abilities_and_limits_come_along() {
    let draft = draft(
        "model_list: [{model_name: g, litellm_params: {model: openai/m, rpm: 10, tpm: '2000', max_parallel_requests: 3, \
         input_cost_per_token: 1.5e-7, output_cost_per_token: '8.900000000000001e-07', timeout: 1.5}, \
         model_info: {supports_vision: true, supports_function_calling: false, max_input_tokens: 4096}}]",
    )
    .unwrap();
    let facts = &draft.deployments[0].facts;
    assert_eq!(facts.price, Some(Price::new(PricePerMtok(150_000), PricePerMtok(890_000))));
    assert_eq!(
        (facts.context, facts.abilities.as_slice()),
        (Some(4096), &[("tools", Ability::Lacks), ("vision", Ability::Has)][..])
    );
    assert_eq!((facts.limits.requests_per_minute, facts.limits.tokens_per_minute), (Some(10), Some(2000)));
    assert_eq!((facts.limits.concurrency, draft.routes[0].total), (Some(3), Some(Duration::from_millis(1_500))));
}

#[test]
fn a_mistake_is_named_with_its_place_and_never_with_its_value() {
    let cases = [
        ("x: 1", "model_list: it is missing"),
        ("model_list: 5", "model_list: expected a list, found a number"),
        ("model_list: [{model_name: g}]", "model_list[0].litellm_params: it is missing"),
        (
            "model_list: [{model_name: g, litellm_params: {model: openai/m, api_key: ''}}]",
            "model_list[0].litellm_params.api_key: the key is empty",
        ),
        (
            "model_list: [{model_name: g, litellm_params: {model: openai/m, api_key: os.environ/}}]",
            "model_list[0].litellm_params.api_key: the key is empty",
        ),
        (
            "model_list: [{model_name: g, litellm_params: {model: openai/m, api_key: [sk-secret]}}]",
            "model_list[0].litellm_params.api_key: expected a text, found a list",
        ),
        (
            "model_list: [{model_name: g, litellm_params: {model: openai/m, api_key: sk secret}}]",
            "model_list[0].litellm_params.api_key: this is not a key: it has spaces, several lines or characters outside ASCII",
        ),
        (
            "model_list: [{model_name: g, litellm_params: {model: openai/m, api_base: 'https://u:secret@h/v1'}}]",
            "model_list[0].litellm_params.api_base: a base URL carries no user name or password",
        ),
        (
            "model_list: [{model_name: g, litellm_params: {model: openai/m, rpm: many}}]",
            "model_list[0].litellm_params.rpm: expected a whole number, found a text",
        ),
    ];
    for (text, said) in cases {
        let fault = draft(text).unwrap_err();
        assert_eq!(fault.to_string(), said);
        assert!(!fault.remedy().is_empty());
    }
    let broken = draft("model_list:\n  - model_name: g\n   api_key: sk-secret\n").unwrap_err().to_string();
    assert!(broken.contains("line 3") && broken.contains("YAML") && !broken.contains("secret"), "{broken}");
}

#[test]
fn a_file_made_to_hurt_is_refused() {
    let lists = (1..12).map(|level| {
        let last = level - 1;
        format!(
            "a{level}: &a{level} [*a{last},*a{last},*a{last},*a{last},*a{last},*a{last},*a{last},*a{last},*a{last}]\n"
        )
    });
    let bomb = format!("a0: &a0 [x]\n{}model_list: *a11\n", lists.collect::<String>());
    let deep = format!("model_list: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_blocks = (0..5_000).fold(String::new(), |text, depth| text + &" ".repeat(depth) + "a:\n");
    for text in [bomb, deep, deep_blocks, "\u{0}".to_owned(), "%YAML 9.9\n---\n- [".to_owned(), "&a [*a]".to_owned()] {
        let Err(fault) = draft(&text) else { panic!("it was read") };
        assert!(fault.to_string().len() < 400, "{fault}");
    }
    let long = "- {model_name: g, litellm_params: {model: openai/m}}\n".repeat(5_001);
    assert!(matches!(draft(&format!("model_list:\n{long}")), Err(Fault::TooMany { .. })));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z_:{}\\[\\],&*!|>'\" \n/-]{0,200}") {
        std::hint::black_box(draft(&format!("model_list:\n{text}")).is_ok());
    }
}
