//! The command line: what may be asked for, and the exit code that answers.
//!
//! Exit codes: 0 done, 1 failed while running, 2 bad usage or invalid configuration.

mod admin_client;
mod check;
pub mod demo;
mod endpoint;
mod init;
mod policy_command;
mod prices;
mod resolve;
mod serve;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::check::CheckOutcome;
use crate::policy::Sources;
use crate::runtime;
use crate::simulated;

/// A cost-aware load balancer and router for LLM providers.
///
/// Clients speak the OpenAI API to it and change only their base URL.
#[derive(Debug, Parser)]
#[command(name = "faregate", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve(ServeArgs),
    /// See it route, fail over and save money: simulated providers, no key, no network.
    Demo(demo::DemoArgs),
    /// Write a first configuration: from the keys that are set, or from LiteLLM's or one-api's.
    Init(init::InitArgs),
    /// Check configuration and policy files; nothing is run.
    Check(CheckArgs),
    /// What models cost, what price feeds say, and what they would change.
    Prices {
        #[command(subcommand)]
        command: prices::PricesCommand,
    },
    /// Take endpoints of the running daemon out of use, or bring them back.
    Endpoint {
        #[command(subcommand)]
        command: endpoint::EndpointCommand,
    },
    /// List and show the policies that are built in.
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Run a simulated provider (for tests).
    #[command(hide = true)]
    MockProvider(simulated::MockArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// The configuration. Without it: ./faregate.toml, then /etc/faregate/faregate.toml, then every catalogue provider
    /// whose usual key variable is set.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Configuration and policy files. Without one: ./faregate.toml, or else /etc/faregate/faregate.toml.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The configuration that policy files are checked against; without it, the catalogue.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How diagnostics are printed.
    #[arg(long, value_enum, default_value_t = Format::Plain)]
    format: Format,
    /// Print what each route comes to: tiers, endpoints, prices, and what is excluded and why.
    #[arg(long)]
    resolve: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: the line, a caret, a hint.
    Plain,
    /// For tools: one JSON object.
    Json,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Their names and what they are for.
    List,
    /// One of them, to read or to start from.
    Show {
        /// Its name, with or without `builtin:`.
        name: String,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Serve(args) => serve::run(args.config),
        Command::Demo(args) => show(&args),
        Command::Init(args) => init::run(&args),
        Command::Check(args) => check_files(&args),
        Command::Prices { command } => prices::run(command),
        Command::Endpoint { command } => endpoint::run(command),
        Command::Policy { command } => policy(&command),
        Command::MockProvider(args) => provide(args),
    }
}

fn show(args: &demo::DemoArgs) -> anyhow::Result<u8> {
    let out = std::io::stdout();
    let watched = if out.is_terminal() { demo::Watched::Live } else { demo::Watched::Kept };
    demo::run(args, out.lock(), watched)?;
    Ok(0)
}

fn provide(args: simulated::MockArgs) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(simulated::run_command(args, &mut std::io::stdout().lock()))?;
    Ok(0)
}

fn check_files(args: &CheckArgs) -> anyhow::Result<u8> {
    let resolve = if args.resolve { check::Resolve::Yes } else { check::Resolve::No };
    let sources = Sources { env: &environment, read: &read_file, now: runtime::wall_clock(), book: None };
    let files = match check::files(&args.files, || serve::usual_path(None)) {
        Ok(files) => files,
        Err(complaint) => {
            complain(&format!("error: {complaint}"));
            return Ok(2);
        }
    };
    let outcome = check::check(&files, args.config.as_deref(), args.format, resolve, &sources);
    finish(&outcome)
}

fn policy(command: &PolicyCommand) -> anyhow::Result<u8> {
    let shown = match command {
        PolicyCommand::List => Ok(policy_command::list()),
        PolicyCommand::Show { name } => policy_command::show(name).map(str::to_owned),
    };
    match shown {
        Ok(text) => print(&text).map(|()| 0),
        Err(complaint) => {
            complain(&format!("error: {complaint}"));
            Ok(2)
        }
    }
}

fn finish(outcome: &CheckOutcome) -> anyhow::Result<u8> {
    print(&outcome.stdout)?;
    Ok(outcome.exit_code)
}

/// The process's environment.
#[expect(clippy::disallowed_methods, reason = "the one place where the command line hands the environment in")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The same for commands that need no provider's key, and may be run where none is set.
fn environment_without_keys(name: &str) -> Option<String> {
    let missing = || (name != "STATE_DIRECTORY").then(|| crate::policy::stand_in(name));
    environment(name).or_else(missing)
}

fn read_file(path: &std::path::Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Prints to standard output. A reader that has gone (`| head`) is no error.
fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

fn complain(text: &str) {
    // Nowhere is left to report that standard error is closed.
    let written = writeln!(std::io::stderr().lock(), "{text}");
    debug_assert!(written.is_ok());
}
