//! Who a client is, by the key it presents.
//!
//! Keys are compared in constant time and all of them are always compared, so that the time taken tells nothing about
//! how close a guess was.

use std::fmt;

use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;

use crate::ids::{IdVec, TenantIx};
use crate::policy::model::{Route, Tenant};

/// The tenants of a snapshot.
pub struct Tenants {
    keys: Vec<(Box<[u8]>, TenantIx)>,
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").field("keys", &self.keys.len()).finish()
    }
}

impl Tenants {
    /// An index over the keys of all tenants.
    pub fn new(tenants: &IdVec<TenantIx, Tenant>) -> Self {
        let keys = tenants.iter().flat_map(|(tenant, entry)| {
            entry.keys.iter().map(move |key| (key.0.expose_secret().as_bytes().into(), tenant))
        });
        Self { keys: keys.collect() }
    }

    /// Whether anybody may use the data plane.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whose key this is.
    pub fn identify(&self, presented: &[u8]) -> Option<TenantIx> {
        let mut found = None;
        for (key, tenant) in &self.keys {
            if bool::from(key.ct_eq(presented)) {
                found = Some(*tenant);
            }
        }
        found
    }
}

impl Tenant {
    /// Whether this tenant may use `route`.
    pub fn may_use(&self, route: &Route) -> bool {
        self.routes.as_ref().is_none_or(|routes| routes.contains(&route.name))
    }
}
