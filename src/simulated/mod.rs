//! A provider that does not exist: OpenAI-shaped, seeded, as slow and as faulty as asked.
//!
//! It draws everything from (seed, number of the request), so the order in which concurrent requests run never changes
//! what each of them gets. It speaks over anything that reads and writes, in virtual time if the runtime is paused.

mod ask;
mod command;
mod fault;
mod listen;
mod plan;
mod profile;
mod provider;
mod quota;
mod refuse;
mod respond;
mod script;
mod tally;
mod vector;
mod words;

pub use command::{MockArgs, run_command};
pub use fault::{Fault, FaultError};
pub use listen::Listening;
pub use profile::{Length, Profile, Quota, SimModel, Spread};
pub use provider::Provider;
pub use tally::{Recorded, Stats};

#[cfg(test)]
mod tests;
