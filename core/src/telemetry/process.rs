//! How the ambassador itself is, apart from its targets: when it began, and the memory of its process.

use std::time::{SystemTime, UNIX_EPOCH};

use once_cell::sync::Lazy;

/// A point in time as others tell it: milliseconds since 1970.
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

static STARTED: Lazy<u64> = Lazy::new(unix_ms);

/// When this process first had a proxy, or first asked.
pub(crate) fn started_ms() -> u64 {
    *STARTED
}

/// How much memory the process has in use, in bytes; `None` where that cannot be told.
#[cfg(target_os = "linux")]
pub(crate) fn memory() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// How much memory the process has in use, in bytes; `None` where that cannot be told.
#[cfg(not(target_os = "linux"))]
pub(crate) fn memory() -> Option<u64> {
    None
}
