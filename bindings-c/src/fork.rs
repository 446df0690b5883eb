//! After `fork` the child works, and knows that calls in flight are the parent's (F3).

use std::sync::Once;

use ambassador_core::runtime;

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
        runtime::forked();
        crate::spawn::forked();
    });
}
