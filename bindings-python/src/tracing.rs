//! The host's own tracer (P6), which is Python's to ask: `_tracing.py` gives a function, if there is a tracer. It is asked before a call
//! begins and before an attempt's headers are made, on the thread that wants them, with nothing to drop below it (F4).

use std::ptr::{null, null_mut};

use ambassador_core::telemetry::trace::{self, Context};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::raw::{self, Kept, Object};

/// `ask()`: the present span as the two headers' values, a line each, or `None`.
static ASK: Kept = Kept::nothing();

/// Puts the function that says whom to ask into the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    raw::add(module, raw::method(c"install_tracer", install_tracer, c"Whom to ask for the host's present span."))
}

unsafe extern "C-unwind" fn install_tracer(_: Object, args: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by `_tracing.py`, and by nothing else, with a function.
    unsafe {
        ASK.keep(Bound::from_borrowed_ptr(Python::assume_attached(), *args).unbind());
        ffi::Py_NewRef(ffi::Py_None())
    }
}

/// What the tracer says, which is to be [read](read); null when there is none to ask, or when a signal's handler raised: an error is set then.
///
/// # Safety
/// The GIL is held, and nothing is to be dropped in the frames below.
pub unsafe fn ask() -> Object {
    let ask = ASK.get();
    if ask.is_null() {
        return null_mut();
    }
    // SAFETY: as this function asks of its caller.
    unsafe { raw::vectorcall(ask, null(), 0, null_mut()) }
}

/// The context of what [`ask`] said; takes the reference over.
///
/// # Safety
/// The GIL is held.
pub unsafe fn read(said: Object) -> Option<Context> {
    // SAFETY: as this function asks of its caller; the reference is owned, or null.
    let said = unsafe { Bound::from_owned_ptr_or_opt(Python::assume_attached(), said) }?;
    context(&said)
}

/// The context that Python tells by lines.
pub fn context(lines: &Bound<'_, PyAny>) -> Option<Context> {
    trace::from_lines(lines.extract::<&str>().ok()?)
}

/// A call is about to begin on this thread: the core is told below what. Whether no signal's handler raised.
///
/// # Safety
/// As [`ask`].
#[inline]
pub unsafe fn tell() -> bool {
    // SAFETY: as this function asks of its caller.
    !trace::has_spans() || ASK.get().is_null() || unsafe { ask_and_tell() }
}

#[cold]
unsafe fn ask_and_tell() -> bool {
    // SAFETY: as `tell`.
    unsafe {
        let said = ask();
        if said.is_null() {
            return false;
        }
        trace::give(read(said));
    }
    true
}
