//! The daemon's own log goes to standard error: readable on a terminal, JSON lines everywhere else.
//!
//! Standard output stays free for what a command prints and for the access log, so that the two never mix. The level
//! is a parameter; whoever starts the process decides which variable it comes from.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What is logged unless someone asks for more.
const DEFAULT_FILTER: &str = "info";

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text {
        /// Whether to colour levels and names.
        colour: Colour,
    },
    /// For collectors: one object per line.
    Json,
}

/// Whether a terminal shows colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// It does.
    On,
    /// It does not, or its user asked for none.
    Off,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is not one.
    #[error("`{filter}` is not a log level; try error, warn, info, debug, or faregate=debug")]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// A log had been set up before.
    #[error("the log was set up twice")]
    Twice(#[source] TryInitError),
}

impl Format {
    /// Text on a terminal, JSON in a file or a pipe.
    pub fn of_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text { colour: Colour::On } } else { Self::Json }
    }
}

/// Sends log lines to standard error. `filter` is a level or a list of directives as in `RUST_LOG`; empty and `None`
/// mean `info`.
pub fn start(filter: Option<&str>, format: Format) -> Result<(), LoggingError> {
    let filter = parse(filter)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        Format::Json => lines.json().flatten_event(true).finish().try_init(),
        Format::Text { colour } => lines.with_ansi(colour == Colour::On).with_target(false).finish().try_init(),
    }
    .map_err(LoggingError::Twice)
}

fn parse(filter: Option<&str>) -> Result<EnvFilter, LoggingError> {
    let filter = filter.map(str::trim).filter(|text| !text.is_empty()).unwrap_or(DEFAULT_FILTER);
    EnvFilter::try_new(filter).map_err(|source| LoggingError::Filter { filter: filter.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_filter_means_info() {
        assert_eq!(parse(None).unwrap().to_string(), "info");
        assert_eq!(parse(Some("  ")).unwrap().to_string(), "info");
        assert_eq!(parse(Some("faregate=debug")).unwrap().to_string(), "faregate=debug");
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let error = parse(Some("faregate=loud")).unwrap_err();
        assert!(error.to_string().contains("faregate=loud"), "{error}");
    }
}
