//! A provider that does not exist: OpenAI-shaped, seeded, as slow and as faulty as asked.
//!
//! It is what the data plane is tested against, what `demo` routes between, and what real SDKs talk to in tests. The
//! same seed and the same order of requests give the same answers, delays and faults; nothing here asks the system for
//! entropy, and all waiting goes through tokio's clock, so that it runs in virtual time over an in-memory pipe. What an
//! answer is and how long it takes ([`Profile::draw`]), what is refused ([`Window`]) and what breaks ([`Schedule`]) are
//! pure, so that a replay can compute without waiting what the served provider would have done.

mod answer;
mod ask;
mod call;
mod command;
mod connection;
mod embedding;
mod fault;
mod listen;
mod profile;
mod provider;
mod quota;
mod refusal;
mod reply;
mod schedule;
mod script;
mod stream;
#[cfg(test)]
mod tests;
mod wire;

pub use answer::Answer;
pub use command::{MockArgs, run_command};
pub(crate) use fault::parse_duration;
pub use fault::{Canned, Fault, ParseFaultError};
pub use listen::Listening;
pub use profile::{Lognormal, Profile, SimModel};
pub use provider::{Provider, Recorded, Stats};
pub use quota::{Exceeded, Levels, Limit, Quota, Window};
pub use schedule::{PriceChange, Schedule, Spell};
