//! Puts new prices in force when the price list says so.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::reload::{Outcome, Reloader, Trigger};
use crate::runtime;

/// The longest sleep: a reload may bring an earlier change, and a wall clock may be set.
const LOOK: Duration = Duration::from_secs(5);
/// The pause after a change that could not be made.
const RETRY: Duration = Duration::from_mins(1);

/// Runs until dropped.
pub(super) async fn run(reloader: Arc<Reloader>) {
    loop {
        let wait = reloader.next_price_change().map_or(LOOK, |change| until(change, runtime::wall_clock()));
        tokio::time::sleep(wait.min(LOOK)).await;
        let due = reloader.next_price_change().is_some_and(|change| until(change, runtime::wall_clock()).is_zero());
        if due && let Outcome::Rejected { .. } = reloader.reload(Trigger::Price) {
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn until(change: jiff::Timestamp, now: SystemTime) -> Duration {
    SystemTime::from(change).duration_since(now).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;
    use crate::control::Source;
    use crate::control::reload::{Trigger, build};
    use crate::observe::{AccessLog, Metrics};
    use crate::proxy::worker::Shared;
    use crate::state::Snapshot;
    use crate::units::PricePerMtok;

    const CONFIG: &str = r#"
        [upstreams.a]
        base_url = "http://127.0.0.1:1/v1"
        [upstreams.a.models.m]
        price = { input = "1 USD", output = "2 USD" }
        dated = [{ from = "2900-01-01T00:00:00Z", input = "3 USD", output = "4 USD" }]
        until = "2901-01-01T00:00:00Z"
    "#;

    struct Stage {
        folder: tempfile::TempDir,
        shared: Arc<Shared>,
        reloader: Reloader,
    }

    fn stage() -> Stage {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.toml");
        std::fs::write(&path, CONFIG).unwrap();
        let source = Source { path: Some(path), environment: Arc::new(|_| None), book: Arc::default() };
        let (loaded, texts) = source.load();
        let (metrics, cells) = (Arc::new(Metrics::new().unwrap()), Arc::new(Mutex::default()));
        let snapshot = build(loaded.model.unwrap(), 7, &cells, &metrics).unwrap();
        let log = AccessLog::off(Arc::clone(&metrics));
        let shared = Arc::new(Shared::new(Arc::new(snapshot), metrics, log));
        let reloader = Reloader::new(Arc::clone(&shared), source, cells, loaded.files);
        reloader.remember(texts);
        Stage { folder, shared, reloader }
    }

    fn year(year: i16) -> SystemTime {
        let noon = jiff::civil::Date::constant(year, 6, 1).at(12, 0, 0, 0);
        noon.to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp().into()
    }

    fn input(shared: &Shared) -> Option<PricePerMtok> {
        let snapshot = shared.snapshot();
        let price = snapshot.model.endpoints.values().next().unwrap().price.clone();
        price.map(|price| price.rates.input)
    }

    #[test]
    fn a_price_changes_at_its_instant_without_a_new_generation() {
        let stage = stage();
        assert_eq!(stage.reloader.reprice(year(2026)), Outcome::Unchanged { generation: 7 });
        let before = stage.shared.snapshot();

        let outcome = stage.reloader.reprice(year(2900));

        assert_eq!(outcome, Outcome::Repriced { generation: 7, changed: 1 });
        assert_eq!(input(&stage.shared), Some(PricePerMtok(3_000_000)));
        assert_eq!(stage.shared.snapshot().generation, 7);
        assert_eq!(stage.reloader.reprice(year(2900)), Outcome::Unchanged { generation: 7 });
        let begun = before.model.endpoints.values().next().unwrap().price.clone().unwrap();
        assert_eq!(begun.rates.input, PricePerMtok(1_000_000), "requests in flight keep the price they began with");
    }

    #[test]
    fn what_was_learned_and_what_waits_outlives_a_change_of_price() {
        let stage = stage();
        let before = stage.shared.snapshot();
        let server = |snapshot: &Snapshot| Arc::clone(&snapshot.seats.values().next().unwrap().target.server);
        server(&before).spare_usage();

        stage.reloader.reprice(year(2900));

        let after = stage.shared.snapshot();
        assert!(!Arc::ptr_eq(&before, &after));
        assert!(Arc::ptr_eq(&before.inlet, &after.inlet), "samples speak of positions, which are the same");
        assert!(!server(&after).takes_usage());
    }

    #[test]
    fn a_feed_that_says_nothing_new_puts_nothing_new_in_force() {
        let stage = stage();
        let before = stage.shared.snapshot();
        assert_eq!(stage.reloader.reload(Trigger::Feed), Outcome::Unchanged { generation: 7 });
        assert!(Arc::ptr_eq(&before, &stage.shared.snapshot()));
    }

    #[test]
    fn a_broken_file_does_not_stop_the_clock_and_a_price_may_become_unknown() {
        let stage = stage();
        std::fs::write(stage.folder.path().join("f.toml"), "[upstreams").unwrap();

        assert_eq!(stage.reloader.reprice(year(2901)), Outcome::Repriced { generation: 7, changed: 1 });

        assert_eq!(input(&stage.shared), None);
        let excluded = stage.shared.snapshot().model.routes.values().map(|route| route.excluded.len()).sum::<usize>();
        assert!(excluded > 0, "what has no price is excluded");
    }
}
