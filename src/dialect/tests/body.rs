//! Bodies: what is read of them, what changes on the way, and what is refused.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::dialect::{BodyError, InjectUsage, Kind, UsageWish, read_head, splice};
use crate::engine::{Capabilities, ContentKind, Thinking};
use crate::units::Tokens;

fn read(body: &str) -> Result<String, BodyError> {
    read_head(Kind::Chat, body.as_bytes()).map(|head| head.model.into_owned())
}

fn spliced(body: &str, model: &str, inject: InjectUsage) -> String {
    let bytes = Bytes::copy_from_slice(body.as_bytes());
    let points = read_head(Kind::Chat, &bytes).unwrap().splice_points();
    String::from_utf8(splice(&bytes, &points, model, inject).concat()).unwrap()
}

#[test]
fn only_the_models_name_changes() {
    let body = "{ \"messages\" : [],\n\t\"model\" : \"gpt-4o\" , \"x\":1.0e0, \"y\":\"\\u0041\" }";
    assert_eq!(spliced(body, "glm-5", InjectUsage::No), body.replace("gpt-4o", "glm-5"));
    assert_eq!(spliced(body, "a\"b", InjectUsage::No), body.replace("gpt-4o", "a\\\"b"));
}

#[test]
fn usage_is_asked_for_where_the_client_did_not() {
    let rest = r#""model":"m","messages":[],"stream":true"#;
    let cases = [
        (String::new(), json!({"include_usage": true})),
        (r#","stream_options":null"#.into(), json!({"include_usage": true})),
        (r#","stream_options":{"include_usage":false,"x":1}"#.into(), json!({"include_usage": true, "x": 1})),
    ];
    for (extra, expected) in cases {
        let body = format!("{{{rest}{extra}}}");
        let head = read_head(Kind::Chat, body.as_bytes()).unwrap();
        assert_eq!(head.usage_wish, UsageWish::NotAsked);
        let sent: Value = serde_json::from_str(&spliced(&body, "m", InjectUsage::Yes)).unwrap();
        assert_eq!(sent["stream_options"], expected, "{body}");
    }
}

#[test]
fn escapes_in_names_and_keys_do_not_hide_the_model() {
    assert_eq!(read(r#"{"m\u006fdel":"gpt\u002d4o","messages":[]}"#).unwrap(), "gpt-4o");
}

#[test]
fn a_model_named_twice_is_refused() {
    for body in [r#"{"model":"a","messages":[],"model":"b"}"#, r#"{"model":"a","messages":[],"m\u006fdel":"b"}"#] {
        assert!(matches!(read(body), Err(BodyError::Syntax(_))), "{body}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let cases = [
        (r#"{"messages":[]}"#, Some("model")),
        (r#"{"model":"","messages":[]}"#, Some("model")),
        (r#"{"model":7,"messages":[]}"#, Some("model")),
        (r#"{"model":"m"}"#, Some("messages")),
        (r#"{"model":"m","messages":"hi"}"#, Some("messages")),
        (r#"{"model":"m","messages":[],"stream":"yes"}"#, Some("stream")),
        (r#"{"model":"m","messages":[],"max_tokens":-1}"#, Some("max_tokens")),
        (r#"{"model":"m","messages":[],"n":1.5}"#, Some("n")),
        (r#"{"model":"m","messages":[],"stream_options":[]}"#, Some("stream_options")),
        (r#"["m"]"#, None),
        ("", None),
        (r#"{"model":"m","messages":[]} x"#, None),
        (r#"{"model":"m","messages":["#, None),
    ];
    for (body, param) in cases {
        assert_eq!(read(body).unwrap_err().param(), param, "{body}");
    }
    assert!(matches!(read_head(Kind::Chat, b"{\"model\":\"\xff\"}"), Err(BodyError::NotUtf8(_))));
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    let deep = "[".repeat(1_000_000);
    let body = format!(r#"{{"model":"m","messages":{deep}"#);
    assert!(matches!(read(&body), Err(BodyError::TooDeep)));
    let brackets_in_text = format!(r#"{{"model":"m","messages":[{{"content":"\\\"{deep}"}}]}}"#);
    assert!(read(&brackets_in_text).is_ok());
}

#[test]
fn needs_are_read_from_structure_and_not_from_text() {
    let needs = |body: Value| read_head(Kind::Chat, body.to_string().as_bytes()).unwrap().needs;
    let text =
        json!({"model": "m", "messages": [{"role": "user", "content": "\"image_url\" \"input_audio\""}], "tools": []});
    assert_eq!(needs(text), Capabilities::NONE);
    let image = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]});
    assert_eq!(needs(image), Capabilities::VISION);
    let tools = json!({"model": "m", "messages": [], "tools": [{"type": "function"}], "response_format": {"type": "json_schema"}});
    assert_eq!(needs(tools), Capabilities::TOOLS.with(Capabilities::JSON_SCHEMA));
}

#[test]
fn the_most_output_counts_every_choice() {
    let most = |fields: &str| {
        let body = format!(r#"{{"model":"m","messages":[]{fields}}}"#);
        read_head(Kind::Chat, body.as_bytes()).unwrap().max_output
    };
    assert_eq!(most(""), None);
    assert_eq!(most(r#","max_tokens":null"#), None);
    assert_eq!(most(r#","max_tokens":10,"n":3"#), Some(Tokens(30)));
    assert_eq!(most(r#","max_tokens":10,"max_completion_tokens":20"#), Some(Tokens(20)));
}

#[test]
fn token_ids_are_counted_and_images_do_not_count_by_their_bytes() {
    let ids = read_head(Kind::Embedding, br#"{"model":"m","input":[[1,2,3],[4,5]]}"#).unwrap();
    assert_eq!(ids.content.usual_tokens(), Tokens(5));
    let image = format!(
        r#"{{"model":"m","messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]}}]}}"#,
        "A".repeat(1_000_000)
    );
    let estimate = read_head(Kind::Chat, image.as_bytes()).unwrap().content.usual_tokens();
    assert!((Tokens(765)..Tokens(820)).contains(&estimate), "{estimate}");
}

#[test]
fn images_count_by_their_detail_and_tools_by_a_rate_of_their_own() {
    let amount = |content: Value, kind| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": content}],
            "tools": [{"type": "function", "function": {"name": "weather", "description": "\"image_url\": 天气"}}]});
        read_head(Kind::Chat, body.to_string().as_bytes()).unwrap().content.amount(kind)
    };
    let image = |detail: &str| json!({"type": "image_url", "image_url": {"detail": detail, "url": "data:image/png;base64,QUJD"}});
    let images = |content: Value| amount(content, ContentKind::Images);
    assert!((images(json!([image("low")])) - 85.0).abs() < 1e-9);
    assert!((images(json!([image("high"), image("low"), image("auto")])) - (765.0 + 85.0 + 765.0)).abs() < 1e-9);
    assert!(images(json!("\"image_url\":")).abs() < 1e-9);
    let text = amount(json!("hi"), ContentKind::Latin);
    assert!(text < 40.0, "the tools are no prose: {text}");
    assert!(amount(json!("hi"), ContentKind::Schema) > 80.0);
    assert!((amount(json!("hi"), ContentKind::Cjk) - 6.0).abs() < 1e-9);
}

#[test]
fn how_much_shall_be_thought_is_read_and_never_refused() {
    let thinking = |fields: &str| {
        let body = format!(r#"{{"model":"m","messages":[]{fields}}}"#);
        read_head(Kind::Chat, body.as_bytes()).unwrap().thinking
    };
    assert_eq!(thinking(""), Thinking::Unknown);
    assert_eq!(thinking(r#","reasoning_effort":"low""#), Thinking::Low);
    assert_eq!(thinking(r#","thinking":{"type":"disabled"}"#), Thinking::Off);
    assert_eq!(thinking(r#","reasoning_effort":{"of":"tomorrow"}"#), Thinking::Unknown);
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(read_head(Kind::Chat, &body));
    }

    #[test]
    fn reading_agrees_with_a_full_parser(model in ".{1,12}", text in ".{0,80}", stream: bool, max in proptest::option::of(0_u32..9_000)) {
        let body = json!({"model": model, "messages": [{"role": "user", "content": text}], "stream": stream, "max_tokens": max});
        let body = body.to_string();
        let head = read_head(Kind::Chat, body.as_bytes()).unwrap();
        prop_assert_eq!(&*head.model, model.as_str());
        prop_assert_eq!(head.stream, stream);
        prop_assert_eq!(head.max_output, max.map(|max| Tokens(max.into())));
    }

    #[test]
    fn splicing_changes_the_model_and_the_options_and_nothing_else(from in ".{1,12}", to in ".{1,12}", text in ".{0,80}") {
        let body = json!({"z": text, "model": from, "messages": [{"content": text}], "stream": true});
        let mut expected = body.clone();
        expected["model"] = to.clone().into();
        prop_assert_eq!(&serde_json::from_str::<Value>(&spliced(&body.to_string(), &to, InjectUsage::No)).unwrap(), &expected);
        expected["stream_options"] = json!({"include_usage": true});
        prop_assert_eq!(serde_json::from_str::<Value>(&spliced(&body.to_string(), &to, InjectUsage::Yes)).unwrap(), expected);
    }
}

#[test]
fn files_inside_the_body_are_not_counted_as_text_and_text_about_them_is() {
    let estimate = |content: &Value| {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": content}]}).to_string();
        read_head(Kind::Chat, body.as_bytes()).unwrap().content.usual_tokens().0
    };
    let bytes = "QUJD".repeat(50_000);
    let pdf = json!([{"type": "file", "file": {"file_data": format!("data:application/pdf;base64,{bytes}")}}]);
    let sound = json!([{"type": "input_audio", "input_audio": {"data": bytes, "format": "wav"}}]);
    assert!(estimate(&pdf) < 1_000 && estimate(&sound) < 1_000);
    assert!(estimate(&json!(format!("what is ;base64, {bytes}"))) > 40_000);
    assert!(estimate(&json!(format!("<img src=\"data:image/png;base64,{bytes}\">"))) > 40_000, "read as text");
}

#[test]
fn a_body_full_of_markers_is_read_in_one_pass() {
    let body = json!({"model": "m", "messages": [{"content": "data:;base64,\"data:".repeat(200_000)}]}).to_string();
    assert!(read_head(Kind::Chat, body.as_bytes()).is_ok());
}

#[test]
fn no_second_model_is_named_by_another_spelling() {
    for extra in [r#""Model":"b""#, r#""MODEL":"b""#, r#""m\u004fdel":"b""#, r#""models":["b"]"#] {
        let body = format!(r#"{{"model":"a","messages":[],{extra}}}"#);
        assert!(matches!(read(&body), Err(BodyError::Syntax(_))), "{body}");
    }
    assert_eq!(read(r#"{"model":"a","messages":[],"modal":"b","model_config":{"model":"c"}}"#).unwrap(), "a");
}

#[test]
fn what_only_one_account_has_is_noticed_and_what_people_write_of_it_is_not() {
    let is_pinned = |messages: &str| {
        let body = format!("{{\"model\":\"m\",\"messages\":{messages}}}");
        read_head(Kind::Chat, body.as_bytes()).unwrap().is_pinned
    };
    for pinned in [
        r#"[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]"#,
        r#"[{"role":"user","content":[{"type":"file","file":{"file_id" : "file-1"}}]}]"#,
        r#"[{"role":"assistant","audio":{"id":"audio_1"}}]"#,
        r#"[{"role":"assistant","audio" : { "id": "audio_1"}}]"#,
    ] {
        assert!(is_pinned(pinned), "{pinned}");
    }
    for free in [
        r#"[{"role":"user","content":"what is \"file_id\": and \"audio\":{\"id\"?"}]"#,
        r#"[{"role":"user","content":"file_id"}]"#,
        r#"[{"role":"user","content":[{"type":"file","file":{"file_data":"data:application/pdf;base64,AA=="}}]}]"#,
        r#"[{"role":"user","content":[{"type":"text","text":"file_id"}]}]"#,
    ] {
        assert!(!is_pinned(free), "{free}");
    }
}
