//! From drafts to files: what stands in them, that they load, and that no key is in them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::draft::Draft;
use super::layout::{Keep, Layout, layout};
use super::places::{Catalogue, nickname};
use super::report::Made;
use super::texts::{Proof, Texts};
use super::{environment, litellm, one_api, report};

mod models;
mod routes;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_400_000)
}

fn laid(draft: &Draft, keep: Keep) -> (Layout, Texts) {
    let (layout, texts, _) = proven(draft, keep);
    (layout, texts)
}

fn proven(draft: &Draft, keep: Keep) -> (Layout, Texts, Proof) {
    let layout = layout(draft, keep, &Catalogue::new());
    let texts = Texts::new(draft, &layout, " from a test");
    let proof = texts.prove(Path::new("faregate.toml"), now());
    let proof = proof.unwrap_or_else(|error| panic!("{error}\n{}\n{:?}", texts.configuration, texts.policy));
    (layout, texts, proof)
}

/// What is said of it.
fn said(draft: &Draft, keep: Keep) -> String {
    let (layout, texts, proof) = proven(draft, keep);
    let output = if keep == Keep::Files { "faregate.toml" } else { "-" };
    report::report(&Made { draft, layout: &layout, texts: &texts, proof: &proof }, Path::new(output), &|_| None)
}

const LITELLM: &str = r"
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, rpm: 500}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: sk-secret-1, order: 1}
  - model_name: cheap
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY}
  - model_name: mine
    litellm_params: {model: hosted_vllm/qwen3-8b, api_base: 'http://10.0.0.7:8000/v1', input_cost_per_token: 1e-7, output_cost_per_token: 3e-7}
  - model_name: relay
    litellm_params: {model: openai/gpt-4o, api_base: 'https://api.relay.example/v1', api_key: sk-secret-2}
  - model_name: claude
    litellm_params: {model: anthropic/claude-sonnet-5, api_key: sk-secret-3}
router_settings: {model_group_alias: {gpt-4: gpt-4o}, num_retries: 1}
litellm_settings: {fallbacks: [{gpt-4o: [cheap, mine]}], request_timeout: 60}
general_settings: {master_key: sk-secret-4}
";

fn of_litellm() -> Draft {
    litellm::draft(LITELLM, &Catalogue::new(), &|_| None).unwrap()
}

#[test]
fn the_files_of_a_litellm_configuration() {
    let (_, texts) = laid(&of_litellm(), Keep::Files);
    insta::assert_snapshot!("configuration_from_litellm", texts.configuration);
    let policy = texts.policy.unwrap();
    let (_, routes) = policy.split_once("[defaults]").unwrap();
    insta::assert_snapshot!("routes_from_litellm", routes);
}

#[test]
fn no_key_is_in_a_text_or_in_what_is_said() {
    for keep in [Keep::Files, Keep::Variables] {
        let draft = of_litellm();
        let (layout, texts) = laid(&draft, keep);
        let said = said(&draft, keep);
        let all = format!("{}{:?}{said}{layout:?}{draft:?}", texts.configuration, texts.policy);
        assert!(!all.contains("secret"), "{all}");
        assert_eq!(layout.files.len(), if keep == Keep::Files { 3 } else { 0 });
    }
}

#[test]
fn without_files_every_key_has_a_variable_of_its_own() {
    let (layout, texts) = laid(&of_litellm(), Keep::Variables);
    let variables = layout.variables.iter().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(variables, ["FAREGATE_KEY", "OPENAI_API_KEY", "OPENAI_API_KEY_2", "RELAY_API_KEY"]);
    assert!(!texts.configuration.contains("file:"), "{}", texts.configuration);
}

#[test]
fn every_provider_whose_key_is_set_is_an_upstream() {
    let catalogue = Catalogue::new();
    let draft = environment::draft(&catalogue, &|name| {
        ["ZHIPUAI_API_KEY", "OPENAI_API_KEY"].contains(&name).then(|| "k".into())
    });
    let (_, texts) = laid(&draft, Keep::Files);
    insta::assert_snapshot!("configuration_from_the_environment", texts.configuration);
    assert_eq!(texts.policy, None);
    let all = environment::draft(&catalogue, &|_| Some("k".to_owned()));
    laid(&all, Keep::Files);
    assert!(environment::draft(&catalogue, &|_| Some(" ".to_owned())).deployments.is_empty());
    assert!(environment::nothing_set(&catalogue).contains("OPENAI_API_KEY, ZHIPU_API_KEY"));
}

#[test]
fn an_account_abroad_is_an_upstream_of_its_own() {
    let catalogue = Catalogue::new();
    let set = ["ZAI_API_KEY", "ZHIPU_API_KEY", "OLLAMA_API_KEY"];
    let draft = environment::draft(&catalogue, &|name| set.contains(&name).then(|| "k".into()));
    let (_, texts) = laid(&draft, Keep::Files);
    for line in ["[upstreams.zhipu]", "[upstreams.zhipu-intl]", "keys = [\"env:ZAI_API_KEY\"]", "region = \"intl\""] {
        assert!(texts.configuration.contains(line), "{line}\n{}", texts.configuration);
    }
    assert!(said(&draft, Keep::Files).contains("[upstreams.ollama-cloud.models."), "{}", said(&draft, Keep::Files));
}

#[test]
fn what_check_would_warn_of_is_said_at_once_the_first_few_of_it() {
    let entry =
        |number: u32| format!("- {{model_name: g{number}, litellm_params: {{model: openai/unheard-{number}}}}}\n");
    let text = format!("model_list:\n{}", (0..14).map(entry).collect::<String>());
    let said = said(&litellm::draft(&text, &Catalogue::new(), &|_| None).unwrap(), Keep::Files);
    assert!(said.contains("`faregate check` warns:\n  * faregate.toml:"), "{said}");
    assert!(said.contains("`unheard-9`") && !said.contains("`unheard-10`") && said.contains("and 4 more"), "{said}");
}

#[test]
fn what_serves_nothing_does_not_pretend_to() {
    let of = |set: &'static [&str]| {
        let env = move |name: &str| set.contains(&name).then(|| "k".to_owned());
        said(&environment::draft(&Catalogue::new(), &env), Keep::Files)
    };
    let nothing = of(&["OPENROUTER_API_KEY"]);
    assert!(nothing.contains("it serves NOTHING yet: no model is known of openrouter"), "{nothing}");
    assert!(nothing.contains("[upstreams.openrouter.models.") && !nothing.contains("base_url ="), "{nothing}");
    let something = of(&["OPENROUTER_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"]);
    assert!(!something.contains("NOTHING") && something.contains("base_url = \"http://127"), "{something}");
    assert!(
        something.contains("OPENAI_BASE_URL is set, and what is called openai here is OpenAI itself"),
        "{something}"
    );
}

#[test]
fn prices_of_long_prompts_bases_and_what_cannot_be_done_stand_in_the_file() {
    let text = r"
model_list:
  - model_name: long
    litellm_params: {model: openai/long, api_base: 'http://h:1/v1', api_key: k, input_cost_per_token: 1e-6, output_cost_per_token: 2e-6,
      cache_read_input_token_cost: 1e-7, input_cost_per_token_above_200k_tokens: 2e-6}
    model_info: {supports_vision: false, supports_reasoning: true}
  - model_name: based
    litellm_params: {model: openai/mine, api_base: 'http://h:1/v1', api_key: k}
    model_info: {base_model: gpt-4o, supports_vision: true}
litellm_settings: {num_retries: 0, fallbacks: [{long: [based]}], request_timeout: 0.5}
";
    let (_, texts) = laid(&litellm::draft(text, &Catalogue::new(), &|_| None).unwrap(), Keep::Files);
    for part in [
        "price = { input = \"1 USD\", output = \"2 USD\", cached_input = \"0.1 USD\" }",
        "{ above_input = 200000, input = \"2 USD\", output = \"2 USD\", cached_input = \"0.1 USD\" },",
        "capabilities = [\"reasoning\", \"tools\", \"json_schema\"]  # taken for granted",
        "base = \"openai/gpt-4o\"",
    ] {
        assert!(texts.configuration.contains(part), "no {part} in\n{}", texts.configuration);
    }
    assert_eq!(texts.configuration.matches("capabilities").count(), 1, "{}", texts.configuration);
    let policy = texts.policy.unwrap();
    assert!(policy.contains("retry = { attempts = 1,") && policy.contains("total = \"500ms\""), "{policy}");
    assert!(policy.contains("retry = { attempts = 2 }  # as many as come to the last tier"), "{policy}");
}

#[test]
fn hostile_names_neither_end_a_comment_nor_move_the_cursor() {
    let export = r#"[{"id": 1, "type": 1, "name": "x\n[server]\nlisten = 5\u001b[2J", "models": "a\"b,c\\d,e]", "key": "k"},
        {"id": 2, "type": 14, "name": "\r\ny\u202e", "models": "m"}]"#;
    let draft = one_api::draft(export, &Catalogue::new()).unwrap();
    let (_, texts) = laid(&draft, Keep::Files);
    let said = said(&draft, Keep::Files);
    assert!(!said.contains('\u{1b}') && !said.contains('\u{202e}') && !said.contains('\r'), "{said:?}");
    assert!(!texts.configuration.contains("\n[server]\nlisten = 5"), "{}", texts.configuration);
}

#[test]
fn an_upstream_is_called_what_people_would_call_its_host() {
    let cases = [
        ("https://api.novita.ai/v3/openai", "novita"),
        ("https://api.example.com/v1", "example"),
        ("https://llm.intern.example.com.cn/v1", "example"),
        ("http://gpu-1:8000/v1", "gpu-1"),
        ("http://10.0.0.1:8000/v1", "local"),
        ("http://localhost:9000/v1", "local"),
        ("http://[::1]:9000/v1", "local"),
    ];
    for (url, name) in cases {
        assert_eq!(nickname(url), name, "{url}");
    }
}

#[test]
fn which_keys_are_missing_is_said_and_that_all_are_only_where_it_is_so() {
    let channel = |id: u32, key: &str| format!(r#"{{"id": {id}, "type": 1, "name": "n{id}", "models": "m,n"{key}}}"#);
    let of = |channels: &[String]| {
        let export = format!("[{}]", channels.join(","));
        said(&one_api::draft(&export, &Catalogue::new()).unwrap(), Keep::Files)
    };
    let key = r#", "key": "k""#;
    let one = of(&[channel(1, key), channel(2, ""), channel(3, key), channel(4, "")]);
    assert!(one.contains("no key stands in the file for channel 2 (n2), channel 4 (n4): put"), "{one}");
    assert!(!one.contains("the file has no keys"), "{one}");
    let ollama = r#"{"id": 5, "type": 30, "name": "own", "models": "m"}"#.to_owned();
    let all = of(&[channel(1, ""), channel(2, ""), ollama]);
    assert!(all.contains("the file has no keys") && !all.contains("no key stands"), "{all}");
    assert!(!of(&[channel(1, key)]).contains("the file has no keys"));
}
