//! The data plane: from an accepted connection to a settled answer.
//!
//! `listener` accepts, `service` reads the request path in order, `failover` decides and tries, `attempt` goes as far
//! as the commit point, `relay` carries the rest, and `exchange` settles whatever happens.

mod admission;
mod ask;
mod attempt;
mod call;
mod conversation;
pub mod dial;
mod ending;
mod error_reply;
mod exchange;
mod failover;
mod failures;
mod guard;
mod headers;
mod hedge;
mod large;
pub mod listener;
mod listing;
mod mirror;
mod nobody;
mod outgoing;
mod overrides;
mod patience;
mod plain;
pub mod pool;
mod quota;
mod relay;
mod reply;
mod service;
mod stream;
mod watchdog;
pub mod worker;

pub use headers::presented_key;
