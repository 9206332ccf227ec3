//! What is written of models that the catalogue does not list by their names.

use crate::cli::init::layout::Keep;
use crate::cli::init::places::Catalogue;
use crate::cli::init::{litellm, one_api};

use super::{laid, said};

/// What becomes of the models that an entry of LiteLLM's `model_list` calls, each with these further parameters.
fn configured(models: &[&str], more: &str) -> String {
    let entry =
        |model: &&str| format!("- {{model_name: {model}, litellm_params: {{model: {model}, api_key: k{more}}}}}\n");
    let text = format!("model_list:\n{}", models.iter().map(entry).collect::<String>());
    laid(&litellm::draft(&text, &Catalogue::new(), &|_| None).unwrap(), Keep::Files).1.configuration
}

#[test]
fn a_name_with_a_date_goes_by_the_row_of_the_name_without() {
    let dated = configured(&["openai/gpt-4o-2024-08-06", "openai/o3-2025-04-16", "openai/gpt-4o"], "");
    for table in [
        "[upstreams.openai.models.\"gpt-4o-2024-08-06\"]\nbase = \"gpt-4o\"  # the name without its date",
        "[upstreams.openai.models.\"o3-2025-04-16\"]\nbase = \"o3\"",
    ] {
        assert!(dated.contains(table), "no {table} in\n{dated}");
    }
    assert!(
        !dated.contains("capabilities") && !dated.contains("No price") && !dated.contains("\"gpt-4o\"]\n"),
        "{dated}"
    );
    let priced =
        configured(&["openai/gpt-4o-2024-05-13"], ", input_cost_per_token: 5e-6, output_cost_per_token: 15e-6");
    assert!(priced.contains("base = \"gpt-4o\"") && priced.contains("price = { input = \"5 USD\""), "{priced}");
    let relayed = configured(&["openai/gpt-4o-2024-08-06"], ", api_base: 'https://relay.example/v1'");
    assert!(relayed.contains("# base = \"openai/gpt-4o\"  # if it costs"), "{relayed}");
}

#[test]
fn images_are_not_taken_for_granted_of_what_a_known_provider_does_not_list() {
    let older = configured(&["openai/gpt-3.5-turbo"], "");
    assert!(older.contains("capabilities = [\"tools\", \"json_schema\"]  # taken for granted"), "{older}");
    assert!(older.contains("add \"vision\" if it can"), "{older}");
    for more in [", api_base: 'http://h:1/v1'", ", api_base: 'https://relay.example/v1'"] {
        let own = configured(&["openai/gpt-3.5-turbo"], more);
        assert!(own.contains("capabilities = [\"tools\", \"json_schema\", \"vision\"]"), "{own}");
    }
}

#[test]
fn a_name_that_its_provider_has_given_up_is_said_with_the_models_of_today() {
    let text = "model_list:\n\
         - {model_name: a, litellm_params: {model: deepseek/deepseek-chat, api_key: k}}\n\
         - {model_name: b, litellm_params: {model: deepseek-reasoner, api_key: k}}\n\
         - {model_name: c, litellm_params: {model: openai/deepseek-chat, api_key: k, api_base: 'https://relay.example/v1'}}\n";
    let litellm = litellm::draft(text, &Catalogue::new(), &|_| None).unwrap();
    let export = r#"[{"type": 36, "models": "deepseek-chat,deepseek-reasoner", "key": "k"}]"#;
    for draft in [litellm, one_api::draft(export, &Catalogue::new()).unwrap()] {
        let said = said(&draft, Keep::Files);
        let remark = "* `deepseek-chat`, `deepseek-reasoner`: deepseek has given this name up; its models of today are \
                      deepseek-v4-pro, deepseek-flash:";
        assert!(said.contains(remark), "{said}");
    }
}
