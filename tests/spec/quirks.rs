//! What is changed of requests for a provider or by a route, and how the client learns of it.

use faregate::simulated::{Canned, Fault};
use serde_json::{Value, json};

use crate::rig::{Rig, chat, provider, serving, upstream};

fn sent(provider: &faregate::simulated::Provider) -> Value {
    serde_json::from_slice(&provider.recorded_requests().last().unwrap().body).unwrap()
}

fn asking(more: &Value) -> Value {
    let mut body = chat("m");
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[tokio::test(start_paused = true)]
async fn each_endpoint_gets_what_it_takes_and_the_client_is_told() {
    let (strict, loose) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let quirks = "quirks = [{ drop = [\"seed\"] }, { models = [\"m*\"], bounds = { temperature = { max = 1 } } }, \
                  { models = [\"other\"], drop = [\"user\"] }]\n";
    let config = upstream("strict", "m", "1", "1").replace("keys = []", &format!("keys = []\n{quirks}"))
        + &upstream("loose", "m", "5", "5");
    let rig = Rig::new(&config, "", &[("strict", &strict), ("loose", &loose)]);
    let body = asking(&json!({ "seed": 7, "temperature": 1.5, "user": "u" }));

    let reply = rig.post("/v1/chat/completions", &body).await;

    assert_eq!(reply.header("x-faregate-adjusted"), "seed dropped, temperature 1.5 to 1.0");
    let found = sent(&strict);
    assert_eq!((found.get("seed"), &found["temperature"], &found["user"]), (None, &json!(1.0), &json!("u")));

    strict.set_fault(Some(Fault::error_status(503)));
    let reply = rig.post("/v1/chat/completions", &body).await;
    assert!(reply.headers.get("x-faregate-adjusted").is_none(), "what was changed for another one is not told");
    assert_eq!(sent(&loose), body, "and not changed for this one");
}

#[tokio::test(start_paused = true)]
async fn a_route_has_defaults_caps_and_settings() {
    let up = provider(serving(&["m"]));
    let policy = "[[routes]]\nname = \"r\"\nmodels = [\"m\"]\ncluster = [\"up/m\"]\n\
                  params = { default = { top_p = 0.5 }, cap = { max_tokens = 20 }, set = { user = \"faregate\" } }\n";
    let rig = Rig::new(&upstream("up", "m", "1", "1"), policy, &[("up", &up)]);

    let reply = rig.post("/v1/chat/completions", &asking(&json!({ "max_tokens": 5_000, "user": "u" }))).await;

    let found = sent(&up);
    assert_eq!((&found["max_tokens"], &found["top_p"], &found["user"]), (&json!(20), &json!(0.5), &json!("faregate")));
    let told = "top_p set to 0.5, max_tokens 5000 to 20, user set to \"faregate\"";
    assert_eq!(reply.header("x-faregate-adjusted"), told);
    let own = asking(&json!({ "max_tokens": 5, "top_p": 0.1, "user": "faregate" }));
    assert!(rig.post("/v1/chat/completions", &own).await.headers.get("x-faregate-adjusted").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cap_holds_where_a_provider_has_another_name_for_the_field() {
    for (name, asked, bound) in [
        ("max_new_tokens", json!({ "max_new_tokens": 5_000_000 }), 20),
        ("max_new_tokens", json!({ "max_tokens": 7, "max_new_tokens": 5_000_000 }), 7),
        ("max_completion_tokens", json!({ "max_tokens": 10, "max_completion_tokens": null }), 10),
    ] {
        let up = provider(serving(&["m"]));
        let policy = "[[routes]]\nname = \"r\"\nmodels = [\"m\"]\ncluster = [\"up/m\"]\n\
                      params = { cap = { max_tokens = 20 } }\n";
        let quirks = format!("keys = []\nquirks = [{{ rename = {{ max_tokens = \"{name}\" }} }}]");
        let config = upstream("up", "m", "1", "1").replace("keys = []", &quirks);
        let rig = Rig::new(&config, policy, &[("up", &up)]);
        rig.post("/v1/chat/completions", &asking(&asked)).await;
        assert_eq!((&sent(&up)[name], sent(&up).get("max_tokens")), (&json!(bound), None), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn params_and_quirks_hold_for_vectors_and_bounds_on_answers_do_not() {
    let up = provider(serving(&["e"]));
    let policy = "[[routes]]\nname = \"r\"\nmodels = [\"vec\"]\ncluster = [\"up/e\"]\n\
                  params = { set = { user = \"app\", temperature = 0 }, cap = { max_tokens = 20 } }\n";
    let config =
        upstream("up", "e", "1", "1").replace("keys = []", "keys = []\nquirks = [{ drop = [\"dimensions\"] }]");
    let rig = Rig::new(&config, policy, &[("up", &up)]);
    let body = json!({ "model": "vec", "input": "x", "user": "alice@example.org", "dimensions": 5 });
    let reply = rig.post("/v1/embeddings", &body).await;
    assert_eq!(sent(&up), json!({ "model": "e", "input": "x", "user": "app" }));
    assert_eq!(reply.header("x-faregate-adjusted"), "user set to \"app\", dimensions dropped");
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_refuses_stream_options_is_not_asked_for_usage() {
    let up = provider(serving(&["m"]));
    let config =
        upstream("up", "m", "1", "1").replace("keys = []", "keys = []\nquirks = [{ drop = [\"stream_options\"] }]");
    let rig = Rig::new(&config, "", &[("up", &up)]);
    let reply = rig.stream("m").await;
    assert_eq!((reply.status.as_u16(), sent(&up).get("stream_options")), (200, None));
    assert!(reply.headers.get("x-faregate-adjusted").is_none(), "the client has not sent it");
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_was_changed_as_well() {
    let up = provider(serving(&["m"]));
    let config = upstream("up", "m", "1", "1").replace("keys = []", "keys = []\nquirks = [{ drop = [\"seed\"] }]");
    let rig = Rig::new(&config, "", &[("up", &up)]);
    let body = r#"{"error":{"message":"no"}}"#.to_owned();
    up.set_fault(Some(Fault::Reply(Canned { status: 400, headers: Vec::new(), body })));
    let reply = rig.post("/v1/chat/completions", &asking(&json!({ "seed": 1 }))).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-faregate-adjusted")), (400, "seed dropped"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_a_provider_cannot_give_is_made_of_a_whole_answer() {
    let up = provider(serving(&["m"]));
    let config =
        upstream("up", "m", "1", "1").replace("keys = []", "keys = []\nquirks = [{ fake_stream = \"with_tools\" }]");
    let rig = Rig::new(&config, "", &[("up", &up)]);
    let tools = json!([{ "type": "function", "function": { "name": "weather", "parameters": { "type": "object" } } }]);
    let body = asking(&json!({ "stream": true, "tools": tools, "stream_options": { "include_usage": true } }));

    let reply = rig.post("/v1/chat/completions", &body).await;

    assert_eq!(reply.header("content-type"), "text/event-stream");
    let found = sent(&up);
    assert_eq!((&found["stream"], found.get("stream_options")), (&json!(false), None));
    let text = reply.text();
    assert!(text.contains("chat.completion.chunk") && text.contains("total_tokens"), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");

    let plain = rig.stream("m").await;
    assert_eq!(sent(&up)["stream"], true, "without tools it can");
    assert!(plain.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_that_does_not_come_is_asked_of_another_before_all_the_time_is_gone() {
    let (a, b) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("a", "m", "1", "1")
        .replace("keys = []", "keys = []\nquirks = [{ fake_stream = \"always\" }]")
        + &upstream("b", "m", "5", "5");
    let rig = Rig::new(&config, "[objective]\nspread = \"0%\"\n", &[("a", &a), ("b", &b)]);
    a.set_fault(Some(Fault::HangBeforeHead));
    let reply = rig.stream("m").await;
    assert_eq!((reply.status.as_u16(), reply.header("x-faregate-upstream")), (200, "b"));
}

#[tokio::test(start_paused = true)]
async fn who_can_be_told_which_tools_to_call_is_asked_first() {
    let (a, b) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let quirk = "keys = []\nquirks = [{ replace = { tool_choice = { required = \"auto\" } }, only = { tool_choice = [\"auto\"] } }]";
    let config = upstream("a", "m", "1", "1").replace("keys = []", quirk) + &upstream("b", "m", "5", "5");
    let rig = Rig::new(&config, "[objective]\nspread = \"0%\"\n", &[("a", &a), ("b", &b)]);
    let tools = json!([{ "type": "function", "function": { "name": "f", "parameters": { "type": "object" } } }]);
    let ask = async |choice: Value| {
        let reply = rig.post("/v1/chat/completions", &asking(&json!({ "tools": tools, "tool_choice": choice }))).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        (reply.header("x-faregate-upstream").to_owned(), reply.header("x-faregate-adjusted").to_owned())
    };
    let named = json!({ "type": "function", "function": { "name": "f" } });
    for (choice, expected) in
        [(json!("auto"), "a"), (json!("none"), "a"), (json!("required"), "b"), (named.clone(), "b")]
    {
        assert_eq!(ask(choice.clone()).await.0, expected, "{choice}");
    }
    b.set_fault(Some(Fault::Outage));
    assert_eq!(ask(named).await, ("a".to_owned(), "tool_choice dropped".to_owned()), "rather that than nothing");
}
