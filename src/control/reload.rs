//! From files to a snapshot in force, or to a reason why not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::source::{Source, Texts};
use crate::observe::{FeedResult, Metrics};
use crate::policy::model::{Feed, Model, Openness, Server};
use crate::policy::{self, Diagnostic, Loaded, Severity};
use crate::proxy::worker::Shared;
use crate::runtime;
use crate::state::{BuildError, Cells, Snapshot};

/// What asked for a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A file changed, or the slow poll came by.
    Watch,
    /// A person or a tool: SIGHUP, `POST /v1/reload`.
    Request,
    /// The clock: a price list has another price from now on.
    Price,
    /// A price feed has said something.
    Feed,
}

/// What came of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A new snapshot is in force.
    Applied {
        /// Its number.
        generation: u64,
        /// Settings that changed but need a restart.
        needs_restart: Vec<&'static str>,
    },
    /// The same files mean other prices, by the hour or by a feed: they are in force, under the number they had.
    Repriced {
        /// The number of the snapshot in force.
        generation: u64,
        /// How many endpoints have another price.
        changed: usize,
    },
    /// The files say what is in force already.
    Unchanged {
        /// The number of the snapshot in force.
        generation: u64,
    },
    /// The files are invalid; what ran runs on.
    Rejected {
        /// All diagnostics, as `check` prints them.
        diagnostics: String,
    },
}

/// A reload that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// All diagnostics, as `check` prints them.
    pub diagnostics: String,
    /// When.
    pub at: SystemTime,
}

const RESTART: &str = "if it is meant, restart";

/// Reloads, one at a time.
pub struct Reloader {
    shared: Arc<Shared>,
    source: Source,
    /// What was bound and started.
    started: Server,
    cells: Arc<Mutex<Cells>>,
    failure: ArcSwapOption<Status>,
    files: Mutex<Vec<PathBuf>>,
    /// What is in force was made from these.
    texts: Mutex<Texts>,
    turn: Mutex<()>,
}

impl Reloader {
    /// Reloads from `source` into `shared`.
    pub fn new(shared: Arc<Shared>, source: Source, cells: Arc<Mutex<Cells>>, files: Vec<PathBuf>) -> Self {
        let started = shared.snapshot().model.server.clone();
        Self {
            shared,
            source,
            started,
            cells,
            failure: ArcSwapOption::empty(),
            files: Mutex::new(files),
            texts: Mutex::default(),
            turn: Mutex::new(()),
        }
    }

    /// Why the last reload was refused, unless a later one succeeded.
    pub fn failure(&self) -> Option<Arc<Status>> {
        self.failure.load_full()
    }

    /// The files to be watched.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.lock().clone()
    }

    /// Forgets the state of endpoints that are long gone.
    pub fn expire(&self) {
        self.cells.lock().expire(&self.shared.metrics, runtime::now());
    }

    /// Reads everything anew and puts it in force if it is valid and different.
    pub fn reload(&self, trigger: Trigger) -> Outcome {
        match trigger {
            Trigger::Watch | Trigger::Request => self.read_anew(trigger),
            Trigger::Price => self.reprice(runtime::wall_clock()),
            Trigger::Feed => self.recompile(runtime::wall_clock()),
        }
    }

    fn read_anew(&self, trigger: Trigger) -> Outcome {
        let _turn = self.turn.lock();
        let running = self.shared.snapshot();
        let (Loaded { model, diagnostics, files, .. }, texts) = self.source.load();
        *self.files.lock() = files;
        let Some(model) = model else { return self.reject(trigger, policy::render(&diagnostics)) };
        if model.fingerprint == running.model.fingerprint {
            return self.keep(trigger, running.generation);
        }
        if let Some(reason) = self.danger(&running.model, &model) {
            return self.reject(trigger, reason);
        }
        let needs_restart = needs_restart(&self.started, &model.server);
        mention(&diagnostics);
        match build(model, running.generation + 1, &self.cells, &self.shared.metrics) {
            Ok(snapshot) => {
                self.remember(texts);
                self.commit(snapshot, needs_restart)
            }
            Err(error) => self.reject(trigger, error.to_string()),
        }
    }

    /// Makes the snapshot in force anew with the prices of `now`, if one of them changes by then.
    pub(super) fn reprice(&self, now: SystemTime) -> Outcome {
        let running = self.shared.snapshot();
        if running.model.next_price_change.is_none_or(|change| SystemTime::from(change) > now) {
            return Outcome::Unchanged { generation: running.generation };
        }
        self.recompile(now)
    }

    /// Makes the snapshot in force anew with the prices of `now`.
    ///
    /// From what was read before: a file that is being edited must not hold up the hour.
    fn recompile(&self, now: SystemTime) -> Outcome {
        let _turn = self.turn.lock();
        let running = self.shared.snapshot();
        let generation = running.generation;
        let Loaded { model, diagnostics, .. } = self.source.recompile(&self.texts.lock(), now);
        let built = model.ok_or_else(|| policy::render(&diagnostics)).and_then(|model| {
            build(model, generation, &self.cells, &self.shared.metrics).map_err(|error| error.to_string())
        });
        let mut snapshot = match built {
            Ok(snapshot) => snapshot,
            Err(diagnostics) => {
                tracing::error!(%diagnostics, "prices have changed and could not be put in force; the old ones stay");
                return Outcome::Rejected { diagnostics };
            }
        };
        if same_prices(&running.model, &snapshot.model) {
            return Outcome::Unchanged { generation };
        }
        let changed = repriced(&running.model, &snapshot.model);
        tell_of_doubts(&running.model, &snapshot.model);
        snapshot.succeed(&running);
        self.shared.commit(Arc::new(snapshot));
        if changed == 0 {
            return Outcome::Unchanged { generation };
        }
        tracing::info!(generation, changed, "prices changed, by the hour or date of their price lists or by a feed");
        Outcome::Repriced { generation, changed }
    }

    /// The price feeds of the configuration in force.
    pub(crate) fn feeds(&self) -> Vec<Feed> {
        self.shared.snapshot().model.feeds.clone()
    }

    /// Counts what came of asking a feed.
    pub(super) fn count_feed(&self, name: &str, result: FeedResult) {
        self.shared.metrics.record_feed(name, result);
    }

    /// What is in force was made from `texts`.
    pub(super) fn remember(&self, texts: Texts) {
        *self.texts.lock() = texts;
    }

    /// When the prices in force change next.
    pub(super) fn next_price_change(&self) -> Option<jiff::Timestamp> {
        self.shared.snapshot().model.next_price_change
    }

    /// What a whole file may say at a start, and what is far more likely half a file, or a mistake, while running. An
    /// address changes after a restart only, so that until then the old one's reach counts.
    fn danger(&self, running: &Model, model: &Model) -> Option<String> {
        if model.endpoints.is_empty() && !running.endpoints.is_empty() {
            return Some(format!("error: the new configuration has no endpoint at all\n  = help: {RESTART}\n"));
        }
        let unprotected = model.tenants.is_empty() && model.server.openness == Openness::Closed;
        let (listen, had_tenants) = (self.started.listen, !running.tenants.is_empty());
        (unprotected && (had_tenants || !listen.ip().is_loopback())).then(|| {
            format!(
                "error: whoever reaches {listen} could spend your money: the new configuration has no tenants\n  \
                 = help: keep [[tenants]], or say `open = true` under [server]; {RESTART}\n"
            )
        })
    }

    fn commit(&self, snapshot: Snapshot, needs_restart: Vec<&'static str>) -> Outcome {
        let generation = snapshot.generation;
        self.shared.commit(Arc::new(snapshot));
        self.failure.store(None);
        self.shared.metrics.reload_succeeded(generation);
        for setting in &needs_restart {
            tracing::warn!(setting, "this change takes effect after a restart only");
        }
        tracing::info!(generation, "configuration reloaded");
        Outcome::Applied { generation, needs_restart }
    }

    /// The files say what is in force already: perhaps again, after a mistake was undone.
    fn keep(&self, trigger: Trigger, generation: u64) -> Outcome {
        let mended = self.failure.swap(None).is_some();
        if mended || trigger == Trigger::Request {
            self.shared.metrics.reload_succeeded(generation);
            tracing::info!(generation, "the files say what is in force already");
        }
        Outcome::Unchanged { generation }
    }

    fn reject(&self, trigger: Trigger, diagnostics: String) -> Outcome {
        let known = self.failure.load().as_ref().is_some_and(|status| status.diagnostics == diagnostics);
        // The poll comes by every few seconds; the same mistake is worth one message.
        if !known || trigger == Trigger::Request {
            tracing::error!(%diagnostics, "reload refused: the files are invalid, the running configuration stays");
            self.shared.metrics.reload_failed();
            self.failure.store(Some(Arc::new(Status { diagnostics: diagnostics.clone(), at: runtime::wall_clock() })));
        }
        Outcome::Rejected { diagnostics }
    }
}

/// Says what there is to say about files that are valid.
pub(super) fn mention(diagnostics: &[Diagnostic]) {
    let (warnings, notes): (Vec<_>, Vec<_>) =
        diagnostics.iter().cloned().partition(|one| one.severity > Severity::Note);
    if !warnings.is_empty() {
        tracing::warn!(diagnostics = %policy::render(&warnings), "the configuration has warnings");
    }
    for note in notes {
        tracing::info!(hint = note.hint, "{}", note.message);
    }
}

/// Whether nothing is known that was not. The same files have the same endpoints in the same order.
fn same_prices(old: &Model, new: &Model) -> bool {
    let mut pairs = old.endpoints.values().zip(new.endpoints.values());
    let periods = |model: &Model| -> Vec<_> { model.allowances.values().map(|one| Arc::clone(&one.id)).collect() };
    (old.next_price_change, periods(old)) == (new.next_price_change, periods(new))
        && pairs.all(|(old, new)| old.is_priced_as(new))
}

/// How many endpoints have another price.
fn repriced(old: &Model, new: &Model) -> usize {
    old.endpoints.values().zip(new.endpoints.values()).filter(|(old, new)| old.price != new.price).count()
}

/// Says which prices are held that were not before.
fn tell_of_doubts(old: &Model, new: &Model) {
    for (old, new) in old.endpoints.values().zip(new.endpoints.values()) {
        if let Some(doubt) = new.price_doubt.as_ref().filter(|doubt| doubt.held && old.price_doubt != new.price_doubt) {
            tracing::warn!(endpoint = %new.id, doubt = %doubt.text, "a price is held: the dearer one counts meanwhile");
        }
    }
}

/// The snapshot of `model`.
pub(super) fn build(
    model: Model,
    generation: u64,
    cells: &Mutex<Cells>,
    metrics: &Arc<Metrics>,
) -> Result<Snapshot, BuildError> {
    Snapshot::build(model, generation, cells, metrics, runtime::now())
}

fn needs_restart(old: &Server, new: &Server) -> Vec<&'static str> {
    let settings = [
        ("server.listen", old.listen != new.listen),
        ("server.admin", old.admin != new.admin),
        ("server.workers", old.workers != new.workers),
        ("server.access_log", old.access_log != new.access_log),
    ];
    settings.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
}
