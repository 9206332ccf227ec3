//! What operators see: metrics, one line per request, and the daemon's own log.
//!
//! Nothing in here decides anything. Label values and log fields are closed sets or names from the configuration;
//! prompts, answers and keys never get this far.

pub mod access_log;
mod comparison;
mod gauges;
pub mod handles;
pub mod labels;
pub mod logging;
pub mod metrics;
mod record;

pub use access_log::{AccessLog, AccessLogWriter};
pub use comparison::ShadowMetrics;
pub use handles::{EndpointMetrics, InFlight, RequestMetrics};
pub use labels::{
    AttemptResult, EndpointState, FeedResult, HedgeResult, Outcome, PriceKind, QuotaKind, ShadowSide, Waste,
};
pub use metrics::{Gauges, Metrics, MetricsError};
pub use record::{Clipped, LoggedUsage, Record};
