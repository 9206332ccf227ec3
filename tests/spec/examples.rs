//! The shipped examples do what they say, with simulated providers in the places of the real ones.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use faregate::simulated::{Canned, Fault, Lognormal, Profile, Provider};
use faregate::units::Tokens;
use http::StatusCode;
use serde_json::{Value, json};

use crate::rig::{Reply, Rig, chat, post, provider, serving};

struct Stage {
    rig: Rig,
    providers: BTreeMap<&'static str, Arc<Provider>>,
}

/// An example with its policy; each upstream is at a simulated host of its name, and each key is a text of its own.
fn stage(wall: SystemTime, config: &str, policy: &str, upstreams: &[(&'static str, &[&str])]) -> Stage {
    let mut config = config.lines().filter(|line| !line.starts_with("policy ")).collect::<Vec<_>>().join("\n");
    config = config.replace("\"env:", "\"literal:sk-");
    for (name, _) in upstreams {
        let head = format!("[upstreams.{name}]\n");
        assert!(config.contains(&head), "{name}");
        config = config.replace(&head, &format!("{head}base_url = \"http://{name}/v1\"\n"));
    }
    // Who moves a provider elsewhere has to say where that is; and the tests begin in 1970.
    config = config
        .replace("http://mistral/v1\"\n", "http://mistral/v1\"\nregions = [\"eu\"]\n")
        .replace("2027-06-30", "1970-01-03");
    // The example says where its own server is.
    config = config.replace("base_url = \"http://vllm.internal:8000/v1\"\n", "");
    let profile = |models: &[&str]| Profile { output_tokens: Lognormal::fixed(Tokens(100)), ..serving(models) };
    let providers: BTreeMap<_, _> = upstreams.iter().map(|(name, models)| (*name, provider(profile(models)))).collect();
    let hosts: Vec<_> = providers.iter().map(|(name, provider)| (*name, provider)).collect();
    Stage { rig: Rig::at(wall, &config, policy, &hosts), providers }
}

impl Stage {
    fn requests(&self, upstream: &str) -> u64 {
        self.providers[upstream].stats().requests
    }

    async fn ask(&self, key: &str, body: &Value) -> Reply {
        let mut request = post("/v1/chat/completions", body.to_string());
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        self.rig.send(request).await.unwrap()
    }
}

/// A conversation of its own.
fn talk(model: &str, number: u32) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": format!("question {number}") }] })
}

fn startup() -> Stage {
    startup_at(SystemTime::UNIX_EPOCH)
}

fn startup_at(wall: SystemTime) -> Stage {
    stage(
        wall,
        include_str!("../../examples/startup.toml"),
        include_str!("../../examples/startup.policy.toml"),
        &[
            ("openai", &["gpt-4o", "text-embedding-3-small"]),
            ("zhipu", &["glm-5.3", "glm-5.3-flash"]),
            ("dashscope", &["qwen3.8-max", "qwen3.5-flash"]),
            ("qianfan", &["ernie-5.0", "ernie-4.5-turbo-128k"]),
            ("deepseek", &["deepseek-v4-pro", "deepseek-flash"]),
        ],
    )
}

#[tokio::test(start_paused = true)]
async fn the_start_up_moves_one_conversation_in_ten_and_then_all_of_them() {
    let stage = startup();
    let mut by = BTreeMap::<String, u32>::new();
    for number in 0..200 {
        let reply = stage.rig.post("/v1/chat/completions", &talk("gpt-4o", number)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        *by.entry(reply.header("x-faregate-upstream").to_owned()).or_default() += 1;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!((165..=192).contains(&by["openai"]) && by["zhipu"] > 0, "{by:?}");
    assert!((1..=12).contains(&stage.requests("qianfan")), "its shadow: {}", stage.requests("qianfan"));

    let blocked = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","type":"request_forbidden"}}"#;
    let blocked = Fault::Reply(Canned { status: 403, headers: Vec::new(), body: blocked.to_owned() });
    stage.providers["openai"].set_fault(Some(blocked));
    let asked = stage.requests("openai");
    for number in 1_000..1_100 {
        let reply = stage.rig.post("/v1/chat/completions", &talk("gpt-4o", number)).await;
        assert_eq!((reply.status, reply.header("x-faregate-upstream") == "openai"), (StatusCode::OK, false));
    }
    assert!(stage.requests("openai") <= asked + 2, "one answer was enough");
}

#[tokio::test(start_paused = true)]
async fn the_start_ups_pack_pays_and_is_one_for_both_keys() {
    let stage = startup();
    stage.providers["openai"].set_fault(Some(Fault::Outage));
    tokio::time::sleep(Duration::from_secs(1)).await;
    for number in 0..100 {
        assert_eq!(stage.rig.post("/v1/chat/completions", &talk("gpt-4o", number)).await.status, 200);
    }
    let attempts = stage.rig.metric("faregate_attempts_total{model=\"glm-5.3\",result=\"ok\",upstream=\"zhipu\"}");
    assert!(attempts > 80.0, "what is paid for already is used first: {attempts}");
    let cost = "faregate_cost_usd_total{model=\"glm-5.3\",route=\"chat\",tenant=\"none\",upstream=\"zhipu\"}";
    assert!(stage.rig.metric(cost) < 1e-12, "and costs nothing more");
    let keys: std::collections::BTreeSet<_> = stage.rig.log().iter().map(|line| line["endpoint"].to_string()).collect();
    assert!(keys.contains("\"zhipu/glm-5.3#web\"") && keys.contains("\"zhipu/glm-5.3#batch\""), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn the_start_ups_small_answers_are_short_and_its_vectors_stay() {
    let stage = startup();
    let mut long = talk("gpt-4o-mini", 1);
    long["max_tokens"] = 9_000.into();
    let reply = stage.rig.post("/v1/chat/completions", &long).await;
    assert_eq!((reply.status, reply.header("x-faregate-route")), (StatusCode::OK, "batch"));
    assert!(reply.header("x-faregate-adjusted").contains("max_tokens 9000 to 1024"), "{:?}", reply.headers);
    let vectors = json!({ "model": "text-embedding-3-small", "input": "x" });
    assert_eq!(stage.rig.post("/v1/embeddings", &vectors).await.header("x-faregate-upstream"), "openai");
    stage.providers["openai"].set_fault(Some(Fault::Outage));
    assert_eq!(stage.rig.post("/v1/embeddings", &vectors).await.status, 502, "rather none than others");
}

/// DeepSeek is dear on working days from 9 to 12 and from 14 to 18 o'clock in China.
#[tokio::test(start_paused = true)]
async fn the_start_up_goes_to_deepseek_at_its_cheap_hours() {
    for (when, expected) in [
        ("2026-11-24T10:30:00+08:00", "qianfan"),  // a Tuesday
        ("2026-11-24T13:00:00+08:00", "deepseek"), // at noon
        ("2026-11-28T10:30:00+08:00", "deepseek"), // a Saturday
        ("2026-10-01T10:30:00+08:00", "deepseek"), // a holiday on a Thursday
    ] {
        // The pack has expired by then.
        let stage = startup_at(when.parse::<jiff::Timestamp>().unwrap().into());
        stage.providers["openai"].set_fault(Some(Fault::Outage));
        let mut by = BTreeMap::<String, u32>::new();
        for number in 0..60 {
            let reply = stage.rig.post("/v1/chat/completions", &talk("gpt-4o", number)).await;
            assert_eq!(reply.status, 200, "{}", reply.text());
            *by.entry(reply.header("x-faregate-upstream").to_owned()).or_default() += 1;
        }
        assert!(by.get(expected).is_some_and(|count| *count > 40), "{when}: {by:?}");
    }
}

fn company() -> Stage {
    stage(
        SystemTime::UNIX_EPOCH,
        include_str!("../../examples/company.toml"),
        include_str!("../../examples/company.policy.toml"),
        &[
            ("vllm", &["Qwen3-32B"]),
            ("mistral", &["mistral-small-latest", "mistral-medium-latest", "mistral-large-latest"]),
        ],
    )
}

#[tokio::test(start_paused = true)]
async fn the_company_stays_in_the_house_while_there_is_room() {
    let stage = company();
    let support = "sk-SUPPORT_KEY";
    for number in 0..20 {
        let reply = stage.ask(support, &talk("assistant", number)).await;
        assert_eq!((reply.status, reply.header("x-faregate-upstream")), (StatusCode::OK, "vllm"), "{}", reply.text());
    }
    let mut long = talk("assistant", 1);
    long["messages"][0]["content"] = "word ".repeat(40_000).into();
    assert_eq!(stage.ask(support, &long).await.header("x-faregate-upstream"), "mistral", "too long for the house");
    let before = (stage.requests("vllm"), stage.requests("mistral"));
    stage.providers["vllm"].set_fault(Some(Fault::HangBeforeHead));
    let stage = Arc::new(stage);
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..80 {
        let stage = Arc::clone(&stage);
        waiting.spawn(async move { stage.ask(support, &talk("assistant", 100 + number)).await });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let since = (stage.requests("vllm") - before.0, stage.requests("mistral") - before.1);
    assert_eq!(since, (48, 32), "what has no place in the house");
}

#[tokio::test(start_paused = true)]
async fn the_companys_teams_have_what_is_theirs_and_nothing_leaves_the_union() {
    let stage = company();
    for (key, model, status) in [
        ("sk-SEARCH_KEY", "assistant", 200),
        ("sk-SEARCH_KEY", "large", 403),
        ("sk-RESEARCH_KEY", "large", 200),
        ("sk-RESEARCH_KEY", "mistral/codestral-2508", 404),
        ("sk-MISTRAL_API_KEY", "assistant", 401),
    ] {
        assert_eq!(stage.ask(key, &talk(model, 1)).await.status.as_u16(), status, "{key} {model}");
    }
    let lines = stage.rig.log();
    assert_eq!(lines[0]["tenant"], "search", "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn the_sidecar_survives_either_of_its_providers() {
    let stage = stage(
        SystemTime::UNIX_EPOCH,
        include_str!("../../examples/sidecar.toml"),
        include_str!("../../examples/sidecar.policy.toml"),
        &[("openai", &["gpt-4o"]), ("deepseek", &["deepseek-v4-pro"])],
    );
    for (down, up) in [("openai", "deepseek"), ("deepseek", "openai")] {
        stage.providers[down].set_fault(Some(Fault::Outage));
        for _ in 0..10 {
            let reply = stage.rig.post("/v1/chat/completions", &chat("gpt-4o")).await;
            assert_eq!((reply.status, reply.header("x-faregate-upstream")), (StatusCode::OK, up), "{}", reply.text());
        }
        stage.providers[down].set_fault(None);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
}
