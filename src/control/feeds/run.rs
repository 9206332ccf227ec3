//! When which feed is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::{Clerk, RefreshError, Refreshed};
use crate::control::reload::{Reloader, Trigger};
use crate::observe::FeedResult;
use crate::policy::book::Vouched;
use crate::policy::model::Feed;
use crate::runtime;
use crate::units::Timestamp;

/// How often it is looked which feed is due: a reload may bring new ones.
const LOOK: Duration = Duration::from_secs(1);
/// After a failure: soon again, and less and less soon.
const FIRST_RETRY: Duration = Duration::from_secs(15);

/// When a feed is due.
struct Due {
    feed: Feed,
    at: Timestamp,
    failures: u32,
}

/// Runs until dropped.
pub(in crate::control) async fn run(clerk: Arc<Clerk>, reloader: Arc<Reloader>) {
    let mut due: HashMap<Arc<str>, Due> = HashMap::new();
    loop {
        let feeds = reloader.feeds();
        if due.len() != feeds.len() || feeds.iter().any(|feed| due.get(&feed.name).is_none_or(|due| due.feed != *feed))
        {
            clerk.retain(&feeds);
            due.retain(|_, due| feeds.contains(&due.feed));
        }
        for feed in &feeds {
            let known = due.get(&feed.name);
            if known.is_some_and(|due| due.at > runtime::now()) {
                continue;
            }
            let failures = known.map_or(0, |due| due.failures);
            let done = refresh(&clerk, &reloader, feed, Vouched::No).await;
            let failures = if done.is_ok() { 0 } else { failures + 1 };
            let at = runtime::now() + pause(feed.every, failures);
            due.insert(Arc::clone(&feed.name), Due { feed: feed.clone(), at, failures });
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn pause(every: Duration, failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => every,
        Some(again) => (FIRST_RETRY * 2_u32.saturating_pow(again.min(10))).min(every),
    }
}

/// Asks a feed and puts what it says in force.
pub(crate) async fn refresh(
    clerk: &Clerk,
    reloader: &Reloader,
    feed: &Feed,
    vouched: Vouched,
) -> Result<Refreshed, RefreshError> {
    let done = clerk.refresh(feed, vouched).await;
    let configured = reloader.feeds();
    if !configured.iter().any(|one| one.is_same_list(feed)) {
        // A reload has put another list in its place meanwhile.
        clerk.retain(&configured);
        return done;
    }
    let name = &*feed.name;
    match &done {
        Ok(Refreshed::Read { models, skipped }) => {
            tracing::info!(feed = name, models, skipped, "price list read");
            reloader.count_feed(name, FeedResult::Read);
        }
        Ok(Refreshed::Unchanged) => reloader.count_feed(name, FeedResult::Unchanged),
        Err(error @ RefreshError::Shrunk(_)) => {
            tracing::error!(feed = name, %error, "price list refused; `faregate prices refresh --accept` takes it");
            reloader.count_feed(name, FeedResult::Refused);
        }
        Err(error) => {
            tracing::warn!(feed = name, %error, "price list not read; the prices that were known stay");
            reloader.count_feed(name, FeedResult::Failed);
        }
    }
    if done.is_ok() {
        // What it said before may count now that it is said again.
        reloader.reload(Trigger::Feed);
    }
    done
}
