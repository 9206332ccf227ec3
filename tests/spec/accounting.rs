//! What is counted: tokens, money, what was in vain, and nothing twice.

use std::sync::Arc;
use std::time::Duration;

use faregate::engine::Price;
use faregate::simulated::{Canned, Fault, Lognormal, Profile, Provider};
use faregate::units::{PricePerMtok, Tokens};

use crate::rig::{Rig, post, provider, serving, streamed, upstream};

fn priced() -> Arc<Provider> {
    let price = Price::new(PricePerMtok(1_000_000), PricePerMtok(2_000_000));
    let profile = Profile {
        first_token: Lognormal::fixed(Duration::from_millis(100)),
        time_per_token: Duration::from_millis(20),
        output_tokens: Lognormal::fixed(Tokens(50)),
        ..Profile::named("up").with_model("m", price)
    };
    provider(profile)
}

fn rig(up: &Arc<Provider>) -> Rig {
    Rig::new(&upstream("up", "m", "1", "2"), "", &[("up", up)])
}

const COST: &str = r#"faregate_cost_usd_total{model="m",route="unlisted",tenant="none",upstream="up"}"#;

#[tokio::test(start_paused = true)]
async fn the_counters_the_log_and_the_provider_agree() {
    let up = priced();
    let rig = rig(&up);
    for _ in 0..10 {
        rig.chat("m").await;
        rig.stream("m").await;
    }

    let theirs = up.stats().billed.as_dollars().0;
    let log: f64 = rig.log().iter().map(|line| line["cost_usd"].as_f64().unwrap()).sum();
    assert!((rig.metric(COST) - theirs).abs() < 1e-12, "{} against {theirs}\n{}", rig.metric(COST), rig.metrics());
    assert!((log - theirs).abs() < 1e-12 && theirs > 0.0);
}

#[tokio::test(start_paused = true)]
async fn a_reported_zero_and_an_unknown_price_are_told_apart() {
    let up = provider(serving(&["m"]));
    let config =
        "[upstreams.up]\ndialect = \"openai\"\nbase_url = \"http://up/v1\"\nkeys = []\n[upstreams.up.models.m]\n";
    let rig = Rig::new(config, "[defaults]\nunknown_price = \"allow\"\n", &[("up", &up)]);

    let reply = rig.chat("m").await;

    assert_eq!((reply.status.as_u16(), reply.header("x-faregate-cost-usd")), (200, ""));
    assert!(rig.log()[0]["cost_usd"].is_null());
    assert_eq!(rig.metric(COST), 0.0);
}

#[tokio::test(start_paused = true)]
async fn nothing_stays_in_flight_however_a_request_ends() {
    let faults = [
        None,
        Some(Fault::Outage),
        Some(Fault::Reset),
        Some(Fault::error_status(400)),
        Some(Fault::error_status(429)),
        Some(Fault::error_status(500)),
        Some(Fault::HangBeforeHead),
        Some(Fault::HangBeforeFirstToken),
        Some(Fault::CutAfter(5)),
        Some(Fault::ErrorEventAfter(5)),
        Some(Fault::ErrorIn200),
        Some(Fault::GarbageJson),
    ];
    for fault in faults {
        let up = priced();
        let rig = rig(&up);
        up.set_fault(fault.clone());
        rig.chat("m").await;
        rig.stream("m").await;
        let open = rig.open(post("/v1/chat/completions", streamed("m").to_string())).await;
        drop(open);
        tokio::time::sleep(Duration::from_secs(1)).await;

        let now = faregate::runtime::now();
        let snapshot = rig.worker.shared.snapshot();
        let in_flight = snapshot.seats.iter().map(|(_, seat)| seat.cell.read(now).0.in_flight).sum::<u32>();
        assert_eq!(in_flight, 0, "{fault:?}");
        assert_eq!(rig.metric("faregate_inflight_requests"), 0.0, "{fault:?}\n{}", rig.metrics());
        assert_eq!(rig.log().len(), 3, "{fault:?}: a line for each request, whatever became of it");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_failed_call_may_cost_is_shown_as_wasted_and_not_billed_to_the_client() {
    let up = priced();
    let rig = rig(&up);
    up.set_fault(Some(Fault::CutAfter(20)));

    let reply = rig.stream("m").await;

    assert!(reply.text().contains("upstream_cut"), "{}", reply.text());
    let line = &rig.log()[0];
    assert_eq!((line["outcome"].as_str(), line["error"].as_str()), (Some("cut"), Some("upstream_cut")));
    assert!(line["output_tokens"].as_u64().unwrap() >= 20, "{line}");
    assert_eq!(line["cost_usd"], 0.0, "no answer, no bill: {line}");
    let wasted = rig.metric(r#"faregate_wasted_cost_usd_total{reason="cut"}"#);
    assert!(wasted > 20.0 * 2e-6, "what was streamed is billed by providers all the same: {wasted}");
}

#[tokio::test(start_paused = true)]
async fn a_line_of_the_log_says_all_there_is_to_say() {
    let up = priced();
    let rig = rig(&up);
    rig.stream("m").await;

    let line = &rig.log()[0];

    for (field, expected) in [
        ("status", 200.into()),
        ("outcome", "ok".into()),
        ("stream", true.into()),
        ("attempts", 1.into()),
        ("endpoint", "up/m".into()),
        ("upstream", "up".into()),
        ("model", "m".into()),
        ("requested_model", "m".into()),
        ("output_tokens", 50.into()),
    ] as [(&str, serde_json::Value); 9]
    {
        assert_eq!(line[field], expected, "{field} in {line}");
    }
    let ms = |field: &str| line[field].as_f64().unwrap_or_else(|| panic!("{field} in {line}"));
    assert!((ms("first_token_ms") - 100.0).abs() < 2.0, "{line}");
    assert!((ms("duration_ms") - 1_080.0).abs() < 40.0, "{line}");
    assert!(ms("overhead_us") < 2_000.0, "waiting for the provider is not our overhead: {line}");
}

#[tokio::test(start_paused = true)]
async fn a_fee_for_a_request_is_not_charged_for_one_that_nobody_served() {
    let up = priced();
    let config =
        upstream("up", "m", "1", "2").replace("output = \"2 USD\"", "output = \"2 USD\", request = \"0.5 USD\"");
    let rig = Rig::new(&config, "", &[("up", &up)]);
    for status in [400, 429, 500] {
        up.set_fault(Some(Fault::error_status(status)));
        rig.chat("m").await;
        up.set_fault(None);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert_eq!(rig.metric(COST), 0.0, "{}", rig.metrics());
    for reason in ["cut", "timeout", "cancelled"] {
        let series = format!("faregate_wasted_cost_usd_total{{reason=\"{reason}\"}}");
        assert_eq!(rig.metric(&series), 0.0, "{reason}");
    }
    assert_eq!((up.stats().requests, rig.chat("m").await.status.as_u16()), (4, 200), "a 500 is asked about twice");

    assert!(rig.metric(COST) > 0.5);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_reported_is_estimated_and_said_to_be() {
    let up = provider(serving(&["m"]));
    let rig = rig(&up);
    let body = "{\"choices\":[{\"message\":{\"content\":\"forty characters of an answer, or so\"}}]}".to_owned();
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    up.fault_next(Fault::Reply(Canned { status: 200, headers, body }));
    rig.chat("m").await;
    rig.chat("m").await;

    let log = rig.log();
    assert_eq!((&log[0]["usage_estimated"], &log[1]["usage_estimated"]), (&true.into(), &false.into()), "{log:?}");
    assert!(log[0]["cost_usd"].as_f64().unwrap() > 0.0);
    assert_eq!(rig.metric(r#"faregate_estimated_requests_total{model="m",upstream="up"}"#), 1.0);
}
