//! Prepaid accounts: what the provider says is left is watched, and traffic moves before it has to refuse.

use std::time::Duration;

use faregate::engine::Price;
use faregate::simulated::{Profile, SimModel};
use faregate::units::{PicoUsd, PricePerMtok};

use crate::rig::{Rig, provider, serving, upstream};

/// A model of two dollars per million tokens, paid from a wallet of so many cents.
fn prepaid(cents: u64) -> Profile {
    let price = Price::new(PricePerMtok(2_000_000), PricePerMtok(2_000_000));
    let models = vec![SimModel { id: "m".to_owned(), price }];
    Profile { models, wallet: Some(PicoUsd(cents * 10_000_000_000)), ..serving(&["m"]) }
}

fn prepaid_upstream(price: &str) -> String {
    let balance = r#"keys = ["literal:k"]
        balance = { path = "/user/balance", each = "/balance_infos", amount = "/total_balance", currency_at = "/currency" }"#;
    upstream("cheap", "m", price, price).replace("keys = []", balance)
}

fn config() -> String {
    prepaid_upstream("2") + &upstream("dear", "m", "5", "5")
}

#[tokio::test(start_paused = true)]
async fn an_empty_wallet_is_left_before_it_refuses_and_used_again_when_it_is_filled() {
    let (cheap, dear) = (provider(prepaid(1)), provider(serving(&["m"])));
    let rig = Rig::new(&config(), "", &[("cheap", &cheap), ("dear", &dear)]);
    tokio::time::sleep(Duration::from_secs(2)).await;

    // Some 26 millionths of a dollar each: the cent lasts for less than 400.
    for _ in 0..700 {
        assert_eq!(rig.chat("m").await.status, 200);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }

    let (paid, moved) = (cheap.stats(), dear.stats());
    assert_eq!(paid.refused, 0, "nobody was refused for want of money: {paid:?}");
    assert!(paid.answered > 300 && moved.answered > 50, "{paid:?} {moved:?}");

    cheap.top_up(PicoUsd(10_000_000_000));
    tokio::time::sleep(Duration::from_secs(61)).await;
    let before = dear.stats().answered;
    for _ in 0..10 {
        rig.chat("m").await;
    }
    assert_eq!(dear.stats().answered, before, "the money has come");
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_fails_shuts_nobody_out() {
    let cheap = provider(serving(&["m"]));
    let rig = Rig::new(&config(), "", &[("cheap", &cheap), ("dear", &provider(serving(&["m"])))]);
    tokio::time::sleep(Duration::from_secs(2)).await;

    rig.chat("m").await;

    assert_eq!(cheap.stats().answered, 1);
    let asked = cheap.recorded_requests();
    assert!(asked.iter().any(|request| request.path == "/v1/user/balance"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_costs_nothing_needs_no_money() {
    let given = "[[upstreams.cheap.allowances]]\nmodels = [\"m*\"]\namount = \"3 requests\"\n";
    let free = prepaid_upstream("0");
    let given = prepaid_upstream("2") + given;
    for (config, answered) in [(free, 5), (given, 3)] {
        let (cheap, dear) = (provider(prepaid(0)), provider(serving(&["m"])));
        let config = config + &upstream("dear", "m", "5", "5");
        let rig = Rig::new(
            &config,
            "[objective]\nspread = \"0%\"\nvalue_of_second = \"0 USD\"\n",
            &[("cheap", &cheap), ("dear", &dear)],
        );
        tokio::time::sleep(Duration::from_secs(2)).await;
        cheap.top_up(PicoUsd(10_000_000_000));
        let mut by_cheap = 0;
        for _ in 0..5 {
            by_cheap += usize::from(rig.chat("m").await.header("x-faregate-upstream") == "cheap");
        }
        assert_eq!(by_cheap, answered, "{config}");
    }
}
