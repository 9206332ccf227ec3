//! What outlives a request: the snapshot, and the cells it points to.
//!
//! A snapshot is immutable and replaced whole. What changes with traffic (health, quota, retry budgets) lives in cells
//! that are found by name and carried over from one snapshot to the next, so that a reload forgets nothing.

mod affinity;
mod allowances;
mod candidates;
mod cells;
mod market;
mod mirror;
mod quotas;
mod registry;
mod snapshot;
mod target;
mod tenants;
mod wallets;
mod wish;

pub use affinity::{AffinityMap, Conversation, Warmth};
pub use allowances::{AllowanceCell, Covered, Grant};
pub use cells::{EndpointCell, KeyCell, ModelCell, RouteCell, ServerCell};
pub use market::{Inlet, Market};
pub use mirror::{Berth, Comparison, Half, MirrorCell, MirrorSeat, Sums, Tally};
pub use quotas::{QuotaCell, Quotas, Tickets};
pub use registry::Registry;
pub use snapshot::{BuildError, Cells, Seat, Snapshot};
pub use target::{Target, TargetError};
pub use tenants::Tenants;
pub use wallets::{WalletCell, WalletReading};
pub use wish::Override;
