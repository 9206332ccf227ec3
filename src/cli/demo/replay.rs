//! What one provider alone would have done with the same requests: computed, not served.
//!
//! The model is the one that the provider is served by: its delays, its load, its quota's window, its faults and its
//! prices at each request's time. Only the draws differ, as they would on another day. A request that is refused or
//! lost is not tried again, since there is nowhere else to go; a client's own retries would come on top of the load.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use crate::cli::demo::latency::Latencies;
use crate::cli::demo::market::Offer;
use crate::cli::demo::traffic::{Delivery, Drawn};
use crate::runtime;
use crate::simulated::{Answer, Fault, Window};
use crate::units::{PicoUsd, Timestamp, count_to_f64, len_to_u64};

/// What one provider alone would have done.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alone {
    pub(super) name: String,
    pub(super) asked: u64,
    pub(super) answered: u64,
    /// Refused by the quota.
    pub(super) refused: u64,
    /// Lost in an outage.
    pub(super) lost: u64,
    /// The bill for all requests, as if every one had been answered: the only one that compares with the router's.
    pub(super) cost_of_all: PicoUsd,
    /// First-token times of the streams that it answered.
    pub(super) first_token: Latencies,
}

/// How one request ends.
enum Ending {
    Answered(Answer),
    Refused,
    Lost,
}

/// One provider as time passes.
struct Course<'a> {
    offer: &'a Offer,
    window: Window,
    /// When the requests in flight end.
    ends: BinaryHeap<Reverse<Duration>>,
    seed: u64,
}

/// Sends all of `requests`, in order of time, to `offer` alone.
pub(super) fn alone(offer: &Offer, requests: &[Drawn], seed: u64) -> Alone {
    let window = Window::new(offer.profile.quota);
    let mut course = Course { offer, window, ends: BinaryHeap::new(), seed };
    let mut alone = Alone {
        name: offer.profile.name.clone(),
        asked: len_to_u64(requests.len()),
        answered: 0,
        refused: 0,
        lost: 0,
        cost_of_all: PicoUsd::ZERO,
        first_token: Latencies::default(),
    };
    for (number, request) in (0..).zip(requests) {
        alone.cost_of_all += offer.price(request.at).bill(&request.usage());
        match course.serve(number, request) {
            Ending::Refused => alone.refused += 1,
            Ending::Lost => alone.lost += 1,
            Ending::Answered(answer) => {
                alone.answered += 1;
                match request.delivery {
                    Delivery::Stream => alone.first_token.add(answer.first_token),
                    Delivery::Plain => {}
                }
            }
        }
    }
    alone
}

impl Course<'_> {
    fn serve(&mut self, number: u64, request: &Drawn) -> Ending {
        while self.ends.peek().is_some_and(|Reverse(end)| *end <= request.at) {
            self.ends.pop();
        }
        let mut rng = runtime::seeded(self.seed.wrapping_add(number));
        let in_flight = len_to_u64(self.ends.len());
        let fault = self.offer.schedule.fault(request.at, &mut rng);
        let answer = self.offer.profile.draw(request.prompt, Some(request.max_tokens), in_flight, &mut rng);
        let Some(answer) = under(fault, answer) else { return Ending::Lost };
        let now = Timestamp::after_start(request.at);
        if self.window.admit(answer.prompt + answer.output, in_flight, now).is_err() {
            return Ending::Refused;
        }
        self.ends.push(Reverse(request.at + answer.total()));
        Ending::Answered(answer)
    }
}

/// What a fault leaves of an answer.
fn under(fault: Option<&Fault>, answer: Answer) -> Option<Answer> {
    let Some(fault) = fault else { return Some(answer) };
    match fault {
        Fault::Slow(factor) => Some(answer.slowed(*factor)),
        Fault::KeepAliveComments(count, interval) => {
            let signs = interval.mul_f64(count_to_f64(*count));
            Some(Answer { first_token: answer.first_token + signs, ..answer })
        }
        Fault::Outage
        | Fault::Reset
        | Fault::Reply(_)
        | Fault::HangBeforeHead
        | Fault::HangBeforeFirstToken
        | Fault::CutBeforeContent
        | Fault::CutAfter(_)
        | Fault::ErrorEventFirst
        | Fault::ErrorEventAfter(_)
        | Fault::ErrorIn200
        | Fault::GarbageJson => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::market::Market;
    use crate::simulated::{Lognormal, Profile, Quota, Schedule, Spell};
    use crate::units::{PricePerMtok, Tokens};

    const SECOND: Duration = Duration::from_secs(1);

    fn offer(profile: Profile) -> Offer {
        let price = crate::engine::Price::new(PricePerMtok(0), PricePerMtok(1_000_000));
        Offer { profile: profile.with_model("m", price), schedule: Schedule::default(), region: "us" }
    }

    /// One stream of ten tokens each second.
    fn requests(count: u32) -> Vec<Drawn> {
        let request = |number| Drawn {
            at: SECOND * number,
            prompt: Tokens(1),
            max_tokens: Tokens(10),
            delivery: Delivery::Stream,
        };
        (0..count).map(request).collect()
    }

    #[test]
    fn a_quota_refuses_what_exceeds_it_and_the_bill_for_all_counts_that_too() {
        let offer = offer(Profile { quota: Quota { rpm: Some(6), ..Quota::default() }, ..Profile::named("p") });
        let alone = alone(&offer, &requests(10), 1);
        assert_eq!((alone.answered, alone.refused, alone.lost), (6, 4, 0));
        assert_eq!(alone.cost_of_all, PicoUsd(10 * 10 * 1_000_000));
    }

    #[test]
    fn an_outage_loses_what_comes_in_it() {
        let mut offer = offer(Profile::named("p"));
        offer.schedule.spells.push(Spell::always(Fault::Outage).between(2 * SECOND, 5 * SECOND));
        let alone = alone(&offer, &requests(10), 1);
        assert_eq!((alone.answered, alone.lost), (7, 3));
    }

    #[test]
    fn requests_that_overlap_slow_each_other_down() {
        let profile = Profile {
            first_token: Lognormal::fixed(SECOND + SECOND / 2),
            per_request_in_flight: SECOND / 10,
            time_per_token: Duration::ZERO,
            ..Profile::named("p")
        };
        let alone = alone(&offer(profile), &requests(2), 1);
        assert_eq!(alone.first_token.mean(), Some(Duration::from_millis(1_550)), "1.5 s and 1.6 s");
    }

    #[test]
    fn a_brown_out_shows_in_the_first_token() {
        let mut slow = offer(Profile::named("p"));
        slow.schedule.spells.push(Spell::always(Fault::Slow(4.0)));
        let (usual, slow) = (alone(&offer(Profile::named("p")), &requests(3), 1), alone(&slow, &requests(3), 1));
        assert_eq!(slow.first_token.mean(), usual.first_token.mean().map(|mean| mean * 4));
    }

    #[test]
    fn no_provider_of_the_market_is_the_cheapest_and_fast_and_always_there() {
        let length = Duration::from_secs(30);
        let requests = crate::cli::demo::traffic::draw(20.0, length, 1);
        let alone: Vec<Alone> = Market::over(length).offers.iter().map(|offer| alone(offer, &requests, 1)).collect();
        let flawless =
            |one: &&Alone| one.answered == one.asked && one.first_token.p95().is_some_and(|p95| p95 < SECOND);
        let flawless: Vec<&str> = alone.iter().filter(flawless).map(|one| one.name.as_str()).collect();
        assert_eq!(flawless, ["comet"], "{alone:#?}");
        let dearest = alone.iter().max_by_key(|one| one.cost_of_all).map(|one| one.name.as_str());
        assert_eq!(dearest, Some("comet"));
    }
}
