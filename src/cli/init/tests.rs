//! From drafts to files: what stands in them, that they load, and that no key is in them.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::draft::Draft;
use super::layout::{Keep, Layout, layout};
use super::places::{Catalogue, nickname};
use super::texts::Texts;
use super::{environment, litellm, one_api, report};

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_400_000)
}

fn laid(draft: &Draft, keep: Keep) -> (Layout, Texts) {
    let layout = layout(draft, keep, &Catalogue::new());
    let texts = Texts::new(draft, &layout, " from a test");
    texts.prove(now()).unwrap_or_else(|error| panic!("{error}\n{}\n{:?}", texts.configuration, texts.policy));
    (layout, texts)
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
        let output = if keep == Keep::Files { "faregate.toml" } else { "-" };
        let said = report::report(&draft, &layout, &texts, Path::new(output), &|_| None);
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
fn hostile_names_neither_end_a_comment_nor_move_the_cursor() {
    let export = r#"[{"id": 1, "type": 1, "name": "x\n[server]\nlisten = 5\u001b[2J", "models": "a\"b,c\\d,e]", "key": "k"},
        {"id": 2, "type": 14, "name": "\r\ny\u202e", "models": "m"}]"#;
    let draft = one_api::draft(export, &Catalogue::new()).unwrap();
    let (layout, texts) = laid(&draft, Keep::Files);
    let said = report::report(&draft, &layout, &texts, Path::new("faregate.toml"), &|_| None);
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
