//! The catalogue's providers, read when they are first named.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::catalog;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::fields::Document;
use crate::policy::raw::provider::{Provider, provider};

/// Read providers, by name.
pub(crate) struct Providers<'a> {
    report: &'a Diagnostics,
    read: RefCell<HashMap<&'static str, Option<Rc<Provider>>>>,
}

impl<'a> Providers<'a> {
    pub(crate) fn new(report: &'a Diagnostics) -> Self {
        Self { report, read: RefCell::default() }
    }

    /// The provider called `name`; `None` if the catalogue has none.
    pub(crate) fn find(&self, name: &str) -> Option<Rc<Provider>> {
        let entry = catalog::find(name)?;
        let mut read = self.read.borrow_mut();
        let parse = || {
            let document = Document::parse(&format!("catalogue:{name}"), entry.text, self.report);
            provider(&document, self.report).map(Rc::new)
        };
        read.entry(entry.name).or_insert_with(parse).clone()
    }
}

/// The names of all providers.
pub(crate) fn names() -> Vec<&'static str> {
    catalog::PROVIDERS.iter().map(|entry| entry.name).collect()
}
