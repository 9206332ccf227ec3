//! The data plane: from an accepted connection to a settled answer.
