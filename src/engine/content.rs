//! What a prompt is made of, as far as that says how many tokens it has: so many bytes of each kind of text.
//!
//! Counting tokens exactly takes the model's own tokenizer and fifty times as long as reading the body. How many bytes
//! make a token depends on the script more than on anything else, and, for one script, on the model.

use crate::units::count_to_f64;

/// How many kinds there are.
pub(super) const KINDS: usize = 6;

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentKind {
    /// ASCII prose, and the JSON around it.
    Latin,
    /// Chinese, Japanese and Korean.
    Cjk,
    /// ASCII full of signs and digits: programs, tables, figures.
    Code,
    /// All other scripts, accents and emoji.
    Other,
    /// What describes tools and answers, in JSON.
    Schema,
    /// Images. Counted in what they cost by rule, not in bytes.
    Images,
}

impl ContentKind {
    /// Each with its name in views.
    pub const NAMED: [(&'static str, Self); KINDS] = [
        ("latin", Self::Latin),
        ("cjk", Self::Cjk),
        ("code", Self::Code),
        ("other", Self::Other),
        ("schema", Self::Schema),
        ("images", Self::Images),
    ];

    const fn index(self) -> usize {
        match self {
            Self::Latin => 0,
            Self::Cjk => 1,
            Self::Code => 2,
            Self::Other => 3,
            Self::Schema => 4,
            Self::Images => 5,
        }
    }
}

/// What one prompt is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Content {
    amounts: [f64; KINDS],
    ids: u64,
    has_files: bool,
}

impl Content {
    /// Nothing but tokens that the client has counted itself.
    pub fn of_ids(ids: u64) -> Self {
        Self { ids, ..Self::default() }
    }

    /// Adds so many bytes (of images: tokens by rule) of one kind.
    pub fn add(&mut self, kind: ContentKind, amount: f64) {
        if let Some(known) = self.amounts.get_mut(kind.index()) {
            *known += amount.max(0.0);
        }
    }

    /// Notes sounds or documents, of which nobody can tell how many tokens they are.
    pub const fn add_files(&mut self) {
        self.has_files = true;
    }

    /// Bytes of one kind.
    pub fn amount(&self, kind: ContentKind) -> f64 {
        self.amounts.get(kind.index()).copied().unwrap_or_default()
    }

    /// The amounts of all kinds, in the order of [`ContentKind::NAMED`].
    pub(super) const fn amounts(&self) -> &[f64; KINDS] {
        &self.amounts
    }

    /// Tokens that need no estimate.
    pub(super) fn counted(&self) -> f64 {
        count_to_f64(self.ids)
    }

    /// Whether its length in tokens tells how long a token is: nothing in it is of unknown length.
    pub(super) const fn is_telling(&self) -> bool {
        !self.has_files
    }
}
