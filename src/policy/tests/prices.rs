//! Prices as a user writes them: what overrides what, what is multiplied, and what is said about mistakes.

use super::World;
use crate::engine::{PriceTier, Rates, Thought};
use crate::policy::model::{Endpoint, Model};
use crate::units::{PicoUsd, PricePerMtok, Tokens};

fn one(model: &str) -> Model {
    let config = format!("[upstreams.a]\nbase_url = \"http://127.0.0.1:1/v1\"\n[upstreams.a.models.m]\n{model}");
    World::new(&config, "[defaults]").model()
}

fn only(model: &Model) -> &Endpoint {
    model.endpoints.values().next().unwrap()
}

fn input(model: &Model) -> Option<u64> {
    only(model).price.as_ref().map(|price| price.rates.input.0)
}

#[test]
fn every_part_of_a_price_and_of_a_tier_is_read() {
    let model = one(r#"
        price = { input = "1 USD", output = "2 USD", cached_input = "0.1 USD", cache_write = "1.25 USD", reasoning = "3 USD", request = "0.001 USD" }
        tiers = [{ above_input = 10, above_output = 20, thinking = false, input = "4 USD", output = "5 USD", cached_input = "0.4 USD", cache_write = "6 USD", reasoning = "7 USD" }]
    "#);
    let micro = |amount: u64| PricePerMtok(amount * 10_000);
    let rates = |[input, output, cached, write, reasoning]: [u64; 5]| Rates {
        input: micro(input),
        cached_input: Some(micro(cached)),
        cache_write: Some(micro(write)),
        output: micro(output),
        reasoning: Some(micro(reasoning)),
    };
    let price = only(&model).price.as_ref().unwrap();
    assert_eq!((price.rates, price.request), (rates([100, 200, 10, 125, 300]), PicoUsd(1_000_000_000)));
    let tier = PriceTier {
        above_input: Some(Tokens(10)),
        above_output: Some(Tokens(20)),
        thinking: Some(Thought::No),
        rates: rates([400, 500, 40, 600, 700]),
    };
    assert_eq!(price.tiers, [tier]);
}

#[test]
fn the_upstreams_factor_and_the_hours_multiply_exactly_and_round_once() {
    let config = r#"
        [upstreams.a]
        base_url = "http://127.0.0.1:1/v1"
        price_times = "0.333333"
        [upstreams.a.models.m]
        price = { input = "0.1 CNY", output = "1 USD", request = "1 USD" }
        windows = [{ zone = "UTC", from = "00:00", to = "24:00", times = "1.5" }]
    "#;
    let model = World::new(config, "[defaults]").model();
    let price = only(&model).price.as_ref().unwrap();
    // 0.1 x 0.1395 x 1.5 x 0.333333 = 0.006974993025 dollars.
    assert_eq!((price.rates.input.0, price.rates.output.0), (6_975, 500_000));
    assert_eq!(price.request, PicoUsd(499_999_500_000));
}

#[test]
fn announced_and_ended_prices_follow_the_clock_of_the_compilation() {
    let base = "price = { input = \"1 USD\", output = \"2 USD\" }\n";
    let past =
        one(&format!("{base}dated = [{{ from = 2026-11-01T00:00:00Z, input = \"3 USD\", output = \"4 USD\" }}]"));
    assert_eq!((input(&past), past.next_price_change), (Some(3_000_000), None));
    let coming =
        one(&format!("{base}dated = [{{ from = \"2026-12-01T00:00:00Z\", input = \"3 USD\", output = \"4 USD\" }}]"));
    assert_eq!(input(&coming), Some(1_000_000));
    assert_eq!(coming.next_price_change.unwrap().to_string(), "2026-12-01T00:00:00Z");
    let ended = one(&format!("{base}until = \"2026-11-01T00:00:00+08:00\""));
    assert_eq!(input(&ended), None);
}

#[test]
fn a_deployment_takes_everything_from_its_real_model_but_the_name() {
    let config = r#"
        [upstreams.o]
        provider = "openai"
        keys = ["env:KEY"]
        models.mine = { base = "gpt-4.1", max_output = 5 }
        [upstreams.h]
        base_url = "http://127.0.0.1:1/v1"
        models.yours = { base = "gpt-4.1" }
        models.theirs = { base = "zhipu/glm-5.3", price = { input = "1 USD" } }
    "#;
    let model = World::new(config, "[defaults]").model();
    let find = |name: &str| model.endpoints.values().find(|one| &*one.model == name).unwrap();
    let (real, mine, yours, theirs) = (find("gpt-4.1"), find("mine"), find("yours"), find("theirs"));
    for one in [mine, yours] {
        assert_eq!((&one.price, one.context, one.capabilities), (&real.price, real.context, real.capabilities));
    }
    assert_eq!((mine.max_output, yours.max_output), (Some(Tokens(5)), real.max_output));
    let price = theirs.price.as_ref().unwrap();
    assert_eq!((price.rates.input.0, price.rates.output.0), (1_000_000, 3_906_000));
    assert_eq!(&*theirs.price_origin.as_ref().unwrap().source, "configuration");
}

#[test]
fn a_calendar_of_ones_own_replaces_the_one_that_is_built_in() {
    let today = "[calendars.cn-holidays]\ndays = [\"2026-11-23\"]\n";
    let config = "[upstreams.deepseek]\nprovider = \"deepseek\"\nkeys = [\"env:KEY\"]\n";
    let price = |config: &str| input(&World::new(config, "[defaults]").model()).unwrap();
    assert_eq!(price(&format!("{today}{config}")) * 2, price(config));
}

#[test]
fn a_price_that_holds_now_is_held_against_the_cap_of_now() {
    let config = r#"
        [upstreams.a]
        base_url = "http://127.0.0.1:1/v1"
        [upstreams.a.models.m]
        price = { input = "1 USD", output = "2 USD" }
        windows = [{ zone = "Asia/Shanghai", from = "09:00", to = "18:00", times = 4 }]
    "#;
    let mut world = World::new(config, "[defaults]\nmax_price = { input = \"3 USD\" }");
    let excluded = |world: &World<'_>| world.model().routes.values().any(|route| !route.excluded.is_empty());
    assert!(excluded(&world));
    world.now = "2026-11-23T10:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    assert!(!excluded(&world));
}

#[test]
fn mistakes_in_prices_come_with_their_place_and_a_remedy() {
    let config = r#"
        [upstreams.a]
        base_url = "http://127.0.0.1:1/v1"
        price_times = 0
        [upstreams.a.models.m]
        price = { input = "0.000001 USD", output = "2 USD" }
        base = "gpt-9"
        tiers = [{ input = "1 USD", output = "2 USD" }, { thinking = 1, input = "1 USD", output = "2 USD" }]
        windows = [
          { zone = "Asia/Shanghai", days = "mon-fry", from = "9:00", to = "18:00", times = "2" },
          { zone = "Asia/Peking", from = "09:00", to = "18:00", times = "2" },
          { zone = "Asia/Shanghai", from = "09:00", to = "18:00", times = "0.5", except = "cn-holiday" },
          { zone = "Asia/Shanghai", from = "09:00", to = "18:00" },
          { zone = "Asia/Shanghai", from = "09:00", to = "18:00", times = 2, input = "1 USD" },
        ]
        dated = [{ from = "2026-12-01", input = "1 USD" }]
        [calendars.mine]
        days = ["2026-13-01"]
    "#;
    insta::assert_snapshot!(World::new(config, "[defaults]").complaints());
}

#[test]
fn what_the_catalogue_says_of_a_price_does_not_outlive_the_price() {
    let config = r#"
        [upstreams.deepseek]
        provider = "deepseek"
        keys = ["env:KEY"]
        models.deepseek-flash = { price = { input = "1 USD", output = "1 USD" }, windows = [] }
    "#;
    let model = World::new(config, "[defaults]").model();
    let flash = model.endpoints.values().find(|one| &*one.model == "deepseek-flash").unwrap();
    assert_eq!((flash.price.as_ref().unwrap().rates.input.0, flash.price_changes_at), (1_000_000, None));
    assert_eq!(&*flash.price_origin.as_ref().unwrap().source, "configuration");
}

#[test]
fn doubtful_prices_are_warned_of_where_a_route_goes_by_them() {
    let config = "[upstreams.qianfan]\nprovider = \"qianfan\"\nkeys = [\"env:KEY\"]\n";
    let route = |model: &str| format!("[[routes]]\nname = \"r\"\nmodels = [\"r\"]\ncluster = [\"qianfan/{model}\"]");
    let old = World::new(config, &route("ernie-x1-turbo-32k"));
    assert!(old.complaints().contains("older than 180 days: qianfan/ernie-x1-turbo-32k (20"), "{}", old.complaints());
    let own = "models.\"ernie-x1-turbo-32k\" = { price = { input = \"1 CNY\", output = \"1 CNY\" } }\n";
    assert_eq!(World::new(&format!("{config}{own}"), &route("ernie-x1-turbo-32k")).complaints(), "");
}

#[test]
fn models_that_are_used_and_will_soon_be_gone_are_named() {
    let config = "[upstreams.openai]\nprovider = \"openai\"\nkeys = [\"env:KEY\"]\n";
    let complaints = |model: &str, own: &str| {
        let policy =
            format!("[[routes]]\nname = \"r\"\nmodels = [\"r\"]\ncluster = [\"openai/{model}\", \"openai/gpt-4.1\"]");
        World::new(&format!("{config}{own}"), &policy).complaints()
    };
    let said = complaints("o3", "");
    assert!(said.contains("about to be taken away: openai/o3 (2026-12-11)"), "{said}");
    assert_eq!(complaints("gpt-4o", ""), "");
    assert_eq!(complaints("o3", "models.o3 = { retires = \"2030-01-01\" }\n"), "", "the operator knows better");
    let wrong = complaints("o3", "models.o3 = { retires = \"soon\" }\n");
    assert!(wrong.contains("`soon` is not a date"), "{wrong}");
}

#[test]
fn a_calendar_that_has_ended_is_said_to_have() {
    let config = "[upstreams.deepseek]\nprovider = \"deepseek\"\nkeys = [\"env:KEY\"]\n";
    let mut world =
        World::new(config, "[[routes]]\nname = \"r\"\nmodels = [\"r\"]\ncluster = [\"deepseek/deepseek-flash\"]");
    assert_eq!(world.complaints(), "");
    world.now = "2027-01-04T02:00:00Z".parse::<jiff::Timestamp>().unwrap().into();
    let said = world.complaints();
    assert!(said.contains("the calendar `cn-holidays` ends on 2026-10-07"), "{said}");
}
