//! Notices that files have changed.
//!
//! Directories are watched rather than files, since editors replace files and Kubernetes swaps a symbolic link
//! (`..data`) above them. A notification may still be lost (network file systems, exhausted watches), so a slow poll
//! guarantees that a change is seen.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::reload::{Reloader, Trigger};

/// Writers touch a file more than once; wait for them to finish.
const SETTLE: Duration = Duration::from_millis(100);
/// How long a lost notification can go unnoticed.
const POLL: Duration = Duration::from_secs(5);

/// Reloads whenever a file has changed. Runs until dropped.
pub(super) async fn run(reloader: Arc<Reloader>) {
    let (wake, mut woken) = mpsc::channel(1);
    let mut watched = Watched::new(wake);
    loop {
        watched.follow(&reloader.files());
        tokio::select! {
            Some(()) = woken.recv() => tokio::time::sleep(SETTLE).await,
            () = tokio::time::sleep(POLL) => {}
        }
        while woken.try_recv().is_ok() {}
        reloader.reload(Trigger::Watch);
        reloader.expire();
    }
}

struct Watched {
    watcher: Option<RecommendedWatcher>,
    directories: BTreeSet<PathBuf>,
    /// The files' names, shared with the watcher.
    names: Arc<Mutex<BTreeSet<OsString>>>,
}

impl Watched {
    fn new(wake: mpsc::Sender<()>) -> Self {
        let names = Arc::new(Mutex::new(BTreeSet::new()));
        let known = Arc::clone(&names);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let relevant = event.as_ref().map_or(true, |event| concerns(event, &known.lock()));
            // A full channel means that a wake-up is on its way already.
            if relevant && let Err(mpsc::error::TrySendError::Closed(())) = wake.try_send(()) {
                tracing::debug!("file notification after shutdown");
            }
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "file notifications are not available; polling instead"))
            .ok();
        Self { watcher, directories: BTreeSet::new(), names }
    }

    /// Watches the directories of `files`, and those their links lead to, and no others.
    fn follow(&mut self, files: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else { return };
        let real = files.iter().filter_map(|file| file.canonicalize().ok());
        *self.names.lock() =
            files.iter().cloned().chain(real).filter_map(|file| Some(file.file_name()?.to_owned())).collect();
        let wanted: BTreeSet<PathBuf> = files.iter().flat_map(|file| directories(file)).collect();
        for gone in self.directories.difference(&wanted) {
            if let Err(error) = watcher.unwatch(gone) {
                tracing::debug!(directory = %gone.display(), %error, "was not watched any more");
            }
        }
        let mut watching = BTreeSet::new();
        for directory in wanted {
            let known = self.directories.contains(&directory);
            match if known { Ok(()) } else { watcher.watch(&directory, RecursiveMode::NonRecursive) } {
                Ok(()) => {
                    watching.insert(directory);
                }
                Err(error) => tracing::debug!(directory = %directory.display(), %error, "cannot be watched; polled"),
            }
        }
        self.directories = watching;
    }
}

/// Whether it is about one of the files, or about the link above them that Kubernetes swaps (`..data`). Whatever else
/// happens in the same directories, such as a growing log, is nobody's business here.
fn concerns(event: &notify::Event, names: &BTreeSet<OsString>) -> bool {
    let is_ours = |path: &PathBuf| {
        path.file_name().is_none_or(|name| names.contains(name) || name.as_encoded_bytes().starts_with(b".."))
    };
    !event.kind.is_access() && (event.paths.is_empty() || event.paths.iter().any(is_ours))
}

/// The directory that a file is named in, and the one it really lies in.
fn directories(file: &Path) -> impl Iterator<Item = PathBuf> {
    let parent = |path: &Path| {
        path.parent().map(|parent| if parent.as_os_str().is_empty() { PathBuf::from(".") } else { parent.to_owned() })
    };
    let real = file.canonicalize().ok();
    [parent(file), real.as_deref().and_then(parent)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, EventKind, ModifyKind};
    use notify::{Event, event};

    use super::*;

    #[test]
    fn what_else_happens_in_the_directory_is_nobodys_business() {
        let names = BTreeSet::from(["policy.toml".into()]);
        let about = |kind: EventKind, path: &str| concerns(&Event::new(kind).add_path(path.into()), &names);
        let modified = EventKind::Modify(ModifyKind::Data(event::DataChange::Any));
        assert!(about(modified, "/etc/faregate/policy.toml"));
        assert!(about(EventKind::Create(CreateKind::Any), "/etc/faregate/..data"));
        assert!(!about(modified, "/etc/faregate/access.log"));
        assert!(!about(EventKind::Access(AccessKind::Any), "/etc/faregate/policy.toml"));
        assert!(concerns(&Event::new(EventKind::Any), &names), "a rescan may be about anything");
    }
}
