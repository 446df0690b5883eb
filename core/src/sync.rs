//! The atomics of a target's cells: std's, or loom's when the cells are model-checked (`cargo test --features loom --test
//! models`).

#[cfg(feature = "loom")]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, fence},
};

#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicU64, fence},
};

/// Stands between a write and a read of something else, both `SeqCst`, of which one of two threads must see the other's. That
/// they are `SeqCst` is enough; loom takes them for less, and only a fence for what it is.
#[cfg(feature = "loom")]
pub(crate) fn in_one_order() {
    fence(std::sync::atomic::Ordering::SeqCst);
}

#[cfg(not(feature = "loom"))]
#[inline]
pub(crate) fn in_one_order() {}
