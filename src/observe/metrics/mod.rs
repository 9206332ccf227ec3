//! Every metric is declared here, once (in `families`), and no other file names the `prometheus` crate.
//!
//! Two kinds live apart. What *happened* (counters, histograms) is kept in one registry and written through held
//! handles, since a look-up by label costs four times the increment. What *is* (state, score, quota, price) is not
//! kept at all: each scrape fills a fresh set of [`Gauges`] from the state itself, so that an endpoint removed by a
//! reload leaves no series behind and two scrapes at once cannot mix.

mod families;

use prometheus::{Registry, TextEncoder};

pub use self::families::Gauges;
pub(super) use self::families::{Count, Families, Level, Spread, Sum};
use super::comparison::ShadowMetrics;
use super::handles::{EndpointMetrics, InFlight, RequestMetrics};
use super::labels::{FeedResult, HedgeResult};
use crate::ids::EndpointId;

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

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
