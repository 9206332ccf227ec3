//! faregate: a cost-aware load balancer and router for LLM providers. See README.md and ARCHITECTURE.md.

pub mod admin;
pub mod catalog;
pub mod cli;
pub mod control;
pub mod dialect;
pub mod engine;
pub mod feeds;
pub mod ids;
pub mod observe;
pub mod policy;
pub mod proxy;
pub mod runtime;
pub mod simulated;
pub mod state;
pub mod units;
