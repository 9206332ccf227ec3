//! Price lists that are fetched while running: where from, how often, and how far they are believed.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::model::BaseUrl;

/// One of `[[prices.feeds]]`. They count in the order of the file: the first that prices a model does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Its name, for people, labels and the file that is kept.
    pub name: Arc<str>,
    /// Where it is.
    pub url: FeedUrl,
    /// How it is written.
    pub format: FeedFormat,
    /// How often it is fetched.
    pub every: Duration,
    /// A price that moves by more than this in one fetch is held until the next fetch says so again. In thousandths:
    /// 500 is half as much more, and by the same factor less.
    pub max_rise: u32,
    /// The upstream whose own list it is: only its models are priced by it, and at once.
    pub upstream: Option<Arc<str>>,
}

impl Feed {
    /// Whether what was read of `other` is what this one would have said. How often it is asked, and how far it is
    /// believed, changes nothing about that.
    pub fn is_same_list(&self, other: &Self) -> bool {
        (&self.name, &self.url, self.format, &self.upstream) == (&other.name, &other.url, other.format, &other.upstream)
    }

    /// Tells its list from every other, in a text that may be kept: what is secret of the address is hashed.
    pub fn identity(&self) -> String {
        let mut hasher = DefaultHasher::new();
        if let FeedUrl::Web { query, .. } = &self.url {
            query.hash(&mut hasher);
        }
        let (url, format, query) = (&self.url, self.format.label(), hasher.finish());
        let upstream = self.upstream.as_deref().unwrap_or("all upstreams");
        format!("{url} as {format} for {upstream}, {query:016x}")
    }

    /// How long a price must have been said for it to count as said again. Somewhat less than the time between two
    /// fetches, which no clock keeps to the second.
    pub(crate) fn said_again_after(&self) -> Duration {
        self.every * 9 / 10
    }
}

/// Where a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedUrl {
    /// A file.
    File(PathBuf),
    /// A server; the path of the address is that of the list, and a query may follow.
    Web {
        /// The address, its path included.
        address: BaseUrl,
        /// What follows `?`, without it.
        query: Option<Arc<str>>,
    },
}

/// How a feed is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedFormat {
    /// models.dev: an object per provider, dollars per million tokens.
    ModelsDev,
    /// LiteLLM's map of prices: an object per model, dollars per token.
    LiteLlm,
    /// OpenRouter's list of models: pages, dollars per token.
    OpenRouter,
    /// Our own: tables of models as in the configuration, in TOML.
    Faregate,
}

impl FeedFormat {
    /// Each with its name in files.
    pub const NAMED: [(&'static str, Self); 4] = [
        ("models-dev", Self::ModelsDev),
        ("litellm", Self::LiteLlm),
        ("openrouter", Self::OpenRouter),
        ("faregate", Self::Faregate),
    ];

    /// Its name in files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::ModelsDev => "models-dev",
            Self::LiteLlm => "litellm",
            Self::OpenRouter => "openrouter",
            Self::Faregate => "faregate",
        }
    }
}

impl std::fmt::Display for FeedUrl {
    /// Without the query, which may hold a token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Web { address, .. } => address.fmt(f),
        }
    }
}
