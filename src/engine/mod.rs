//! The decision, pure: which endpoint has the lowest expected total cost for this request, now.
//!
//! Nothing in here waits, reads a clock, tosses a coin of its own or names a socket: time and the random generator are
//! parameters. The daemon and every simulation drive the same functions. Formulas: ARCHITECTURE.md, "The score".

mod breaker;
mod decide;
mod eligible;
mod endpoint;
mod event;
mod failure;
mod features;
mod latency;
mod ledger;
mod lengths;
mod plan;
mod price;
mod reliability;
mod route;
mod score;
#[cfg(test)]
mod tests;
mod window;

pub use decide::decide;
pub use endpoint::{EndpointState, Reading, Standing};
pub use event::Event;
pub use failure::{Failure, Scope, Verdict, classify};
pub use features::{Capabilities, Handicap, Limits, Mode, Objective, Request, RetryPolicy, Thinking};
pub use ledger::{Exhausted, Ledger, LimitKind, QuotaReading, Reservation};
pub use plan::{Admission, Candidate, Cause, Entry, Plan, Reason, View};
pub use price::{Price, PriceTier, Rates, Thought, Usage};
pub use route::{RouteReading, RouteState};
pub use score::Terms;
