//! Price lists as functions of time: what holds when, and that no change is missed.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use proptest::prelude::*;

use crate::policy::decimal::Decimal;
use crate::policy::money::money;
use crate::policy::tariff::{Dated, Effect, PriceOrigin, Tariff, TariffRates, Window};
use crate::policy::window::{Days, Hours};

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn rates(input: &str, output: &str) -> TariffRates {
    let [input, output] = [input, output].map(|text| money(text).unwrap());
    TariffRates { input, output, cached_input: None, cache_write: None, reasoning: None }
}

fn flat() -> Tariff {
    Tariff {
        rates: rates("1 USD", "2 USD"),
        request: None,
        tiers: Vec::new(),
        windows: Vec::new(),
        dated: Vec::new(),
        until: None,
        origin: PriceOrigin::configuration(),
    }
}

fn window(zone: &str, days: &str, from: &str, to: &str, times: &str) -> Window {
    let hours = Hours {
        zone: TimeZone::get(zone).unwrap(),
        days: Days::parse(days).unwrap(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
        except: Vec::new(),
    };
    Window { hours, effect: Effect::Times(Decimal::parse(times).unwrap()) }
}

fn times(tariff: &Tariff, at: &str) -> Decimal {
    tariff.at(instant(at)).quote.unwrap().times
}

fn next(tariff: &Tariff, at: &str) -> Option<Timestamp> {
    tariff.at(instant(at)).changes_at
}

#[test]
fn a_flat_price_never_changes() {
    assert_eq!(next(&flat(), "2026-11-23T00:00:00Z"), None);
}

#[test]
fn peak_hours_begin_and_end_to_the_second_and_not_on_holidays() {
    let mut peak = window("Asia/Shanghai", "mon-fri", "09:00", "12:00", "2");
    peak.hours.except = vec![Date::constant(2026, 11, 24)];
    let tariff = Tariff { windows: vec![peak], ..flat() };
    assert_eq!(next(&tariff, "2026-11-23T00:00:00Z"), Some(instant("2026-11-23T01:00:00Z")));
    assert_eq!(next(&tariff, "2026-11-23T01:00:00Z"), Some(instant("2026-11-23T04:00:00Z")));
    assert_eq!(next(&tariff, "2026-11-23T04:00:00Z"), Some(instant("2026-11-25T01:00:00Z")));
    assert_eq!(times(&tariff, "2026-11-23T03:59:59Z"), Decimal::parse("2").unwrap());
    assert_eq!(times(&tariff, "2026-11-24T02:00:00Z"), Decimal::ONE);
}

#[test]
fn of_two_open_windows_the_last_counts_and_neighbours_with_one_effect_are_one() {
    let tariff = Tariff {
        windows: vec![
            window("UTC", "mon-sun", "08:00", "12:00", "2"),
            window("UTC", "mon-sun", "12:00", "14:00", "2"),
            window("UTC", "mon-sun", "13:00", "13:30", "3"),
        ],
        ..flat()
    };
    assert_eq!(next(&tariff, "2026-11-23T08:00:00Z"), Some(instant("2026-11-23T13:00:00Z")));
    assert_eq!(times(&tariff, "2026-11-23T13:00:00Z"), Decimal::parse("3").unwrap());
}

#[test]
fn a_window_that_is_always_open_never_changes() {
    let tariff = Tariff { windows: vec![window("Europe/Berlin", "mon-sun", "00:00", "00:00", "2")], ..flat() };
    assert_eq!(next(&tariff, "2026-11-23T08:00:00Z"), None);
}

#[test]
fn a_change_after_a_long_holiday_is_found() {
    let mut peak = window("Asia/Shanghai", "mon", "09:00", "12:00", "2");
    let first = Date::constant(2026, 12, 1);
    peak.hours.except = first.series(jiff::Span::new().days(1)).take(90).collect();
    let tariff = Tariff { windows: vec![peak], ..flat() };
    assert_eq!(next(&tariff, "2026-11-30T04:00:00Z"), Some(instant("2027-03-01T01:00:00Z")));
}

#[test]
fn announced_prices_hold_from_their_instant_and_nothing_is_known_after_the_end() {
    let dated = Dated { from: instant("2026-12-01T00:00:00Z"), rates: rates("3 USD", "4 USD"), tiers: Vec::new() };
    let tariff = Tariff { dated: vec![dated], until: Some(instant("2027-01-01T00:00:00Z")), ..flat() };
    let input = |at| tariff.at(instant(at)).quote.map(|quote| quote.rates.input.clone());
    assert_eq!(input("2026-11-30T23:59:59Z"), money("1 USD").ok());
    assert_eq!(input("2026-12-01T00:00:00Z"), money("3 USD").ok());
    assert_eq!(input("2027-01-01T00:00:00Z"), None);
    assert_eq!(next(&tariff, "2026-11-23T00:00:00Z"), Some(instant("2026-12-01T00:00:00Z")));
    assert_eq!(next(&tariff, "2026-12-01T00:00:00Z"), Some(instant("2027-01-01T00:00:00Z")));
    assert_eq!(next(&tariff, "2027-01-01T00:00:00Z"), None);
}

/// Clocks that are set forward and back in both hemispheres, by an hour and by half of one, and one that never is.
const ZONES: [&str; 5] =
    ["Asia/Shanghai", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"];

fn some_window() -> impl Strategy<Value = Window> {
    let minute = || (0..24_i8, prop_oneof![Just(0_i8), Just(15), Just(30), Just(59)]);
    let days = prop_oneof![Just("mon-fri"), Just("sun"), Just("sat-sun"), Just("mon-sun"), Just("tue,thu")];
    let except = prop::collection::btree_set(-3..40_i32, 0..12);
    (0..ZONES.len(), days, minute(), minute(), except, 2..4_u8).prop_map(|(zone, days, from, to, except, times)| {
        let civil = |(hour, minute)| Time::new(hour, minute, 0, 0).unwrap();
        let day = |offset: i32| Date::constant(2026, 10, 20).saturating_add(jiff::Span::new().days(offset));
        let hours = Hours {
            zone: TimeZone::get(ZONES[zone]).unwrap(),
            days: Days::parse(days).unwrap(),
            from: civil(from),
            to: civil(to),
            except: except.into_iter().map(day).collect(),
        };
        Window { hours, effect: Effect::Times(Decimal::parse(&times.to_string()).unwrap()) }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The clocks change on 25 October (Berlin), 4 October (Lord Howe), 1 November (New York): all within the days drawn.
    #[test]
    fn nothing_changes_before_the_next_change_and_something_does_at_it(
        windows in prop::collection::vec(some_window(), 1..4),
        start in 0..40_i64 * 86_400,
        samples in prop::collection::vec(0.0..1.0_f64, 40),
    ) {
        let tariff = Tariff { windows, ..flat() };
        let now = Timestamp::from_second(1_790_900_000 + start).unwrap();
        let forecast = tariff.at(now);
        let end = forecast.changes_at.unwrap_or_else(|| now + jiff::SignedDuration::from_hours(24 * 60));
        let span = end.as_second() - now.as_second();
        for share in samples {
            let inside = crate::units::round_to_u64(share * crate::units::count_to_f64(span.unsigned_abs()));
            let at = Timestamp::from_second(now.as_second() + i64::try_from(inside).unwrap().min(span - 1)).unwrap();
            prop_assert_eq!(tariff.quote(at), forecast.quote, "{} of {}..{}", at, now, end);
        }
        if let Some(change) = forecast.changes_at {
            prop_assert!(tariff.quote(change) != forecast.quote);
            prop_assert_eq!(tariff.quote(change - jiff::SignedDuration::from_nanos(1)), forecast.quote);
        }
    }

    /// Minute by minute: whatever changes is announced by the last moment before.
    #[test]
    fn changes_are_found_in_time(windows in prop::collection::vec(some_window(), 1..3), start in 0..30_i64 * 1_440) {
        let tariff = Tariff { windows, ..flat() };
        let minute = |offset: i64| Timestamp::from_second((29_848_333 + start + offset) * 60).unwrap();
        let mut announced = tariff.at(minute(0));
        for offset in 1..1_440 {
            let now = minute(offset);
            let quote = tariff.quote(now);
            if announced.changes_at.is_some_and(|change| change <= now) {
                announced = tariff.at(now);
            }
            prop_assert_eq!(quote, announced.quote, "{}", now);
        }
    }
}

#[test]
fn an_allowance_that_pays_for_nothing_is_pointed_at() {
    let config = r#"
[upstreams.a]
base_url = "http://a/v1"
[upstreams.a.models.m]
price = { input = "1 USD", output = "1 USD" }
free = { tokens = 1000, per = "once", expires = "2020-01-01" }
[upstreams.a.models.n]
price = { input = "1 USD", output = "1 USD" }
[[upstreams.a.allowances]]
models = ["zz-*"]
amount = "20M tokens"
[[upstreams.a.allowances]]
models = ["n"]
amount = "20M tokens"
used = "20M tokens"
"#;
    let text = super::World::new(config, "").complaints();
    for complaint in ["this has expired", "no model of `a` has a name that is meant here", "all of it is used"] {
        assert!(text.contains(complaint), "{complaint}: {text}");
    }
    let wrong = config.replace("\"20M tokens\"", "\"20M token\"");
    assert!(!super::World::new(&wrong, "").complaints().contains("unknown field"), "one mistake is one message");
}
