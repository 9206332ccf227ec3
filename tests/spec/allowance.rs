//! What is free or prepaid is not billed, is not overdrawn, and goes to those who would pay most without it.

use faregate::simulated::Lognormal;
use faregate::simulated::Profile;
use faregate::units::Tokens;

use crate::rig::{Rig, provider, serving, upstream};

fn talking(tokens: u64) -> Profile {
    Profile { output_tokens: Lognormal::fixed(Tokens(tokens)), ..serving(&["m"]) }
}

#[tokio::test(start_paused = true)]
async fn an_allowance_pays_until_it_is_used_up() {
    let host = provider(talking(100));
    let config = upstream("a", "m", "1", "1")
        + "[[upstreams.a.allowances]]\nmodels = [\"m*\"]\namount = \"3 requests\"\nused = \"1 requests\"\n";
    let rig = Rig::new(&config, "", &[("a", &host)]);

    let mut costs = Vec::new();
    for _ in 0..4 {
        let reply = rig.chat("m").await;
        costs.push(reply.header("x-faregate-cost-usd").to_owned());
    }

    assert_eq!(costs[..2], ["0", "0"]);
    assert!(costs[2..].iter().all(|cost| cost != "0"), "{costs:?}");
}

#[tokio::test(start_paused = true)]
async fn a_free_tier_is_taken_first_and_then_the_cheaper_one() {
    let (free, cheap) = (provider(talking(100)), provider(talking(100)));
    let config = upstream("free", "m", "9", "9")
        .replace("capabilities = [\"tools\"", "free = { tokens = 2_000, per = \"month\" }\ncapabilities = [\"tools\"")
        + &upstream("cheap", "m", "1", "1");
    let rig = Rig::new(&config, "", &[("free", &free), ("cheap", &cheap)]);

    for _ in 0..60 {
        assert_eq!(rig.stream("m").await.status, 200);
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }

    // A request is about 110 tokens.
    let used = free.stats().requests;
    assert!((10..=19).contains(&used), "{used} of 60 were free");
    let paid = rig.metric("faregate_cost_usd_total{model=\"m\",route=\"unlisted\",tenant=\"none\",upstream=\"free\"}");
    assert!(paid < 1e-9, "{paid} dollars for what is free");
}
