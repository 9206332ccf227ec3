//! The command line.

pub mod check;
pub mod policy_command;
mod resolve;
