//! What is asked of the same endpoint once more, where there is nobody else: failures that pass by themselves.

use std::sync::Arc;
use std::time::Duration;

use faregate::runtime;
use faregate::simulated::{Canned, Fault, Provider};

use crate::rig::{Rig, provider, serving, upstream};

fn alone(policy: &str) -> (Rig, Arc<Provider>) {
    let up = provider(serving(&["m"]));
    (Rig::new(&upstream("up", "m", "1", "1"), policy, &[("up", &up)]), up)
}

fn says(status: u16, headers: &[(&str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Fault::Reply(Canned { status, headers, body: body.to_owned() })
}

/// Clears the fault a moment after the first call has failed.
async fn a_fault_that_passes(rig: &Rig, up: &Provider, fault: Fault) -> (u16, u64, Duration) {
    up.set_fault(Some(fault));
    let begun = runtime::now();
    let (reply, ()) = tokio::join!(rig.chat("m"), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        up.set_fault(None);
    });
    (reply.status.as_u16(), up.stats().requests, runtime::now().since(begun))
}

#[tokio::test(start_paused = true)]
async fn a_sole_endpoint_is_asked_once_more_after_a_failure_that_passes() {
    for fault in [
        says(500, &[], ""),
        says(502, &[], "<html>bad gateway</html>"),
        says(503, &[], ""),
        says(
            429,
            &[],
            r#"{"error":{"type":"engine_overloaded_error","message":"The engine is currently overloaded"}}"#,
        ),
        Fault::Reset,
    ] {
        let (rig, up) = alone("");
        let (status, asked, _) = a_fault_that_passes(&rig, &up, fault.clone()).await;
        assert_eq!((status, asked), (200, 2), "{fault:?}");
        assert_eq!(rig.metric(r#"faregate_attempts_total{model="m",result="ok",upstream="up"}"#), 1.0);
        assert!(!rig.metrics().contains("faregate_failovers_total{from=\"up/m\""), "nobody else was asked");
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_no_more_than_once_more_and_the_client_is_told_not_to() {
    let (rig, up) = alone("");
    up.set_fault(Some(Fault::error_status(500)));

    let reply = rig.chat("m").await;

    assert_eq!((reply.status.as_u16(), up.stats().requests), (502, 2));
    assert_eq!(reply.header("x-should-retry"), "false");
    assert_eq!(rig.log()[0]["attempts"], 2);

    up.set_fault(None);
    up.fault_next(Fault::error_status(500));
    assert_eq!(rig.chat("m").await.header("x-faregate-attempts"), "2");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_by_itself_is_not_asked_again() {
    for (fault, status) in [
        (says(401, &[], ""), 502),
        (says(402, &[], ""), 502),
        (says(404, &[], ""), 404),
        (says(400, &[], ""), 400),
        (says(429, &[("retry-after", "7")], ""), 429),
        (Fault::HangBeforeHead, 504),
    ] {
        let (rig, up) = alone("");
        up.set_fault(Some(fault.clone()));
        let reply = rig.chat("m").await;
        assert_eq!((reply.status.as_u16(), up.stats().requests), (status, 1), "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn neither_attempts_nor_the_retry_budget_are_exceeded() {
    for retry in ["attempts = 1", "budget = \"0%\", floor = \"0/s\""] {
        let (rig, up) = alone(&format!("[defaults]\nretry = {{ {retry} }}\n"));
        up.set_fault(Some(Fault::error_status(500)));
        rig.chat("m").await;
        assert_eq!(up.stats().requests, 1, "{retry}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_where_it_was_the_budget_that_kept_others_from_being_asked() {
    let (a, b) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("a", "m", "1", "1") + &upstream("b", "m", "5", "5");
    let policy = "[defaults]\nretry = { budget = \"0%\", floor = \"0/s\" }\n";
    let rig = Rig::new(&config, policy, &[("a", &a), ("b", &b)]);
    for up in [&a, &b] {
        up.set_fault(Some(says(503, &[("retry-after", "2")], "")));
    }
    let begun = runtime::now();
    rig.chat("m").await;
    assert!(runtime::now().since(begun) < Duration::from_millis(50));
    assert_eq!(a.stats().requests + b.stats().requests, 1);
}

#[tokio::test(start_paused = true)]
async fn a_short_wait_that_is_asked_for_is_kept_and_a_long_one_is_passed_on() {
    let (rig, up) = alone("");
    let (status, asked, took) = a_fault_that_passes(&rig, &up, says(503, &[("retry-after", "1")], "")).await;
    assert_eq!((status, asked), (200, 2));
    assert!(took >= Duration::from_secs(1), "{took:?}");

    let (rig, up) = alone("");
    up.set_fault(Some(says(503, &[("retry-after", "30")], "")));
    let reply = rig.chat("m").await;
    assert_eq!(
        (reply.status.as_u16(), up.stats().requests, reply.code()),
        (503, 1, "no_endpoint_available".to_owned())
    );
    assert_eq!((reply.header("retry-after"), reply.header("x-should-retry")), ("30", ""));
}
