//! The ambassador's own errors, as the exception classes of `errors.py`. Their texts are the core's.

use std::ptr::null_mut;

use ambassador_core::call::Call;
use ambassador_core::clock::Nanos;
use ambassador_core::{AmbassadorProxy, Code, ConfigError};
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::raw::{self, Kept, Object};

static BY_CODE: Kept = Kept::nothing();
/// How the arguments of an exception after its message are called.
static NAMES: Kept = Kept::nothing();

/// `by_code` is the dict of exception classes.
pub fn install(by_code: Bound<'_, PyDict>) -> PyResult<()> {
    NAMES.keep(PyTuple::new(by_code.py(), ["target", "attempts", "elapsed", "retry_after"])?.into_any().unbind());
    BY_CODE.keep(by_code.into_any().unbind());
    Ok(())
}

/// The exception for a wrong setting (C2).
pub fn config(py: Python<'_>, wrong: &ConfigError) -> PyErr {
    let build = || {
        let kwargs = PyDict::new(py);
        kwargs.set_item("field", &wrong.field)?;
        kwargs.set_item("value", &wrong.value)?;
        kwargs.set_item("allowed", &wrong.allowed)?;
        // SAFETY: the GIL is held.
        let class = unsafe { Bound::from_borrowed_ptr_or_err(py, class(Code::Config))? };
        class.call((wrong.to_string(),), Some(&kwargs))
    };
    build().map_or_else(|error| error, PyErr::from_value)
}

/// The exception of that code, for a call of this proxy: owned; null, with an error set, when it cannot be made. Runs Python code,
/// so here is nothing to drop then.
///
/// # Safety
/// The GIL is held.
pub unsafe fn error(proxy: &AmbassadorProxy, code: Code, call: Option<&Call>, now: Nanos) -> Object {
    // SAFETY: as this function asks of its caller; what is made here is given back.
    unsafe {
        let class = class(code);
        if class.is_null() {
            return null_mut();
        }
        let elapsed = call.map_or(0, |call| call.elapsed(now)) as f64 / 1e9;
        let retry_after = match call.and_then(Call::retry_after) {
            Some(after) => ffi::PyFloat_FromDouble(after as f64 / 1e9),
            None => {
                ffi::Py_INCREF(ffi::Py_None());
                ffi::Py_None()
            }
        };
        let args = [
            message(proxy, code, call, now),
            text(proxy.target()),
            ffi::PyLong_FromUnsignedLong(call.map_or(0, Call::attempt).into()),
            ffi::PyFloat_FromDouble(elapsed),
            retry_after,
        ];
        let error = if args.iter().any(|arg| arg.is_null()) {
            null_mut()
        } else {
            raw::vectorcall(class, args.as_ptr(), 1, NAMES.get())
        };
        for arg in args {
            ffi::Py_XDECREF(arg);
        }
        error
    }
}

/// Sets that exception as the error; gives null.
///
/// # Safety
/// As [`error`].
#[cold]
pub unsafe fn set(proxy: &AmbassadorProxy, code: Code, call: Option<&Call>, now: Nanos) -> Object {
    // SAFETY: as this function asks of its caller.
    unsafe {
        let error = error(proxy, code, call, now);
        if !error.is_null() {
            raw::set_error(error);
        }
        null_mut()
    }
}

unsafe fn message(proxy: &AmbassadorProxy, code: Code, call: Option<&Call>, now: Nanos) -> Object {
    // SAFETY: the GIL is held.
    unsafe { text(&proxy.error_message(code, call, now)) }
}

unsafe fn text(text: &str) -> Object {
    // SAFETY: the GIL is held; the text is as long as it says.
    unsafe { ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize) }
}

/// Borrowed; null, with an error set, when there is none.
unsafe fn class(code: Code) -> Object {
    // SAFETY: the GIL is held; `install` kept a dict.
    unsafe {
        let name = text(code.as_str());
        if name.is_null() {
            return null_mut();
        }
        let class = ffi::PyDict_GetItemWithError(BY_CODE.get(), name);
        if class.is_null() && ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_SetObject(ffi::PyExc_KeyError, name);
        }
        ffi::Py_DECREF(name);
        class
    }
}
