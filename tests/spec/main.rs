//! What the data plane promises, by behaviour: the real one, on in-memory pipes, in virtual time.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says what it needs by failing"
)]
#![expect(clippy::float_cmp, reason = "counters hold whole numbers")]

mod access;
mod accounting;
mod affinity;
mod again;
mod allowance;
mod answers;
mod authority;
mod bad_input;
mod canary;
mod errors;
mod examples;
mod failover;
mod hedging;
mod passthrough;
mod quirks;
mod quota;
mod reload;
mod rig;
mod routing;
mod secure;
mod shadow;
mod tokens;
mod wallets;
mod wishes;
