//! `os.environ/NAME`. What the file sets under `environment_variables` wins over the environment, as it does in
//! LiteLLM, which puts it there when it starts; so what the file sets is a value that stands in the file.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::cli::init::draft::Key;
use crate::cli::init::fault::Fault;
use crate::cli::init::places::{plain, reference};
use crate::cli::init::said::Said;

/// Where values are looked for.
pub(super) struct Variables<'a> {
    written: Option<Said<'a>>,
    env: &'a dyn Fn(&str) -> Option<String>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> Variables<'a> {
    pub(super) fn new(written: Option<Said<'a>>, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { written, env, used: RefCell::default() }
    }

    /// The text of a field, or of the variable that it names.
    pub(super) fn value(&self, said: &Said<'_>) -> Result<String, Fault> {
        let text = said.text()?;
        let Some(name) = reference(text, &said.place)? else { return Ok(text.to_owned()) };
        let unset = || Fault::UnsetVariable { place: said.place.clone(), variable: name.to_owned() };
        self.find(name)?.ok_or_else(unset)
    }

    /// What the variable `name` holds, if anything.
    pub(super) fn find(&self, name: &str) -> Result<Option<String>, Fault> {
        let holds = |name: &str| (self.env)(name);
        let text = match self.set_in_file(name) {
            None => holds(name),
            Some(said) => {
                let text = said.digits("a text")?;
                reference(&text, &said.place)?.map_or_else(|| Some(text.clone()), holds)
            }
        };
        Ok(text.filter(|text| !text.trim().is_empty()))
    }

    /// A key that is written, or referred to.
    pub(super) fn secret(&self, said: &Said<'_>) -> Result<Key, Fault> {
        let text = said.text()?;
        match reference(text, &said.place)? {
            None => plain(text, &said.place),
            Some(name) => self.key(name),
        }
    }

    /// The key in the variable `name`.
    pub(super) fn key(&self, name: &str) -> Result<Key, Fault> {
        let Some(said) = self.set_in_file(name) else { return Ok(Key::Variable(name.to_owned())) };
        let text = said.digits("a text")?;
        match reference(&text, &said.place)? {
            None => plain(&text, &said.place),
            Some(other) => Ok(Key::Variable(other.to_owned())),
        }
    }

    /// What the file sets and nothing has asked for.
    pub(super) fn unused(&self) -> Vec<String> {
        let fields = self.written.as_ref().and_then(|table| table.table().ok()).unwrap_or_default();
        let used = self.used.borrow();
        fields.into_iter().filter(|(name, _)| !used.contains(*name)).map(|(_, said)| said.place).collect()
    }

    fn set_in_file(&self, name: &str) -> Option<Said<'a>> {
        self.used.borrow_mut().insert(name.to_owned());
        self.written.as_ref()?.field(name)
    }
}
