//! `faregate endpoint disable|drain|enable|reset NAME`: what an operator wants of endpoints, told to the running daemon.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::admin_client::{Said, post};
use super::{complain, environment_without_keys, print};
use crate::control::Source;

/// What may be asked of endpoints.
#[derive(Debug, Subcommand)]
pub(super) enum EndpointCommand {
    /// Use it no more; its running requests go on.
    Disable(Spell),
    /// Send it nothing new, as before it is taken down.
    Drain(Spell),
    /// Use it again.
    Enable(Target),
    /// Forget why it is left alone, such as a region block that is over, and what was learned of it.
    Reset(Target),
}

/// Which endpoints, and for how long.
#[derive(Debug, Args)]
pub(super) struct Spell {
    #[command(flatten)]
    target: Target,
    /// Enable it again after this time, such as 30m; without it, by hand only.
    #[arg(long, value_name = "TIME")]
    r#for: Option<String>,
}

/// Which endpoints, of which daemon.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// `upstream/model#key`, or all of an `upstream/model` or an `upstream`.
    #[arg(value_name = "NAME")]
    name: String,
    /// The configuration that the daemon runs with; without it ./faregate.toml, then /etc/faregate/faregate.toml.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Changed {
    endpoints: Vec<String>,
    /// Those that were taken out by hand, and are still out.
    #[serde(default)]
    still_out: Vec<String>,
}

/// Tells the daemon.
pub(super) fn run(command: EndpointCommand) -> anyhow::Result<u8> {
    let (state, Target { name, config }, span) = match command {
        EndpointCommand::Disable(Spell { target, r#for }) => ("disabled", target, r#for),
        EndpointCommand::Drain(Spell { target, r#for }) => ("draining", target, r#for),
        EndpointCommand::Enable(target) => ("enabled", target, None),
        EndpointCommand::Reset(target) => ("reset", target, None),
    };
    let wish = match span {
        Some(span) => serde_json::json!({ "state": state, "for": span }),
        None => serde_json::json!({ "state": state }),
    };
    // The providers' keys may be the daemon's alone; its admin token is asked for.
    let source = Source {
        path: super::serve::usual_path(config),
        environment: Arc::new(environment_without_keys),
        book: Arc::default(),
    };
    let loaded = source.look();
    let Some(model) = loaded.model else {
        complain(&crate::policy::render(&loaded.diagnostics));
        return Ok(2);
    };
    let path = format!("/v1/endpoints/{}", utf8_percent_encode(&name, NON_ALPHANUMERIC));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(post::<Changed>(&model.server, &path, &wish))? {
        Said::Done(Changed { endpoints, still_out }) => {
            let note = |endpoint: &String| {
                if still_out.contains(endpoint) { " (it was taken out by hand, and still is: enable it)" } else { "" }
            };
            let line = |endpoint: &String| format!("{endpoint}: {state}{}\n", note(endpoint));
            let lines: Vec<_> = endpoints.iter().map(line).collect();
            print(&lines.concat()).map(|()| 0)
        }
        Said::Refused(reason) => {
            complain(&format!("error: the daemon refuses: {reason}"));
            Ok(1)
        }
        Said::Nobody => {
            complain(&format!("error: no daemon answers at {} (server.admin)", model.server.admin));
            Ok(1)
        }
    }
}
