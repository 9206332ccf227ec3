//! What the routes that are written come to once they are loaded: who is asked for which name, and what they are called.

use std::path::Path;

use crate::cli::init::layout::Keep;
use crate::cli::init::places::Catalogue;
use crate::cli::init::texts::POLICY;
use crate::cli::init::{litellm, one_api};
use crate::policy::model::Model;
use crate::policy::{Diagnostic, Sources, load, stand_in};

use super::super::draft::Draft;
use super::{laid, now, proven};

fn of_litellm(text: &str) -> Draft {
    litellm::draft(text, &Catalogue::new(), &|_| None).unwrap()
}

/// What `serve` would make of a draft.
fn loaded(draft: &Draft) -> Model {
    let (_, texts) = laid(draft, Keep::Variables);
    let read = |path: &Path| match &texts.policy {
        Some(policy) if path == Path::new(POLICY) => Ok(policy.clone()),
        _ => Ok(texts.configuration.clone()),
    };
    let env = |name: &str| Some(stand_in(name));
    let sources = Sources { env: &env, read: &read, now: now(), book: None };
    load(Path::new("faregate.toml"), &sources).model.unwrap()
}

/// The route and the endpoints that serve `asked`; `None` if that is answered with 404.
fn served(model: &Model, asked: &str) -> Option<(String, Vec<String>)> {
    let route = &model.routes[model.names.resolve(asked)?];
    let admitted = route.candidates().filter(|one| route.served_as.admits(one.endpoint, asked));
    let ids = admitted.map(|one| model.endpoints[one.endpoint].id.to_string()).collect::<Vec<_>>();
    (!ids.is_empty()).then(|| (route.name.to_string(), ids))
}

/// What is warned of, but for models that are taken away one day.
fn without_retirements(warnings: &[Diagnostic]) -> Vec<&Diagnostic> {
    warnings.iter().filter(|one| !one.message.contains("about to be taken away")).collect()
}

#[test]
fn a_group_for_all_names_passes_them_on_with_a_date_or_without() {
    let text = "model_list:\n\
         - {model_name: '*', litellm_params: {model: 'openai/*', api_key: os.environ/A}}\n\
         - {model_name: '*', litellm_params: {model: 'groq/*', api_key: os.environ/G, order: 2}}\n\
         - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/B}}\n";
    let draft = of_litellm(text);
    let (_, texts, proof) = proven(&draft, Keep::Files);
    assert!(without_retirements(&proof.warnings).is_empty(), "{:?}", proof.warnings);
    let policy = texts.policy.unwrap();
    assert!(policy.contains("unlisted = \"refuse\"") && policy.contains("[\"openai/*#A\"]"), "{policy}");
    let model = loaded(&draft);
    let one = |route: &str, endpoint: &str| Some((route.to_owned(), vec![endpoint.to_owned()]));
    assert_eq!(served(&model, "gpt-4.1"), one("any", "openai/gpt-4.1#A"));
    assert_eq!(served(&model, "gpt-4o-2024-11-20"), one("any", "openai/gpt-4o#A"));
    assert_eq!(served(&model, "text-embedding-3-small"), one("any", "openai/text-embedding-3-small#A"));
    assert_eq!(served(&model, "gpt-4o"), one("gpt-4o", "openai/gpt-4o-mini#B"));
    assert_eq!(served(&model, "gpt-99"), None);
    let route = model.routes.values().find(|route| &*route.name == "any").unwrap();
    assert!(route.models.iter().any(|name| name == "gpt-4.1") && !route.models.iter().any(|name| name == "gpt-4o"));
    let said = draft.remarks.lines().join("\n");
    assert!(said.contains("`*`: models are called by their own names, if the catalogue"), "{said}");
}

#[test]
fn names_that_begin_with_their_provider_stay_understood() {
    let text = "model_list:\n\
         - {model_name: 'openai/*', litellm_params: {model: 'openai/*', api_key: os.environ/A}}\n\
         - {model_name: '*', litellm_params: {model: 'openai/*', api_key: os.environ/A}}\n";
    let draft = of_litellm(&format!("{text}litellm_settings: {{num_retries: 4}}"));
    let model = loaded(&draft);
    assert!(model.routes.values().all(|route| route.retry.attempts == 5), "what is said of all is kept without routes");
    for asked in ["openai/gpt-4o", "gpt-4o"] {
        assert_eq!(served(&model, asked), Some(("unlisted".to_owned(), vec!["openai/gpt-4o#A".to_owned()])), "{asked}");
    }
    let said = draft.remarks.lines().join("\n");
    assert!(
        said.contains("those with a date at their end are such, until they stand there with their `base`"),
        "{said}"
    );
}

#[test]
fn fallbacks_of_a_group_for_all_names_are_those_that_it_does_not_ask_anyway() {
    let text = "model_list:\n\
         - {model_name: '*', litellm_params: {model: 'openai/*', api_key: os.environ/A}}\n\
         - {model_name: cheap, litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/A}}\n\
         - {model_name: other, litellm_params: {model: zhipuai/glm-5.3, api_key: os.environ/Z}}\n\
         litellm_settings: {default_fallbacks: [cheap, other]}\n";
    let draft = of_litellm(text);
    let (_, texts, proof) = proven(&draft, Keep::Files);
    assert!(without_retirements(&proof.warnings).is_empty(), "{:?}", proof.warnings);
    let policy = texts.policy.unwrap();
    assert!(policy.contains("  [\"openai/*\"],\n  [\"zhipu/glm-5.3\"],\n]"), "{policy}");
    let said = draft.remarks.lines().join("\n");
    assert!(said.contains("fallback of `*` to `cheap`: whoever has it is asked already"), "{said}");
}

#[test]
fn a_name_beyond_ascii_stays_the_clients_and_its_route_has_another() {
    let text = "model_list:\n\
         - {model_name: 智谱, litellm_params: {model: zhipuai/glm-5.3, api_key: os.environ/Z}}\n\
         - {model_name: 质谱, litellm_params: {model: zhipuai/glm-5.3, api_key: os.environ/Z}}\n\
         - {model_name: 通义-max, litellm_params: {model: openai/gpt-4o, api_key: os.environ/A}}\n\
         - {model_name: zhipu-2, litellm_params: {model: openai/gpt-4o, api_key: os.environ/A}}\n\
         router_settings: {model_group_alias: {别名: zhipu-2}}\n";
    let export =
        r#"[{"type": 16, "models": "智谱,质谱", "key": "k"}, {"type": 1, "models": "通义-max,zhipu-2", "key": "k"}]"#;
    for draft in [of_litellm(text), one_api::draft(export, &Catalogue::new()).unwrap()] {
        let model = loaded(&draft);
        let called = ["智谱", "质谱", "通义-max", "zhipu-2"].map(|asked| served(&model, asked).unwrap().0);
        assert_eq!(called, ["zhipu", "zhipu-3", "openai-max", "zhipu-2"]);
        let routes = model.routes.values().filter(|route| &*route.name == "zhipu");
        assert_eq!(routes.flat_map(|route| &route.models).collect::<Vec<_>>(), ["智谱"]);
        let said = draft.remarks.lines().join("\n");
        assert!(said.contains("`智谱` (now the route `zhipu`), `质谱` (now the route `zhipu-3`),"), "{said}");
    }
}
