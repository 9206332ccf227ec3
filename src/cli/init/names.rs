//! Names that are given out once: of upstreams, of files and of variables.

use std::collections::BTreeSet;

/// What has been given out.
#[derive(Debug, Default)]
pub(super) struct Names {
    upstreams: BTreeSet<String>,
    files: BTreeSet<String>,
    variables: BTreeSet<String>,
}

impl Names {
    /// Keeps a variable that is in use already.
    pub(super) fn reserve(&mut self, variable: &str) {
        self.variables.insert(variable.to_owned());
        // A key is called by its variable or by its file: within an upstream the two are one set of names.
        self.files.insert(variable.to_owned());
    }

    /// A name for an upstream.
    pub(super) fn upstream(&mut self, wish: &str) -> String {
        unique(&mut self.upstreams, wish, '-')
    }

    /// A name for a key's file.
    pub(super) fn file(&mut self, owner: &str) -> String {
        unique(&mut self.files, owner, '-')
    }

    /// A name for a variable.
    pub(super) fn variable(&mut self, wish: &str) -> String {
        unique(&mut self.variables, wish, '_')
    }
}

fn unique(taken: &mut BTreeSet<String>, wish: &str, joint: char) -> String {
    let numbered = (2_u32..).map(|number| format!("{wish}{joint}{number}"));
    let name = std::iter::once(wish.to_owned()).chain(numbered).find(|name| !taken.contains(name));
    let name = name.unwrap_or_else(|| wish.to_owned());
    taken.insert(name.clone());
    name
}
