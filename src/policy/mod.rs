//! The configuration and the policy: what files say, checked and compiled before anything runs by it.

pub mod model;
