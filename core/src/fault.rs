//! What happens when the core itself fails: a panic is caught at the edge of a decision, counted and told, and the call
//! goes on without the ambassador (F1). Also the switch by which tests make it fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Where a decision may be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Point {
    Begin = 1,
    Settle = 2,
    Resume = 3,
    Hedge = 4,
}

static INJECTED: AtomicU8 = AtomicU8::new(0);

/// For tests: from now on every decision at `"begin"`, `"settle"`, `"resume"` or `"hedge"` panics; anything else switches that off.
pub fn inject_panic(at: &str) {
    let point = match at {
        "begin" => Point::Begin as u8,
        "settle" => Point::Settle as u8,
        "resume" => Point::Resume as u8,
        "hedge" => Point::Hedge as u8,
        _ => 0,
    };
    INJECTED.store(point, Relaxed);
}

/// Runs a decision; `None` when it panicked.
#[inline]
pub(crate) fn guard<T>(point: Point, decide: impl FnOnce() -> T) -> Option<T> {
    // Unwind safety: state is atomics, each update whole by itself; a `Call` is ended by whoever sees the `None`.
    catch_unwind(AssertUnwindSafe(|| {
        if INJECTED.load(Relaxed) == point as u8 {
            injected(point);
        }
        decide()
    }))
    .ok()
}

#[cold]
#[inline(never)]
fn injected(point: Point) {
    panic!("a fault injected at {point:?}");
}
