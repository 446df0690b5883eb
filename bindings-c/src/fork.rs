//! After `fork` the child works, and knows that calls in flight are the parent's (F3).

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ambassador_core::runtime;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Which process this is of a line of children: what was begun in another generation is not this process's.
pub(crate) fn generation() -> u32 {
    GENERATION.load(Relaxed)
}

/// Asks the C library to tell of forks; once.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function is there for as long as the library is, which is not unloaded: its runtime has threads.
        // Failure means that memory is out; the child then merely counts the parent's calls as its own.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

extern "C" fn in_child() {
    crate::raise::shield((), || {
        GENERATION.fetch_add(1, Relaxed);
        runtime::forked();
        crate::spawn::forked();
    });
}
