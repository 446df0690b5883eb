//! Requests of a caller that waits on its own thread, without the GIL. Retry lines are logged there as they come; a signal's
//! handler that raises ends the request, cancelled (O3).

use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use ambassador_core::AmbassadorProxy;
use ambassador_core::clock::now;
use ambassador_core::http::{Body, Failed, Retry, Sending, Told as Teller};
use pyo3::prelude::*;

use super::request::{ARGUMENTS, Asked, read};
use super::{End, Told};
use crate::interrupt;
use crate::raw::{self, Kept, Object};

/// How often a wait looks whether a signal came, or a bound around this call passed.
pub const LOOK: Duration = Duration::from_millis(20);

/// `tell(line)` logs a retry line.
static TELL: Kept = Kept::nothing();

/// Puts `send`, and the function that says how lines are logged, into the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    raw::add(module, raw::method(c"send", send, c"Sends a request, and waits for what comes of it."))?;
    raw::add(module, raw::method(c"install_tell", install_tell, c"How retry lines are logged."))
}

unsafe extern "C-unwind" fn install_tell(_: Object, args: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by `_http.py`, and by nothing else, with a function.
    unsafe {
        TELL.keep(Bound::from_borrowed_ptr(Python::assume_attached(), *args).unbind());
        pyo3::ffi::Py_NewRef(pyo3::ffi::Py_None())
    }
}

/// A request under way, between its caller and the runtime.
struct Flight {
    proxy: AmbassadorProxy,
    line: String,
    began: u64,
    caller: Thread,
    sending: OnceLock<Sending>,
    /// Lines that are to be logged.
    lines: Mutex<Vec<String>>,
    has_lines: AtomicBool,
    end: Mutex<Option<(End, u64)>>,
    has_ended: AtomicBool,
}

impl Flight {
    fn ends(&self, end: End) {
        *lock(&self.end) = Some((end, now()));
        self.has_ended.store(true, SeqCst);
        self.caller.unpark();
    }

    fn has_news(&self) -> bool {
        self.has_ended.load(SeqCst) || self.has_lines.load(SeqCst)
    }
}

struct Runtime(Arc<Flight>);

impl Teller for Runtime {
    fn retry(&mut self, retry: Retry) {
        let flight = &self.0;
        lock(&flight.lines).push(retry.line);
        flight.has_lines.store(true, SeqCst);
        flight.caller.unpark();
    }

    fn ended(self, ended: Result<http::Response<Body>, Failed>) {
        self.0.ends(ended.map_or_else(End::Failed, End::Answered));
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if !self.0.has_ended.load(SeqCst) {
            self.0.ends(End::Lost);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `send(proxy, method, path, headers, body, stream, idempotent, timeout, deadline, parent)`: a `Response`, an exception that is to be raised, or one that a
/// fallback may answer. What a signal's handler raises meanwhile is raised.
unsafe extern "C-unwind" fn send(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_http.py`, and by nothing else, with these. Its thread may end in the wait, or while a line is logged:
    // nothing here is to be dropped then.
    unsafe {
        debug_assert_eq!(count, ARGUMENTS);
        let flight = take_off(args);
        if flight.is_null() {
            return null_mut();
        }
        let sliced = interrupt::is_nested() || interrupt::is_main_thread();
        loop {
            raw::detached(|| {
                while !(*flight).has_news() {
                    if sliced {
                        thread::park_timeout(LOOK);
                        return;
                    }
                    thread::park();
                }
            });
            if (*flight).has_ended.load(SeqCst) {
                log(flight);
                return land(flight);
            }
            log(flight);
            // What a signal's handler raises goes to the caller; so does the end of a bound around this one.
            if sliced && (!raw::check_signals() || interrupt::raise_due()) {
                cancel(flight);
                return null_mut();
            }
        }
    }
}

/// Null, with an error set, when the arguments are wrong. Leaked, until `land` or `cancel`.
unsafe fn take_off(args: *const Object) -> *const Flight {
    // SAFETY: as `send` was called.
    let py = unsafe { Python::assume_attached() };
    // SAFETY: as `send` was called.
    let Asked { proxy, request, options, line } = match unsafe { read(py, args) } {
        Ok(asked) => asked,
        Err(wrong) => {
            wrong.restore(py);
            return null_mut();
        }
    };
    let flight = Arc::new(Flight {
        proxy,
        line,
        began: now(),
        caller: thread::current(),
        sending: OnceLock::new(),
        lines: Mutex::default(),
        has_lines: AtomicBool::new(false),
        end: Mutex::default(),
        has_ended: AtomicBool::new(false),
    });
    let sending = flight.proxy.spawn_send(request, options, Runtime(Arc::clone(&flight)));
    let _ = flight.sending.set(sending);
    Arc::into_raw(flight)
}

/// Logs what there is to be logged: Python code, which may end this thread.
unsafe fn log(flight: *const Flight) {
    // SAFETY: the GIL is held, and the flight is there until it lands.
    unsafe {
        while (*flight).has_lines.load(SeqCst) {
            let line = next_line(flight);
            if line.is_null() {
                return;
            }
            let logged = raw::vectorcall(TELL.get(), &line, 1, null_mut());
            pyo3::ffi::Py_DECREF(line);
            if logged.is_null() {
                // F5, but for what a signal's handler raises: that is found by the next look.
                pyo3::ffi::PyErr_Clear();
            } else {
                pyo3::ffi::Py_DECREF(logged);
            }
        }
    }
}

/// Owned; null when there is none.
unsafe fn next_line(flight: *const Flight) -> Object {
    // SAFETY: as `log`.
    let flight = unsafe { &*flight };
    let mut lines = lock(&flight.lines);
    if lines.is_empty() {
        flight.has_lines.store(false, SeqCst);
        return null_mut();
    }
    let line = lines.remove(0);
    flight.has_lines.store(!lines.is_empty(), SeqCst);
    // SAFETY: the GIL is held.
    unsafe { pyo3::ffi::PyUnicode_FromStringAndSize(line.as_ptr().cast(), line.len() as isize) }
}

unsafe fn land(flight: *const Flight) -> Object {
    // SAFETY: leaked by `take_off`, and nobody's any more; the GIL is held.
    let (flight, py) = unsafe { (Arc::from_raw(flight), Python::assume_attached()) };
    let (end, ended) = lock(&flight.end).take().unwrap_or((End::Lost, flight.began));
    let told = Told { proxy: flight.proxy.clone(), line: flight.line.clone(), began: flight.began, ended };
    match end.into_python(py, told) {
        Ok(result) => result.into_ptr(),
        Err(error) => {
            error.restore(py);
            null_mut()
        }
    }
}

unsafe fn cancel(flight: *const Flight) {
    // SAFETY: as `land`.
    let flight = unsafe { Arc::from_raw(flight) };
    if let Some(sending) = flight.sending.get() {
        sending.cancel();
    }
}
