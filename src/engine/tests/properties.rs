//! What holds for every view.

use proptest::prelude::*;

use super::*;
use crate::engine::{Admission, Failure, Standing, Told};

#[derive(Clone, Debug)]
struct Draw {
    first_token: f64,
    answers: u32,
    failures: u32,
    in_flight: u32,
    input: f64,
    output: f64,
    tier: usize,
}

fn draw() -> impl Strategy<Value = Draw> {
    let past = (0.05..4.0_f64, 0..20_u32, 0..5_u32, 0..6_u32);
    (past, 0.05..20.0_f64, 0.1..60.0_f64, 0..3_usize).prop_map(
        |((first_token, answers, failures, in_flight), input, output, tier)| Draw {
            first_token,
            answers,
            failures,
            in_flight,
            input,
            output,
            tier,
        },
    )
}

/// Endpoints of one tier, none of them new, so that nobody's estimate leans on another's.
fn peers() -> impl Strategy<Value = Vec<Bench>> {
    prop::collection::vec(draw(), 2..6).prop_map(|draws| {
        draws.into_iter().map(|draw| bench(&Draw { answers: 16, failures: 0, tier: 0, ..draw })).collect()
    })
}

fn bench(draw: &Draw) -> Bench {
    let mut state = known(draw.first_token, draw.answers, NOW);
    for _ in 0..draw.failures {
        state.observe(Event::Sent { mode: Mode::Stream }, NOW);
        let event = Event::Failed {
            mode: Mode::Stream,
            fault: Failure::Overloaded.into(),
            after: Duration::ZERO,
            retry_after: None,
        };
        state.observe(event, NOW);
    }
    for _ in 0..draw.in_flight {
        state.observe(Event::Sent { mode: Mode::Stream }, NOW);
    }
    Bench { tier: draw.tier, ..Bench::new(state, price(draw.input, draw.output)) }
}

fn is_open(bench: &Bench) -> bool {
    match bench.state.standing(NOW) {
        Standing::Open { .. } => true,
        Standing::Closed | Standing::HalfOpen | Standing::Blocked { .. } => false,
    }
}

proptest! {
    #[test]
    fn cheaper_is_never_ranked_worse(benches in peers(), pick in 0..5_usize, cut in 0.1..0.99_f64) {
        let pick = pick % benches.len();
        let rank = |benches: &[Bench]| {
            order(&plan(benches, &objective(), &request(500), 1, NOW)).iter().position(|one| *one == pick)
        };
        let before = rank(&benches);
        let mut cheaper = benches;
        let old = cheaper[pick].price.clone().unwrap();
        let less = |price: PricePerMtok| PricePerMtok(crate::units::round_to_u64(crate::units::count_to_f64(price.0) * cut));
        cheaper[pick].price = Some(Price::new(less(old.rates.input), less(old.rates.output)));
        prop_assert!(rank(&cheaper) <= before);
    }

    #[test]
    fn an_open_circuit_is_never_tried_while_a_closed_one_fits(draws in prop::collection::vec(draw(), 1..8)) {
        let benches: Vec<_> = draws.iter().map(bench).collect();
        let plan = plan(&benches, &objective(), &request(500), 1, NOW);
        let open: Vec<_> = order(&plan).into_iter().filter(|position| is_open(&benches[*position])).collect();
        if benches.iter().any(|bench| !is_open(bench)) {
            prop_assert!(open.is_empty());
            prop_assert!(plan.entries.iter().all(|entry| entry.admission != Admission::LastResort));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_plan(draws in prop::collection::vec(draw(), 1..8), seed in any::<u64>()) {
        let benches: Vec<_> = draws.iter().map(bench).collect();
        let objective = Objective { spread: Share(0.5), ..objective() };
        let again = || plan(&benches, &objective, &request(500), seed, NOW);
        prop_assert_eq!(again().entries, again().entries);
    }

    #[test]
    fn everybody_is_either_planned_or_rejected(draws in prop::collection::vec(draw(), 0..8)) {
        let benches: Vec<_> = draws.iter().map(bench).collect();
        let plan = plan(&benches, &objective(), &request(500), 1, NOW);
        prop_assert_eq!(plan.entries.len() + plan.rejected.len(), benches.len());
        prop_assert_eq!(plan.entries.is_empty(), plan.cause.is_some());
        for entry in &plan.entries {
            prop_assert!(entry.terms.named().iter().all(|(_, term)| term.0 >= 0.0 && term.0.is_finite()));
        }
    }

    #[test]
    fn whoever_is_not_looked_at_would_neither_be_on_the_list_nor_lead_it(
        draws in prop::collection::vec(draw(), 0..40),
        // From as they are to all at one price, so that chance decides.
        alike in 0..3_u8,
        spread in 0.0..0.5_f64,
        // Later, those who have answered little are stale, and the money for trying them may be used up.
        (later, explored) in (0..60_u64, 0.0..2.0_f64),
    ) {
        let narrowed = |draw: Draw| match alike {
            0 => draw,
            1 => Draw { input: 1.0 + draw.input / 20.0, output: 1.0, failures: 0, tier: 0, ..draw },
            _ => Draw { input: 1.0, output: 1.0, failures: 0, tier: 0, ..draw },
        };
        let benches: Vec<_> = draws.into_iter().map(|draw| bench(&narrowed(draw))).collect();
        let now = NOW + Duration::from_secs(later);
        let value_of_second = Dollars(0.01);
        let objective = Objective { spread: Share(spread), exploration: Share(0.01), value_of_second, ..objective() };
        let mut route = route();
        route.spent(Dollars(100.0), Dollars(explored), now);
        let request = request(500);
        for seed in 0..8 {
            let plan = |look| {
                let route = route.read(LengthClass::of(&request), now);
                plan_by(look, &benches, &objective, route, &request, seed, now)
            };
            prop_assert_eq!(plan(Look::AsNeeded).entries, plan(Look::AtAll).entries);
        }
    }

    #[test]
    fn another_alternative_does_not_reorder_the_others(benches in peers(), slower in 1.0..3.0_f64, input in 0.05..20.0_f64) {
        let before = order(&plan(&benches, &objective(), &request(500), 1, NOW));
        let mut more = benches.clone();
        // Not the fastest of the pool: that one is what others are measured by while little is known of them.
        let first_token = 4.0 * slower;
        let extra = Draw { first_token, answers: 16, failures: 0, in_flight: 0, input, output: input, tier: 0 };
        more.push(bench(&extra));
        let after = order(&plan(&more, &objective(), &request(500), 1, NOW));
        let of_old: Vec<_> = after.into_iter().filter(|position| *position < benches.len()).collect();
        prop_assert_eq!(before, of_old);
    }

    #[test]
    fn a_ledger_lets_no_window_exceed_its_limit(
        calls in prop::collection::vec((0.0..8.0_f64, 1..400_u64, 0..400_u64), 1..200),
    ) {
        let limits = Limits {
            requests_per_minute: Some(20),
            tokens_per_minute: Some(2_000),
            concurrency: Some(3),
            ..Limits::default()
        };
        let mut ledger = Ledger::new(&limits);
        let mut time = 0.0;
        let mut sent: Vec<(f64, u64)> = Vec::new();
        for (pause, tokens, used) in calls {
            time += pause;
            let Ok(reservation) = ledger.reserve(Tokens(tokens), at(time)) else { continue };
            let used = used.min(tokens);
            ledger.settle(reservation, Tokens(used), at(time + 1.0));
            sent.push((time, used));
            let minute = sent.iter().filter(|(when, _)| *when > time - 60.0);
            let (requests, sum) = minute.fold((0, 0), |(requests, sum), (_, used)| (requests + 1, sum + used));
            prop_assert!(requests <= 20 && sum <= 2_000, "{requests} requests, {sum} tokens");
            for (_, share) in ledger.read(Tokens(1), at(time)).ratios() {
                prop_assert!((0.0..=1.0).contains(&share.0));
            }
        }
    }

    #[test]
    fn what_a_provider_tells_is_never_overrun(calls in prop::collection::vec((0.05..1.0_f64, 0.0..1.0_f64), 1..300)) {
        // A provider that allows 30 requests in each minute of the clock, and tells what is left in replies that come
        // out of order; the ledger knows nothing else.
        let mut ledger = Ledger::new(&Limits::default());
        let (mut time, mut minute, mut taken) = (0.0_f64, 0.0, 0);
        let mut replies: Vec<(f64, crate::engine::Reservation, Told)> = Vec::new();
        for (pause, latency) in calls {
            time += pause;
            replies.sort_by(|one, other| one.0.total_cmp(&other.0));
            let arrived = replies.iter().take_while(|(when, ..)| *when <= time).count();
            for (when, reservation, told) in replies.drain(..arrived) {
                ledger.learn(&reservation, &[told], at(when));
                ledger.settle(reservation, Tokens(1), at(when));
            }
            if (time / 60.0).floor() > minute {
                (minute, taken) = ((time / 60.0).floor(), 0);
            }
            let Ok(reservation) = ledger.reserve(Tokens(1), at(time)) else { continue };
            taken += 1;
            prop_assert!(taken <= 30, "{taken} in a minute");
            let told = Told {
                kind: crate::engine::LimitKind::RequestsPerMinute,
                limit: Some(30),
                remaining: Some(30 - taken),
                reset: Some(crate::units::seconds((minute + 1.0) * 60.0 - time)),
            };
            replies.push((time + latency, reservation, told));
        }
    }

    #[test]
    fn giving_back_restores_what_was_left(before in prop::collection::vec(1..300_u64, 0..10), tokens in 1..500_u64) {
        let limits = Limits {
            requests_per_minute: Some(20),
            requests_per_day: Some(50),
            tokens_per_minute: Some(2_000),
            tokens_per_day: Some(5_000),
            input_tokens_per_minute: Some(1_800),
            output_tokens_per_minute: Some(1_800),
            concurrency: Some(12),
        };
        let mut ledger = Ledger::new(&limits);
        let _running: Vec<_> = before.iter().filter_map(|used| ledger.reserve(Tokens(*used), at(5.0)).ok()).collect();
        let left = |ledger: &Ledger| ledger.read(Tokens(1), at(6.0)).ratios().collect::<Vec<_>>();
        let was = left(&ledger);
        if let Ok(reservation) = ledger.reserve(Tokens(tokens), at(6.0)) {
            ledger.give_back(reservation, at(6.0));
        }
        prop_assert_eq!(left(&ledger), was);
    }

    #[test]
    fn retries_stay_within_their_share_in_every_ten_seconds(
        events in prop::collection::vec((0.0..1.0_f64, any::<bool>()), 1..400),
        budget in 0.0..1.0_f64,
        floor in 0.0..3.0_f64,
    ) {
        let mut route = RouteState::new(&RetryPolicy { attempts: 3, budget: Share(budget), floor_per_second: floor });
        let (mut time, mut deposits, mut granted) = (0.0, Vec::new(), Vec::new());
        for (pause, is_retry) in events {
            time += pause;
            if !is_retry {
                route.deposit(at(time));
                deposits.push(time);
            } else if route.withdraw(at(time)) {
                granted.push(time);
                let within = |times: &[f64], span: f64| {
                    crate::units::len_to_f64(times.iter().filter(|one| **one > time - span).count())
                };
                // A deposit lives for at most two slices more than ten seconds.
                prop_assert!(within(&granted, 10.0) <= budget * within(&deposits, 12.0) + 10.0 * floor + 1e-9);
            }
        }
    }
}
