//! `faregate serve`: the daemon under signals.
//!
//! SIGHUP reloads. The first SIGTERM or SIGINT drains: no new connections, running requests end, at most
//! `server.drain` long. A second one ends at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{complain, environment};
use crate::control::{Daemon, Source, StartError};
use crate::observe::logging;

/// Where a configuration is looked for that is not named.
pub(super) const USUAL_PLACES: [&str; 2] = ["faregate.toml", "/etc/faregate/faregate.toml"];

/// Runs until told to stop.
pub(super) fn run(config: Option<PathBuf>) -> anyhow::Result<u8> {
    let filter = environment("FAREGATE_LOG").or_else(|| environment("RUST_LOG"));
    logging::start(filter.as_deref(), logging::Format::of_stderr())?;
    let path = usual_path(config);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    // Before anybody can see that it runs: a signal to reload would else end it.
    let signals = runtime.block_on(async { Signals::listen() }).context("signals")?;
    let source = Source { path, environment: Arc::new(environment), book: Arc::default() };
    let described = source.path.as_deref().map_or_else(|| "embedded default".to_owned(), describe);
    let daemon = match Daemon::start(source) {
        Ok(daemon) => daemon,
        Err(StartError::Configuration { diagnostics }) => {
            complain(&diagnostics);
            return Ok(2);
        }
        Err(error) => return Err(error).context("faregate did not start"),
    };
    tracing::info!(version = env!("CARGO_PKG_VERSION"), configuration = %described, "faregate started");
    tracing::info!(addr = %daemon.data, "data plane listening");
    tracing::info!(addr = %daemon.admin, "admin listening");
    runtime.block_on(until_stopped(daemon, signals));
    Ok(0)
}

/// The configuration that is named, or else the first that is in a usual place.
pub(super) fn usual_path(config: Option<PathBuf>) -> Option<PathBuf> {
    config.or_else(|| USUAL_PLACES.iter().map(PathBuf::from).find(|path| path.exists()))
}

fn describe(path: &Path) -> String {
    path.display().to_string()
}

struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn until_stopped(mut daemon: Daemon, mut signals: Signals) {
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => daemon.reload(),
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
        }
    }
    let limit = daemon.drain_limit();
    tracing::info!(limit_s = limit.as_secs(), "draining: no new connections; a second signal ends at once");
    daemon.drain();
    tokio::select! {
        () = daemon.drained() => tracing::info!("all requests have ended"),
        () = tokio::time::sleep(limit) => tracing::warn!("drain limit reached; cutting what still runs"),
        () = signals.stop() => tracing::warn!("second signal; cutting what still runs"),
    }
    daemon.stop();
}
