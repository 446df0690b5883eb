//! Things made once and never freed: a forked child gets fresh ones, for whatever another thread of the parent's held locked
//! at the moment of the fork stays locked there for ever (F3).

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

/// A place for one of them.
pub struct Leaked<T>(AtomicPtr<T>);

impl<T> Leaked<T> {
    pub const fn new() -> Leaked<T> {
        Leaked(AtomicPtr::new(null_mut()))
    }

    #[inline]
    pub fn get_or(&self, make: fn() -> T) -> &'static T {
        let present = self.0.load(SeqCst);
        // SAFETY: what was stored came from `Box::into_raw` and is never freed.
        if let Some(present) = unsafe { present.as_ref() } {
            return present;
        }
        let fresh = Box::into_raw(Box::new(make()));
        match self.0.compare_exchange(null_mut(), fresh, SeqCst, SeqCst) {
            // SAFETY: just leaked, and never freed from now on.
            Ok(_) => unsafe { &*fresh },
            Err(winner) => {
                // SAFETY: `fresh` was not published; `winner` was, by another thread, and is never freed.
                unsafe {
                    drop(Box::from_raw(fresh));
                    &*winner
                }
            }
        }
    }

    /// The next `get_or` makes a new one.
    pub fn forget(&self) {
        self.0.store(null_mut(), SeqCst);
    }
}
