//! Every metric is declared here, once, and no other file names the `prometheus` crate.
//!
//! Two kinds live apart. What *happened* (counters, histograms) is kept in one registry and written through held
//! handles, since a look-up by label costs four times the increment. What *is* (state, score, quota, price) is not
//! kept at all: each scrape fills a fresh set of [`Gauges`] from the state itself, so that an endpoint removed by a
//! reload leaves no series behind and two scrapes at once cannot mix.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{
    CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use super::comparison::ShadowMetrics;
use super::handles::{EndpointMetrics, InFlight, RequestMetrics};
use super::labels::{FeedResult, HedgeResult, Waste};
use crate::ids::EndpointId;
use crate::runtime;

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

pub(super) type Count = prometheus::IntCounter;
pub(super) type Sum = prometheus::Counter;
pub(super) type Spread = prometheus::Histogram;
pub(super) type Level = prometheus::IntGauge;

/// 1 ms to 5 min.
const REQUEST_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];
/// 10 µs to 1 s: faregate's own time, which should stay far below a millisecond.
const OVERHEAD_SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
];
/// 10,000 tokens a second to one in 2.5 s.
const TOKEN_SECONDS: &[f64] =
    &[0.000_1, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5];

/// 1 % to twice as much.
const ERROR_RATIOS: &[f64] = &[0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0];

/// A declaration that the registry refused, or a family that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The registry refused a name, a label or a duplicate.
    #[error("metric {name} cannot be declared")]
    Declare {
        /// The metric's full name.
        name: &'static str,
        /// What the registry said.
        source: prometheus::Error,
    },
    /// The text format refused what was gathered.
    #[error("metrics cannot be written")]
    Render(#[source] prometheus::Error),
}

/// All metrics of one process. Made once; shared by `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    running: Level,
}

/// A metric with `N` labels. The number is part of the type, so that a forgotten label does not compile.
#[derive(Clone, Debug)]
pub(super) struct Family<V, const N: usize>(V);

impl<B: MetricVecBuilder, const N: usize> Family<MetricVec<B>, N> {
    /// The series of these label values, made if it is new.
    pub(super) fn with(&self, values: [&str; N]) -> B::M {
        self.0.with_label_values(&values)
    }

    /// Drops every series that carries all of `wanted`.
    fn forget(&self, wanted: &[(&str, &str)]) {
        for metric in self.0.collect().iter().flat_map(MetricFamily::get_metric) {
            let labels: HashMap<&str, &str> =
                metric.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
            if wanted.iter().all(|(name, value)| labels.get(name) == Some(value))
                && let Err(error) = self.0.remove(&labels)
            {
                tracing::debug!(%error, "a series was gone before it could be forgotten");
            }
        }
    }
}

macro_rules! declare {
    ($(#[$doc:meta])* $vis:vis struct $set:ident {
        $($field:ident: $vec:ident $name:literal [$($label:literal),*] $(in $buckets:ident)? $help:literal;)+
    }) => {
        $(#[$doc])*
        $vis struct $set {
            $(#[doc = $help] pub(super) $field: Family<$vec, { let labels: &[&str] = &[$($label),*]; labels.len() }>,)+
        }

        impl $set {
            fn declare(registry: &Registry) -> Result<Self, MetricsError> {
                Ok(Self {$(
                    $field: Family(register(registry, $name, $help, &[$($label),*], &<[&[f64]]>::concat(&[$($buckets)?]))?),
                )+})
            }
        }
    };
}

declare! {
    /// What happened.
    #[derive(Clone, Debug)]
    pub(super) struct Families {
        requests: IntCounterVec "faregate_requests_total" ["route", "upstream", "model", "tenant", "outcome"]
            "Requests by how they ended.";
        duration: HistogramVec "faregate_request_duration_seconds" ["route", "upstream", "model"] in REQUEST_SECONDS
            "From a request's head to the end of its answer.";
        overhead: HistogramVec "faregate_overhead_seconds" [] in OVERHEAD_SECONDS
            "Own time per request, waiting for upstream and client excluded.";
        first_token: HistogramVec "faregate_time_to_first_token_seconds" ["upstream", "model"] in REQUEST_SECONDS
            "From sending a streaming request to its first token.";
        per_token: HistogramVec "faregate_time_per_output_token_seconds" ["upstream", "model"] in TOKEN_SECONDS
            "Mean time per output token after the first.";
        prompt_error: HistogramVec "faregate_prompt_estimate_error_ratio" ["upstream", "model"] in ERROR_RATIOS
            "How far a prompt's estimated tokens were off those reported, as a share of these.";
        tokens: IntCounterVec "faregate_tokens_total" ["upstream", "model", "tenant", "kind"]
            "Tokens used. Input includes cached input, output includes reasoning.";
        cost: CounterVec "faregate_cost_usd_total" ["route", "upstream", "model", "tenant"]
            "Dollars billed for answers.";
        wasted: CounterVec "faregate_wasted_cost_usd_total" ["reason"]
            "Dollars probably billed for answers that nobody got.";
        attempts: IntCounterVec "faregate_attempts_total" ["upstream", "model", "result"]
            "Calls of upstreams by how they ended.";
        failovers: IntCounterVec "faregate_failovers_total" ["from", "reason"]
            "Times that a request went on from one endpoint to another.";
        hedges: IntCounterVec "faregate_hedges_total" ["result"]
            "Second tries beside a slow first one, by what came of them.";
        shadow_requests: IntCounterVec "faregate_shadow_requests_total" ["route", "upstream", "model", "result"]
            "Requests sent to a route's shadow as well, by how they ended there.";
        shadow_cost: CounterVec "faregate_shadow_cost_usd_total" ["route", "upstream", "model", "side"]
            "Dollars for requests that the shadow and another have answered whole, by whose bill it is.";
        shadow_output: IntCounterVec "faregate_shadow_output_tokens_total" ["route", "upstream", "model", "side"]
            "Output tokens of these answers.";
        shadow_first_token: HistogramVec "faregate_shadow_time_to_first_token_seconds"
            ["route", "upstream", "model", "side"] in REQUEST_SECONDS
            "From sending these requests to the first token, for streams.";
        shadow_duration: HistogramVec "faregate_shadow_duration_seconds" ["route", "upstream", "model", "side"]
            in REQUEST_SECONDS
            "From sending these requests to the end of the answer.";
        unpriced: IntCounterVec "faregate_unpriced_requests_total" ["upstream", "model"]
            "Answers whose cost is unknown, for want of a price.";
        estimated: IntCounterVec "faregate_estimated_requests_total" ["upstream", "model"]
            "Answers whose usage was not reported, so that tokens and cost are estimates.";
        reloads: IntCounterVec "faregate_config_reloads_total" ["result"]
            "Reloads of configuration and policy.";
        feeds: IntCounterVec "faregate_price_feed_refreshes_total" ["source", "result"]
            "Times that a price feed was asked, by what came of it.";
        last_reload_successful: IntGaugeVec "faregate_config_last_reload_successful" []
            "Whether the last reload took effect.";
        generation: IntGaugeVec "faregate_config_generation" []
            "Counts the configurations that took effect.";
        inflight: IntGaugeVec "faregate_inflight_requests" []
            "Requests running now.";
        access_log_dropped: IntCounterVec "faregate_access_log_dropped_total" []
            "Access log lines dropped because their writer fell behind.";
        build: IntGaugeVec "faregate_build_info" ["version"]
            "Always 1; what runs is in the labels.";
        started: GaugeVec "process_start_time_seconds" []
            "When the process started, in seconds since 1970.";
    }
}

declare! {
    /// What is, at the moment of one scrape. Filled by the closure of [`Metrics::render_with`].
    #[derive(Debug)]
    pub struct Gauges {
        state: IntGaugeVec "faregate_endpoint_state" ["endpoint", "state"]
            "1 for the state that the endpoint is in, 0 for the others.";
        inflight: GaugeVec "faregate_endpoint_inflight" ["endpoint"]
            "Requests that the endpoint is working on.";
        benched: IntGaugeVec "faregate_endpoint_benched" ["endpoint", "reason"]
            "1 while an endpoint is left alone because of a failure of this class.";
        score: GaugeVec "faregate_endpoint_score_usd" ["endpoint"]
            "Decayed mean of the expected total cost of a request there.";
        quota: GaugeVec "faregate_quota_remaining_ratio" ["endpoint", "kind"]
            "Share of the provider's limit that is left.";
        allowance: GaugeVec "faregate_allowance_remaining_ratio" ["upstream", "allowance"]
            "Share of a free tier or prepaid pack that is left.";
        price: GaugeVec "faregate_price_usd_per_mtok" ["upstream", "model", "kind"]
            "Dollars per million tokens, by list price.";
        price_age: GaugeVec "faregate_price_age_seconds" ["source"]
            "Since when the oldest price in use from this source is known to be in force.";
        price_held: IntGaugeVec "faregate_price_held" ["upstream", "model"]
            "1 while a feed's new price moved too far to be believed, and the dearer one counts.";
        balance: GaugeVec "faregate_balance" ["upstream", "account", "currency"]
            "What is left in a prepaid account, as the provider told it, less what was spent since.";
        balance_lasts: GaugeVec "faregate_balance_lasts_seconds" ["upstream", "account"]
            "How long that lasts at the pace of the last twelve hours.";
        exchange: GaugeVec "faregate_exchange_rate_usd" ["currency"]
            "Dollars per unit of a currency.";
    }
}

/// What the `declare!` table can make.
trait Vector: Collector + Clone + Sized + 'static {
    fn make(opts: Opts, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self>;
}

macro_rules! vectors_without_buckets {
    ($($vec:ty),+) => {$(
        impl Vector for $vec {
            fn make(opts: Opts, labels: &[&str], _: &[f64]) -> prometheus::Result<Self> {
                Self::new(opts, labels)
            }
        }
    )+};
}

vectors_without_buckets!(IntCounterVec, CounterVec, IntGaugeVec, GaugeVec);

impl Vector for HistogramVec {
    fn make(opts: Opts, labels: &[&str], buckets: &[f64]) -> prometheus::Result<Self> {
        Self::new(HistogramOpts::from(opts).buckets(buckets.to_vec()), labels)
    }
}

fn register<V: Vector>(
    registry: &Registry,
    name: &'static str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> Result<V, MetricsError> {
    let refused = |source| MetricsError::Declare { name, source };
    let vector = V::make(Opts::new(name, help), labels, buckets).map_err(refused)?;
    registry.register(Box::new(vector.clone())).map_err(refused)?;
    Ok(vector)
}

impl Metrics {
    /// Declares every metric in a registry of its own, so that several daemons can live in one test process.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let families = Families::declare(&registry)?;
        families.start();
        Ok(Self { registry, running: families.inflight.with([]), families })
    }

    /// The handle for what one endpoint does. Made once per endpoint and snapshot.
    pub fn endpoint(&self, upstream: &str, model: &str, id: &EndpointId) -> EndpointMetrics {
        EndpointMetrics::new(&self.families, upstream, model, id)
    }

    /// The handle for the requests of one tenant on one route that one model of one upstream served. Made at first
    /// use, since most combinations never occur. Names that do not apply are [`super::labels::NONE`].
    pub fn request(&self, route: &str, upstream: &str, model: &str, tenant: &str) -> RequestMetrics {
        RequestMetrics::new(&self.families, [route, upstream, model, tenant])
    }

    /// The handle for what one model does as the shadow of one route.
    pub fn shadow(&self, route: &str, upstream: &str, model: &str) -> ShadowMetrics {
        ShadowMetrics::new(&self.families, [route, upstream, model])
    }

    /// Counts a request as running until the guard is dropped.
    pub fn request_started(&self) -> InFlight {
        InFlight::new(self.running.clone())
    }

    /// Counts an access log line that was dropped.
    pub fn record_dropped_line(&self) {
        self.families.access_log_dropped.with([]).inc();
    }

    /// Says which generation of the configuration the daemon started with.
    pub fn started_with(&self, generation: u64) {
        self.families.generation.with([]).set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.families.last_reload_successful.with([]).set(1);
    }

    /// Counts a reload that took effect.
    pub fn reload_succeeded(&self, generation: u64) {
        self.families.reloads.with(["ok"]).inc();
        self.started_with(generation);
    }

    /// Counts a reload that was refused and changed nothing.
    pub fn reload_failed(&self) {
        self.families.reloads.with(["failed"]).inc();
        self.families.last_reload_successful.with([]).set(0);
    }

    /// Counts a second try beside a slow first one.
    pub fn record_hedge(&self, result: HedgeResult) {
        self.families.hedges.with([result.label()]).inc();
    }

    /// Counts what came of asking a price feed.
    pub fn record_feed(&self, source: &str, result: FeedResult) {
        self.families.feeds.with([source, result.label()]).inc();
    }

    /// Drops what is labelled with a model of an upstream that the configuration no longer has. Handles still held
    /// stay usable, but what they count is no longer seen.
    pub fn forget_model(&self, upstream: &str, model: &str) {
        self.families.forget(&[("upstream", upstream), ("model", model)]);
    }

    /// Drops what is labelled with an endpoint that the configuration no longer has.
    pub fn forget_endpoint(&self, id: &str) {
        self.families.failovers.forget(&[("from", id)]);
    }

    /// Drops what is labelled with a shadow that the policy no longer has.
    pub fn forget_shadow(&self, route: &str, upstream: &str, model: &str) {
        self.families.forget_shadow(&[("route", route), ("upstream", upstream), ("model", model)]);
    }

    /// The metrics without what is only known at scrape time.
    pub fn render(&self) -> Result<String, MetricsError> {
        self.render_with(|_| ())
    }

    /// The metrics in the Prometheus text format, version 0.0.4. `fill` is called once and sets the gauges.
    pub fn render_with(&self, fill: impl FnOnce(&Gauges)) -> Result<String, MetricsError> {
        let moment = Registry::new();
        fill(&Gauges::declare(&moment)?);
        let mut text = String::new();
        for registry in [&self.registry, &moment] {
            TextEncoder.encode_utf8(&registry.gather(), &mut text).map_err(MetricsError::Render)?;
        }
        Ok(text)
    }
}

impl Families {
    /// Shows at zero what has no names from the configuration: a rate over a series that appears with its first event
    /// misses that event.
    fn start(&self) {
        self.build.with([env!("CARGO_PKG_VERSION")]).set(1);
        // A clock before 1970 shows as 0, which is what it amounts to.
        let since_epoch = runtime::wall_clock().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.started.with([]).set(since_epoch.as_secs_f64());
        self.overhead.with([]);
        self.access_log_dropped.with([]);
        for reason in Waste::ALL {
            self.wasted.with([reason.label()]);
        }
        for result in ["ok", "failed"] {
            self.reloads.with([result]);
        }
        self.last_reload_successful.with([]).set(1);
        self.generation.with([]);
    }

    fn forget(&self, labels: &[(&str, &str)]) {
        self.requests.forget(labels);
        self.duration.forget(labels);
        self.first_token.forget(labels);
        self.per_token.forget(labels);
        self.prompt_error.forget(labels);
        self.tokens.forget(labels);
        self.cost.forget(labels);
        self.attempts.forget(labels);
        self.unpriced.forget(labels);
        self.estimated.forget(labels);
        self.forget_shadow(labels);
    }

    fn forget_shadow(&self, labels: &[(&str, &str)]) {
        self.shadow_requests.forget(labels);
        self.shadow_cost.forget(labels);
        self.shadow_output.forget(labels);
        self.shadow_first_token.forget(labels);
        self.shadow_duration.forget(labels);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Usage;
    use crate::observe::{AttemptResult, EndpointState, Outcome};
    use crate::units::{PicoUsd, Tokens};

    fn sample(text: &str, series: &str) -> Option<f64> {
        text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    #[test]
    fn a_bill_in_pico_dollars_shows_in_dollars() {
        let metrics = Metrics::new().unwrap();
        let request = metrics.request("chat", "zhipu", "glm-5.3", "search");

        request.add_cost(PicoUsd(3_085_000_000));
        request.add_cost(PicoUsd(3_085_000_000));

        let text = metrics.render().unwrap();
        let series = r#"faregate_cost_usd_total{model="glm-5.3",route="chat",tenant="search",upstream="zhipu"}"#;
        assert!((sample(&text, series).unwrap() - 0.006_17).abs() < 1e-12, "{text}");
    }

    #[test]
    fn a_failure_counts_under_its_own_class_only() {
        let metrics = Metrics::new().unwrap();
        let endpoint = metrics.endpoint("house", "qwen3", &EndpointId::new("house", "qwen3", None));

        endpoint.record_attempt(AttemptResult::Failed("overloaded"));
        endpoint.record_failover("overloaded");

        let text = metrics.render().unwrap();
        let attempts =
            |result| format!(r#"faregate_attempts_total{{model="qwen3",result="{result}",upstream="house"}}"#);
        assert_eq!(sample(&text, &attempts("overloaded")), Some(1.0));
        assert_eq!(sample(&text, &attempts("ok")), Some(0.0));
        let failover = r#"faregate_failovers_total{from="house/qwen3",reason="overloaded"}"#;
        assert_eq!(sample(&text, failover), Some(1.0));
    }

    #[test]
    fn gauges_not_set_at_this_scrape_are_gone() {
        let metrics = Metrics::new().unwrap();
        let id = EndpointId::new("house", "qwen3", Some("main"));

        let first = metrics.render_with(|gauges| gauges.set_state(&id, EndpointState::Open)).unwrap();
        let second = metrics.render().unwrap();

        let state = |name| format!(r#"faregate_endpoint_state{{endpoint="house/qwen3#main",state="{name}"}}"#);
        assert_eq!(sample(&first, &state("open")), Some(1.0));
        assert_eq!(sample(&first, &state("closed")), Some(0.0));
        assert!(!second.contains("faregate_endpoint_state"));
    }

    #[test]
    fn a_forgotten_model_leaves_no_series_and_its_neighbours_stay() {
        let metrics = Metrics::new().unwrap();
        let gone = metrics.request("chat", "openai", "gpt-4o", "search");
        gone.record_outcome(Outcome::Timeout);
        gone.add_usage(&Usage { input: Tokens(7), ..Usage::default() });
        metrics.request("chat", "openai", "gpt-4o-mini", "search").record_outcome(Outcome::Ok);
        metrics.endpoint("openai", "gpt-4o", &EndpointId::new("openai", "gpt-4o", None)).record_failover("timeout");

        metrics.forget_model("openai", "gpt-4o");
        metrics.forget_endpoint("openai/gpt-4o");

        let text = metrics.render().unwrap();
        assert!(!text.contains(r#""gpt-4o""#) && !text.contains("openai/gpt-4o"), "{text}");
        assert!(text.contains("gpt-4o-mini"));
    }

    #[test]
    fn a_request_is_in_flight_until_its_guard_drops() {
        let metrics = Metrics::new().unwrap();
        let guard = metrics.request_started();
        assert_eq!(sample(&metrics.render().unwrap(), "faregate_inflight_requests"), Some(1.0));

        drop(guard);

        assert_eq!(sample(&metrics.render().unwrap(), "faregate_inflight_requests"), Some(0.0));
    }

    #[test]
    fn a_failed_reload_shows_until_one_succeeds() {
        let metrics = Metrics::new().unwrap();
        metrics.started_with(1);

        metrics.reload_failed();
        let failed = metrics.render().unwrap();
        metrics.reload_succeeded(2);
        let mended = metrics.render().unwrap();

        assert_eq!(sample(&failed, "faregate_config_last_reload_successful"), Some(0.0));
        assert_eq!(sample(&failed, "faregate_config_generation"), Some(1.0));
        assert_eq!(sample(&mended, "faregate_config_last_reload_successful"), Some(1.0));
        assert_eq!(sample(&mended, "faregate_config_generation"), Some(2.0));
        assert_eq!(sample(&mended, r#"faregate_config_reloads_total{result="failed"}"#), Some(1.0));
    }
}
