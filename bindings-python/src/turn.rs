//! Waiting for a place in the bulkhead's queue, which comes free when another call ends: a thread is woken at once, a coroutine
//! by a function that its event loop gave. Such a function is Python's, and is called when no decision is under way any more:
//! the one who ends a call may hold what it needs.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use ambassador_core::clock::{MILLISECOND, Nanos, now};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::call::Call;
use crate::raw::{self, Object};
use crate::{interrupt, pool};

/// How often a wait looks whether a signal came, or a bound around this call passed.
const LOOK: Nanos = 20 * MILLISECOND;

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, SeqCst);
        self.thread.unpark();
    }
}

/// `wait_turn(call)`: waits until its turn has come, or its wait is over. What a signal's handler raises meanwhile is raised.
pub unsafe extern "C-unwind" fn wait_turn(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_drive.py`, and by nothing else, with a `Call`. Its thread may end in the wait: nothing here is to be
    // dropped.
    unsafe {
        debug_assert_eq!(count, 1);
        let call = Call::behind(*args);
        let until = call.until();
        let parked = park_for(call);
        let sliced = interrupt::is_nested() || interrupt::is_main_thread();
        loop {
            let look = if sliced { until.min(now() + LOOK) } else { until };
            raw::detached(|| pool::wait_for(|| (*parked).woken.load(SeqCst), look));
            if (*parked).woken.load(SeqCst) || now() >= until {
                drop(Arc::from_raw(parked));
                ffi::Py_INCREF(ffi::Py_None());
                return ffi::Py_None();
            }
            if !raw::check_signals() || interrupt::raise_due() {
                drop(Arc::from_raw(parked));
                return null_mut();
            }
        }
    }
}

/// Leaked, until the wait is over.
fn park_for(call: &Call) -> *const Parked {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    call.wake_at_turn(Arc::clone(&parked).into());
    Arc::into_raw(parked)
}

static PENDING: Mutex<Vec<Py<PyAny>>> = Mutex::new(Vec::new());
static HAS_PENDING: AtomicBool = AtomicBool::new(false);

/// A function that is to be called without arguments when the turn has come.
struct Told(Py<PyAny>);

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        // With the GIL held: only Python's threads end calls here.
        let function = Python::attach(|py| self.0.clone_ref(py));
        PENDING.lock().unwrap_or_else(PoisonError::into_inner).push(function);
        HAS_PENDING.store(true, SeqCst);
    }
}

/// A waker for a coroutine.
pub fn telling(function: Py<PyAny>) -> Waker {
    Arc::new(Told(function)).into()
}

/// Calls the functions of those whose turn has come. To be called after whatever may have ended a call, with nothing locked.
#[inline]
pub fn tell(py: Python<'_>) {
    if HAS_PENDING.load(SeqCst) {
        tell_all(py);
    }
}

#[cold]
fn tell_all(py: Python<'_>) {
    HAS_PENDING.store(false, SeqCst);
    let functions = std::mem::take(&mut *PENDING.lock().unwrap_or_else(PoisonError::into_inner));
    for function in functions {
        // A loop that was closed meanwhile has nobody who waits.
        let _ = function.call0(py);
    }
}

/// F3: who waits in the parent is the parent's.
pub fn forked() {
    HAS_PENDING.store(false, SeqCst);
}
