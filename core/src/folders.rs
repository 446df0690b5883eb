//! Waiting until a file may have changed, however that is done: written in place, replaced by another one (editors), or reached
//! through a symbolic link that is (Kubernetes). Watched are the folders, since a watch of the file goes with the file. What is
//! itself a folder has changed when anything in it has.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

/// What is half written when it begins to change is whole a little later, as a rule.
const SETTLING: Duration = Duration::from_millis(20);

/// The folders from which files are reached.
#[derive(Default)]
pub(crate) struct Folders {
    /// None before the first look, and where the system watches no more folders: then only time tells.
    watcher: Option<RecommendedWatcher>,
    watched: Vec<PathBuf>,
    reached: Arc<Reached>,
}

#[derive(Default)]
struct Reached {
    /// The files, and where each really was when it was last read.
    at: Mutex<Vec<Seen>>,
    changed: Notify,
}

struct Seen {
    path: PathBuf,
    really: Option<PathBuf>,
    is_folder: bool,
}

impl Folders {
    /// From now on it is seen when one of those files changes, which are about to be read.
    pub fn of<P: AsRef<Path>>(&mut self, paths: &[P]) {
        let seen: Vec<Seen> = paths.iter().map(|path| Seen::now(path.as_ref())).collect();
        let mut folders: Vec<PathBuf> = seen.iter().flat_map(Seen::folders).collect();
        folders.sort_unstable();
        folders.dedup();
        *self.reached.at.lock().unwrap_or_else(PoisonError::into_inner) = seen;
        if self.watcher.is_none() {
            let reached = Arc::clone(&self.reached);
            let told = move |event| {
                if reached.is_touched_by(event) {
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

    /// Waits until one of the files may have changed since the last [`of`](Folders::of), at most so long.
    pub async fn changed(&mut self, most: Duration) {
        if tokio::time::timeout(most, self.reached.changed.notified()).await.is_ok() {
            tokio::time::sleep(SETTLING).await;
        }
    }
}

impl Seen {
    fn now(path: &Path) -> Seen {
        Seen { path: path.to_owned(), really: path.canonicalize().ok(), is_folder: path.is_dir() }
    }

    /// From where it is reached: by its name, and where it really is.
    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        let itself = self.is_folder.then(|| self.path.clone());
        [Some(&self.path), self.really.as_ref()].into_iter().flatten().map(|path| folder(path)).chain(itself)
    }

    fn is_touched_by(&self, event: &Event) -> bool {
        let names: [Option<&OsStr>; 2] = [self.path.file_name(), self.really.as_deref().and_then(Path::file_name)];
        let is_within = |touched: &Path| self.is_folder && touched.parent() == Some(&self.path);
        event
            .paths
            .iter()
            .any(|touched| touched.file_name().is_some_and(|name| names.contains(&Some(name))) || is_within(touched))
            || self.path.canonicalize().ok() != self.really
    }
}

impl Reached {
    fn is_touched_by(&self, event: notify::Result<Event>) -> bool {
        // Who watches has lost count.
        let Ok(event) = event else { return true };
        let is_read = matches!(&event.kind, EventKind::Access(how) if *how != AccessKind::Close(AccessMode::Write));
        if is_read {
            return false;
        }
        let at = self.at.lock().unwrap_or_else(PoisonError::into_inner);
        event.need_rescan() || at.iter().any(|seen| seen.is_touched_by(&event))
    }
}

fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}
