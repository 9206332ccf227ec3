//! Cells by name, from one snapshot to the next.
//!
//! A cell that no snapshot names any more is kept for ten minutes: an operator who takes an endpoint out and puts it
//! back, or mistypes a name and corrects it, finds its health and quota as they were.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::units::Timestamp;

/// How long a cell outlives its last use.
const KEPT: Duration = Duration::from_mins(10);

/// The cells of one scope.
#[derive(Debug)]
pub struct Registry<Cell> {
    cells: HashMap<Arc<str>, Entry<Cell>>,
}

#[derive(Debug)]
struct Entry<Cell> {
    cell: Arc<Cell>,
    seen: Timestamp,
}

impl<Cell> Default for Registry<Cell> {
    fn default() -> Self {
        Self { cells: HashMap::new() }
    }
}

impl<Cell> Registry<Cell> {
    /// The cell called `name`: the one that exists, else a new one.
    pub fn resolve(&mut self, name: &str, now: Timestamp, make: impl FnOnce() -> Cell) -> Arc<Cell> {
        if let Some(entry) = self.cells.get_mut(name) {
            entry.seen = now;
            return Arc::clone(&entry.cell);
        }
        let cell = Arc::new(make());
        self.cells.insert(name.into(), Entry { cell: Arc::clone(&cell), seen: now });
        cell
    }

    /// Forgets cells that only the registry still holds and that were last resolved more than ten minutes ago.
    /// Returns their names.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        self.cells.retain(|name, entry| {
            if Arc::strong_count(&entry.cell) > 1 {
                // In use by a snapshot or a running request: its ten minutes begin when that ends.
                entry.seen = now;
            }
            let keep = now.since(entry.seen) <= KEPT;
            if !keep {
                gone.push(Arc::clone(name));
            }
            keep
        });
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn a_cell_that_comes_back_within_ten_minutes_is_the_same() {
        let mut registry = Registry::default();
        let start = Timestamp::START;
        let first = registry.resolve("a", start, || 1);
        drop(first);

        assert!(registry.expire(start + MINUTE * 9).is_empty());
        assert_eq!(*registry.resolve("a", start + MINUTE * 9, || 2), 1);
    }

    #[test]
    fn a_cell_is_forgotten_ten_minutes_after_its_last_holder() {
        let mut registry = Registry::default();
        let start = Timestamp::START;
        let held = registry.resolve("a", start, || 1);

        assert!(registry.expire(start + MINUTE * 60).is_empty());
        drop(held);
        assert!(registry.expire(start + MINUTE * 69).is_empty());
        assert_eq!(registry.expire(start + MINUTE * 71), vec![Arc::from("a")]);
        assert_eq!(*registry.resolve("a", start + MINUTE * 71, || 2), 2);
    }
}
