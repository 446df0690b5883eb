//! What is seen of all that the ambassador does (S2, S3): every target of this process in one JSON text, and the same as metrics.
//!
//! But for the histograms, nothing here is on the way of a call. Calls count in their target's [`State`]; who asks reads what was counted.
//!
//! | file | holds |
//! | --- | --- |
//! | `totals.rs` | what was counted of one target, as plain numbers that add up |
//! | `histogram.rs` | how long calls and attempts take: counted by each of them |
//! | `health.rs` | one target's health as JSON: its totals, and how its policies stand at present |
//! | `snapshot.rs` | all targets and the process itself, as JSON |
//! | `log.rs` | which events go to a host's own logging, and how they get there |
//! | `process.rs` | how the ambassador itself is: memory, its runtime, its threads |

mod health;
pub(crate) mod histogram;
pub mod log;
mod process;
mod snapshot;
mod totals;

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

pub(crate) use health::health;
pub use snapshot::snapshot;
pub(crate) use totals::Totals;

/// The first proxy of this process is made, or another.
pub(crate) fn begin() {
    process::started_ms();
}

/// In which language the program is written that the ambassador is part of, for `build_info` and the snapshot. Said by a binding when
/// it is loaded; any other than those below is `rust`.
pub fn set_language(language: &str) {
    let at = LANGUAGES.iter().position(|known| *known == language).unwrap_or(0);
    LANGUAGE.store(at as u8, Relaxed);
}

static LANGUAGE: AtomicU8 = AtomicU8::new(0);

const LANGUAGES: [&str; 6] = ["rust", "c", "python", "node", "java", "sidecar"];

pub(crate) fn language() -> &'static str {
    LANGUAGES[usize::from(LANGUAGE.load(Relaxed))]
}
