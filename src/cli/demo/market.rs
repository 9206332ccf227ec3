//! The five providers of the demonstration: what they charge, how fast they are, what they allow, and what happens to
//! them on the way.
//!
//! None is best at everything, as in the real market: the fast one is dear, the cheap ones are slow or small. Delays
//! are between a tenth of a second and a few, so that a busy machine's scheduling does not drown them. Every answer is
//! exactly as long as its request allows, so that the same request costs the same number of tokens anywhere, and a
//! comparison of bills is one of prices.

use std::time::Duration;

use crate::engine::Price;
use crate::simulated::{Fault, Lognormal, PriceChange, Profile, Quota, Schedule, Spell};
use crate::units::{PricePerMtok, Tokens};

/// Longer than any request allows.
const LONGEST_ANSWER: Tokens = Tokens(4_096);

/// A provider of the demonstration.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offer {
    pub(super) profile: Profile,
    pub(super) schedule: Schedule,
    /// Where it claims to process data.
    pub(super) region: &'static str,
}

/// Something that happens on the way, for the audience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) at: Duration,
    pub(super) what: &'static str,
    pub(super) kind: TurnKind,
}

/// Whether the router has to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TurnKind {
    /// It finds out by itself.
    Unannounced,
    /// A price list has changed: the configuration is rewritten and reloaded.
    PriceCut,
}

/// The providers and what happens to them, over a demonstration of some length.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Market {
    pub(super) offers: Vec<Offer>,
    pub(super) turns: Vec<Turn>,
}

impl Offer {
    /// The one model that it sells.
    pub(super) fn model(&self) -> &str {
        self.profile.models.first().map_or("", |model| &model.id)
    }

    /// The price of its model, some time after the start.
    pub(super) fn price(&self, elapsed: Duration) -> Price {
        let listed = self.profile.models.first().map(|model| &model.price);
        self.schedule.price(self.model(), elapsed).or(listed).cloned().unwrap_or_default()
    }
}

impl Market {
    /// The market over `length`.
    pub(super) fn over(length: Duration) -> Self {
        let at = |share: f64| length.mul_f64(share);
        let mut offers = offers();
        let brown_out = Spell::always(Fault::Slow(4.0)).between(at(0.20), at(0.40));
        let outage = Spell::always(Fault::Outage).between(at(0.45), at(0.65));
        let cut = PriceChange { at: at(0.75), model: "metro-large".to_owned(), price: price(0.20, 0.80) };
        for offer in &mut offers {
            match offer.profile.name.as_str() {
                "metro" => {
                    offer.schedule.spells.push(brown_out.clone());
                    offer.schedule.prices.push(cut.clone());
                }
                "bazaar" => offer.schedule.spells.push(outage.clone()),
                _ => {}
            }
        }
        let turn = |share, what| Turn { at: at(share), what, kind: TurnKind::Unannounced };
        let turns = vec![
            turn(0.20, "metro browns out: everything takes four times as long"),
            turn(0.40, "metro is itself again"),
            turn(0.45, "bazaar is gone: connections are closed as they come"),
            turn(0.65, "bazaar is back"),
            Turn { kind: TurnKind::PriceCut, ..turn(0.75, "metro cuts its price to a third") },
        ];
        Self { offers, turns }
    }
}

fn offers() -> Vec<Offer> {
    let allows = |rpm, tpm| Quota { rpm: Some(rpm), tpm: Some(tpm), concurrency: None };
    // A machine of one's own: nearly free, slow, and slower with every request that shares it.
    let alone = Quota { concurrency: Some(16), ..Quota::default() };
    let mut house = offer("house", "on-prem", 800, 16, price(0.10, 0.40), alone);
    house.profile.per_request_in_flight = Duration::from_millis(90);
    vec![
        offer("comet", "us", 180, 4, price(3.00, 12.00), Quota::default()),
        offer("metro", "cn", 350, 7, price(0.60, 2.40), Quota::default()),
        offer("bazaar", "cn", 550, 10, price(0.25, 1.00), allows(600, 250_000)),
        offer("lantern", "us", 250, 6, price(0.30, 1.20), allows(90, 30_000)),
        house,
    ]
}

fn offer(
    name: &str,
    region: &'static str,
    first_token_ms: u64,
    per_token_ms: u64,
    price: Price,
    quota: Quota,
) -> Offer {
    let profile = Profile {
        first_token: Lognormal { median: Duration::from_millis(first_token_ms), sigma: 0.2 },
        per_prompt_token: Duration::from_micros(60),
        per_request_in_flight: Duration::from_millis(2),
        time_per_token: Duration::from_millis(per_token_ms),
        pace_sigma: 0.1,
        output_tokens: Lognormal::fixed(LONGEST_ANSWER),
        quota,
        ..Profile::named(name)
    };
    Offer { profile: profile.with_model(&format!("{name}-large"), price), schedule: Schedule::default(), region }
}

/// Dollars per million tokens, to the cent.
fn price(input: f64, output: f64) -> Price {
    let listed = |dollars: f64| PricePerMtok(crate::units::round_to_u64(dollars * 1e6));
    Price::new(listed(input), listed(output))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(30);

    #[test]
    fn there_are_a_brown_out_an_outage_and_a_price_cut_within_the_time() {
        let market = Market::over(LENGTH);
        let faults: Vec<&Fault> =
            market.offers.iter().flat_map(|offer| &offer.schedule.spells).map(|spell| &spell.fault).collect();
        assert_eq!(faults, [&Fault::Slow(4.0), &Fault::Outage]);
        assert!(market.turns.iter().all(|turn| turn.at < LENGTH));
        assert!(market.offers.len() >= 5);
    }

    #[test]
    fn the_price_cut_is_announced_when_the_provider_begins_to_bill_by_it() {
        let market = Market::over(LENGTH);
        let announced = market.turns.iter().find(|turn| turn.kind == TurnKind::PriceCut).unwrap().at;
        let metro = &market.offers[1];
        assert_eq!(metro.price(announced).rates.input, PricePerMtok(200_000));
        assert_eq!(
            metro.price(announced.checked_sub(Duration::from_millis(1)).unwrap()).rates.input,
            PricePerMtok(600_000)
        );
    }

    #[test]
    fn every_answer_is_as_long_as_its_request_allows() {
        let mut rng = crate::runtime::seeded(1);
        for offer in Market::over(LENGTH).offers {
            let answer = offer.profile.draw(Tokens(10), Some(Tokens(33)), 0, &mut rng);
            assert_eq!(answer.output, Tokens(33));
        }
    }
}
