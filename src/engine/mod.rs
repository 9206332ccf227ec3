//! The decision, pure: which endpoint has the lowest expected total cost for this request, now.
//!
//! Nothing in here waits, reads a clock, tosses a coin of its own or names a socket: time and the random generator are
//! parameters. The daemon and every simulation drive the same functions. Formulas: ARCHITECTURE.md, "The score".

mod affinity;
mod breaker;
mod content;
mod decide;
mod demand;
mod eligible;
mod endpoint;
mod event;
mod failure;
mod features;
mod hedge;
mod latency;
mod ledger;
mod lengths;
mod lognormal;
mod meter;
mod plan;
mod price;
mod quota;
mod reliability;
mod route;
mod score;
mod shadow;
mod shortlist;
#[cfg(test)]
mod tests;
mod token_rates;
mod told;
mod trial;
mod waiting;
mod window;

pub use affinity::CacheHits;
pub use content::{Content, ContentKind};
pub use decide::decide;
pub use demand::{Demand, Sample, Sampler};
pub use endpoint::{EndpointState, Reading, Standing};
pub use event::Event;
pub use failure::{Failure, Fault, Scope, Verdict, classify};
pub use features::{Capabilities, Handicap, Limits, Load, Mode, Objective, Request, RetryPolicy, Thinking};
pub use hedge::{HedgeAfter, HedgePolicy, hedge};
pub use ledger::{Exhausted, Ledger, LimitKind, Reservation, Supplies};
pub use lengths::LengthClass;
pub use plan::{Admission, Candidate, Cause, Entry, Free, Left, Others, Plan, Reason, View};
pub use price::{Price, PriceTier, Rates, Thought, Usage};
pub use quota::QuotaReading;
pub use route::{RouteReading, RouteState};
pub use score::Terms;
pub use shadow::{Grant, Resource, Supply, Tick, Toll, Unit};
pub use token_rates::{PromptEstimate, TokenRates};
pub use told::Told;
pub use trial::Trial;
