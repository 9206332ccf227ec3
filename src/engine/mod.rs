//! The decision, pure: which endpoint has the lowest expected total cost for this request, now.
//!
//! Nothing in here waits, reads a clock, tosses a coin of its own or names a socket: time and the random generator are
//! parameters. The daemon and every simulation drive the same functions. Formulas: ARCHITECTURE.md, "The score".

mod failure;
mod features;
mod price;

pub use failure::{Failure, Scope, Verdict, classify};
pub use features::{Capabilities, Handicap, Limits, Mode, Objective, Request, RetryPolicy};
pub use price::{Price, PriceTier, Usage};
