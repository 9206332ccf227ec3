//! Names and positions are types: an index into one table cannot be used on another.
//!
//! Positions ([`EndpointIx`], …) are valid within one snapshot only. What outlives a reload is found by its name.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::Arc;

/// An endpoint's name, `upstream/model#key`: what operators, headers and metrics see. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointId(Arc<str>);

impl EndpointId {
    /// The name of `model` at `upstream`, called with the key named `key` (`None` for an upstream without keys).
    pub fn new(upstream: &str, model: &str, key: Option<&str>) -> Self {
        Self(key.map_or_else(|| format!("{upstream}/{model}"), |key| format!("{upstream}/{model}#{key}")).into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EndpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A position in one kind of table.
pub trait Position: Copy {
    /// The position as an offset.
    fn offset(self) -> usize;
    /// The position at an offset. Tables are far shorter than 2³² entries.
    fn at(offset: usize) -> Self;
}

macro_rules! positions {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl Position for $name {
            fn offset(self) -> usize {
                usize::try_from(self.0).unwrap_or(usize::MAX)
            }

            fn at(offset: usize) -> Self {
                Self(u32::try_from(offset).unwrap_or(u32::MAX))
            }
        }
    )+};
}

positions! {
    /// An upstream of the configuration.
    UpstreamIx;
    /// A key of some upstream.
    KeyIx;
    /// An endpoint: one model at one upstream through one key.
    EndpointIx;
    /// A route, named by the policy or implied by a model that no route lists.
    RouteIx;
    /// A tenant.
    TenantIx;
    /// A free tier or a prepaid pack of some account.
    AllowanceIx;
}

/// A table indexed by one kind of position. Positions come from [`IdVec::push`] of this very table, so an index is
/// always in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdVec<Ix, T> {
    items: Vec<T>,
    kind: PhantomData<Ix>,
}

impl<Ix: Position, T> IdVec<Ix, T> {
    /// An empty table.
    pub const fn new() -> Self {
        Self { items: Vec::new(), kind: PhantomData }
    }

    /// Adds an entry and returns its position.
    pub fn push(&mut self, item: T) -> Ix {
        let position = Ix::at(self.items.len());
        self.items.push(item);
        position
    }

    /// The entries with their positions.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (Ix, &T)> {
        self.items.iter().enumerate().map(|(offset, item)| (Ix::at(offset), item))
    }

    /// The entries.
    pub fn values(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// A table of the same shape, made from this one entry by entry.
    pub fn map<U>(&self, make: impl FnMut(&T) -> U) -> IdVec<Ix, U> {
        IdVec { items: self.items.iter().map(make).collect(), kind: PhantomData }
    }
}

impl<Ix: Position, T> Default for IdVec<Ix, T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Ix: Position, T> FromIterator<T> for IdVec<Ix, T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self { items: items.into_iter().collect(), kind: PhantomData }
    }
}

impl<Ix: Position, T> Index<Ix> for IdVec<Ix, T> {
    type Output = T;

    #[expect(clippy::indexing_slicing, reason = "the one place where an index is used: positions come from this table")]
    fn index(&self, position: Ix) -> &T {
        &self.items[position.offset()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_named_upstream_model_key() {
        assert_eq!(EndpointId::new("or", "qwen/qwen3", Some("main")).as_str(), "or/qwen/qwen3#main");
        assert_eq!(EndpointId::new("house", "qwen3-8b", None).as_str(), "house/qwen3-8b");
    }

    #[test]
    fn a_table_gives_back_what_was_pushed() {
        let mut table: IdVec<KeyIx, &str> = IdVec::new();
        let first = table.push("a");
        let second = table.push("b");
        assert_eq!((table[first], table[second], table.len()), ("a", "b", 2));
    }
}
