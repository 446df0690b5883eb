//! How the ambassador itself is, apart from its targets: when it began, the memory of its process, its runtime, and the threads that
//! run the program's functions.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

use crate::clock::Nanos;
use crate::runtime;

/// A point in time as others tell it: milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

static STARTED: Lazy<u64> = Lazy::new(unix_ms);

/// When this process first had a proxy, or first asked.
pub(crate) fn started_ms() -> u64 {
    *STARTED
}

/// Threads that run the program's functions, where a binding has such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// How many there may be.
    pub limit: u64,
    /// How many run a function.
    pub busy: u64,
    /// How many functions wait for one.
    pub waiting: u64,
}

type Look = Box<dyn Fn() -> Workers + Send + Sync>;

static WORKERS: OnceLock<Look> = OnceLock::new();

/// For a binding whose functions run on threads of its own: how to look at them. It is called on any thread, and has to answer at
/// once, whatever the program does: no lock of the language's may be taken. The first one holds.
pub fn set_workers(look: impl Fn() -> Workers + Send + Sync + 'static) {
    let _ = WORKERS.set(Box::new(look));
}

/// How long a task of the shared runtime last waited to be run; [`UNKNOWN`] when nobody has measured it.
static LAG: AtomicU64 = AtomicU64::new(UNKNOWN);
const UNKNOWN: u64 = u64::MAX;

/// A task of the shared runtime waited so long, or has waited so long already; `None` when nobody measures any more.
pub(crate) fn note_lag(lag: Option<Nanos>) {
    LAG.store(lag.unwrap_or(UNKNOWN), Relaxed);
}

/// How it is at present.
pub(crate) struct Health {
    pub memory: Option<u64>,
    pub threads: Option<u64>,
    pub queue: Option<u64>,
    pub lag: Option<Nanos>,
    pub workers: Option<Workers>,
}

impl Health {
    pub fn now() -> Health {
        let runtime = runtime::present();
        let runtime = runtime.as_ref().map(tokio::runtime::Handle::metrics);
        Health {
            memory: memory(),
            threads: runtime.as_ref().map(|runtime| runtime.num_workers() as u64),
            queue: runtime.as_ref().map(|runtime| runtime.global_queue_depth() as u64),
            lag: Some(LAG.load(Relaxed)).filter(|&lag| lag != UNKNOWN),
            workers: WORKERS.get().map(|look| look()),
        }
    }

    /// The fields of JSON that say so, but for events.
    pub fn to_json(&self) -> String {
        let or_null = |number: Option<u64>| number.map_or("null".into(), |number| number.to_string());
        let Health { memory, threads, queue, lag, workers } = self;
        format!(
            concat!(
                r#""memory_bytes":{},"runtime":{{"threads":{},"lag_ns":{},"queue":{}}},"#,
                r#""workers":{{"limit":{},"busy":{},"waiting":{}}}"#
            ),
            or_null(*memory),
            or_null(*threads),
            or_null(*lag),
            or_null(*queue),
            or_null(workers.map(|workers| workers.limit)),
            or_null(workers.map(|workers| workers.busy)),
            or_null(workers.map(|workers| workers.waiting)),
        )
    }
}

/// How much memory the process has in use, in bytes; `None` where that cannot be told.
#[cfg(target_os = "linux")]
fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// How much memory the process has in use, in bytes; `None` where that cannot be told.
#[cfg(not(target_os = "linux"))]
fn memory() -> Option<u64> {
    None
}
