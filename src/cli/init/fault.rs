//! Why nothing was written. Every fault names its place in the file and what to do about it, and none repeats a value
//! that may be a key.

use crate::policy::UrlError;

/// What is wrong with what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Not the language that it should be.
    #[error("line {line}, column {column}: this is not {language}: {why}")]
    Syntax { language: &'static str, line: u64, column: u64, why: String },
    /// More than anybody writes by hand.
    #[error("it is larger than {0} MiB")]
    TooLarge(u64),
    /// More entries than a configuration can have.
    #[error("{place}: there are more than {most} of them")]
    TooMany { place: String, most: usize },
    /// Something required is not there.
    #[error("{place}: it is missing")]
    Missing { place: String },
    /// Another kind of value.
    #[error("{place}: expected {expected}, found {found}")]
    Kind { place: String, expected: &'static str, found: &'static str },
    /// A key that refers to nothing, or holds nothing.
    #[error("{place}: the key is empty")]
    EmptyKey { place: String },
    /// A key that no provider can have given out.
    #[error("{place}: this is not a key: it has spaces, several lines or characters outside ASCII")]
    UnfitKey { place: String },
    /// `os.environ/` and nothing fit after it.
    #[error("{place}: what follows `os.environ/` is not the name of a variable")]
    UnfitVariable { place: String },
    /// A reference where the value itself is needed.
    #[error("{place}: it refers to the variable `{variable}`, which is not set")]
    UnsetVariable { place: String, variable: String },
    /// Not an address.
    #[error("{place}: {source}")]
    Address { place: String, source: UrlError },
    /// No address at all.
    #[error("{place}: nothing says where to call")]
    NoAddress { place: String },
    /// A name that cannot be part of an endpoint's.
    #[error("{place}: `{name}` cannot be the name of a model: it is empty, or has spaces or `#`")]
    ModelName { place: String, name: String },
    /// An answer that says that it is an error.
    #[error("it is an error message of the server, not an export: {message}")]
    Refused { message: String },
    /// Nothing that could be called is left.
    #[error("nothing in it can be called by faregate")]
    NothingLeft,
}

impl Fault {
    /// What to do about it.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Syntax { .. } => "give the file as the other proxy reads it".to_owned(),
            Self::TooLarge(_) | Self::TooMany { .. } => "give a part of it".to_owned(),
            Self::Missing { .. } => "add it, or remove the entry".to_owned(),
            Self::Kind { expected, .. } => format!("write {expected} there, or remove the entry"),
            Self::EmptyKey { .. } => "put the key there, refer to a variable, or remove the entry".to_owned(),
            Self::UnfitKey { .. } => "put the key there as its provider shows it, in one line".to_owned(),
            Self::UnfitVariable { .. } => "write it like `os.environ/OPENAI_API_KEY`".to_owned(),
            Self::UnsetVariable { .. } => "set the variable for this command, or write the value there".to_owned(),
            Self::Address { .. } => "write it like `https://api.example.com/v1`".to_owned(),
            Self::NoAddress { .. } => "add the base URL of what speaks the OpenAI API there".to_owned(),
            Self::ModelName { .. } => "rename it, or remove the entry".to_owned(),
            Self::Refused { .. } => "fetch the export again, with an administrator's token".to_owned(),
            Self::NothingLeft => "see what is said of each entry above; `faregate demo` needs no provider".to_owned(),
        }
    }
}
