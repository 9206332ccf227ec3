//! What correct files compile to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{CONFIG, World, route, tiers};
use crate::dialect::quota_headers::{Window, Windows};
use crate::engine::Handicap;
use crate::policy::{load_default, load_policy};
use crate::units::{Dollars, PicoUsd, PricePerMtok, Share, Tokens};

#[test]
fn a_model_at_several_upstreams_is_one_tier_of_all_of_them() {
    let model = World::new(CONFIG, "[defaults]").model();
    assert_eq!(tiers(&model, "m1"), [["a/m1#KEY", "a/m1#second", "b/m1"]]);
    assert_eq!(tiers(&model, "a/m1"), [["a/m1#KEY", "a/m1#second"]]);
    assert_eq!(tiers(&model, "a/m1#second"), [["a/m1#second"]]);
    assert_eq!(tiers(&model, "x1"), [["a/x1#KEY"]], "the second key may call m* only");
    assert_eq!(&*route(&model, "m1").name, "unlisted");
}

#[test]
fn exact_names_beat_globs_and_longer_globs_beat_shorter_and_listed_names_are_not_implied() {
    let policy = r#"
        [[routes]]
        name = "any"
        models = ["*"]
        cluster = ["b/m1"]
        [[routes]]
        name = "m"
        models = ["m*"]
        cluster = ["a/m1"]
        [[routes]]
        name = "x"
        models = ["x1"]
        cluster = ["a/x1"]
    "#;
    let model = World::new(CONFIG, policy).model();
    for (name, expected) in [("m1", "m"), ("mm", "m"), ("x1", "x"), ("a/m1#KEY", "any"), ("zzz", "any"), ("m", "m")] {
        assert_eq!(&*route(&model, name).name, expected, "{name}");
    }
    assert_eq!(model.routes.len(), 3, "everything is listed, so nothing is implied");
}

#[test]
fn prices_in_any_currency_become_whole_micro_dollars() {
    let config = format!("[exchange]\nCNY = {{ usd = \"0.1395\", as_of = \"2026-11-20\" }}\n{CONFIG}");
    let model = World::new(&config, "[defaults]").model();
    let price = model.endpoints.values().next().unwrap().price.as_ref().unwrap();
    assert_eq!((price.rates.input, price.rates.output), (PricePerMtok(1_116_000), PricePerMtok(3_906_000)));
}

#[test]
fn a_route_overrides_what_it_names_and_inherits_the_rest() {
    let policy = r#"
        [objective]
        value_of_second = "0.5 USD"
        late_cost = "0.25 USD"
        [defaults]
        timeouts = { connect = "5s" }
        retry = { attempts = 7 }
        [[routes]]
        name = "chat"
        models = ["gpt-4o"]
        cluster = [["a/m1#KEY", { endpoint = "b/m1", handicap = "0.002 USD" }], [{ endpoint = "a/x1", handicap = "10%" }]]
        objective = { value_of_second = "0 USD", target_answer = "20s" }
        timeouts = { idle = "3s" }
        retry = { floor = "5/s" }
    "#;
    let model = World::new(CONFIG, policy).model();
    let chat = route(&model, "gpt-4o");
    assert_eq!((chat.objective.value_of_second, chat.objective.late_cost), (Dollars(0.0), Dollars(0.25)));
    assert_eq!(chat.objective.target_answer, Some(Duration::from_secs(20)));
    assert_eq!((chat.timeouts.connect, chat.timeouts.idle), (Duration::from_secs(5), Duration::from_secs(3)));
    assert_eq!((chat.timeouts.first_token, chat.retry.attempts), (Duration::from_secs(10), 7));
    assert_eq!(chat.retry.budget, Share(0.2));
    assert_eq!(chat.tiers[0][1].handicap, Handicap::Amount(PicoUsd(2_000_000_000)));
    assert_eq!(chat.tiers[1][0].handicap, Handicap::Share(Share(0.1)));
    assert_eq!(route(&model, "m1").objective.value_of_second, Dollars(0.5));
}

#[test]
fn a_users_model_extends_the_catalogues_field_by_field() {
    let config = r#"
        [upstreams.zhipu]
        provider = "zhipu"
        keys = ["env:KEY"]
        limits = { rpm = 600 }
        [upstreams.zhipu.models."glm-5.3"]
        price = { output = "1 USD" }
        limits = { concurrency = 10 }
        [upstreams.zhipu.models.mine]
        context = 5
    "#;
    let model = World::new(config, "[defaults]").model();
    let find = |name: &str| model.endpoints.values().find(|one| &*one.model == name).unwrap();
    let price = find("glm-5.3").price.as_ref().unwrap();
    assert_eq!((price.rates.input, price.rates.output), (PricePerMtok(1_116_000), PricePerMtok(1_000_000)));
    assert_eq!((find("glm-5.3").context, find("glm-5.3").limits.concurrency), (Some(Tokens(1_000_000)), Some(10)));
    assert_eq!((find("mine").context, find("mine").price.is_none()), (Some(Tokens(5)), true));
    assert_eq!(model.keys.values().next().unwrap().limits.requests_per_minute, Some(600));
}

#[test]
fn the_usual_configuration_has_every_provider_whose_key_is_set() {
    let mut world = World::new("", "");
    world.variables = vec![("BIGMODEL_API_KEY", "k1"), ("OPENAI_API_KEY", "k2"), ("MOONSHOT_API_KEY", " ")];
    let loaded = world.with(load_default);
    let model = loaded.model.unwrap();
    let names = model.upstreams.values().map(|one| &*one.name).collect::<Vec<_>>();
    assert_eq!(names, ["openai", "zhipu"]);
    assert_eq!(model.policy_source, "builtin:balanced");
    assert_eq!(tiers(&model, "gpt-4o")[0][1], "zhipu/glm-5.3#BIGMODEL_API_KEY");
}

#[test]
fn an_account_abroad_is_known_by_its_own_variable() {
    let mut world = World::new("", "");
    for (variables, expected) in [
        (vec![("ZAI_API_KEY", "k1")], vec![("zhipu-intl", "api.z.ai")]),
        (
            vec![("ZAI_API_KEY", "k1"), ("ZHIPU_API_KEY", "k2")],
            vec![("zhipu", "open.bigmodel.cn"), ("zhipu-intl", "api.z.ai")],
        ),
    ] {
        world.variables = variables;
        let model = world.with(load_default).model.unwrap();
        let hosts: Vec<_> = model.upstreams.values().map(|one| (&*one.name, &*one.base_url.host)).collect();
        assert_eq!(hosts, expected);
    }
}

#[test]
fn a_host_whose_list_is_not_known_serves_what_its_user_says() {
    let config = "[upstreams.us]\nprovider = \"dashscope\"\nregion = \"us\"\nkeys = [\"env:KEY\"]\n";
    let complaints = World::new(config, "[defaults]").complaints();
    assert!(complaints.contains("`us` has no models, so nothing can be sent to it"), "{complaints}");
    let own = "models.qwen-plus = { price = { input = \"1 USD\", output = \"2 USD\" } }\n";
    let model = World::new(&format!("{config}{own}"), "[defaults]").model();
    let upstream = model.upstreams.values().next().unwrap();
    assert_eq!(
        (&*upstream.base_url.host, &upstream.regions[..]),
        ("dashscope-us.aliyuncs.com", &["us".to_owned()][..])
    );
    // It speaks as the provider does everywhere.
    let asked = &model.endpoints.values().next().unwrap().adjustments;
    assert!(asked.of(crate::engine::Mode::Plain).drops("frequency_penalty"));
}

#[test]
fn with_no_key_set_the_error_says_which_would_do() {
    let mut world = World::new("", "");
    world.variables.clear();
    let loaded = world.with(load_default);
    assert!(loaded.model.is_none());
    insta::assert_snapshot!(loaded.diagnostics[0].to_string(), @r"
    error: there is no configuration and no provider's key is set
      = help: set one of OPENAI_API_KEY, ZHIPU_API_KEY, DASHSCOPE_API_KEY, QIANFAN_API_KEY, BAICHUAN_API_KEY, AI360_API_KEY, DEEPSEEK_API_KEY, MOONSHOT_API_KEY, ARK_API_KEY, MINIMAX_API_KEY, HUNYUAN_API_KEY, SILICONFLOW_CN_API_KEY, STEPFUN_API_KEY, GROQ_API_KEY, MISTRAL_API_KEY, XAI_API_KEY, TOGETHER_API_KEY, FIREWORKS_API_KEY, CEREBRAS_API_KEY, GEMINI_API_KEY, SENSENOVA_API_KEY, SPARK_API_PASSWORD, ZEROONE_API_KEY, or write a faregate.toml; `faregate demo` needs no key and no network
    ");
}

#[test]
fn every_file_is_listed_for_the_watcher_even_when_loading_fails() {
    let config = "[upstreams.a]\nbase_url = \"https://a.example\"\nkeys = [\"file:keys/one\", \"file:/abs/two\"]\n";
    let mut world = World::new(config, "[defaults]\nmax_prise = 1");
    world.files.push(("etc/keys/one", "sk-one\n".to_owned()));
    let loaded = world.load();
    assert!(loaded.model.is_none());
    let expected = ["etc/f.toml", "etc/p.toml", "etc/keys/one", "/abs/two"].map(PathBuf::from);
    assert_eq!(loaded.files, expected);
}

#[test]
fn the_fingerprint_follows_the_content_of_every_file() {
    let config = "[upstreams.a]\nbase_url = \"https://a.example\"\nkeys = [\"file:key\"]\n[upstreams.a.models.m]\n";
    let mut world = World::new(config, "[defaults]");
    world.files.push(("etc/key", "one".to_owned()));
    let first = world.model().fingerprint;
    assert_eq!(first, world.model().fingerprint);
    world.files[2].1 = "two".to_owned();
    assert_ne!(first, world.model().fingerprint);
}

#[test]
fn a_policy_alone_is_checked_against_the_whole_catalogue() {
    let mut world = World::new("", "[[routes]]\nname = \"r\"\nmodels = [\"x\"]\ncluster = [\"moonshot/kimi-k3\"]");
    world.variables.clear();
    let loaded = world.with(|sources| load_policy(Path::new("etc/p.toml"), None, sources));
    let model = loaded.model.unwrap();
    assert_eq!(tiers(&model, "x"), [["moonshot/kimi-k3#MOONSHOT_API_KEY"]]);
}

#[test]
fn a_name_with_an_at_stands_for_all_that_stand_in_for_it() {
    let config = "[upstreams.glm]\nprovider = \"zhipu\"\nkeys = [\"env:KEY\", \"env:OTHER\"]\n\
                  [upstreams.qwen]\nprovider = \"dashscope\"\nkeys = [\"env:KEY\"]\n";
    let policy =
        "[[routes]]\nname = \"r\"\nmodels = [\"gpt-4o\"]\ncluster = [{ endpoint = \"@gpt-4o\", handicap = \"5%\" }]\n";
    let found = tiers(&World::new(config, policy).model(), "gpt-4o");
    assert_eq!(found, [["glm/glm-5.3#KEY", "glm/glm-5.3#OTHER", "qwen/qwen3.8-max#KEY"]]);

    let nobody = World::new("[upstreams.a]\nprovider = \"groq\"\nkeys = [\"env:KEY\"]\n", policy).complaints();
    assert!(nobody.contains("no provider is configured that has a stand-in for `gpt-4o`"), "{nobody}");
    let wrong = World::new(config, &policy.replace("@gpt-4o", "@gpt-4p")).complaints();
    assert!(wrong.contains("no stand-ins for `gpt-4p`") && wrong.contains("did you mean `@gpt-4o`?"), "{wrong}");
}

#[test]
fn a_canary_has_one_place() {
    let config = "[upstreams.zhipu]\nprovider = \"zhipu\"\nkeys = [\"env:KEY\"]\n[upstreams.openai]\nprovider = \"openai\"\nkeys = [\"env:KEY\"]\n";
    let with = |cluster: &str| {
        let policy = format!(
            "[[routes]]\nname = \"r\"\nmodels = [\"gpt-4o\"]\ncluster = {cluster}\ncanary = {{ endpoint = \"@gpt-4o\", share = \"5%\" }}\n"
        );
        tiers(&World::new(config, &policy).model(), "gpt-4o")
    };
    let (glm, gpt) = ("zhipu/glm-5.3#KEY", "openai/gpt-4o#KEY");
    assert_eq!(with("[[\"openai/gpt-4o\"], [\"@gpt-4o\"]]"), [[gpt], [glm]], "where the file puts it");
    assert_eq!(with("[\"openai/gpt-4o\"]"), [[gpt, glm]], "or in the first tier");
}

#[test]
fn a_shadow_is_one_model_that_the_rules_allow_and_that_has_a_bound() {
    let config = "[upstreams.zhipu]\nprovider = \"zhipu\"\nkeys = [\"env:KEY\", \"env:OTHER\"]\n[upstreams.openai]\nprovider = \"openai\"\nkeys = [\"env:KEY\"]\n";
    let policy = |shadow: &str, rest: &str| {
        let route = "[[routes]]\nname = \"r\"\nmodels = [\"gpt-4o\"]\ncluster = [\"openai/gpt-4o\"]\n";
        World::new(config, &format!("{route}shadow = {{ {shadow} }}\n{rest}"))
    };
    let whole = "endpoint = \"zhipu/glm-5.3\", share = \"2%\", max_cost = \"5 CNY/day\"";
    let model = policy(whole, "").model();
    let shadow = model.routes.values().next().unwrap().shadow.clone().unwrap();
    assert_eq!((shadow.endpoints.len(), shadow.share, shadow.max_cost), (2, Share(0.02), PicoUsd(697_500_000_000)));

    let abroad = policy(whole, "require = { regions = [\"us\"] }\n");
    assert!(abroad.complaints().contains("`zhipu/glm-5.3` is sent nothing as a shadow"), "{}", abroad.complaints());
    for (said, expected) in [
        ("endpoint = \"zhipu/glm-5.3\", share = \"2%\"", "max_cost"),
        ("endpoint = \"@gpt-4o\", share = \"2%\", max_cost = \"5 USD/day\"", "a shadow is one model"),
        (
            "endpoint = \"zhipu/glm-5.3\", share = \"2%\", max_cost = \"5 USD\"",
            "an amount a day, such as \"5 USD/day\"",
        ),
        ("endpoint = \"zhipu/glm-9\", share = \"2%\", max_cost = \"5 USD/day\"", "has no model `glm-9`"),
    ] {
        let complaints = policy(said, "").complaints();
        assert!(complaints.contains(expected), "{said}: {complaints}");
    }
}

#[test]
fn what_quota_headers_mean_is_the_catalogues_word_unless_the_operator_says_otherwise() {
    let config = r#"
        [upstreams.listed]
        provider = "groq"
        keys = []
        [upstreams.changed]
        provider = "groq"
        keys = []
        quota_headers = { requests = "minute" }
        [upstreams.own]
        base_url = "http://h/v1"
        keys = []
    "#;
    let model = World::new(config, "").model();
    let windows = |name: &str| model.upstreams.values().find(|upstream| &*upstream.name == name).unwrap().quota_windows;
    assert_eq!(windows("listed"), Windows { requests: Window::Day, tokens: Window::Minute });
    assert_eq!(windows("changed"), Windows { requests: Window::Minute, tokens: Window::Minute });
    assert_eq!(windows("own"), Windows::default());
}

#[test]
fn an_operator_has_the_last_word_on_a_quirk() {
    let config = r#"
        [upstreams.z]
        provider = "zhinao"
        keys = []
        [[upstreams.z.quirks]]
        bounds = { temperature = { max = 2 } }
        fake_stream = "never"
        [[upstreams.z.quirks]]
        models = ["mine"]
        drop = ["seed"]
        set = { a = 0x10, b = 1_000 }
        [upstreams.z.models.mine]
        base = "360gpt2-pro"
    "#;
    let model = World::new(config, "").model();
    let of = |name: &str| {
        let endpoint = model.endpoints.values().find(|endpoint| &*endpoint.model == name).unwrap();
        endpoint.adjustments.of(crate::engine::Mode::Stream).clone()
    };
    let (listed, mine) = (of("360gpt2-pro"), of("mine"));
    assert!(!listed.fakes_stream(true) && !mine.fakes_stream(true));
    let most = |all: &crate::dialect::Adjustments| {
        all.bounds.iter().filter(|(name, _)| name == "temperature").map(|(_, bounds)| bounds.max).collect::<Vec<_>>()
    };
    assert_eq!((most(&listed), most(&mine)), (vec![Some(2.0)], vec![Some(2.0)]));
    assert_eq!((listed.drops("seed"), mine.drops("seed")), (false, true), "by the name that is sent");
    assert_eq!(mine.set, [("a".to_owned(), "16".to_owned()), ("b".to_owned(), "1000".to_owned())]);
}

#[test]
fn an_alias_has_the_quirks_of_what_it_is() {
    for base in ["o3", "openai/o3"] {
        let config =
            format!("[upstreams.a]\nprovider = \"openai\"\nkeys = []\n[upstreams.a.models.alias]\nbase = \"{base}\"\n");
        let model = World::new(&config, "").model();
        let endpoint = model.endpoints.values().find(|endpoint| &*endpoint.model == "alias").unwrap();
        assert!(endpoint.adjustments.of(crate::engine::Mode::Plain).drops("temperature"), "{base}");
    }
}
