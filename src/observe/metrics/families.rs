//! Every metric with its labels, as one table of what happened and one of what is.

use std::collections::HashMap;
use std::time::UNIX_EPOCH;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::MetricsError;
use crate::observe::labels::Waste;
use crate::runtime;

pub(in crate::observe) type Count = prometheus::IntCounter;
pub(in crate::observe) type Sum = prometheus::Counter;
pub(in crate::observe) type Spread = prometheus::Histogram;
pub(in crate::observe) type Level = prometheus::IntGauge;

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

/// A metric with `N` labels. The number is part of the type, so that a forgotten label does not compile.
#[derive(Clone, Debug)]
pub(in crate::observe) struct Family<V, const N: usize>(V);

impl<B: MetricVecBuilder, const N: usize> Family<MetricVec<B>, N> {
    /// The series of these label values, made if it is new.
    pub(in crate::observe) fn with(&self, values: [&str; N]) -> B::M {
        self.0.with_label_values(&values)
    }

    /// Drops every series that carries all of `wanted`.
    pub(super) fn forget(&self, wanted: &[(&str, &str)]) {
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
            $(#[doc = $help] pub(in crate::observe) $field: Family<$vec, { let labels: &[&str] = &[$($label),*]; labels.len() }>,)+
        }

        impl $set {
            pub(super) fn declare(registry: &Registry) -> Result<Self, MetricsError> {
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
    pub(in crate::observe) struct Families {
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
    /// What is, at the moment of one scrape. Filled by the closure of [`super::Metrics::render_with`].
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

impl Families {
    /// Shows at zero what has no names from the configuration: a rate over a series that appears with its first event
    /// misses that event.
    pub(super) fn start(&self) {
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

    pub(super) fn forget(&self, labels: &[(&str, &str)]) {
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

    pub(super) fn forget_shadow(&self, labels: &[(&str, &str)]) {
        self.shadow_requests.forget(labels);
        self.shadow_cost.forget(labels);
        self.shadow_output.forget(labels);
        self.shadow_first_token.forget(labels);
        self.shadow_duration.forget(labels);
    }
}
