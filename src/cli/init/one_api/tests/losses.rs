//! What is wrong with one channel, and what must not get lost of the others.

use crate::cli::init::draft::Key;

use super::{draft, with};

/// A channel that is as it should be.
const GOOD: &str = r#"{"id": 9, "type": 1, "name": "good", "models": "m", "key": "k"}"#;

#[test]
fn a_mistake_costs_its_channel_alone_and_is_named_with_its_field_and_never_with_its_value() {
    let cases = [
        (r#""models": "m""#, "type: it is missing"),
        (r#""type": 1"#, "models: it is missing"),
        (r#""type": 8, "models": "m""#, "base_url: nothing says where to call"),
        (r#""type": 8, "models": "m", "base_url": "https://u:secret@h""#, "base_url: a base URL carries no user name"),
        (r#""type": "one", "models": "m""#, "type: expected a whole number, found a text"),
        (r#""type": 1, "status": [], "models": "m""#, "status: expected a whole number, found a list"),
        (
            r#""type": 1, "priority": "high", "models": "m", "key": "k""#,
            "priority: expected a whole number, found a text",
        ),
        (
            r#""type": 1, "models": "m", "key": "sk secret""#,
            "key (line 1): this is not a key: it has spaces, several lines or characters outside ASCII",
        ),
        (
            r#""type": 1, "models": "m", "model_mapping": "sk-secret""#,
            "model_mapping: expected a table of names, as the text of a JSON object, found a text",
        ),
    ];
    for (fields, why) in cases {
        let draft = draft(&format!(r#"[{{"id": 3, "name": "bad", "weight": 5, {fields}}}, {GOOD}]"#)).unwrap();
        let lines = draft.remarks.lines();
        assert!(lines[0].starts_with(&format!("channel 3 (bad): left out: {why}")), "{lines:?}");
        assert_eq!(draft.deployments.len(), 1, "{fields}");
        assert!(!lines.join("\n").contains("secret"), "{lines:?}");
        assert!(!lines.join("\n").contains("weight"), "what it says besides is of no concern: {lines:?}");
    }
}

#[test]
fn all_channels_with_one_mistake_are_one_remark_by_whatever_names_they_have() {
    let bad = r#""type": 8, "models": "m", "key": "k""#;
    let text =
        format!(r#"[{{"id": 1, "name": "a", {bad}}}, {{"id": 2, {bad}}}, {{"name": "c", {bad}}}, {{{bad}}}, {GOOD}]"#);
    let lines = draft(&text).unwrap().remarks.lines();
    let named = "channel 1 (a), channel 2, channel (c), channels[3]: left out: base_url: nothing says where to call";
    assert!(lines[0].starts_with(named), "{lines:?}");
}

#[test]
fn what_is_no_export_is_refused_with_its_place() {
    let cases = [
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

#[test]
fn a_name_that_nobody_can_ask_for_is_said_and_its_neighbours_serve() {
    let said = with(
        r#""type": 1, "key": "k", "models": "a b,c", "model_mapping": "{\"c\": \"d\", \"x\": \"y\", \"z\": \"\"}""#,
    );
    let draft = said.unwrap();
    let lines = draft.remarks.lines();
    assert_eq!((draft.routes.len(), draft.routes[0].name.as_str()), (1, "c"));
    assert!(lines[0].starts_with("`a b` of channel 1 (one): no model can be called so"), "{lines:?}");
    assert!(lines[1].starts_with("`x` of channel 1 (one): `model_mapping` has it and `models` has not"), "{lines:?}");
}

#[test]
fn a_step_on_the_way_of_a_mapping_is_no_name_of_its_own() {
    let mapping = r#""type": 1, "key": "k", "models": "a", "model_mapping": "{\"a\": \"b\", \"b\": \"c\"}""#;
    let idle = |fields: &str| with(fields).unwrap().remarks.lines().join("\n").contains("`b` of channel 1 (one)");
    assert!(!idle(&format!(r#"{mapping}, "auto_ban": 1"#)));
    assert!(idle(mapping), "one-api looks once");
}

#[test]
fn several_keys_in_a_field_that_is_left_out_are_as_many_to_fetch() {
    let of = |info: &str| with(&format!(r#""type": 1, "models": "m", "channel_info": {{{info}}}"#)).unwrap();
    let several = of(r#""is_multi_key": true, "multi_key_size": 3, "multi_key_status_list": {"1": 2}"#);
    let keys = several.deployments.iter().map(|one| one.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys, [Key::Absent(1, 0), Key::Absent(1, 1)]);
    assert!(several.remarks.lines()[0].contains("it has 3 keys in one field"), "{:?}", several.remarks.lines());
    assert!(several.remarks.lines()[0].contains("2 in all"), "{:?}", several.remarks.lines());
    let many = of(r#""is_multi_key": true, "multi_key_size": 5000"#);
    assert_eq!(many.deployments.len(), 100);
    let uncounted = of(r#""is_multi_key": true"#);
    assert!(uncounted.remarks.lines()[0].contains("how many is not said"), "{:?}", uncounted.remarks.lines());
    assert_eq!(of(r#""is_multi_key": false, "multi_key_size": 0"#).deployments.len(), 1);
}

#[test]
fn a_server_near_by_may_want_no_key() {
    let said =
        |fields: &str| with(&format!(r#""type": 8, "models": "m", {fields}"#)).unwrap().remarks.lines().join("\n");
    for url in [
        "http://127.0.0.1:8000",
        "http://localhost:8000",
        "http://[::1]:8000",
        "http://10.1.2.3:8000",
        "http://vllm:8000",
    ] {
        let said = said(&format!(r#""base_url": "{url}""#));
        assert!(said.contains("channel 1 (one): it has no key here") && said.contains("`keys = []`"), "{url}: {said}");
    }
    assert!(!said(r#""base_url": "https://relay.example.com""#).contains("keys = []"));
    assert!(!said(r#""base_url": "http://127.0.0.1:8000", "key": "k""#).contains("keys = []"));
}
