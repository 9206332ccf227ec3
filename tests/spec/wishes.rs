//! What clients may say about one request in headers, where the policy lets them.

use std::sync::Arc;
use std::time::Duration;

use faregate::simulated::{Lognormal, Profile, Provider};

use crate::rig::{Reply, Rig, chat, post, provider, serving, upstream};

const POLICY: &str = r#"
    [defaults]
    allow_headers = ["route", "session", "max-cost-usd", "value-of-second-usd", "only", "avoid", "deadline-ms", "tag", "explain"]
    [[routes]]
    name = "all"
    models = ["m"]
    cluster = ["cheap/m", "dear/m"]
    [[routes]]
    name = "only-dear"
    models = []
    cluster = ["dear/m"]
"#;

fn host(first_token: u64) -> Arc<Provider> {
    provider(Profile { first_token: Lognormal::fixed(Duration::from_millis(first_token)), ..serving(&["m"]) })
}

fn rig(policy: &str) -> Rig {
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    Rig::new(&config, policy, &[("cheap", &host(900)), ("dear", &host(10))])
}

async fn ask(rig: &Rig, headers: &[(&'static str, &str)]) -> Reply {
    let mut request = post("/v1/chat/completions", chat("m").to_string());
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    rig.send(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_can_name_who_answers_and_by_which_route() {
    let rig = rig(POLICY);
    for (name, value, expected) in [
        ("x-faregate-only", "dear", "dear"),
        ("x-faregate-only", "cheap/m", "cheap"),
        ("x-faregate-avoid", "cheap", "dear"),
        ("x-faregate-route", "only-dear", "dear"),
    ] {
        assert_eq!(ask(&rig, &[(name, value)]).await.header("x-faregate-upstream"), expected, "{name}: {value}");
    }
    for name in ["nowhere", "unlisted"] {
        let reply = ask(&rig, &[("x-faregate-route", name)]).await;
        assert_eq!(
            (reply.code().as_str(), reply.json()["error"]["param"].as_str()),
            ("no_route", Some("x-faregate-route"))
        );
        assert!(reply.text().contains(&format!("no route '{name}'")), "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_wish_that_cannot_be_fulfilled_is_refused_by_name() {
    let rig = rig(POLICY);
    for (name, value, complaint) in [
        ("x-faregate-only", "nobody", "names `nobody`, which is no upstream and no endpoint"),
        ("x-faregate-avoid", "nobody", "names `nobody`, which is no upstream and no endpoint"),
        ("x-faregate-avoid", "cheap,dear", "leave no endpoint of the route `all`"),
        ("x-faregate-max-cost", "1", "there is no header x-faregate-max-cost"),
    ] {
        let reply = ask(&rig, &[(name, value)]).await;
        assert_eq!((reply.status.as_u16(), reply.code()), (400, "invalid_request".to_owned()), "{name}: {value}");
        assert!(reply.text().contains(complaint), "{}", reply.text());
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_can_bound_money_and_time_and_learn_why() {
    let rig = rig(POLICY);
    assert_eq!(ask(&rig, &[("x-faregate-max-cost-usd", "0.0000001")]).await.status, 400);
    let patient = ask(&rig, &[("x-faregate-max-cost-usd", "0.0003"), ("x-faregate-explain", "1")]).await;
    assert_eq!(patient.header("x-faregate-upstream"), "cheap");
    assert!(patient.header("x-faregate-explain").starts_with("cheap/m "), "{}", patient.header("x-faregate-explain"));
    let hasty = ask(&rig, &[("x-faregate-only", "cheap"), ("x-faregate-deadline-ms", "200")]).await;
    assert_eq!(hasty.code(), "upstream_timeout");
    ask(&rig, &[("x-faregate-tag", "nightly")]).await;
    assert_eq!(rig.log().last().unwrap()["tag"], "nightly");
}

#[tokio::test(start_paused = true)]
async fn what_the_policy_does_not_allow_is_refused_and_not_ignored() {
    let rig = rig(&POLICY.replace("\"only\", ", ""));
    let reply = ask(&rig, &[("x-faregate-only", "dear")]).await;
    assert_eq!((reply.status.as_u16(), reply.code().as_str()), (400, "invalid_request"));
    assert!(reply.text().contains("allow_headers"), "{}", reply.text());
}
