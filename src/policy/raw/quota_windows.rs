//! Over which time the quota headers of a provider count, where their names do not say: one and the same name means a
//! minute at one and a day at another.

use crate::dialect::quota_headers::{Window, Windows};
use crate::policy::fields::Fields;
use crate::policy::read::Node;

const NAMED: [(&str, Window); 2] = [("minute", Window::Minute), ("day", Window::Day)];

/// What is said of either kind of header.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct QuotaWindows {
    requests: Option<Window>,
    tokens: Option<Window>,
}

impl QuotaWindows {
    /// These, and where they say nothing `others`.
    pub(crate) fn or(self, others: Self) -> Windows {
        let either = |one: Option<Window>, other| one.or(other).unwrap_or(Window::Unknown);
        Windows { requests: either(self.requests, others.requests), tokens: either(self.tokens, others.tokens) }
    }
}

/// Reads `quota_headers`.
pub(crate) fn read(node: &Node<'_>) -> Option<QuotaWindows> {
    let window = |node: &Node<'_>| node.choice(&NAMED);
    node.fields(|fields: &Fields<'_>| QuotaWindows {
        requests: fields.get("requests", window),
        tokens: fields.get("tokens", window),
    })
}
