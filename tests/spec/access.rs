//! Who may use what: tenants' keys and routes, and no way around the policy.

use std::sync::Arc;

use faregate::simulated::{Canned, Fault, Provider};
use http::Request;
use serde_json::Value;

use crate::rig::{Reply, Rig, chat, get, post, provider, serving, upstream};

const ROUTES: &str = r#"
[[routes]]
name = "cheap-only"
models = ["fast"]
cluster = [["cheap/m"]]
[[routes]]
name = "dear-only"
models = ["best"]
cluster = [["dear/m"]]
"#;

const KEYS: &str = r#"
[[tenants]]
name = "search"
keys = ["literal:key-of-search", "literal:new-key-of-search"]
routes = ["cheap-only"]
[[tenants]]
name = "ops"
keys = ["literal:key-of-ops"]
"#;

fn tenants() -> (Rig, Arc<Provider>, Arc<Provider>) {
    pair(KEYS, ROUTES)
}

fn pair(config: &str, policy: &str) -> (Rig, Arc<Provider>, Arc<Provider>) {
    let (cheap, dear) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = config.to_owned() + &upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let rig = Rig::new(&config, policy, &[("cheap", &cheap), ("dear", &dear)]);
    (rig, cheap, dear)
}

async fn ask(rig: &Rig, header: &'static str, value: &str, model: &str) -> Reply {
    let mut request = post("/v1/chat/completions", chat(model).to_string());
    request.headers_mut().insert(header, value.parse().unwrap());
    rig.send(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn without_a_tenants_key_nothing_is_served() {
    let (rig, cheap, _) = tenants();

    let none = rig.chat("fast").await;
    let wrong = ask(&rig, "authorization", "Bearer key-of-searc", "fast").await;
    let listing = rig.send(get("/v1/models")).await.unwrap();

    for reply in [&none, &wrong, &listing] {
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (401, "invalid_api_key"));
        assert!(!reply.text().contains("key-of-"), "{}", reply.text());
    }
    assert_eq!(cheap.stats().requests, 0);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_gets_its_routes_by_any_of_its_keys_and_nothing_else() {
    let (rig, ..) = tenants();
    for (header, value) in [
        ("authorization", "Bearer key-of-search"),
        ("authorization", "bearer new-key-of-search"),
        ("x-api-key", "key-of-search"),
        ("api-key", "key-of-search"),
    ] {
        assert_eq!(ask(&rig, header, value, "fast").await.status, 200, "{header}: {value}");
    }
    for model in ["best", "dear/m"] {
        let reply = ask(&rig, "authorization", "Bearer key-of-search", model).await;
        assert_eq!((reply.status.as_u16(), reply.code().as_str()), (403, "route_not_allowed"), "{model}");
    }
    assert_eq!(ask(&rig, "authorization", "Bearer key-of-ops", "best").await.status, 200);
    let refused =
        r#"faregate_requests_total{model="none",outcome="refused",route="none",tenant="search",upstream="none"}"#;
    assert_eq!(rig.metric(refused), 2.0);
}

#[tokio::test(start_paused = true)]
async fn a_tenants_key_never_reaches_an_upstream_the_log_or_the_metrics() {
    let (rig, cheap, _) = tenants();
    ask(&rig, "authorization", "Bearer key-of-search", "fast").await;

    let seen = format!("{:?}", cheap.recorded_requests());
    let log = format!("{:?}", rig.log());

    assert!(!(seen + &log + &rig.metrics()).contains("key-of-"));
    assert!(log.contains("search"), "the tenant's name is what the log is for: {log}");
}

#[tokio::test(start_paused = true)]
async fn a_listing_shows_a_tenant_what_it_may_use() {
    let (rig, ..) = tenants();
    let listed = |key: &'static str| {
        let rig = &rig;
        async move {
            let mut request: Request<_> = get("/v1/models");
            request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
            let listing = rig.send(request).await.unwrap().json();
            let ids = listing["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned());
            ids.collect::<Vec<_>>()
        }
    };

    let (search, ops) = (listed("key-of-search").await, listed("key-of-ops").await);

    assert!(search.contains(&"fast".to_owned()) && !search.contains(&"best".to_owned()), "{search:?}");
    assert!(ops.contains(&"fast".to_owned()) && ops.contains(&"best".to_owned()), "{ops:?}");
}

#[tokio::test(start_paused = true)]
async fn naming_an_endpoint_is_no_way_around_the_policy() {
    let (rig, cheap, dear) = pair("", "[defaults]\nrequire = { regions = [\"cheap-land\"] }\n");

    let allowed = rig.chat("cheap/m").await;
    let by_id = rig.chat("dear/m").await;
    let by_model = rig.chat("m").await;

    assert_eq!(allowed.header("x-faregate-endpoint"), "cheap/m");
    assert_eq!((by_id.status.as_u16(), by_id.code().as_str()), (503, "no_endpoint_available"));
    assert_eq!(by_id.header("retry-after"), "60", "a short wait does not change a policy");
    assert_eq!(by_model.header("x-faregate-endpoint"), "cheap/m");
    assert_eq!((cheap.stats().requests, dear.stats().requests), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_price_above_the_policys_bound_and_an_unknown_one_are_not_paid() {
    let (cheap, dear) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let unpriced =
        "[upstreams.gift]\ndialect = \"openai\"\nbase_url = \"http://gift/v1\"\nkeys = []\n[upstreams.gift.models.m]\n";
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "50", "50") + unpriced;
    let gift = provider(serving(&["m"]));
    let hosts = [("cheap", &cheap), ("dear", &dear), ("gift", &gift)];
    let policy = "[defaults]\nunknown_price = \"exclude\"\nmax_price = { input = \"10 USD\", output = \"10 USD\" }\n";
    let rig = Rig::new(&config, policy, &hosts);

    let first = rig.chat("m").await;
    cheap.set_fault(Some(Fault::error_status(500)));
    let second = rig.chat("m").await;

    assert_eq!((first.status.as_u16(), second.status.as_u16()), (200, 502), "{}", second.text());
    assert_eq!((dear.stats().requests, gift.stats().requests), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_echoes_its_key_does_not_give_it_away() {
    let up = provider(serving(&["m"]));
    let config = upstream("up", "m", "1", "1").replace("keys = []", "keys = [\"literal:tp-secret-0123456789\"]");
    let rig = Rig::new(&config, "", &[("up", &up)]);
    let echo = "{\"error\":{\"message\":\"Incorrect API key provided: tp-secret-0123456789\",\"code\":\"x\"}}";
    for status in [400, 401] {
        up.fault_next(Fault::Reply(Canned { status, headers: vec![], body: echo.to_owned() }));
        let reply = rig.chat("m").await;
        assert!(!reply.text().contains("0123456789"), "{status}: {}", reply.text());
    }
    let log: Vec<Value> = rig.log();
    assert!(!format!("{log:?}").contains("0123456789"));
}
