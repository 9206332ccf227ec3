//! What files say, field by field: nothing is resolved here, and nothing is lost.
//!
//! Each file reads one part of the contract. A field is read, refused as "not supported yet", or unknown; there is no
//! fourth way, because a table reports what its reader did not ask for.

pub(crate) mod allowances;
pub(crate) mod balances;
pub(crate) mod config;
pub(crate) mod errors;
pub(crate) mod feeds;
pub(crate) mod keys;
pub(crate) mod models;
pub(crate) mod policy;
pub(crate) mod prices;
pub(crate) mod provider;
pub(crate) mod quirks;
pub(crate) mod quota_windows;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod stand_ins;
pub(crate) mod upstreams;
pub(crate) mod url;
