//! Quota that providers tell of is kept to before they have to refuse, and keys of one account share it.

use std::sync::Arc;
use std::time::Duration;

use faregate::simulated::{Canned, Fault, Lognormal, Profile, Quota};

use crate::rig::{Rig, provider, serving, upstream};

fn limited(rpm: u64) -> Profile {
    Profile {
        quota: Quota { rpm: Some(rpm), ..Quota::default() },
        first_token: Lognormal::fixed(Duration::from_millis(50)),
        ..serving(&["m"])
    }
}

#[tokio::test(start_paused = true)]
async fn what_headers_tell_is_kept_to_without_a_refusal() {
    let (cheap, dear) = (provider(limited(30)), provider(serving(&["m"])));
    let config = upstream("cheap", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let rig = Arc::new(Rig::new(&config, "", &[("cheap", &cheap), ("dear", &dear)]));

    for _ in 0..120 {
        let both = [0, 1].map(|_| {
            let rig = Arc::clone(&rig);
            tokio::spawn(async move { rig.stream("m").await.status })
        });
        for status in both {
            assert_eq!(status.await.unwrap(), 200);
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    assert_eq!(cheap.stats().rejected_429, 0, "{:?}", cheap.stats());
    assert!(cheap.stats().answered >= 21, "and what there is, is used: {:?}", cheap.stats());
}

#[tokio::test(start_paused = true)]
async fn an_odd_header_is_believed_for_an_hour_and_forgotten_by_hand() {
    for by_hand in [false, true] {
        let up = provider(serving(&["m"]));
        let rig = Rig::new(&upstream("up", "m", "1", "1"), "", &[("up", &up)]);
        let answer = rig.chat("m").await.text();
        let head = [("limit-requests", "1000"), ("remaining-requests", "0"), ("reset-requests", "700h")];
        let headers = head.iter().map(|(name, value)| (format!("x-ratelimit-{name}"), (*value).to_owned())).collect();
        up.fault_next(Fault::Reply(Canned { status: 200, headers, body: answer }));
        rig.chat("m").await;
        let refused = rig.chat("m").await;
        assert_eq!((refused.status.as_u16(), refused.code()), (429, "rate_limited".to_owned()));
        if by_hand {
            rig.worker.shared.snapshot().seats.values().for_each(|seat| seat.quotas.unlearn());
        } else {
            tokio::time::sleep(Duration::from_secs(3_601)).await;
        }
        assert_eq!(rig.chat("m").await.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_account_share_its_quota_and_others_do_not() {
    for (second, expected) in [("acme", 10), ("other", 20)] {
        let host = provider(serving(&["m"]));
        let keys = format!(
            r#"keys = [
                {{ name = "one", key = "literal:1", account = "acme" }},
                {{ name = "two", key = "literal:2", account = "{second}" }},
            ]
            limits = {{ rpm = 10 }}"#
        );
        let config = upstream("a", "m", "1", "1").replace("keys = []", &keys);
        let rig = Rig::new(&config, "", &[("a", &host)]);

        let mut answered = 0;
        for _ in 0..40 {
            answered += usize::from(rig.stream("m").await.status == 200);
        }

        assert_eq!(answered, expected, "with the second key on the account {second}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_says_nothing_shows_where_the_ceiling_is() {
    let (silent, dear) = (provider(serving(&["m"])), provider(serving(&["m"])));
    let config = upstream("silent", "m", "1", "1") + &upstream("dear", "m", "5", "5");
    let rig = Rig::new(&config, "", &[("silent", &silent), ("dear", &dear)]);
    for _ in 0..40 {
        assert_eq!(rig.stream("m").await.status, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let before = silent.stats().requests;
    let refusal = Canned { status: 429, headers: Vec::new(), body: "{}".to_owned() };
    silent.fault_next(Fault::Reply(refusal));

    for _ in 0..120 {
        assert_eq!(rig.stream("m").await.status, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    let a_minute = silent.stats().requests - before;
    assert!((10..=42).contains(&a_minute), "{a_minute} of 120 went there, where forty were too many");
}
