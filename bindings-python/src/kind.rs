//! Whether what a proxy is to call is a coroutine function. Asked at every call, so the usual answers cost little; where a
//! look does not tell, Python is asked.

use std::ffi::c_void;
use std::mem::transmute;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::raw::{self, Kept, Object};

static IS_ASYNC: Kept = Kept::nothing();

// Classes whose exact instances are recognized, and what is looked at.
static FUNCTION: Kept = Kept::nothing();
static METHOD: Kept = Kept::nothing();
static FUNC: Kept = Kept::nothing();
static CO_FLAGS: Kept = Kept::nothing();

/// `PyFunction_GetCode`, which every version exports, and the stable ABI does not name: several times quicker than to ask for the
/// attribute.
static GET_CODE: AtomicPtr<c_void> = AtomicPtr::new(null_mut());

/// `inspect.CO_COROUTINE`.
const CO_COROUTINE: std::ffi::c_long = 0x80;

/// `is_async(fn)` tells whether it is a coroutine function.
pub fn install(py: Python<'_>, is_async: Py<PyAny>) -> PyResult<()> {
    IS_ASYNC.keep(is_async);
    let types = py.import("types")?;
    for (kept, name) in [(&FUNCTION, "FunctionType"), (&METHOD, "MethodType")] {
        kept.keep(types.getattr(name)?.unbind());
    }
    for (kept, name) in [(&FUNC, "__func__"), (&CO_FLAGS, "co_flags")] {
        kept.keep(PyString::intern(py, name).into_any().unbind());
    }
    // SAFETY: the name is a C string.
    let get_code = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"PyFunction_GetCode".as_ptr()) };
    if get_code.is_null() {
        return Err(PyImportError::new_err("this interpreter has no PyFunction_GetCode"));
    }
    GET_CODE.store(get_code, Relaxed);
    Ok(())
}

/// How a function is called.
pub enum Kind {
    Plain,
    Coroutine,
    /// An error is set.
    Neither,
}

/// Which of them that is; with an error set when it is none.
///
/// # Safety
/// The GIL is held, and the reference is valid.
#[inline]
pub unsafe fn kind_of(function: Object) -> Kind {
    // SAFETY: the GIL is held and the function is valid; what `PyObject_GetAttr` gives is given back.
    unsafe {
        if raw::is_exactly(function, &FUNCTION) {
            return kind_of_function(function);
        }
        if raw::is_exactly(function, &METHOD) {
            let function = ffi::PyObject_GetAttr(function, FUNC.get());
            if function.is_null() {
                return Kind::Neither;
            }
            let kind = if raw::is_exactly(function, &FUNCTION) { kind_of_function(function) } else { asked(function) };
            ffi::Py_DECREF(function);
            return kind;
        }
        if ffi::Py_TYPE(function) == &raw mut ffi::PyCFunction_Type { Kind::Plain } else { asked(function) }
    }
}

#[inline]
unsafe fn kind_of_function(function: Object) -> Kind {
    // SAFETY: as `kind_of`; `install` stored a function of this type, which gives a borrowed reference for every function.
    unsafe {
        let code_of: unsafe extern "C" fn(Object) -> Object = transmute(GET_CODE.load(Relaxed));
        let flags = ffi::PyObject_GetAttr(code_of(function), CO_FLAGS.get());
        if flags.is_null() {
            return Kind::Neither;
        }
        let number = ffi::PyLong_AsLong(flags);
        ffi::Py_DECREF(flags);
        if number & CO_COROUTINE != 0 { Kind::Coroutine } else { Kind::Plain }
    }
}

#[cold]
unsafe fn asked(function: Object) -> Kind {
    // SAFETY: as `kind_of`.
    unsafe {
        if ffi::PyCallable_Check(function) == 0 {
            let class = ffi::PyObject_GetAttrString(ffi::Py_TYPE(function).cast(), c"__name__".as_ptr());
            if !class.is_null() {
                let message = c"expected a function to call, not an object of class %U; pass the function itself, and its arguments after it";
                ffi::PyErr_Format(ffi::PyExc_TypeError, message.as_ptr(), class);
                ffi::Py_DECREF(class);
            }
            return Kind::Neither;
        }
        let answer = raw::vectorcall(IS_ASYNC.get(), &function, 1, null_mut());
        if answer.is_null() {
            return Kind::Neither;
        }
        let is_async = answer == ffi::Py_True();
        ffi::Py_DECREF(answer);
        if is_async { Kind::Coroutine } else { Kind::Plain }
    }
}
