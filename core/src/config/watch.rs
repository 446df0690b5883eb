//! Watches the files of the configuration in force, and has them read again when one changes. Runs on the shared runtime, one in a
//! process; in a forked child the next call begins another.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::AcqRel, Ordering::Acquire};
use std::time::Duration;

use arc_swap::ArcSwap;
use once_cell::sync::Lazy;
use tokio::sync::Notify;

use super::force::{self, files, reload};
use crate::folders::Folders;
use crate::runtime;
use crate::telemetry::spans;

/// Where the system watches no folder, or tells nothing of it as with some file systems of a network, a change is seen after so long.
const LONGEST: Duration = Duration::from_secs(10);

/// The process that has a watch.
static WATCHES: AtomicU32 = AtomicU32::new(0);
/// Other files are to be watched. Swapped whole in a forked child.
static OTHERS: Lazy<ArcSwap<Notify>> = Lazy::new(ArcSwap::default);

/// The files in force are watched from now on.
pub(super) fn begin() {
    let process = std::process::id();
    if WATCHES.swap(process, AcqRel) == process {
        OTHERS.load().notify_one();
        return;
    }
    // Without threads for it, the configuration stays as it is.
    if catch_unwind(|| drop(runtime::handle().spawn(watch()))).is_err() {
        WATCHES.store(0, std::sync::atomic::Ordering::Release);
    }
}

/// F3: the parent's watch is the parent's.
pub(crate) fn begin_anew() {
    force::begin_anew();
    if WATCHES.load(Acquire) != 0 {
        OTHERS.store(Arc::default());
        spans::add_duties(spans::WATCH);
    }
}

/// A call comes to a forked child.
#[cold]
pub(crate) fn begin_again() {
    if spans::done(spans::WATCH) {
        begin();
    }
}

async fn watch() {
    let mut folders = Folders::default();
    let others = OTHERS.load_full();
    loop {
        let watched: Arc<Vec<PathBuf>> = files();
        if watched.is_empty() {
            others.notified().await;
            continue;
        }
        // Before they are read: a change in between is seen.
        folders.of(&watched);
        let _ = tokio::task::spawn_blocking(|| drop(reload())).await;
        if *files() != *watched {
            continue;
        }
        tokio::select! {
            () = folders.changed(LONGEST) => {}
            () = others.notified() => {}
        }
    }
}
