//! Canaries and stand-ins: a share of the conversations goes somewhere else, and vectors of two models are never mixed.

use std::collections::HashMap;

use faregate::simulated::Fault;
use serde_json::{Value, json};

use crate::rig::{Rig, provider, serving, upstream};

const POLICY: &str = r#"
[objective]
spread = "0%"
[[routes]]
name = "chat"
models = ["fast"]
cluster = ["old/m"]
canary = { endpoint = "new/m", share = "25%" }
"#;

fn talk(number: u32, answer: Option<&str>) -> Value {
    let mut messages =
        vec![json!({ "role": "system", "content": "s" }), json!({ "role": "user", "content": format!("q{number}") })];
    if let Some(answer) = answer {
        messages.push(json!({ "role": "assistant", "content": answer }));
        messages.push(json!({ "role": "user", "content": "more" }));
    }
    json!({ "model": "fast", "messages": messages })
}

#[tokio::test(start_paused = true)]
async fn a_canary_gets_its_share_of_the_conversations_and_keeps_them() {
    let (old, new) = (provider(serving(&["m"])), provider(serving(&["m"])));
    // The new one is cheaper by far: by the score it would get everything.
    let config = upstream("old", "m", "5", "5") + &upstream("new", "m", "1", "1");
    let rig = Rig::new(&config, POLICY, &[("old", &old), ("new", &new)]);
    let mut first = HashMap::new();
    for number in 0..200 {
        let reply = rig.post("/v1/chat/completions", &talk(number, None)).await;
        first.insert(number, reply.header("x-faregate-upstream").to_owned());
    }
    let canaries = first.values().filter(|upstream| *upstream == "new").count();
    assert!((25..=80).contains(&canaries), "{canaries} of 200 at 25 %");
    for number in 0..200 {
        let reply = rig.post("/v1/chat/completions", &talk(number, Some("a"))).await;
        assert_eq!(reply.header("x-faregate-upstream"), first[&number], "conversation {number}");
    }

    new.set_fault(Some(Fault::Outage));
    for number in 0..20 {
        assert_eq!(rig.post("/v1/chat/completions", &talk(number, None)).await.status, 200);
    }
    old.set_fault(Some(Fault::Outage));
    new.set_fault(None);
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    for number in 0..20 {
        assert_eq!(rig.post("/v1/chat/completions", &talk(number, None)).await.status, 200, "and the other way round");
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_without_a_system_prompt_stays_on_its_side() {
    let (old, new) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("old", "m", "5", "5") + &upstream("new", "m", "1", "1");
    let rig = Rig::new(&config, POLICY, &[("old", &old), ("new", &new)]);
    let mut canaries = 0;
    for number in 0..60 {
        let mut by = Vec::new();
        for turn in 1..=3 {
            let mut body = talk(number, (turn > 1).then_some("a"));
            body["messages"].as_array_mut().unwrap().remove(0);
            by.push(rig.post("/v1/chat/completions", &body).await.header("x-faregate-upstream").to_owned());
        }
        assert!(by.iter().all(|one| *one == by[0]), "{number}: {by:?}");
        canaries += u32::from(by[0] == "new");
    }
    assert!((5..=30).contains(&canaries), "{canaries} of 60 at 25 %");
}

#[tokio::test(start_paused = true)]
async fn embeddings_stay_with_one_model_unless_the_operator_calls_them_equivalent() {
    for (line, status) in [("", 502), ("equivalent = true", 200)] {
        let (a, b) = (provider(serving(&["e1"])), provider(serving(&["e2"])));
        let config = upstream("a", "e1", "5", "5") + &upstream("b", "e2", "1", "1");
        let policy = format!(
            "[objective]\nspread = \"0%\"\n[[routes]]\nname = \"r\"\nmodels = [\"vec\"]\ncluster = [\"a/e1\", \"b/e2\"]\n{line}\n"
        );
        let rig = Rig::new(&config, &policy, &[("a", &a), ("b", &b)]);
        let body = json!({ "model": "vec", "input": "x" });
        if line.is_empty() {
            assert_eq!(
                rig.post("/v1/embeddings", &body).await.header("x-faregate-upstream"),
                "a",
                "the first, if dearer"
            );
        }
        a.set_fault(Some(Fault::Outage));
        let reply = rig.post("/v1/embeddings", &body).await;
        assert_eq!((reply.status.as_u16(), b.stats().requests > 0), (status, status == 200), "{}", reply.text());
    }
}

/// Three accounts of the catalogue's, under the policy for moving away from OpenAI.
fn moving() -> (Rig, Vec<std::sync::Arc<faregate::simulated::Provider>>) {
    let upstream = |name: &str| {
        format!(
            "[upstreams.{name}]\nprovider = \"{name}\"\nbase_url = \"http://{name}/v1\"\nkeys = [\"literal:sk-{name}\"]\n"
        )
    };
    let names = ["openai", "zhipu", "zhinao"];
    let models: [&[&str]; 3] = [&["gpt-4o"], &["glm-5.3", "glm-5.3-flash"], &["360gpt2-pro"]];
    let providers: Vec<_> = models.iter().map(|models| provider(serving(models))).collect();
    let config = names.map(upstream).concat();
    let hosts: Vec<_> = names.iter().copied().zip(&providers).collect();
    (Rig::new(&config, include_str!("../../policies/migrate-from-openai.toml"), &hosts), providers)
}

#[tokio::test(start_paused = true)]
async fn an_application_on_openais_names_goes_on_when_openai_refuses_its_region() {
    let (rig, providers) = moving();
    let blocked = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","type":"request_forbidden"}}"#;
    let blocked = faregate::simulated::Canned { status: 403, headers: Vec::new(), body: blocked.to_owned() };
    providers[0].set_fault(Some(Fault::Reply(blocked)));
    let mut others = HashMap::<String, u32>::new();
    for number in 0..60 {
        let mut body = talk(number, None);
        body["model"] = "gpt-4o".into();
        let reply = rig.post("/v1/chat/completions", &body).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        *others.entry(reply.header("x-faregate-upstream").to_owned()).or_default() += 1;
    }
    assert!(!others.contains_key("openai"), "{others:?}");
    assert!(providers[0].stats().requests <= 2, "the block was learned from one answer");

    // A long prompt fits one of them only.
    let mut long = talk(1, None);
    long["model"] = "gpt-4o".into();
    long["messages"][1]["content"] = "word ".repeat(60_000).into();
    let reply = rig.post("/v1/chat/completions", &long).await;
    assert_eq!((reply.status.as_u16(), reply.header("x-faregate-upstream")), (200, "zhipu"));
}

#[tokio::test(start_paused = true)]
async fn an_openai_that_says_nothing_is_given_up_while_there_is_time_for_others() {
    for stream in [false, true] {
        let (rig, providers) = moving();
        providers[0].set_fault(Some(Fault::HangBeforeHead));
        for number in 0..3 {
            let mut body = talk(number, None);
            body["model"] = "gpt-4o".into();
            body["stream"] = stream.into();
            let reply = rig.post("/v1/chat/completions", &body).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_no_stand_in_of_a_model_can_do_one_of_another_model_does() {
    let (rig, providers) = moving();
    providers[0].set_fault(Some(Fault::Outage));
    let picture = json!([{ "type": "image_url", "image_url": { "url": "data:image/png;base64,AA==" } }]);
    for number in 0..3 {
        let mut body = talk(number, None);
        body["model"] = "gpt-4o".into();
        body["messages"][1]["content"] = picture.clone();
        let reply = rig.post("/v1/chat/completions", &body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.header("x-faregate-model")),
            (200, "glm-5.3-flash"),
            "{}",
            reply.text()
        );
    }
    // Words alone stay with the model's own.
    let mut body = talk(9, None);
    body["model"] = "gpt-4o".into();
    let reply = rig.post("/v1/chat/completions", &body).await;
    assert!(["glm-5.3", "360gpt2-pro"].contains(&reply.header("x-faregate-model")), "{:?}", reply.headers);

    // What nobody can do is said, and who is left alone for what.
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "a", "schema": { "type": "object" } } });
    body["response_format"] = schema;
    // For want of anything better OpenAI is asked once more, and then left alone for a moment.
    let failed = rig.post("/v1/chat/completions", &body).await;
    assert!(
        failed.text().contains("not asked: zhipu/glm-5.3#literal cannot do what is asked for"),
        "{}",
        failed.text()
    );
    let reply = rig.post("/v1/chat/completions", &body).await;
    assert_eq!(reply.status, 503, "{}", reply.text());
    for word in ["openai/gpt-4o#literal has failed (reset)", "zhipu/glm-5.3#literal cannot do what is asked for"] {
        assert!(reply.text().contains(word), "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn while_openai_answers_the_others_get_the_share_of_the_canary() {
    let (rig, _) = moving();
    let mut by_openai = 0;
    for number in 0..200 {
        let mut body = talk(number, None);
        body["model"] = "gpt-4o".into();
        by_openai += u32::from(rig.post("/v1/chat/completions", &body).await.header("x-faregate-upstream") == "openai");
    }
    assert!((175..200).contains(&by_openai), "{by_openai} of 200");
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_all_but_the_canary_is_tried_a_few_times_only() {
    let (rig, providers) = moving();
    providers[0].set_fault(Some(Fault::Outage));
    for number in 0..200 {
        let mut body = talk(number, None);
        body["model"] = "gpt-4o".into();
        assert_eq!(rig.post("/v1/chat/completions", &body).await.status, 200);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let tries = rig.metric("faregate_failovers_total{from=\"openai/gpt-4o#literal\",reason=\"reset\"}");
    assert!((1.0..=20.0).contains(&tries), "{tries} in 20 s");
}

#[tokio::test(start_paused = true)]
async fn openai_is_asked_for_the_model_that_was_asked_for_and_what_it_no_longer_has_comes_from_others() {
    let (rig, providers) = moving();
    let ask = async |number: u32, model: &str| {
        let mut body = talk(number, None);
        body["model"] = model.into();
        rig.post("/v1/chat/completions", &body).await
    };
    // Each is a conversation, and all but the canary's are OpenAI's. It serves one model here: another name would be
    // refused, and its conversation would be answered elsewhere.
    let mut by_openai = 0;
    for number in 0..40 {
        let reply = ask(number, "gpt-4o-2024-11-20").await;
        let is_openais = reply.header("x-faregate-upstream") == "openai";
        assert!(!is_openais || reply.header("x-faregate-model") == "gpt-4o", "{:?}", reply.header("x-faregate-model"));
        by_openai += u64::from(is_openais);
    }
    assert!(by_openai > 30, "{by_openai} of 40");
    let asked = providers[0].stats().requests;
    assert_eq!(asked, by_openai);

    for number in 0..10 {
        let reply = ask(number, "gpt-4-turbo").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_ne!(reply.header("x-faregate-upstream"), "openai");
    }
    assert_eq!(providers[0].stats().requests, asked, "OpenAI has retired it");

    let reply = ask(0, "gpt-99").await;
    assert_eq!((reply.status.as_u16(), reply.code()), (404, "no_route".to_owned()));
}

/// Two accounts that stand in for other models of OpenAI's.
fn stand_ins() -> (Rig, std::sync::Arc<faregate::simulated::Provider>, std::sync::Arc<faregate::simulated::Provider>) {
    let (kimi, step) = (provider(serving(&["kimi-k3"])), provider(serving(&["step-3.7-flash"])));
    let upstream = |name: &str| {
        format!("[upstreams.{name}]\nprovider = \"{name}\"\nbase_url = \"http://{name}/v1\"\nkeys = [\"literal:sk\"]\n")
    };
    let config = upstream("moonshot") + &upstream("stepfun");
    let policy = "[[routes]]\nname = \"r\"\nmodels = [\"gpt-*\"]\ncluster = [\"@*\"]\n";
    (Rig::new(&config, policy, &[("moonshot", &kimi), ("stepfun", &step)]), kimi, step)
}

#[tokio::test(start_paused = true)]
async fn a_sole_stand_in_that_hangs_leaves_time_for_those_of_other_models() {
    let (rig, kimi, step) = stand_ins();
    kimi.set_fault(Some(Fault::HangBeforeHead));
    let mut body = talk(1, None);
    body["model"] = "gpt-5".into();
    let reply = rig.post("/v1/chat/completions", &body).await;
    assert_eq!((reply.status.as_u16(), step.stats().requests), (200, 1), "{}", reply.text());
}

#[tokio::test(start_paused = true)]
async fn what_one_account_has_is_not_asked_of_a_stand_in_for_another_model() {
    let (rig, kimi, step) = stand_ins();
    kimi.set_fault(Some(Fault::Outage));
    let file = json!([{ "type": "file", "file": { "file_id": "file-1" } }]);
    let body = json!({ "model": "gpt-5", "messages": [{ "role": "user", "content": file }] });
    for _ in 0..3 {
        assert_ne!(rig.post("/v1/chat/completions", &body).await.status, 200);
    }
    assert_eq!(step.stats().requests, 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_told_when_the_stand_ins_come_back() {
    let (rig, kimi, step) = stand_ins();
    let snapshot = rig.worker.shared.snapshot();
    for seat in snapshot.seats.values().filter(|seat| seat.cell.id.as_str().starts_with("moonshot/")) {
        seat.cell.set_wish(faregate::state::Override::Disabled, None);
    }
    let headers = vec![("retry-after".to_owned(), "2".to_owned())];
    step.set_fault(Some(Fault::Reply(faregate::simulated::Canned { status: 429, headers, body: String::new() })));
    let mut body = talk(1, None);
    body["model"] = "gpt-5".into();
    rig.post("/v1/chat/completions", &body).await;
    let reply = rig.post("/v1/chat/completions", &body).await;
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (429, "2"), "{}", reply.text());
    assert_eq!(kimi.stats().requests, 0);
}
