//! The provider as a client meets it: hyper's client over a duplex pipe, in virtual time.

mod answers;
mod client;
mod faults;
mod limits;
mod streams;
