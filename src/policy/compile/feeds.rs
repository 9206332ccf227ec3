//! Feeds: names, addresses, and whose lists they are.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::policy::diagnostic::{Diagnostic, Diagnostics};
use crate::policy::feed::{Feed, FeedUrl};
use crate::policy::nearest::advice;
use crate::policy::raw::config::Config;
use crate::policy::raw::feeds::Feed as RawFeed;
use crate::policy::raw::url::list_url;
use crate::policy::source::At;

const EVERY: Duration = Duration::from_hours(6);
/// Reading a file costs nobody anything.
const EVERY_FILE: Duration = Duration::from_mins(1);
/// Half as much more.
const MAX_RISE: u32 = 500;

/// The feeds of a configuration in `folder`.
pub(crate) fn compile(config: &Config, folder: &Path, report: &Diagnostics) -> Vec<Feed> {
    let mut taken = HashSet::new();
    let feed = |raw: &RawFeed| {
        let name = raw.name.as_ref().map_or_else(|| raw.format.label().to_owned(), |name| name.value.clone());
        if !taken.insert(name.clone()) {
            let place = raw.name.as_ref().map_or(&raw.place, |name| &name.place);
            let message = format!("two feeds are called `{name}`");
            report.push(Diagnostic::error(place, message).hint("give one of them another `name`"));
        }
        let upstream = raw.upstream.as_ref().map(|upstream| known(upstream, config, report));
        let url = url(&raw.url, folder, report)?;
        let usual = if matches!(url, FeedUrl::File(_)) { EVERY_FILE } else { EVERY };
        Some(Feed {
            name: name.into(),
            url,
            format: raw.format,
            every: raw.every.unwrap_or(usual),
            max_rise: raw.max_rise.unwrap_or(MAX_RISE),
            upstream,
        })
    };
    config.prices.feeds.iter().filter_map(feed).collect()
}

fn known(upstream: &At<String>, config: &Config, report: &Diagnostics) -> Arc<str> {
    let names: Vec<&str> = config.upstreams.iter().map(|upstream| upstream.name.value.as_str()).collect();
    if !names.contains(&upstream.value.as_str()) {
        let message = format!("there is no upstream `{}`", upstream.value);
        let hint = advice(&upstream.value, &names).unwrap_or_else(|| "declare it under [upstreams]".to_owned());
        report.push(Diagnostic::error(&upstream.place, message).hint(hint));
    }
    upstream.value.as_str().into()
}

fn url(url: &At<String>, folder: &Path, report: &Diagnostics) -> Option<FeedUrl> {
    let refuse = |message: String| {
        let hint = "write \"https://host/prices.json\", or \"file:prices.json\" for a file beside this one";
        report.push(Diagnostic::error(&url.place, message).hint(hint));
        None
    };
    if let Some(path) = url.value.strip_prefix("file:") {
        // `file:///a/b` and `file:/a/b` are the same file.
        let path = if path.starts_with("///") { path.trim_start_matches("//") } else { path };
        if path.is_empty() || path.starts_with("//") {
            return refuse("this names no file of this machine".to_owned());
        }
        return Some(FeedUrl::File(folder.join(path)));
    }
    match list_url(&url.value) {
        Ok((address, query)) => Some(FeedUrl::Web { address, query }),
        Err(error) => refuse(error.to_string()),
    }
}

/// Where the last good lists are kept.
pub(crate) fn keep(config: &Config, folder: &Path) -> Option<std::path::PathBuf> {
    config.prices.keep.as_ref().map(|keep| folder.join(&keep.value))
}
