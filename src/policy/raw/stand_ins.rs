//! Which models stand in for which: the catalogue's table behind `@name` in a cluster.

use crate::policy::diagnostic::Diagnostics;
use crate::policy::fields::Document;
use crate::policy::read::Node;

use super::upstreams::words;

/// Models that stand in for others.
#[derive(Clone, Debug)]
pub(crate) struct StandIns {
    /// The names of those they stand in for.
    pub(crate) of: Vec<String>,
    /// `provider/model`, in the order in which they are listed.
    pub(crate) models: Vec<String>,
}

/// Reads the table.
pub(crate) fn stand_ins(document: &Document<'_>, report: &Diagnostics) -> Vec<StandIns> {
    document.root(report, |fields| fields.get("stand_ins", |node| node.list(row)).unwrap_or_default())
}

fn row(node: &Node<'_>) -> Option<StandIns> {
    node.fields(|fields| {
        let (of, models) = (fields.need("for", words), fields.need("models", words));
        Some(StandIns { of: of?.value, models: models?.value })
    })?
}
