//! Second tries beside a slow first one: whoever is first answers, the other is given up, and it may not cost too much.

use std::sync::Arc;
use std::time::Duration;

use faregate::runtime;
use faregate::simulated::{Fault, Lognormal, Profile, Provider};

use crate::rig::{Reply, Rig, provider, serving, upstream};

struct Pair {
    rig: Rig,
    cheap: Arc<Provider>,
    dear: Arc<Provider>,
}

/// Two endpoints with first tokens after 100 ms, which are known by now, on a route with this line.
async fn pair(hedge: &str) -> Pair {
    let profile = || Profile { first_token: Lognormal::fixed(Duration::from_millis(100)), ..serving(&["m"]) };
    let (cheap, dear) = (provider(profile()), provider(profile()));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "1.2", "1.2");
    let policy = format!(
        r#"
        [objective]
        value_of_second = "0.01 USD"
        spread = "0%"
        [defaults]
        timeouts = {{ connect = "1s", first_token = "4s", idle = "5s", total = "60s" }}
        [[routes]]
        name = "chat"
        models = ["fast"]
        cluster = ["cheap/m", "dear/m"]
        {hedge}
        "#
    );
    let rig = Rig::new(&config, &policy, &[("cheap", &cheap), ("dear", &dear)]);
    // The dearer one has to be known too.
    dear.set_fault(None);
    cheap.set_fault(Some(Fault::error_status(429)));
    for _ in 0..12 {
        assert_eq!(rig.stream("fast").await.status, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    cheap.set_fault(None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    for _ in 0..40 {
        assert_eq!(rig.stream("fast").await.status, 200);
    }
    Pair { rig, cheap, dear }
}

const HEDGE: &str = r#"hedge = { after = "p95", max_extra_cost = "20%" }"#;

impl Pair {
    /// The reply, and how long it took.
    async fn ask(&self) -> (Reply, Duration) {
        let begun = runtime::now();
        let reply = self.rig.stream("fast").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        (reply, runtime::now().since(begun))
    }

    fn hedges(&self, result: &str) -> f64 {
        self.rig.metric(&format!("faregate_hedges_total{{result=\"{result}\"}}"))
    }

    fn wasted(&self) -> f64 {
        self.rig.metric("faregate_wasted_cost_usd_total{reason=\"hedge\"}")
    }
}

#[tokio::test(start_paused = true)]
async fn a_straggler_is_overtaken_and_given_up() {
    let pair = pair(HEDGE).await;
    pair.cheap.fault_next(Fault::HangBeforeFirstToken);
    let before = pair.cheap.stats();

    let (reply, took) = pair.ask().await;

    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!((reply.header("x-faregate-upstream"), reply.header("x-faregate-attempts")), ("dear", "2"));
    assert_eq!(pair.cheap.stats().aborted, before.aborted + 1, "its call was cancelled");
    assert!((pair.hedges("won") - 1.0).abs() < 1e-9 && pair.wasted() > 0.0);
    let failures = pair.rig.metric("faregate_attempts_total{model=\"m\",result=\"timeout\",upstream=\"cheap\"}");
    assert!(failures.abs() < 1e-9, "to be slower is no failure");
}

#[tokio::test(start_paused = true)]
async fn whoever_hangs_is_not_asked_first_for_long() {
    let pair = pair(HEDGE).await;
    pair.cheap.set_fault(Some(Fault::HangBeforeFirstToken));
    let mut attempts = Vec::new();
    for _ in 0..8 {
        attempts.push(pair.ask().await.0.header("x-faregate-attempts").to_owned());
    }
    assert_eq!(attempts.last().unwrap(), "1", "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rival_that_does_not_take_the_request_is_no_answer() {
    let pair = pair(HEDGE).await;
    pair.cheap.fault_next(Fault::Slow(6.0));
    pair.dear.fault_next(Fault::error_status(400));

    let (reply, _) = pair.ask().await;

    assert_eq!((reply.header("x-faregate-upstream"), reply.header("x-faregate-attempts")), ("cheap", "2"));
    assert!((pair.hedges("failed") - 1.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_two_calls_is_accounted_for() {
    let pair = pair(HEDGE).await;
    pair.cheap.fault_next(Fault::HangBeforeFirstToken);
    pair.dear.fault_next(Fault::Slow(30.0));
    let request = pair.rig.stream("fast");

    let left = tokio::time::timeout(Duration::from_secs(1), request).await;

    assert!(left.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    let log = pair.rig.log();
    let line = log.last().unwrap();
    assert_eq!((&line["outcome"], &line["attempts"]), (&"cancelled".into(), &2.into()), "{line}");
    assert!(line["input_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{line}");
    assert_eq!(line["endpoint"], "cheap/m");
}

#[tokio::test(start_paused = true)]
async fn the_first_may_still_win() {
    let pair = pair(HEDGE).await;
    pair.cheap.fault_next(Fault::Slow(6.0));
    pair.dear.fault_next(Fault::Slow(30.0));
    let before = pair.dear.stats();

    let (reply, took) = pair.ask().await;

    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!((reply.header("x-faregate-upstream"), reply.header("x-faregate-attempts")), ("cheap", "2"));
    assert_eq!(pair.dear.stats().aborted, before.aborted + 1);
    assert!((pair.hedges("lost") - 1.0).abs() < 1e-9 && pair.wasted() > 0.0);
}

#[tokio::test(start_paused = true)]
async fn where_the_first_fails_the_second_is_a_failover_that_has_begun() {
    let pair = pair(HEDGE).await;
    pair.cheap.fault_next(Fault::HangBeforeFirstToken);
    pair.dear.fault_next(Fault::Slow(22.0));

    let (reply, took) = pair.ask().await;

    // The first is given up after 2 s; the second has been under way since.
    assert!(took > Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    assert_eq!((reply.header("x-faregate-upstream"), reply.header("x-faregate-attempts")), ("dear", "2"));
    let timeouts = pair.rig.metric("faregate_attempts_total{model=\"m\",result=\"timeout\",upstream=\"cheap\"}");
    assert!((timeouts - 1.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn where_the_second_fails_the_first_goes_on() {
    let pair = pair(HEDGE).await;
    pair.cheap.fault_next(Fault::Slow(6.0));
    pair.dear.fault_next(Fault::error_status(500));

    let (reply, took) = pair.ask().await;

    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!((reply.header("x-faregate-upstream"), reply.header("x-faregate-attempts")), ("cheap", "2"));
    assert!((pair.hedges("failed") - 1.0).abs() < 1e-9);
}

#[tokio::test(start_paused = true)]
async fn without_money_for_it_there_is_no_second_try_and_none_without_a_word_in_the_policy() {
    for hedge in ["", r#"hedge = { after = "200ms", max_extra_cost = "0%" }"#] {
        let pair = pair(hedge).await;
        pair.cheap.fault_next(Fault::HangBeforeFirstToken);
        let (reply, took) = pair.ask().await;
        assert!(took >= Duration::from_secs(2), "{took:?}");
        assert_eq!(reply.header("x-faregate-upstream"), "dear", "by failover");
        assert!((pair.hedges("won") + pair.hedges("lost")).abs() < 1e-9);
        assert_eq!(pair.hedges("refused") > 0.0, !hedge.is_empty());
    }
}
