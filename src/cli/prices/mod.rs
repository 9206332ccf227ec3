//! `faregate prices`: what everything costs, what the feeds say, and what they would change.

mod diff;
mod list;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;

use super::admin_client::{Said, post};
use super::{Format, complain, environment_without_keys, print};
use crate::control::{Desk, Refreshed, Source};
use crate::policy::book::Vouched;
use crate::policy::model::{Feed, FeedFormat, FeedUrl};

/// What may be asked of prices.
#[derive(Debug, Subcommand)]
pub(super) enum PricesCommand {
    /// What every model costs now, who says so, and what is doubted.
    List {
        #[command(flatten)]
        config: Config,
        /// Only models with this in their names.
        #[arg(value_name = "TEXT")]
        filter: Option<String>,
        /// How it is printed.
        #[arg(long, value_enum, default_value_t = Format::Plain)]
        format: Format,
    },
    /// Fetch the price lists now: by the running daemon if there is one, else here.
    Refresh {
        #[command(flatten)]
        config: Config,
        /// Only this feed.
        #[arg(long, value_name = "NAME")]
        feed: Option<String>,
        /// Take what comes, however far prices move and however many models are gone.
        #[arg(long)]
        accept: bool,
    },
    /// What the feeds, or a file, would change; nothing is kept.
    Diff {
        #[command(flatten)]
        config: Config,
        /// A price list; without it, the feeds of the configuration are fetched.
        #[arg(value_name = "FILE", requires = "list_format")]
        file: Option<PathBuf>,
        /// The format of FILE.
        #[arg(long = "format", value_enum, requires = "file")]
        list_format: Option<ListFormat>,
        /// The upstream whose own list FILE is.
        #[arg(long, value_name = "NAME", requires = "file")]
        upstream: Option<String>,
    },
}

/// Which configuration.
#[derive(Debug, Args)]
pub(super) struct Config {
    /// The configuration; without it ./faregate.toml, then /etc/faregate/faregate.toml, then the whole catalogue.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How a price list is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum ListFormat {
    /// An object per provider, dollars per million tokens.
    ModelsDev,
    /// An object per model, dollars per token.
    Litellm,
    /// Pages of models, dollars per token.
    Openrouter,
    /// Tables of models as in a configuration.
    Faregate,
}

impl From<ListFormat> for FeedFormat {
    fn from(format: ListFormat) -> Self {
        match format {
            ListFormat::ModelsDev => Self::ModelsDev,
            ListFormat::Litellm => Self::LiteLlm,
            ListFormat::Openrouter => Self::OpenRouter,
            ListFormat::Faregate => Self::Faregate,
        }
    }
}

/// Runs one of them.
pub(super) fn run(command: PricesCommand) -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match command {
        PricesCommand::List { config, filter, format } => {
            with_desk(config, |desk| print(&list::list(desk.model(), filter.as_deref(), format)).map(|()| 0))
        }
        PricesCommand::Refresh { config, feed, accept } => {
            with_desk(config, |desk| runtime.block_on(refresh(desk, feed.as_deref(), accept)))
        }
        PricesCommand::Diff { config, file, list_format, upstream } => with_desk(config, |mut desk| {
            desk.only_looking();
            if let (Some(path), Some(format)) = (file, list_format) {
                desk.try_feed(&tried(path, format.into(), upstream));
                desk.reprice().map_err(anyhow::Error::msg)?;
            }
            runtime.block_on(compare(desk))
        }),
    }
}

/// Prices need no keys, so that a variable that is not set here does not matter.
fn with_desk(config: Config, use_it: impl FnOnce(Desk) -> anyhow::Result<u8>) -> anyhow::Result<u8> {
    let path = super::serve::usual_path(config.config);
    let environment = Arc::new(environment_without_keys);
    match Desk::open(Source { path, environment, book: Arc::default() }) {
        Ok(desk) => use_it(desk),
        Err(diagnostics) => {
            complain(&diagnostics);
            Ok(2)
        }
    }
}

/// A list that is looked at once.
fn tried(path: PathBuf, format: FeedFormat, upstream: Option<String>) -> Feed {
    Feed {
        name: path.file_name().map_or_else(|| "list".into(), |name| name.to_string_lossy().into()),
        url: FeedUrl::File(path),
        format,
        every: Duration::from_hours(1),
        max_rise: 500,
        upstream: upstream.map(Arc::from),
    }
}

async fn refresh(desk: Desk, only: Option<&str>, accept: bool) -> anyhow::Result<u8> {
    let feeds: Vec<&Feed> =
        desk.model().feeds.iter().filter(|feed| only.is_none_or(|name| *feed.name == *name)).collect();
    if feeds.is_empty() {
        let known: Vec<_> = desk.model().feeds.iter().map(|feed| &*feed.name).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        complain(&format!("error: no such feed; [[prices.feeds]] of the configuration has: {known}"));
        return Ok(2);
    }
    let wish = serde_json::json!({ "feed": only, "accept": accept });
    match post::<Answered>(&desk.model().server, "/v1/prices/refresh", &wish).await? {
        Said::Done(answered) => return answered.tell(),
        Said::Refused(reason) => {
            complain(&format!("error: the daemon refuses: {reason}"));
            return Ok(1);
        }
        Said::Nobody => {}
    }
    let vouched = if accept { Vouched::Yes } else { Vouched::No };
    let (mut text, mut failed) = (String::new(), false);
    for feed in feeds {
        match desk.refresh(feed, vouched).await {
            Ok(Refreshed::Read { models, skipped }) => {
                writeln!(text, "{}: read, {models} models, {skipped} entries without a usable price", feed.name)?;
            }
            Ok(Refreshed::Unchanged) => writeln!(text, "{}: unchanged", feed.name)?,
            Err(error) => {
                failed = true;
                writeln!(text, "{}: {error}", feed.name)?;
            }
        }
    }
    let kept = desk.folder().map_or_else(
        || "nothing is kept: set `keep` under [prices]".to_owned(),
        |folder| format!("kept in {} for the next start", folder.display()),
    );
    writeln!(text, "no daemon answers at {}; {kept}", desk.model().server.admin)?;
    print(&text)?;
    Ok(u8::from(failed))
}

/// What the daemon says of feeds that it was asked to fetch.
#[derive(Deserialize)]
struct Answered {
    feeds: Vec<FeedAnswer>,
}

#[derive(Deserialize)]
struct FeedAnswer {
    feed: String,
    result: String,
    models: Option<usize>,
    message: Option<String>,
}

impl Answered {
    fn tell(self) -> anyhow::Result<u8> {
        let mut text = String::new();
        for feed in &self.feeds {
            let models = feed.models.map(|models| format!(", {models} models")).unwrap_or_default();
            let message = feed.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
            writeln!(text, "{}: {}{models}{message}", feed.feed, feed.result)?;
        }
        print(&text)?;
        Ok(u8::from(self.feeds.iter().any(|feed| feed.message.is_some())))
    }
}

async fn compare(mut desk: Desk) -> anyhow::Result<u8> {
    let mut failed = false;
    let feeds = desk.model().feeds.clone();
    if feeds.is_empty() {
        complain("error: there is nothing to compare with: name a FILE, or set [[prices.feeds]]");
        return Ok(2);
    }
    for feed in &feeds {
        if let Err(error) = desk.refresh(feed, Vouched::No).await {
            complain(&format!("{}: {error}", feed.name));
            failed = true;
        }
    }
    let old = desk.reprice().map_err(anyhow::Error::msg)?;
    print(&diff::diff(&old, desk.model(), &feeds))?;
    Ok(u8::from(failed))
}
