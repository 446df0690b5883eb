//! The ambassador's own errors, as the exception classes of `errors.py`. Their texts are the core's.

use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::Mutex;

use ambassador_core::call::Call;
use ambassador_core::clock::Nanos;
use ambassador_core::{AmbassadorProxy, Code, ConfigError, Error};
use pyo3::exceptions::PyKeyError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::proxy::SetUp;
use crate::raw::{self, Kept, Object};

/// The class of each code, by its place in `Code::ALL`.
static CLASSES: [Kept; Code::ALL.len()] = [const { Kept::nothing() }; Code::ALL.len()];

/// The attributes of an exception, and their names one by one.
const FIELDS: [&str; 4] = ["target", "attempts", "elapsed", "retry_after"];
static NAMES: [Kept; FIELDS.len()] = [const { Kept::nothing() }; FIELDS.len()];
/// What they are where nothing else is said: to copy a dict costs less than to make it anew.
static ATTRIBUTES: Kept = Kept::nothing();

/// What errors of one proxy say again and again: refusals come by the thousand, and those of one moment say the same.
pub struct Texts {
    target: Py<PyString>,
    /// Of the refusal that came last.
    refusal: Mutex<Option<Refusal>>,
}

/// What a refusal says, and the text that says it.
struct Refusal {
    code: Code,
    says: (u64, &'static str),
    message: Py<PyString>,
}

impl Texts {
    pub fn of(py: Python<'_>, proxy: &AmbassadorProxy) -> Texts {
        Texts { target: PyString::new(py, proxy.target()).unbind(), refusal: Mutex::default() }
    }

    /// Owned, or null with an error set.
    unsafe fn message(&self, proxy: &AmbassadorProxy, code: Code, call: &Call, now: Nanos) -> Object {
        // SAFETY: the GIL is held, under which it is never locked: no Python code runs before it is free again.
        let py = unsafe { Python::assume_attached() };
        // SAFETY: as above.
        let made = || unsafe { message(proxy, code, Some(call), now) };
        let (Some(says), Ok(mut last)) = (proxy.refusal_text(call), self.refusal.try_lock()) else { return made() };
        if let Some(last) = last.as_ref().filter(|last| (last.code, last.says) == (code, says)) {
            return last.message.clone_ref(py).into_ptr();
        }
        let message = made();
        // SAFETY: owned, or null with an error set.
        if let Some(message) = unsafe { Bound::from_borrowed_ptr_or_opt(py, message) } {
            // SAFETY: a text was made.
            let message = unsafe { message.cast_into_unchecked() }.unbind();
            *last = Some(Refusal { code, says, message });
        }
        message
    }
}

/// Owned, or null with an error set; `None` where the attribute stays as it is.
type Fields = [Option<Object>; FIELDS.len()];

/// `by_code` is the dict of exception classes.
pub fn install(by_code: Bound<'_, PyDict>) -> PyResult<()> {
    let py = by_code.py();
    for (code, kept) in Code::ALL.iter().zip(&CLASSES) {
        let class = by_code.get_item(code.as_str())?;
        kept.keep(class.ok_or_else(|| PyKeyError::new_err(code.as_str()))?.unbind());
    }
    for (name, kept) in FIELDS.iter().zip(&NAMES) {
        kept.keep(PyString::intern(py, name).into_any().unbind());
    }
    // SAFETY: the GIL is held; a class was kept above.
    let unsaid = unsafe { Bound::from_borrowed_ptr(py, class(Code::Internal)) }.call0()?;
    ATTRIBUTES.keep(unsaid.getattr("__dict__")?.unbind());
    Ok(())
}

/// The exception for a wrong setting (C2).
pub fn config(py: Python<'_>, wrong: &ConfigError) -> PyErr {
    let build = || {
        let kwargs = PyDict::new(py);
        kwargs.set_item("field", &wrong.field)?;
        kwargs.set_item("value", &wrong.value)?;
        kwargs.set_item("allowed", &wrong.allowed)?;
        // SAFETY: the GIL is held; `install` kept a class.
        let class = unsafe { Bound::from_borrowed_ptr_or_err(py, class(Code::Config))? };
        class.call((wrong.to_string(),), Some(&kwargs))
    };
    build().map_or_else(|error| error, PyErr::from_value)
}

/// The exception for what a request failed with.
pub fn failed(py: Python<'_>, error: &Error) -> PyResult<Py<PyAny>> {
    let kwargs = PyDict::new(py);
    kwargs.set_item("target", error.target())?;
    kwargs.set_item("attempts", error.attempts())?;
    kwargs.set_item("elapsed", error.elapsed().as_secs_f64())?;
    kwargs.set_item("retry_after", error.retry_after().map(|after| after.as_secs_f64()))?;
    // SAFETY: the GIL is held; `install` kept a class.
    let class = unsafe { Bound::from_borrowed_ptr_or_err(py, class(error.code()))? };
    Ok(class.call((error.to_string(),), Some(&kwargs))?.unbind())
}

/// The exception of that code, for a request of which the core tells no more.
pub fn ended(py: Python<'_>, proxy: &AmbassadorProxy, code: Code) -> PyResult<Py<PyAny>> {
    saying(py, proxy, code, "")
}

/// The same, with a reason.
pub fn saying(py: Python<'_>, proxy: &AmbassadorProxy, code: Code, why: &str) -> PyResult<Py<PyAny>> {
    let kwargs = PyDict::new(py);
    kwargs.set_item("target", proxy.target())?;
    let message = match why {
        "" => proxy.error_message(code, None, 0),
        why => format!("{}: {}: {why}; {}", proxy.target(), code.summary(), code.advice()),
    };
    // SAFETY: the GIL is held; `install` kept a class.
    let class = unsafe { Bound::from_borrowed_ptr_or_err(py, class(code))? };
    Ok(class.call((message,), Some(&kwargs))?.unbind())
}

/// The exception of that code, for a call of this proxy: owned; null, with an error set, when it cannot be made. Runs Python code,
/// so here is nothing to drop then.
///
/// # Safety
/// The GIL is held.
pub unsafe fn error(proxy: &AmbassadorProxy, code: Code, call: Option<&Call>, now: Nanos) -> Object {
    // SAFETY: as this function asks of its caller.
    unsafe { error_saying(code, text(proxy.target()), message(proxy, code, call, now), call, now) }
}

/// Sets the exception of that code as the error, for a call of this proxy that was refused; gives null.
///
/// # Safety
/// As [`error`].
#[cold]
pub unsafe fn refuse(set_up: &SetUp, code: Code, call: &Call, now: Nanos) -> Object {
    // SAFETY: as this function asks of its caller.
    unsafe {
        let target = set_up.texts.target.clone_ref(Python::assume_attached()).into_ptr();
        let message = set_up.texts.message(&set_up.core, code, call, now);
        let error = error_saying(code, target, message, Some(call), now);
        if !error.is_null() {
            raw::set_error(error);
        }
        null_mut()
    }
}

/// `target` and `message` are owned, or null with an error set.
unsafe fn error_saying(code: Code, target: Object, message: Object, call: Option<&Call>, now: Nanos) -> Object {
    // SAFETY: as `error`; what is made here is given back.
    unsafe {
        let (attempts, elapsed) = call.map_or((0, 0), |call| (call.attempt(), call.elapsed(now)));
        let seconds = |length: Nanos| ffi::PyFloat_FromDouble(length as f64 / 1e9);
        let fields = [
            Some(target),
            (attempts > 0).then(|| ffi::PyLong_FromUnsignedLong(attempts.into())),
            (elapsed > 0).then(|| seconds(elapsed)),
            call.and_then(Call::retry_after).map(seconds),
        ];
        let class = class(code);
        let error = if message.is_null() || fields.contains(&Some(null_mut())) {
            null_mut()
        } else if is_made_as_any(class) {
            made(class, message, &fields)
        } else {
            called(class, message, &fields)
        };
        ffi::Py_XDECREF(message);
        for field in fields.into_iter().flatten() {
            ffi::Py_XDECREF(field);
        }
        error
    }
}

/// Whether an exception of that class is made as any `Exception` is. Those that are an `OSError` too are not.
unsafe fn is_made_as_any(class: Object) -> bool {
    // SAFETY: both are classes.
    unsafe {
        let new = |class: Object| ffi::PyType_GetSlot(class.cast(), ffi::Py_tp_new);
        new(class) == new(ffi::PyExc_Exception)
    }
}

/// What `__init__` of `AmbassadorError` does, without running it: a refusal is to cost little.
unsafe fn made(class: Object, message: Object, fields: &Fields) -> Object {
    // SAFETY: the GIL is held, the references are valid, and what is made here is given back. Every class has a `tp_new` of
    // this type; a tuple steals what it is given.
    unsafe {
        let args = ffi::PyTuple_New(1);
        if args.is_null() {
            return null_mut();
        }
        ffi::Py_INCREF(message);
        ffi::PyTuple_SetItem(args, 0, message);
        let new: ffi::newfunc = transmute(ffi::PyType_GetSlot(class.cast(), ffi::Py_tp_new));
        let error = new(class.cast(), args, null_mut());
        ffi::Py_DECREF(args);
        let attributes = if error.is_null() { null_mut() } else { ffi::PyDict_Copy(ATTRIBUTES.get()) };
        let is_whole = !attributes.is_null()
            && said(fields).all(|(name, value)| ffi::PyDict_SetItem(attributes, name, value) == 0)
            && ffi::PyObject_GenericSetDict(error, attributes, null_mut()) == 0;
        ffi::Py_XDECREF(attributes);
        whole(error, is_whole)
    }
}

/// By its class, as Python would.
unsafe fn called(class: Object, message: Object, fields: &Fields) -> Object {
    // SAFETY: the GIL is held, and the references are valid.
    unsafe {
        let error = raw::vectorcall(class, &message, 1, null_mut());
        let is_whole =
            !error.is_null() && said(fields).all(|(name, value)| ffi::PyObject_SetAttr(error, name, value) == 0);
        whole(error, is_whole)
    }
}

fn said(fields: &Fields) -> impl Iterator<Item = (Object, Object)> {
    NAMES.iter().zip(fields).filter_map(|(name, field)| Some((name.get(), (*field)?)))
}

/// It, or null if something went wrong while it was made.
unsafe fn whole(error: Object, is_whole: bool) -> Object {
    if is_whole {
        return error;
    }
    // SAFETY: the GIL is held; the reference is owned, or null.
    unsafe { ffi::Py_XDECREF(error) };
    null_mut()
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

/// Borrowed.
fn class(code: Code) -> Object {
    CLASSES[code as usize].get()
}
