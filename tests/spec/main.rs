//! What the data plane promises, by behaviour: the real one, on in-memory pipes, in virtual time.

mod failover;
mod rig;
