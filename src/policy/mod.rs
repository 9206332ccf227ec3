//! The configuration and the policy: what files say, checked and compiled before anything runs by it.
//!
//! Three steps, each in its own types: `raw` says what a file says, with the place of every value; `compile` resolves
//! names, money and secrets; [`model`] is the result, valid by construction. All mistakes of all files come at once,
//! as [`Diagnostic`]s. Nothing here touches the file system, the environment or a clock: see [`Sources`].

mod base_url;
pub mod book;
mod builtin;
mod client_headers;
mod compile;
mod dated;
pub(crate) mod decimal;
mod diagnostic;
mod feed;
mod fields;
mod inputs;
mod load;
pub mod model;
pub(crate) mod money;
mod nearest;
mod offers;
mod quantity;
mod raw;
mod read;
mod remedy;
mod secrecy;
mod source;
mod syntax;
pub(crate) mod tariff;
#[cfg(test)]
mod tests;
pub(crate) mod window;

pub use builtin::{BUILTIN, Builtin, find as builtin};
pub(crate) use dated::undated;
pub use diagnostic::{Diagnostic, Location, Severity, render};
pub use inputs::Sources;
pub(crate) use offers::{Account, Offer, offers};
pub(crate) use quantity::duration;
pub(crate) use raw::url::{UrlError, base_url};
pub(crate) use secrecy::is_variable;

pub use load::{Loaded, is_policy, load, load_default, load_policy, stand_in, stood_in};
