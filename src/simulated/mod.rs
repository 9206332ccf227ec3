//! A provider that does not exist: OpenAI-shaped, seeded, as slow and as faulty as asked.
//!
//! It serves sockets and in-memory pipes alike and takes its time from tokio's clock, so that hours of traffic run in
//! milliseconds under test. It is written from the providers' documented behaviour, not from faregate's own encoder:
//! what the two agree on has to be the wire format.

mod answer;
mod command;
mod listen;
mod profile;
mod provider;
mod quota;
mod script;
mod service;

pub use command::{MockArgs, run as run_command};
pub use listen::Listening;
pub use profile::{Fault, Length, Profile, Quota, SimModel, Spread};
pub use provider::{Provider, Recorded, Stats};

#[cfg(test)]
mod tests;
