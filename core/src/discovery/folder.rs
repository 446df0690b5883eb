//! Waiting until a file may have changed, however that is done: written in place, replaced by another one (editors), or reached
//! through a symbolic link that is (Kubernetes). Watched are the folders, since a watch of the file goes with the file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// What is half written when it begins to change is whole a little later, as a rule.
const SETTLING: Duration = Duration::from_millis(20);

/// The folders from which a file is reached.
#[derive(Default)]
pub(super) struct Folders {
    /// None before the first look, and where the system watches no more folders: then only time tells.
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    reached: Arc<Reached>,
}

#[derive(Default)]
struct Reached {
    /// Where the file really was when it was last read.
    at: Mutex<Option<PathBuf>>,
    changed: Notify,
}

impl Folders {
    /// From now on it is seen when that file changes, which is about to be read.
    pub fn of(&mut self, path: &Path) {
        let really = path.canonicalize().ok();
        let folders: Vec<PathBuf> = [Some(path), really.as_deref()].into_iter().flatten().map(folder).collect();
        *self.reached.at.lock().unwrap_or_else(PoisonError::into_inner) = really;
        if self.watcher.is_none() {
            let (path, reached) = (path.to_owned(), Arc::clone(&self.reached));
            let told = move |event| {
                if reached.is_touched_by(&path, event) {
                    reached.changed.notify_one();
                }
            };
            self.watcher = notify::recommended_watcher(told).ok();
        }
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.watched.iter().filter(|watched| !folders.contains(watched)) {
            let _ = watcher.unwatch(gone);
        }
        // All of them again: one that was made anew is another folder by the same name. One that is not there is looked for again
        // with the next look.
        for folder in &folders {
            let _ = watcher.watch(folder, RecursiveMode::NonRecursive);
        }
        self.watched = folders;
    }

    /// Waits until the file may have changed since the last [`of`](Folders::of), at most so long.
    pub async fn changed(&mut self, most: Duration) {
        if tokio::time::timeout(most, self.reached.changed.notified()).await.is_ok() {
            tokio::time::sleep(SETTLING).await;
        }
    }
}

impl Reached {
    fn is_touched_by(&self, path: &Path, event: notify::Result<Event>) -> bool {
        // Who watches has lost count.
        let Ok(event) = event else { return true };
        let is_read = matches!(&event.kind, EventKind::Access(how) if *how != AccessKind::Close(AccessMode::Write));
        if is_read {
            return false;
        }
        let really = self.at.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let names: [Option<&OsStr>; 2] = [path.file_name(), really.as_deref().and_then(Path::file_name)];
        event.need_rescan()
            || event.paths.iter().any(|touched| touched.file_name().is_some_and(|name| names.contains(&Some(name))))
            || path.canonicalize().ok() != really
    }
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
