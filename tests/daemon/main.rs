//! The whole daemon on real sockets, threads and files: what a reload, a lost upstream, a mistake and a shutdown do to
//! its clients.

#![expect(clippy::unwrap_used, reason = "a test says what it needs by failing")]

mod client;
mod lifecycle;
mod reload;
mod stage;
#[path = "../support/tools.rs"]
mod tools;
