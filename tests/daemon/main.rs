//! The whole daemon on real sockets, threads and files: what a reload, a lost upstream, a mistake and a shutdown do to
//! its clients.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what it needs by failing")]

mod client;
mod demo;
mod feeds;
mod init;
mod lifecycle;
#[path = "../support/daemon.rs"]
mod process;
mod program;
mod reload;
mod stage;
#[path = "../support/tools.rs"]
mod tools;
