//! Changes to a request by the form in which its answer is asked for: some parameters are refused in one form only.
//!
//! Which form counts is what the provider is asked for. A stream that is made of a whole answer is a whole answer to it.

use super::adjustments::Adjustments;
use crate::engine::Mode;

/// When a change is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// Whatever the form.
    #[default]
    Always,
    /// Where a whole answer is asked for.
    Plain,
    /// Where a stream is asked for.
    Stream,
}

/// The changes of an endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Forms {
    plain: Adjustments,
    stream: Adjustments,
}

impl Forms {
    /// These, and then `more`.
    pub fn extend(&mut self, when: When, more: &Adjustments) {
        if when != When::Stream {
            self.plain.extend(more);
        }
        if when != When::Plain {
            self.stream.extend(more);
        }
    }

    /// What is changed where an answer is asked for in this form.
    pub const fn of(&self, mode: Mode) -> &Adjustments {
        match mode {
            Mode::Stream => &self.stream,
            Mode::Plain | Mode::Embedding => &self.plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_made_in_its_form_only() {
        let drops = |name: &str| Adjustments { drop: vec![name.to_owned()], ..Adjustments::default() };
        let mut forms = Forms::default();
        for (when, name) in [(When::Always, "a"), (When::Plain, "p"), (When::Stream, "s")] {
            forms.extend(when, &drops(name));
        }
        assert_eq!(forms.of(Mode::Plain).drop, ["a", "p"]);
        assert_eq!(forms.of(Mode::Stream).drop, ["a", "s"]);
    }
}
