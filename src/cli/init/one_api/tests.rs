//! What becomes of channels: types, keys, priorities, mappings, and what cannot be taken over.

use std::sync::LazyLock;

use secrecy::ExposeSecret as _;

use crate::cli::init::draft::{Draft, Key, Serves};
use crate::cli::init::fault::Fault;
use crate::cli::init::places::Catalogue;

/// Read once: it is the same for every test.
static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(Catalogue::new);

fn draft(text: &str) -> Result<Draft, Fault> {
    super::draft(text, &CATALOGUE)
}

/// One channel with these fields.
fn with(fields: &str) -> Result<Draft, Fault> {
    draft(&format!(r#"[{{"id": 1, "name": "one", "status": 1, {fields}}}]"#))
}

#[test]
fn a_type_and_an_address_lead_to_a_provider_or_to_an_upstream_of_ones_own() {
    let cases = [
        (r#""type": 1"#, Some("openai"), None),
        (r#""type": 16, "base_url": """#, Some("zhipu"), None),
        (r#""type": 26"#, Some("baichuan"), None),
        (r#""type": 26, "auto_ban": 1"#, Some("zhipu"), None),
        (r#""type": 36"#, Some("deepseek"), None),
        (r#""type": 43, "channel_info": {"is_multi_key": false}"#, Some("deepseek"), None),
        (r#""type": 40, "base_url": "https://ark.cn-beijing.volces.com""#, Some("volcengine"), None),
        (r#""type": 1, "base_url": "https://api.moonshot.cn""#, Some("moonshot"), None),
        (r#""type": 50, "base_url": "https://open.bigmodel.cn/api/paas/v4""#, Some("zhipu"), None),
        (r#""type": 8, "base_url": "https://relay.example.com""#, None, Some("https://relay.example.com/v1")),
        (
            r#""type": 8, "base_url": "https://relay.example.com/v1/chat/completions""#,
            None,
            Some("https://relay.example.com/v1"),
        ),
        (r#""type": 30, "base_url": "http://10.0.0.1:11434""#, Some("ollama"), Some("http://10.0.0.1:11434/v1")),
    ];
    for (fields, provider, url) in cases {
        let draft = with(&format!(r#""models": "m", "key": "k", {fields}"#)).unwrap();
        let address = &draft.deployments[0].address;
        assert_eq!((address.provider, address.base_url.as_deref()), (provider, url), "{fields}");
    }
}

#[test]
fn priorities_are_tiers_and_mappings_lead_from_names_to_models() {
    let draft = draft(
        r#"{"success": true, "message": "", "data": [
            {"id": 1, "type": 16, "name": "low", "models": "gpt-4o,glm-5.3", "key": "a", "priority": -1,
             "model_mapping": "{\"gpt-4o\": \"glm-5.3\"}"},
            {"id": 2, "type": 1, "name": "high", "models": "gpt-4o, gpt-4o,", "key": "b", "priority": 10},
            {"id": 3, "type": 36, "name": "off", "models": "gpt-4o", "key": "c", "status": 2}]}"#,
    )
    .unwrap();
    let models = |route: usize| {
        let tiers = draft.routes[route].tiers.iter();
        tiers.map(|tier| tier.iter().map(|one| one.serves.clone()).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    let model = |name: &str| Serves::Model(name.to_owned());
    assert_eq!(draft.routes.iter().map(|route| route.name.as_str()).collect::<Vec<_>>(), ["gpt-4o", "glm-5.3"]);
    assert_eq!(models(0), [[model("gpt-4o")], [model("glm-5.3")]]);
    assert_eq!(models(1), [[model("glm-5.3")]]);
    assert!(draft.remarks.lines().iter().any(|remark| remark.contains("channel 3 (off): it is switched off")));
}

#[test]
fn keys_come_one_per_line_or_not_at_all() {
    let keys = |fields: &str| {
        let draft = with(&format!(r#""type": 1, "models": "m", {fields}"#)).unwrap();
        draft.deployments.iter().map(|one| one.key.clone()).collect::<Vec<_>>()
    };
    let plain = |key: &Key| match key {
        Key::Plain(secret) => secret.0.expose_secret().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(keys(r#""key": "a\n\n b \n""#).iter().map(plain).collect::<Vec<_>>(), ["a", "b"]);
    let list = r#""key": "a\nb\nc", "channel_info": {"multi_key_status_list": {"1": 2}}"#;
    assert_eq!(keys(list).iter().map(plain).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(keys(r#""key": """#), [Key::Absent(1)]);
    assert_eq!(keys(r#""weight": 0"#), [Key::Absent(1)]);
}

#[test]
fn pages_answers_and_bare_lists_are_all_exports() {
    let channel = r#"{"type": 26, "models": "m", "key": "k"}"#;
    let provider = |text: &str| draft(text).unwrap().deployments[0].address.provider;
    assert_eq!(provider(&format!("[{channel}]")), Some("baichuan"));
    assert_eq!(provider(&format!(r#"{{"success": true, "message": "", "data": [{channel}]}}"#)), Some("baichuan"));
    assert_eq!(provider(channel), Some("baichuan"));
    assert_eq!(provider(&format!(r#"{{"data": {channel}}}"#)), Some("baichuan"), "GET /api/channel/1");
    let pages = format!(r#"{{"data": {{"items": [{channel}], "total": 1, "page": 1}}, "success": true}}"#);
    assert_eq!(provider(&pages), Some("zhipu"), "pages are new-api's, where 26 is another provider");
}

#[test]
fn what_is_not_called_by_this_version_is_said() {
    let said = with(r#""type": 14, "models": "claude-3", "key": "k""#).unwrap();
    assert!(
        said.deployments.is_empty() && said.remarks.lines()[0].contains("channel 1 (one): Anthropic"),
        "{:?}",
        said.remarks.lines()
    );
    let said = with(r#""type": 1, "models": "gpt-4o,dall-e-3", "key": "k", "group": "vip", "weight": 5"#).unwrap();
    let remarks = said.remarks.lines().join("\n");
    assert!(remarks.contains("dall-e-3") && remarks.contains("`group`") && remarks.contains("handicap"), "{remarks}");
}

#[test]
fn a_mistake_is_named_with_its_place_and_never_with_its_value() {
    let cases = [
        (r#"[{"type": 9999, "models": "m"}]"#, "channels[0].type: there is no channel type 9999"),
        (r#"[{"models": "m"}]"#, "channels[0].type: it is missing"),
        (r#"[{"type": 1}]"#, "channels[0].models: it is missing"),
        (r#"[{"type": 8, "models": "m"}]"#, "channels[0].base_url: nothing says where to call"),
        (r#"[{"type": "one", "models": "m"}]"#, "channels[0].type: expected a whole number, found a text"),
        (
            r#"{"data": [{"type": 1, "models": "m", "key": "sk secret"}]}"#,
            "data[0].key (line 1): this is not a key: it has spaces, several lines or characters outside ASCII",
        ),
        (
            r#"[{"type": 1, "models": "m", "model_mapping": "sk-secret"}]"#,
            "channels[0].model_mapping: expected a table of names, as the text of a JSON object, found a text",
        ),
        (
            r#"[{"type": 1, "models": "a b"}]"#,
            "channels[0].models: `a b` cannot be the name of a model: it is empty, or has spaces or `#`",
        ),
        (
            r#"{"success": false, "message": "no rights"}"#,
            "it is an error message of the server, not an export: no rights",
        ),
        ("5", "the file: expected a list of channels, or an answer with one, found a number"),
        ("[{\"key\": \"sk-secret\",", "line 1, column 21: this is not JSON: it ends too early"),
    ];
    for (text, said) in cases {
        let fault = draft(text).unwrap_err();
        assert_eq!(fault.to_string(), said);
        assert!(!fault.remedy().is_empty());
    }
    assert!(draft(&"[".repeat(100_000)).is_err());
}
