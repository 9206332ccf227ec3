//! What becomes of channels: types, keys, priorities, mappings, and what cannot be taken over.

use std::sync::LazyLock;

use secrecy::ExposeSecret as _;

use crate::cli::init::draft::{Draft, Key, Serves};
use crate::cli::init::fault::Fault;
use crate::cli::init::places::Catalogue;

mod losses;

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
    assert_eq!(keys(r#""key": """#), [Key::Absent(1, 0)]);
    assert_eq!(keys(r#""weight": 0"#), [Key::Absent(1, 0)]);
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

/// `count` channels with ids from `from` on.
fn some(from: u32, count: u32) -> String {
    let one = |id: u32| format!(r#"{{"id": {id}, "type": 1, "name": "n", "models": "m{id}", "key": "k{id}"}}"#);
    (from..from + count).map(one).collect::<Vec<_>>().join(",")
}

fn said(text: &str) -> String {
    draft(text).unwrap().remarks.lines().join("\n")
}

#[test]
fn an_export_that_is_not_whole_says_so() {
    let of = |channels: &str, total: &str| {
        said(&format!(r#"{{"success": true, "data": {{"items": [{channels}], "page": 1{total}}}}}"#))
    };
    let cut = of(&some(1, 10), r#", "total": 25"#);
    assert!(cut.contains("has 10 of 25 channels") && cut.contains("?p=1&page_size=100"), "{cut}");
    assert!(!of(&some(1, 10), r#", "total": 10"#).contains("page_size"));
    let full = said(&format!("[{}]", some(1, 10)));
    assert!(full.contains("exactly 10 channels") && full.contains("?p=1&page_size=100"), "{full}");
    assert!(!said(&format!("[{}]", some(1, 9))).contains("page_size"));
    assert!(!said(&format!("[{}]", some(1, 11))).contains("page_size"));
}

#[test]
fn pages_come_as_a_list_or_one_after_another_and_overlap() {
    let page = |channels: &str| format!(r#"{{"success": true, "data": {{"items": [{channels}], "total": 12}}}}"#);
    let (one, two) = (page(&some(1, 10)), page(&some(10, 3)));
    let plain = format!("[[{}],[{}]]", some(1, 10), some(11, 2));
    for text in [format!("[{one},{two}]"), format!("{one}\n{two}\n"), plain] {
        let draft = draft(&text).unwrap();
        assert_eq!(draft.deployments.len(), 12, "{text}");
        assert!(!draft.remarks.lines().join("\n").contains("page_size"), "{text}");
    }
    assert!(said(&format!("{one}{two}")).contains("channel 10: it is in the export more than once"));
    let two_servers = format!("[[{}],[{}]]", some(1, 1), some(1, 1).replace("k1", "k2"));
    assert_eq!(draft(&two_servers).unwrap().deployments.len(), 2, "the same id elsewhere is another channel");
    let missing = draft(&format!("[{one},{{\"success\": false, \"message\": \"no rights\"}}]")).unwrap_err();
    assert!(missing.to_string().contains("no rights"), "{missing}");
    let broken = draft(&format!("[{one},{{\"success\": true}}]")).unwrap_err();
    assert_eq!(broken.to_string(), "channels[1].data: it is missing");
}

#[test]
fn mappings_are_followed_as_far_as_the_old_proxy_did() {
    let mapping = r#""type": 1, "key": "k", "models": "a,s,x,y", "model_mapping": "{\"a\": \"b\", \"b\": \"c\", \"c\": \"c\", \"s\": \"s\", \"x\": \"y\", \"y\": \"x\"}""#;
    let models = |draft: &Draft| {
        let model = |serves: &Serves| match serves {
            Serves::Model(name) => name.clone(),
            Serves::All => "*".to_owned(),
        };
        draft.deployments.iter().map(|one| model(&one.serves)).collect::<Vec<_>>()
    };
    let new = with(&format!(r#"{mapping}, "auto_ban": 1"#)).unwrap();
    assert_eq!(models(&new), ["c", "s"]);
    assert!(
        new.remarks.lines()[0]
            .contains("`x` of channel 1 (one), `y` of channel 1 (one): its mapping leads in a circle")
    );
    assert_eq!(models(&with(mapping).unwrap()), ["b", "s", "y", "x"], "one-api looks once");
}

#[test]
fn keys_may_be_a_list_and_a_channel_may_list_no_models() {
    for key in [r#""[\"a\", \"b\", \"c\"]""#, r#"["a", "b", "c"]"#, r#""a\nb\nc\n""#] {
        let off = r#""channel_info": {"multi_key_status_list": {"1": 3}}"#;
        let draft = with(&format!(r#""type": 1, "models": "m", "key": {key}, {off}"#)).unwrap();
        assert_eq!(draft.deployments.len(), 2, "{key}");
        assert!(draft.remarks.lines()[0].contains("this key is switched off"), "{key}");
    }
    let vertex = with(r#""type": 1, "models": "m", "key": "[{\"secret\": 1}]""#).unwrap().remarks.lines().join("\n");
    assert!(vertex.contains("keys, one per line or as a list") && !vertex.contains("secret"), "{vertex}");
    let empty = with(r#""type": 1, "models": "", "key": "k""#).unwrap();
    assert!(empty.deployments.is_empty() && empty.remarks.lines()[0].contains("channel 1 (one): it lists no models"));
}

#[test]
fn what_cannot_be_called_is_left_out_and_the_rest_comes_along() {
    let draft = draft(
        r#"[{"id": 1, "type": 9999, "name": "odd", "models": "m", "key": "k"},
            {"id": 2, "type": 1, "name": "ill", "status": 3, "models": "m", "key": "k"},
            {"id": 3, "type": 1, "name": "good", "models": "unlisted,unlisted-2", "key": "k"}]"#,
    )
    .unwrap();
    let said = draft.remarks.lines().join("\n");
    assert_eq!(draft.deployments.len(), 2);
    assert!(said.contains("channel 1 (odd): what channel type 9999 is, is not known"), "{said}");
    assert!(said.contains("channel 2 (ill): it was switched off by the old proxy"), "{said}");
    let route = &draft.routes[0];
    assert_eq!((route.name.as_str(), route.called.as_deref()), ("unlisted", Some("unlisted-3")));
    assert!(said.contains("`unlisted` (now the route `unlisted-3`): its own name stands for"), "{said}");
}

#[test]
fn settings_of_settings_are_said_by_name_and_never_by_value() {
    let draft = with(
        r#""type": 1, "models": "m", "key": "k", "auto_ban": 0, "config": "{\"region\": \"\"}",
           "setting": "{\"proxy\": \"socks5://u:secret@h\", \"force_format\": true, \"thinking_to_content\": false}""#,
    );
    let said = draft.unwrap().remarks.lines().join("\n");
    for word in
        ["`setting.proxy`: upstreams are called directly", "`setting.force_format`: not taken over", "`auto_ban`"]
    {
        assert!(said.contains(word), "no {word} in\n{said}");
    }
    assert!(!said.contains("secret") && !said.contains("config") && !said.contains("thinking"), "{said}");
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
