//! What is changed of a request, and how it is told.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::dialect::{Adjustments, Bounds, Content, InjectUsage, Kind, Reasoning, adjust, read_head};

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(one, two)| ((*one).to_owned(), (*two).to_owned())).collect()
}

fn changed_by(body: &Value, rules: [&Adjustments; 2]) -> (Value, Vec<String>) {
    let bytes = Bytes::from(body.to_string());
    let points = read_head(Kind::Chat, &bytes).unwrap().splice_points();
    let adjusted = adjust(Kind::Chat, &bytes, &points, "theirs", InjectUsage::No, &rules);
    (serde_json::from_slice(&adjusted.segments.concat()).unwrap(), adjusted.told)
}

fn changed(body: &Value, rules: &Adjustments) -> (Value, Vec<String>) {
    changed_by(body, [rules, &Adjustments::default()])
}

fn chat(more: &Value) -> Value {
    let mut body = json!({ "model": "ours", "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn of_a_field_that_is_there_twice_one_goes_on() {
    let body = Bytes::from_static(br#"{"model":"ours","messages":[],"temperature":9,"temperature":0.5,"seed":1}"#);
    let points = read_head(Kind::Chat, &body).unwrap().splice_points();
    let bounds = vec![("temperature".to_owned(), Bounds { min: None, max: Some(1.0) })];
    let rules = Adjustments { drop: vec!["seed".into()], bounds, ..Adjustments::default() };
    let adjusted = adjust(Kind::Chat, &body, &points, "theirs", InjectUsage::No, &[&rules]);
    let text = String::from_utf8(adjusted.segments.concat()).unwrap();
    assert_eq!(text, r#"{"model":"theirs","messages":[],"temperature":0.5}"#);
}

#[test]
fn what_no_rule_finds_goes_on_byte_for_byte() {
    let body =
        Bytes::from_static(b"{ \"model\" :\"ours\",\"messages\":[],\n \"x\": 1e400, \"y\" : {\"temperature\":3} }");
    let points = read_head(Kind::Chat, &body).unwrap().splice_points();
    // `n` is a letter of almost everything, and no field of this.
    let bounds = vec![("n".to_owned(), Bounds { min: None, max: Some(1.0) })];
    let rules = Adjustments { drop: vec!["seed".into()], bounds, ..Adjustments::default() };
    let adjusted = adjust(Kind::Chat, &body, &points, "theirs", InjectUsage::No, &[&rules]);
    let text = String::from_utf8(adjusted.segments.concat()).unwrap();
    assert_eq!(text, String::from_utf8_lossy(&body).replace("ours", "theirs"));
    assert!(adjusted.told.is_empty());
}

#[test]
fn fields_are_renamed_dropped_replaced_and_bounded_and_all_else_stays() {
    let rules = Adjustments {
        rename: pairs(&[("max_completion_tokens", "max_tokens")]),
        drop: vec!["seed".into()],
        replace: vec![("tool_choice".into(), "required".into(), "any".into())],
        bounds: vec![
            ("temperature".into(), Bounds { min: Some(0.01), max: Some(1.0) }),
            ("max_tokens".into(), Bounds { min: Some(1.0), max: Some(2048.0) }),
        ],
        ..Adjustments::default()
    };
    let body = chat(&json!({
        "temperature": 1.5, "seed": 7, "max_completion_tokens": 9000, "tool_choice": "required", "new": [1, { "a": null }],
    }));
    let (found, told) = changed(&body, &rules);
    let expected = json!({
        "model": "theirs", "messages": body["messages"], "temperature": 1.0, "tool_choice": "any",
        "new": [1, { "a": null }], "max_tokens": 2048,
    });
    assert_eq!(found, expected);
    let words = "max_completion_tokens renamed max_tokens, seed dropped, tool_choice required to any, \
                 temperature 1.5 to 1.0, max_tokens 9000 to 2048";
    assert_eq!(told.join(", "), words);
}

#[test]
fn where_both_names_stand_the_wanted_one_counts() {
    let rules = Adjustments { rename: pairs(&[("max_completion_tokens", "max_tokens")]), ..Adjustments::default() };
    let (found, told) = changed(&chat(&json!({ "max_tokens": 1, "max_completion_tokens": 2 })), &rules);
    assert_eq!((&found["max_tokens"], found.get("max_completion_tokens")), (&json!(1), None));
    assert_eq!(told, ["max_completion_tokens dropped"]);
}

#[test]
fn of_two_bounds_on_the_answer_the_smaller_counts_and_null_is_none() {
    let rules = Adjustments { rename: pairs(&[("max_tokens", "max_new_tokens")]), ..Adjustments::default() };
    for (own, other, sent) in [
        (json!(5), json!(9), json!(5)),
        (json!(9), json!(5), json!(5)),
        (json!(5), json!(null), json!(5)),
        (json!(null), json!(9), json!(9)),
        (json!(5), json!("9"), json!(5)),
    ] {
        let (found, _) = changed(&chat(&json!({ "max_tokens": own, "max_new_tokens": other })), &rules);
        assert_eq!((&found["max_new_tokens"], found.get("max_tokens")), (&sent, None), "{own} {other}");
    }
}

#[test]
fn what_a_route_decides_holds_where_a_provider_has_another_name_for_it() {
    let provider = Adjustments {
        rename: pairs(&[
            ("max_tokens", "max_new_tokens"),
            ("max_completion_tokens", "max_new_tokens"),
            ("temperature", "heat"),
            ("user", "end_user"),
        ]),
        ..Adjustments::default()
    };
    let route = Adjustments { set: pairs(&[("user", "\"app\"")]), ..Adjustments::default() }
        .with_cap("max_tokens", 20.0)
        .with_cap("temperature", 1.0);
    let sent = |more: Value| changed_by(&chat(&more), [&route, &provider]).0;
    for asked in [json!(5_000_000), json!(null), json!("5000000")] {
        assert_eq!(sent(json!({ "max_new_tokens": asked }))["max_new_tokens"], 20, "{asked}");
    }
    assert_eq!(sent(json!({ "max_new_tokens": 7 }))["max_new_tokens"], 7);
    assert_eq!(sent(json!({ "max_tokens": 30, "max_new_tokens": 40 }))["max_new_tokens"], 20);
    assert_eq!(sent(json!({ "heat": 9 }))["heat"], 1);
    assert_eq!(sent(json!({ "end_user": "alice", "user": "bob" }))["end_user"], "app");
}

#[test]
fn a_cap_is_seen_though_its_field_stands_by_the_providers_name_only() {
    let provider = Adjustments { rename: pairs(&[("temperature", "heat")]), ..Adjustments::default() };
    let route = Adjustments::default().with_cap("temperature", 1.0);
    let (found, told) = changed_by(&chat(&json!({ "heat": 9 })), [&route, &provider]);
    assert_eq!((&found["heat"], told), (&json!(1), vec!["heat 9 to 1".to_owned()]));
}

#[test]
fn a_length_that_is_set_has_no_other_beside_it() {
    let rules = Adjustments { set: pairs(&[("max_tokens", "50")]), ..Adjustments::default() };
    let (found, told) = changed(&chat(&json!({ "max_completion_tokens": 5_000 })), &rules);
    assert_eq!((&found["max_tokens"], found.get("max_completion_tokens")), (&json!(50), None));
    assert_eq!(told, ["max_completion_tokens dropped", "max_tokens set to 50"]);
    assert_eq!(rules.answer_bound(Some(5_000)), Some(50));
}

#[test]
fn what_is_within_bounds_or_no_number_is_left_alone() {
    let rules = Adjustments {
        bounds: vec![("temperature".into(), Bounds { min: Some(0.0), max: Some(1.0) })],
        ..Adjustments::default()
    };
    for value in [json!(0), json!(1), json!(0.30), Value::Null, json!("hot")] {
        let body = chat(&json!({ "temperature": value }));
        let (found, told) = changed(&body, &rules);
        assert_eq!((&found["temperature"], told.len()), (&value, 0));
    }
}

#[test]
fn a_route_has_defaults_and_caps_and_the_provider_comes_after_it() {
    let route =
        Adjustments { set: pairs(&[("temperature", "1.4")]), ..Adjustments::default() }.with_cap("max_tokens", 100.0);
    let provider = Adjustments {
        rename: pairs(&[("max_tokens", "max_completion_tokens")]),
        bounds: vec![("temperature".into(), Bounds { min: None, max: Some(1.0) })],
        ..Adjustments::default()
    };
    let sent = |more: Value| changed_by(&chat(&more), [&route, &provider]).0;
    assert_eq!(sent(json!({}))["max_completion_tokens"], 100, "a cap holds for those who ask for no bound");
    assert_eq!(sent(json!({ "max_tokens": 7 }))["max_completion_tokens"], 7);
    assert_eq!(sent(json!({ "max_completion_tokens": 700 }))["max_completion_tokens"], 100);
    assert_eq!(sent(json!({ "temperature": 0.1 }))["temperature"], 1.0);
    for (asked, bound) in [(None, 100), (Some(7), 7), (Some(700), 100)] {
        assert_eq!(route.answer_bound(asked), Some(bound));
    }
    assert_eq!(Adjustments::default().answer_bound(None), None);
}

#[test]
fn the_reasoning_of_earlier_turns_is_stripped_or_filled_in() {
    let turn = |fields: Value| {
        chat(
            &json!({ "messages": [{ "role": "user", "content": "q" }, fields, { "role": "developer", "content": "d" }] }),
        )
    };
    let call = json!([{ "id": "1", "type": "function", "function": { "name": "f", "arguments": "{}" } }]);
    let stripped = Adjustments {
        reasoning: Some(Reasoning::Stripped),
        roles: pairs(&[("developer", "system")]),
        ..Adjustments::default()
    };
    let (found, told) =
        changed(&turn(json!({ "role": "assistant", "content": "a", "reasoning_content": "hm" })), &stripped);
    assert_eq!(found["messages"][1], json!({ "role": "assistant", "content": "a" }));
    assert_eq!(found["messages"][2]["role"], "system");
    assert_eq!(told, ["reasoning_content dropped", "role developer to system"]);

    let required = Adjustments { reasoning: Some(Reasoning::Required), ..Adjustments::default() };
    let (found, told) = changed(&turn(json!({ "role": "assistant", "content": null, "tool_calls": call })), &required);
    assert_eq!(found["messages"][1]["reasoning_content"], "(not available)");
    assert_eq!(told, ["reasoning_content filled"]);
    let own = json!({ "role": "assistant", "content": null, "tool_calls": call, "reasoning_content": "hm" });
    let (found, told) = changed(&turn(own.clone()), &required);
    assert_eq!((&found["messages"][1], told.len()), (&own, 0), "its own thoughts stay");
}

#[test]
fn usage_is_asked_for_in_a_body_that_changes_too() {
    let body = Bytes::from(chat(&json!({ "stream": true, "seed": 1 })).to_string());
    let points = read_head(Kind::Chat, &body).unwrap().splice_points();
    let rules = Adjustments { drop: vec!["seed".into()], ..Adjustments::default() };
    let adjusted = adjust(Kind::Chat, &body, &points, "theirs", InjectUsage::Yes, &[&rules]);
    let found: Value = serde_json::from_slice(&adjusted.segments.concat()).unwrap();
    assert_eq!(found["stream_options"]["include_usage"], true);
    assert_eq!(found.get("seed"), None);
}

#[test]
fn texts_in_parts_are_joined_where_only_texts_are_taken() {
    let rules = Adjustments {
        content: Some(Content::Text),
        roles: pairs(&[("developer", "system")]),
        drop: vec!["messages[].name".into()],
        ..Adjustments::default()
    };
    let text = |text: &str| json!({ "type": "text", "text": text });
    let picture = json!([text("a"), { "type": "image_url", "image_url": { "url": "u" } }]);
    let body = chat(&json!({ "messages": [
        { "role": "developer", "content": [text("a"), text("b")], "name": "n" }, { "role": "user", "content": picture },
    ] }));
    let (found, told) = changed(&body, &rules);
    assert_eq!(
        found["messages"],
        json!([
            { "role": "system", "content": "a\nb" }, { "role": "user", "content": picture },
        ])
    );
    assert_eq!(told, ["messages[].name dropped", "content joined", "role developer to system"]);
}

#[test]
fn a_cap_holds_however_a_field_is_written() {
    let rules = Adjustments::default().with_cap("temperature", 1.0);
    for field in [r#""temperature":9"#, r#""temper\u0061ture":9"#, r#""temperature":0.5,"temperature":9"#] {
        let body = Bytes::from(format!("{{\"model\":\"ours\",\"messages\":[],{field}}}"));
        let points = read_head(Kind::Chat, &body).unwrap().splice_points();
        let adjusted = adjust(Kind::Chat, &body, &points, "theirs", InjectUsage::No, &[&rules]);
        let text = String::from_utf8(adjusted.segments.concat()).unwrap();
        assert_eq!(text, r#"{"model":"theirs","messages":[],"temperature":1}"#, "{field}");
    }
}

#[test]
fn a_value_that_is_not_taken_is_left_out_and_who_wants_no_calls_gets_no_tools() {
    let rules = Adjustments { only: vec![("tool_choice".into(), vec!["\"auto\"".into()])], ..Adjustments::default() };
    let asked = |choice: Value| chat(&json!({ "tools": [{ "type": "function" }], "tool_choice": choice }));
    for (choice, sent, tools) in [
        (json!("auto"), Some(json!("auto")), true),
        (json!({ "type": "function", "function": { "name": "f" } }), None, true),
        (json!("none"), None, false),
    ] {
        let (found, _) = changed(&asked(choice.clone()), &rules);
        assert_eq!((found.get("tool_choice"), found.get("tools").is_some()), (sent.as_ref(), tools), "{choice}");
    }
}

#[test]
fn a_request_for_vectors_is_given_fields_of_its_own_only() {
    let rules = Adjustments {
        drop: vec!["dimensions".into()],
        default: pairs(&[("max_tokens", "100"), ("reasoning_split", "true"), ("encoding_format", "\"float\"")]),
        set: pairs(&[("user", "\"app\""), ("temperature", "0"), ("house_field", "1")]),
        ..Adjustments::default()
    };
    let body = Bytes::from_static(
        br#"{"model":"ours","input":"x","user":"alice@example.org","dimensions":5,"house_field":2}"#,
    );
    let points = read_head(Kind::Embedding, &body).unwrap().splice_points();
    let adjusted = adjust(Kind::Embedding, &body, &points, "theirs", InjectUsage::No, &[&rules]);
    let found: Value = serde_json::from_slice(&adjusted.segments.concat()).unwrap();
    let expected =
        json!({ "model": "theirs", "input": "x", "user": "app", "house_field": 1, "encoding_format": "float" });
    assert_eq!(found, expected);
}

#[test]
fn how_many_answers_a_changed_body_asks_for_is_told() {
    let rules = Adjustments {
        bounds: vec![("n".into(), Bounds { min: None, max: Some(1.0) })],
        drop: vec!["seed".into()],
        ..Adjustments::default()
    };
    for (more, choices) in [(json!({ "n": 3 }), 1), (json!({ "seed": 1 }), 1), (json!({ "n": 0, "seed": 1 }), 1)] {
        let body = Bytes::from(chat(&more).to_string());
        let points = read_head(Kind::Chat, &body).unwrap().splice_points();
        let adjusted = adjust(Kind::Chat, &body, &points, "theirs", InjectUsage::No, &[&rules]);
        assert_eq!(adjusted.choices, Some(choices), "{more}");
    }
}
