//! The router under demonstration: the real daemon, started in this process from the files as `serve` would.
//!
//! The one file of the demonstration that knows how a daemon is started and where built-in policies are kept.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::control::{Daemon, Source};
use crate::policy;

/// A daemon at work.
pub(super) struct Running {
    /// Its data plane.
    pub(super) data: SocketAddr,
    /// Its admin plane.
    pub(super) admin: SocketAddr,
    daemon: Daemon,
}

impl Running {
    /// Starts it from a configuration file. Nothing is read from the environment.
    pub(super) fn start(configuration: &Path) -> anyhow::Result<Self> {
        let source =
            Source { path: Some(configuration.to_owned()), environment: Arc::new(|_| None), book: Arc::default() };
        let daemon = Daemon::start(source).context("starting the router")?;
        Ok(Self { data: daemon.data, admin: daemon.admin, daemon })
    }

    /// Stops it, and waits until it has.
    pub(super) fn stop(self) {
        self.daemon.stop();
    }
}

/// The text of the built-in policy called `name`.
pub(super) fn builtin_policy(name: &str) -> Option<&'static str> {
    policy::builtin(name).map(|builtin| builtin.text)
}
