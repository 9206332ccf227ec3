//! Prices that feeds bring: which row is about which model, and what is believed.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::World;
use crate::policy::book::{Book, List, ListError, Shrunk, Vouched, read};
use crate::policy::model::{Endpoint, Feed, Model};
use crate::policy::{load, render};
use crate::units::PricePerMtok;

/// A daemon with feeds: what the configuration says, and what was fetched.
struct Stage {
    config: String,
    book: Book,
    feeds: Vec<Feed>,
    now: SystemTime,
}

impl Stage {
    fn new(config: &str) -> Self {
        let world = World::new(config, "");
        let feeds = world.model().feeds;
        Self { config: config.to_owned(), book: Book::default(), feeds, now: world.now }
    }

    fn stamp(&self) -> Timestamp {
        self.now.try_into().unwrap()
    }

    fn read(&self, feed: usize, text: &str) -> List {
        read(&self.feeds[feed], text.as_bytes(), self.stamp()).unwrap()
    }

    /// The next fetch of a feed, six hours later.
    fn fetch(&mut self, feed: usize, text: &str) {
        self.now += Duration::from_hours(6);
        let (list, now) = (self.read(feed, text), self.stamp());
        self.book.accept(&self.feeds[feed], list, now, Vouched::No).unwrap();
    }

    fn model(&self) -> Model {
        let world = World { now: self.now, ..World::new(&self.config, "") };
        let loaded = world.with(|sources| {
            let sources = crate::policy::Sources { book: Some(&self.book), ..*sources };
            load(Path::new("etc/f.toml"), &sources)
        });
        let text = render(&loaded.diagnostics);
        loaded.model.unwrap_or_else(|| panic!("{text}"))
    }

    fn endpoint(&self, id: &str) -> Endpoint {
        let model = self.model();
        model.endpoints.values().find(|endpoint| endpoint.id.to_string().starts_with(id)).unwrap().clone()
    }

    /// Micro-dollars per million tokens, in and out, and who says so.
    fn price(&self, id: &str) -> (u64, u64, String) {
        let endpoint = self.endpoint(id);
        let price = endpoint.price.unwrap();
        let PricePerMtok(input) = price.rates.input;
        (input, price.rates.output.0, endpoint.price_origin.unwrap().source.to_string())
    }

    fn doubt(&self, id: &str) -> Option<(bool, String)> {
        self.endpoint(id).price_doubt.map(|doubt| (doubt.held, doubt.text.to_string()))
    }
}

const OPENAI: &str = r#"
[upstreams.openai]
provider = "openai"
keys = ["env:KEY"]
[[prices.feeds]]
url = "https://prices.example/map.json"
format = "litellm"
"#;

const UNLISTED: &str = r#"
[upstreams.openai]
provider = "openai"
keys = ["env:KEY"]
[upstreams.openai.models.x]
[[prices.feeds]]
url = "https://prices.example/map.json"
format = "litellm"
"#;

fn litellm(provider: &str, rows: &[(&str, &str, &str)]) -> String {
    let row = |(id, input, output): &(&str, &str, &str)| {
        format!(
            r#""{id}": {{"litellm_provider": "{provider}", "mode": "chat",
                "input_cost_per_token": {input}, "output_cost_per_token": {output}}}"#
        )
    };
    format!("{{{}}}", rows.iter().map(row).collect::<Vec<_>>().join(","))
}

#[test]
fn a_small_change_counts_at_once_and_says_where_it_comes_from() {
    let mut stage = Stage::new(OPENAI);
    assert_eq!(stage.price("openai/gpt-4o#"), (2_500_000, 10_000_000, "catalogue".into()));

    stage.fetch(0, &litellm("openai", &[("gpt-4o", "3e-06", "1e-05")]));

    assert_eq!(stage.price("openai/gpt-4o#"), (3_000_000, 10_000_000, "litellm".into()));
    assert_eq!(stage.price("openai/gpt-4o-mini#").2, "catalogue", "what a feed does not price stays as listed");
}

#[test]
fn a_jump_is_held_at_the_dearer_price_until_it_is_said_again() {
    let mut stage = Stage::new(OPENAI);
    let slip = litellm("openai", &[("gpt-4o", "2.5e-09", "1e-08")]);
    stage.fetch(0, &slip);
    assert_eq!(stage.price("openai/gpt-4o#").0, 2_500_000, "a thousandth of the price is not believed");
    let (held, text) = stage.doubt("openai/gpt-4o#").unwrap();
    assert!(held && text.contains("litellm says 0.0025 USD / 0.01 USD"), "{text}");

    stage.fetch(0, &slip);
    assert_eq!(stage.price("openai/gpt-4o#").0, 2_500, "it is said again");
    assert_eq!(stage.doubt("openai/gpt-4o#"), None);

    stage.fetch(0, &litellm("openai", &[("gpt-4o", "9e-06", "4e-05")]));
    assert_eq!(stage.price("openai/gpt-4o#").0, 9_000_000, "a rise counts while it is held: it is the dearer");
    assert!(stage.doubt("openai/gpt-4o#").unwrap().0);
    stage.fetch(0, &litellm("openai", &[("gpt-4o", "2.6e-09", "1e-08")]));
    assert_eq!(stage.price("openai/gpt-4o#").0, 2_600, "and is forgotten when it is taken back");
    assert_eq!(stage.doubt("openai/gpt-4o#"), None);
}

#[test]
fn not_modified_is_saying_it_again() {
    let mut stage = Stage::new(OPENAI);
    stage.fetch(0, &litellm("openai", &[("gpt-4o", "1e-06", "4e-06")]));
    assert_eq!(stage.price("openai/gpt-4o#").0, 2_500_000);

    let first = stage.stamp();
    assert!(!stage.book.confirm(&stage.feeds[0], first + Duration::from_mins(1), Vouched::No));
    assert_eq!(stage.price("openai/gpt-4o#").0, 2_500_000, "a minute later it is the same slip");

    assert!(stage.book.confirm(&stage.feeds[0], first + Duration::from_hours(6), Vouched::No));
    assert_eq!(stage.price("openai/gpt-4o#").0, 1_000_000);
}

#[test]
fn what_was_read_elsewhere_is_not_what_a_feed_says() {
    let mut stage = Stage::new(OPENAI);
    stage.fetch(0, &litellm("openai", &[("gpt-4o", "3e-06", "1e-05")]));
    let moved = OPENAI.replace("map.json", "other.json");
    let elsewhere = Stage { config: moved, book: stage.book.clone(), ..Stage::new(OPENAI) };
    assert_eq!(elsewhere.price("openai/gpt-4o#").2, "catalogue");

    let now = stage.stamp();
    let feed = &Stage::new(&elsewhere.config).feeds[0];
    assert!(!stage.book.confirm(feed, now, Vouched::No), "nor is it confirmed from there");
    stage.book.retain(std::slice::from_ref(feed));
    assert!(stage.book.shelf(&stage.feeds[0]).is_none());
}

#[test]
fn a_row_that_was_away_for_one_fetch_is_compared_with_what_it_was() {
    let mut stage = Stage::new(UNLISTED);
    let rows = |input| [("a", "1e-06", "1e-06"), ("b", "1e-06", "1e-06"), ("x", input, "1e-06")];
    stage.fetch(0, &litellm("openai", &rows("1e-06")));
    stage.fetch(0, &litellm("openai", &rows("1e-06")));
    stage.fetch(0, &litellm("openai", &rows("1e-06")[..2]));
    assert_eq!(stage.price("openai/x").0, 1_000_000, "it may be back");
    assert!(stage.doubt("openai/x").unwrap().1.contains("says nothing any more"));

    stage.fetch(0, &litellm("openai", &rows("1e-09")));

    assert_eq!(stage.price("openai/x").0, 1_000_000, "the dearer one, until it is said again");
    assert!(stage.doubt("openai/x").unwrap().0);
}

#[test]
fn a_row_that_stays_away_is_forgotten() {
    let mut stage = Stage::new(UNLISTED);
    let rows = [("gpt-4o", "25e-06", "1e-04"), ("b", "1e-06", "1e-06"), ("x", "1e-06", "1e-06")];
    stage.fetch(0, &litellm("openai", &rows));
    stage.fetch(0, &litellm("openai", &rows));
    assert_eq!(stage.price("openai/gpt-4o#").0, 25_000_000);

    stage.fetch(0, &litellm("openai", &rows[1..]));
    assert_eq!(stage.price("openai/gpt-4o#").0, 25_000_000, "a tenth of it is not believed at once");
    stage.fetch(0, &litellm("openai", &rows[1..2]).replace('}', "} "));

    assert_eq!(stage.price("openai/gpt-4o#"), (2_500_000, 10_000_000, "catalogue".into()));
    assert_eq!(stage.price("openai/x").0, 1_000_000, "this one is missing for the first time");
}

#[test]
fn the_price_of_a_cached_token_is_guarded_and_believed_as_every_other() {
    let mut stage = Stage::new(OPENAI);
    let row = |cached: &str| {
        litellm("openai", &[("gpt-4o", "2.5e-06", "1e-05")])
            .replace("\"mode\"", &format!("\"cache_read_input_token_cost\": {cached}, \"mode\""))
    };
    let cached = |stage: &Stage| stage.endpoint("openai/gpt-4o#").price.unwrap().rates.cached_input.unwrap().0;
    assert_eq!(cached(&stage), 1_250_000, "as listed");

    stage.fetch(0, &litellm("openai", &[("gpt-4o", "2.6e-06", "1e-05")]));
    assert_eq!(cached(&stage), 1_250_000, "what the feed does not say stays as listed");

    stage.fetch(0, &row("1e-06"));
    stage.fetch(0, &row("1e-06"));
    assert_eq!(cached(&stage), 1_000_000, "a small change of that alone");

    stage.fetch(0, &row("1e-09"));
    assert_eq!(cached(&stage), 1_000_000, "a slip");
    assert!(stage.doubt("openai/gpt-4o#").unwrap().0);
    stage.fetch(0, &row("1e-09"));
    assert_eq!(cached(&stage), 1_000, "that was none");
}

#[test]
fn small_steps_are_measured_from_what_was_believed() {
    let mut stage = Stage::new(OPENAI);
    for input in ["3e-06", "4e-06", "5.5e-06", "8e-06"] {
        stage.fetch(0, &litellm("openai", &[("gpt-4o", input, "1e-05")]));
        stage.fetch(0, &litellm("openai", &[("gpt-4o", input, "1e-05")]));
    }
    assert_eq!(stage.price("openai/gpt-4o#").0, 8_000_000);
    stage.fetch(0, &litellm("openai", &[("gpt-4o", "1e-06", "1e-05")]));
    stage.fetch(0, &litellm("openai", &[("gpt-4o", "1.1e-06", "1e-05")]));
    assert_eq!(stage.price("openai/gpt-4o#").0, 8_000_000, "two different low prices confirm nothing");
}

#[test]
fn a_list_that_lost_more_than_half_is_refused_unless_somebody_vouches_for_it() {
    let mut stage = Stage::new(OPENAI);
    let names: Vec<String> = (0..10).map(|number| format!("m{number}")).collect();
    let rows: Vec<_> = names.iter().map(|name| (name.as_str(), "1e-06", "1e-06")).collect();
    stage.fetch(0, &litellm("openai", &rows));
    let now = stage.stamp();
    let half = stage.read(0, &litellm("openai", &rows[..5]));
    let less = stage.read(0, &litellm("openai", &rows[..4]));

    let refused = stage.book.accept(&stage.feeds[0], less.clone(), now, Vouched::No);
    assert_eq!(refused, Err(Shrunk { before: 10, now: 4 }));
    assert_eq!(stage.book.shelf(&stage.feeds[0]).unwrap().len(), 10);
    stage.book.accept(&stage.feeds[0], half, now, Vouched::No).unwrap();
    stage.book.accept(&stage.feeds[0], less.clone(), now, Vouched::Yes).unwrap();
    assert_eq!(stage.book.shelf(&stage.feeds[0]).unwrap().len(), 4);
}

#[test]
fn a_model_is_priced_by_its_provider_and_never_by_its_name_alone() {
    let config = OPENAI.replace("[upstreams.openai]\nprovider = \"openai\"", "[upstreams.groq]\nprovider = \"groq\"");
    let mut stage = Stage::new(&config);
    let before = stage.price("groq/openai/gpt-oss-120b#");
    stage.fetch(0, &litellm("cerebras", &[("cerebras/openai/gpt-oss-120b", "1.6e-07", "6.1e-07")]));
    assert_eq!(stage.price("groq/openai/gpt-oss-120b#"), before);

    stage.fetch(0, &litellm("groq", &[("groq/openai/gpt-oss-120b", "1.6e-07", "6.1e-07")]));
    assert_eq!(stage.price("groq/openai/gpt-oss-120b#"), (160_000, 610_000, "litellm".into()));
}

#[test]
fn what_the_operator_says_is_never_overruled_and_a_discount_applies_to_feeds_too() {
    let config = format!(
        "{}\n[upstreams.openai.models.\"gpt-4o\"]\nprice = {{ input = \"7 USD\", output = \"8 USD\" }}\n",
        OPENAI.replace("keys = [\"env:KEY\"]", "keys = [\"env:KEY\"]\nprice_times = \"0.5\"")
    );
    let mut stage = Stage::new(&config);
    stage.fetch(0, &litellm("openai", &[("gpt-4o", "3e-06", "1e-05"), ("gpt-4o-mini", "1.6e-07", "6.2e-07")]));
    assert_eq!(stage.price("openai/gpt-4o#"), (3_500_000, 4_000_000, "configuration".into()));
    assert_eq!(stage.price("openai/gpt-4o-mini#"), (80_000, 310_000, "litellm".into()));
}

#[test]
fn a_row_that_is_coarser_than_the_list_does_not_count_and_says_why() {
    let config = OPENAI.replace("[upstreams.openai]\nprovider = \"openai\"", "[upstreams.ds]\nprovider = \"deepseek\"");
    let mut stage = Stage::new(&config);
    let before = stage.price("ds/deepseek-flash#");

    stage.fetch(0, &litellm("deepseek", &[("deepseek-flash", "1.6e-07", "6.1e-07")]));

    assert_eq!(stage.price("ds/deepseek-flash#"), before);
    let (held, text) = stage.doubt("ds/deepseek-flash#").unwrap();
    assert!(!held && text.contains("does not say which hour it means"), "{text}");
}

#[test]
fn hours_of_a_feed_are_kept_and_compared_hour_by_hour() {
    let config = OPENAI.replace("[upstreams.openai]\nprovider = \"openai\"", "[upstreams.ds]\nprovider = \"deepseek\"");
    let mut stage = Stage::new(&config);
    let row = |peak: &str, low: &str| {
        format!(
            r#"{{"deepseek/deepseek-flash": {{"litellm_provider": "deepseek", "mode": "chat",
              "input_cost_per_token": {peak}, "output_cost_per_token": 1.2e-06,
              "off_peak_pricing": {{"input_cost_per_token": {low}, "output_cost_per_token": 6e-07,
                "windows": [{{"weekdays": [1, 2, 3, 4, 5], "hours_utc": ["00:00-01:00", "04:00-06:00", "10:00-00:00"]}},
                            {{"weekdays": [6, 7], "hours_utc": "00:00-00:00"}}]}}}}}}"#
        )
    };
    // The list writes the low price and twice as much at the peak; the feed the peak and less at other hours.
    stage.fetch(0, &row("3.3e-07", "1.6e-07"));
    stage.now = "2026-11-24T02:00:00Z".parse::<Timestamp>().unwrap().into();
    assert_eq!(stage.price("ds/deepseek-flash#"), (330_000, 1_200_000, "litellm".into()));
    stage.now = "2026-11-24T12:00:00Z".parse::<Timestamp>().unwrap().into();
    assert_eq!(stage.price("ds/deepseek-flash#"), (160_000, 600_000, "litellm".into()));
    assert_eq!(stage.endpoint("ds/deepseek-flash#").price_changes_at, Some("2026-11-25T01:00:00Z".parse().unwrap()));
}

#[test]
fn a_conversion_of_the_bills_own_currency_counts_only_where_it_says_something_new() {
    let config = OPENAI.replace("[upstreams.openai]\nprovider = \"openai\"", "[upstreams.z]\nprovider = \"zhipu\"");
    let mut stage = Stage::new(&config);
    let listed = stage.price("z/glm-5.3#");
    // 8 and 28 yuan at 7.2 to the dollar.
    stage.fetch(0, &litellm("bigmodel", &[("bigmodel/glm-5.3", "1.1111e-06", "3.8889e-06")]));
    let (input, output, source) = stage.price("z/glm-5.3#");
    assert_eq!((input, output), (listed.0, listed.1), "the same, at another exchange rate");
    assert_eq!(source, "litellm", "and said anew");

    stage.fetch(0, &litellm("bigmodel", &[("bigmodel/glm-5.3", "0.8e-06", "2.8e-06")]));
    assert_eq!(stage.price("z/glm-5.3#").0, 800_000);
}

const OWN: &str = r#"
[upstreams.z]
provider = "zhipu"
keys = ["env:KEY"]
[upstreams.house]
base_url = "http://127.0.0.1:1/v1"
[upstreams.house.models."qwen3-8b"]
[upstreams.other]
base_url = "http://127.0.0.1:2/v1"
[upstreams.other.models."qwen3-8b"]
[[prices.feeds]]
url = "file:list.toml"
format = "faregate"
max_rise = "10%"
[[prices.feeds]]
name = "house-list"
url = "file:house.toml"
format = "faregate"
upstream = "house"
"#;

#[test]
fn our_own_format_has_regions_currencies_and_all_that_a_price_may_be() {
    let mut stage = Stage::new(OWN);
    stage.fetch(
        0,
        r#"
        [calendars.bridge]
        days = ["2026-11-24"]
        [providers.zhipu.hosts.cn.models."glm-5.3"]
        price = { input = "8.4 CNY", output = "28 CNY" }
        as_of = "2026-11-20"
        windows = [{ zone = "Asia/Shanghai", from = "00:00", to = "24:00", times = "0.5", except = "bridge" }]
        [providers.zhipu.hosts.intl.models."glm-5.3"]
        price = { input = "1 USD", output = "1 USD" }
        "#,
    );
    stage.now = "2026-11-24T02:00:00Z".parse::<Timestamp>().unwrap().into();
    let endpoint = stage.endpoint("z/glm-5.3#");
    assert_eq!(endpoint.price.unwrap().rates.input, PricePerMtok(1_171_800));
    assert_eq!(endpoint.price_origin.unwrap().as_of.unwrap().to_string(), "2026-11-20");
}

#[test]
fn a_list_of_one_upstream_prices_that_one_only_and_at_once() {
    let mut stage = Stage::new(OWN);
    stage.fetch(1, "[models.\"qwen3-8b\"]\nprice = { input = \"0.1 USD\", output = \"0.3 USD\" }");
    assert_eq!(stage.price("house/qwen3-8b").2, "house-list");
    stage.fetch(1, "[models.\"qwen3-8b\"]\nprice = { input = \"9 USD\", output = \"9 USD\" }");
    assert_eq!(stage.price("house/qwen3-8b").0, 9_000_000);
    assert_eq!(stage.endpoint("other/qwen3-8b").price, None);
}

#[test]
fn mistakes_in_a_list_of_our_own_are_shown_at_their_place() {
    let stage = Stage::new(OWN);
    let error = |text: &str| match read(&stage.feeds[0], text.as_bytes(), stage.stamp()).unwrap_err() {
        ListError::Invalid(diagnostics) => render(&diagnostics),
        other => other.to_string(),
    };
    let text = error("[models.a]\nprice = { input = \"1 USD\", outptu = \"2 USD\" }");
    assert!(text.contains("faregate:2:") && text.contains("did you mean `output`"), "{text}");
    assert!(error("").contains("prices no model"));
    assert!(error("[models.a]\nprice = { input = \"1 USD\" }").contains("missing field `output`"));
}

#[test]
fn nothing_is_free_because_a_list_says_0() {
    let stage = Stage::new(
        "[upstreams.house]\nbase_url = \"http://h/v1\"\n[upstreams.house.models.m]\n[[prices.feeds]]\nurl = \"file:p.toml\"\nformat = \"faregate\"\nupstream = \"house\"\n",
    );
    let error =
        read(&stage.feeds[0], b"[models.m]\nprice = { input = \"0 USD\", output = \"0 USD\" }\n", stage.stamp());
    let Err(ListError::Invalid(mistakes)) = error else { panic!("{error:?}") };
    assert!(render(&mistakes).contains("`m` costs 0 here"), "{}", render(&mistakes));
}

#[test]
fn embeddings_have_no_output_to_pay_for() {
    let stage = Stage::new(OPENAI);
    let text = r#"{"text-embedding-3-small": {"litellm_provider": "openai", "mode": "embedding",
        "input_cost_per_token": 2.4e-08, "output_cost_per_token": 0.0}}"#;
    let mut stage = Stage { ..stage };
    stage.fetch(0, text);
    assert_eq!(stage.price("openai/text-embedding-3-small#"), (24_000, 0, "litellm".into()));
}

#[test]
fn wrong_feeds_are_refused_with_the_remedy() {
    let wrong = |feed: &str| World::new(&format!("{OWN}\n{feed}"), "").complaints();
    let feed = |rest: &str| format!("[[prices.feeds]]\nname = \"x\"\nurl = \"https://a.example/p\"\n{rest}");
    assert!(wrong(&feed("format = \"litelm\"")).contains("litellm"));
    assert!(wrong(&feed("format = \"litellm\"\nupstream = \"hose\"")).contains("did you mean `house`?"));
    assert!(wrong(&feed("format = \"litellm\"\nevery = \"1s\"")).contains("too often"));
    assert!(wrong("[[prices.feeds]]\nurl = \"file:x\"\nformat = \"faregate\"").contains("two feeds are called"));
    assert!(wrong("[[prices.feeds]]\nurl = \"ftp://x\"\nformat = \"litellm\"").contains("write \"https://"));
    assert!(
        wrong("[[prices.feeds]]\nurl = \"file://host/x\"\nformat = \"litellm\"").contains("no file of this machine")
    );
    assert!(wrong(&feed("format = \"litellm\"").replace("\"x\"", "\"../x\"")).contains("does not do as a feed's name"));
}
