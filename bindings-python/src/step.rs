//! The first step of a bounded coroutine: taken at once, in a copy of the caller's context, and with the attempt's own task as
//! the loop's current one. What ends at its first step costs neither a turn of the loop nor an exception. All that comes after
//! is Python, in `_drive_async.py`.

use std::ffi::{c_int, c_void};
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::raw::{self, Kept, Object};

static ENTER_TASK: Kept = Kept::nothing();
static LEAVE_TASK: Kept = Kept::nothing();
static CONTEXT: Kept = Kept::nothing();
static STEPS: Kept = Kept::nothing();
static YIELDED: Kept = Kept::nothing();
static MUST_CANCEL: Kept = Kept::nothing();
static CALLBACKS: Kept = Kept::nothing();
static CANCELLED_ERROR: Kept = Kept::nothing();

// Every version exports these; none is in the stable ABI.
static COPY_CURRENT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static ENTER: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static EXIT: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// Puts `first_step(attempt, loop, caller, task, steps, spares)` into the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let tasks = py.import("asyncio.tasks")?;
    for (kept, name) in [(&ENTER_TASK, "_enter_task"), (&LEAVE_TASK, "_leave_task")] {
        kept.keep(tasks.getattr(name)?.unbind());
    }
    CANCELLED_ERROR.keep(py.import("asyncio.exceptions")?.getattr("CancelledError")?.unbind());
    for (kept, name) in [
        (&CONTEXT, "context"),
        (&STEPS, "steps"),
        (&YIELDED, "yielded"),
        (&MUST_CANCEL, "_must_cancel"),
        (&CALLBACKS, "_callbacks"),
    ] {
        kept.keep(pyo3::types::PyString::intern(py, name).into_any().unbind());
    }
    for (found, name) in
        [(&COPY_CURRENT, c"PyContext_CopyCurrent"), (&ENTER, c"PyContext_Enter"), (&EXIT, c"PyContext_Exit")]
    {
        // SAFETY: the name is a C string.
        let function = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        if function.is_null() {
            return Err(PyImportError::new_err(format!("this interpreter has no {}", name.to_string_lossy())));
        }
        found.store(function, Relaxed);
    }
    raw::add(
        module,
        raw::method(
            c"first_step",
            first_step,
            c"Takes the first step of a coroutine: first_step(attempt, loop, caller, task, steps, spares).",
        ),
    )
}

/// Gives what the coroutine returned; or `attempt` itself when it has suspended, whose `context`, `steps` and `yielded` are set
/// then. An attempt that the function has left no trace on goes back to the spares.
unsafe extern "C-unwind" fn first_step(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_drive_async.py`, and by nothing else, with these six. Nothing here is to be dropped while user code
    // runs.
    unsafe {
        debug_assert_eq!(count, 6);
        let (attempt, of_loop, caller) = (*args, *args.add(1), *args.add(2));
        let (task, steps, spares) = (*args.add(3), *args.add(4), *args.add(5));
        let context = copy_current();
        if context.is_null() {
            return null_mut();
        }
        let known_by = ffi::Py_REFCNT(task);
        if !swap(of_loop, caller, task) {
            ffi::Py_DECREF(context);
            return null_mut();
        }
        let mut result = null_mut();
        let mut ended = Sent::ERROR;
        if context_call(&ENTER, context) == 0 {
            ended = send(steps, ffi::Py_None(), &mut result);
            // An error that the step raised outlives this: it fails only for a context that is not the current one.
            context_call(&EXIT, context);
        }
        let error = if ended == Sent::ERROR { raw::take_error() } else { null_mut() };
        let swapped = swap(of_loop, task, caller);
        let kept = match ended {
            _ if !swapped => false,
            Sent::NEXT => keep(attempt, context, steps, result),
            _ => leave(attempt, task, spares, known_by, ended == Sent::RETURN),
        };
        ffi::Py_DECREF(context);
        if !error.is_null() && kept {
            raw::set_error(error);
            return null_mut();
        }
        ffi::Py_XDECREF(error);
        if !kept {
            ffi::Py_XDECREF(result);
            return null_mut();
        }
        if ended == Sent::NEXT {
            ffi::Py_DECREF(result);
            ffi::Py_INCREF(attempt);
            return attempt;
        }
        result
    }
}

/// The function has ended. `false`, with an error set, when it had cancelled itself first: a task is cancelled then.
unsafe fn leave(attempt: Object, task: Object, spares: Object, known_by: isize, returned: bool) -> bool {
    // SAFETY: the GIL is held, and the references are valid.
    unsafe {
        match (is_true(task, &MUST_CANCEL), is_true(task, &CALLBACKS)) {
            (Some(false), Some(false)) => {
                // Whoever keeps it knows the function by it.
                ffi::Py_REFCNT(task) != known_by || ffi::PyList_Append(spares, attempt) == 0
            }
            (Some(true), Some(_)) if returned => {
                ffi::PyErr_SetNone(CANCELLED_ERROR.get());
                false
            }
            (must_cancel, callbacks) => must_cancel.is_some() && callbacks.is_some(),
        }
    }
}

unsafe fn is_true(object: Object, name: &Kept) -> Option<bool> {
    // SAFETY: as `leave`.
    unsafe {
        let value = ffi::PyObject_GetAttr(object, name.get());
        if value.is_null() {
            return None;
        }
        let truth = ffi::PyObject_IsTrue(value);
        ffi::Py_DECREF(value);
        Some(truth == 1)
    }
}

/// What `PyIter_Send` answers.
struct Sent;

impl Sent {
    const ERROR: c_int = -1;
    const RETURN: c_int = 0;
    const NEXT: c_int = 1;
}

unsafe fn send(steps: Object, value: Object, result: *mut Object) -> c_int {
    type Send = unsafe extern "C-unwind" fn(Object, Object, *mut Object) -> c_int;
    // SAFETY: the same function, declared as one that may unwind; the references are valid.
    unsafe {
        let send: Send = transmute(ffi::PyIter_Send as *const ());
        send(steps, value, result)
    }
}

/// The other task is the loop's current one from now on.
unsafe fn swap(of_loop: Object, from: Object, to: Object) -> bool {
    // SAFETY: the GIL is held, and the references are valid.
    unsafe {
        for (how, task) in [(&LEAVE_TASK, from), (&ENTER_TASK, to)] {
            let done = raw::vectorcall(how.get(), [of_loop, task].as_ptr(), 2, null_mut());
            if done.is_null() {
                return false;
            }
            ffi::Py_DECREF(done);
        }
        true
    }
}

unsafe fn keep(attempt: Object, context: Object, steps: Object, yielded: Object) -> bool {
    // SAFETY: as `swap`.
    unsafe {
        [(&CONTEXT, context), (&STEPS, steps), (&YIELDED, yielded)]
            .iter()
            .all(|(name, value)| ffi::PyObject_SetAttr(attempt, name.get(), *value) == 0)
    }
}

unsafe fn copy_current() -> Object {
    // SAFETY: `add` stored a function of this type.
    unsafe {
        let copy: unsafe extern "C" fn() -> Object = transmute(COPY_CURRENT.load(Relaxed));
        copy()
    }
}

unsafe fn context_call(how: &AtomicPtr<c_void>, context: Object) -> c_int {
    // SAFETY: `add` stored a function of this type; the context is valid.
    unsafe {
        let call: unsafe extern "C" fn(Object) -> c_int = transmute(how.load(Relaxed));
        call(context)
    }
}
