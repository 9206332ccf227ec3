//! The admin plane: what operators, probes and Prometheus ask.
//!
//! It runs on the control thread and shares nothing with the data plane but the snapshot and the cells, so that a slow
//! scrape delays no request.

mod access;
mod comparison;
mod prices;
mod reply;
mod routes;
mod server;
mod views;
mod wishes;

pub use server::{Plane, serve};
