//! The catalogue's providers, read when they are first named.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::catalog;
use crate::dialect::faults::Rules;
use crate::policy::diagnostic::Diagnostics;
use crate::policy::fields::Document;
use crate::policy::raw::errors::general;
use crate::policy::raw::provider::{Provider, provider};
use crate::policy::raw::stand_ins::{StandIns, stand_ins};

/// Read providers, by name.
pub(crate) struct Providers<'a> {
    report: &'a Diagnostics,
    read: RefCell<HashMap<&'static str, Option<Rc<Provider>>>>,
    usual_errors: OnceCell<Arc<Rules>>,
    stand_ins: OnceCell<Vec<StandIns>>,
}

impl<'a> Providers<'a> {
    pub(crate) fn new(report: &'a Diagnostics) -> Self {
        Self { report, read: RefCell::default(), usual_errors: OnceCell::new(), stand_ins: OnceCell::new() }
    }

    /// Which models stand in for which.
    pub(crate) fn stand_ins(&self) -> &[StandIns] {
        self.stand_ins.get_or_init(|| {
            stand_ins(&Document::parse("catalogue:stand_ins", catalog::STAND_INS, self.report), self.report)
        })
    }

    /// What errors mean, whoever sends them.
    pub(crate) fn usual_errors(&self) -> Arc<Rules> {
        let read = || {
            let document = Document::parse("catalogue:errors", catalog::ERRORS, self.report);
            Arc::new(general(&document, self.report).unwrap_or_default())
        };
        Arc::clone(self.usual_errors.get_or_init(read))
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
