//! The interpreter's C functions as the quick way needs them. Calls into user code are declared `C-unwind`: before 3.14 CPython
//! ends daemon threads, when the interpreter ends, by unwinding their stacks, and the frames here must let that pass (F4).
//! A function here that runs user code has nothing to drop.

use std::mem::transmute;
use std::ptr::{copy_nonoverlapping, null_mut};
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use pyo3::ffi;
use pyo3::prelude::*;

pub type Object = *mut ffi::PyObject;

/// A function of METH_FASTCALL | METH_KEYWORDS, and what PEP 590 calls a vectorcall function, but for `nargs`.
pub type Fastcall = unsafe extern "C-unwind" fn(Object, *const Object, isize, Object) -> Object;
type Vectorcall = unsafe extern "C-unwind" fn(Object, *const Object, usize, Object) -> Object;

/// A strong reference that is never given back: to a class, or to a function of the Python side.
pub struct Kept(AtomicPtr<ffi::PyObject>);

impl Kept {
    pub const fn nothing() -> Kept {
        Kept(AtomicPtr::new(null_mut()))
    }

    pub fn keep(&self, object: pyo3::Py<pyo3::PyAny>) {
        self.0.store(object.into_ptr(), Relaxed);
    }

    /// Borrowed; null before `keep`.
    #[inline]
    pub fn get(&self) -> Object {
        self.0.load(Relaxed)
    }
}

// `PyObject_Vectorcall` joined the stable ABI with 3.12, but every Python from 3.11 on exports it: looked up at run time.
static VECTORCALL: AtomicPtr<std::ffi::c_void> = AtomicPtr::new(null_mut());

/// Finds what the stable ABI does not promise.
pub fn look_up() {
    // SAFETY: the name is a C string.
    let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"PyObject_Vectorcall".as_ptr()) };
    let packed = packed_call as *mut std::ffi::c_void;
    VECTORCALL.store(if found.is_null() { packed } else { found }, Relaxed);
}

/// Calls without packing arguments into a tuple, where the interpreter can.
///
/// # Safety
/// The GIL is held, and all references are valid; `names` is a tuple of keyword names or null.
#[inline]
pub unsafe fn vectorcall(function: Object, args: *const Object, count: usize, names: Object) -> Object {
    // SAFETY: `look_up` ran when the module was loaded, and stored a function of this type.
    let call: Vectorcall = unsafe { transmute(VECTORCALL.load(Relaxed)) };
    // SAFETY: as this function asks of its caller.
    unsafe { call(function, args, count, names) }
}

/// How many arguments [`call_with`] passes on without packing them.
const FEW: usize = 8;

/// `function(first, …)`, with what follows as for [`vectorcall`].
///
/// # Safety
/// As [`vectorcall`].
#[inline]
pub unsafe fn call_with(first: Object, function: Object, args: *const Object, count: usize, names: Object) -> Object {
    // SAFETY: as this function asks of its caller; what is packed is given back.
    unsafe {
        let named = if names.is_null() { 0 } else { ffi::PyTuple_Size(names) as usize };
        if count + named < FEW {
            let mut all = [first; FEW];
            copy_nonoverlapping(args, all.as_mut_ptr().add(1), count + named);
            return vectorcall(function, all.as_ptr(), count + 1, names);
        }
        let Some((rest, dict)) = pack(args, count, names) else { return null_mut() };
        let one = pack(&first, 1, null_mut());
        let all = one.map_or(null_mut(), |(one, _)| {
            let all = ffi::PySequence_Concat(one, rest);
            ffi::Py_DECREF(one);
            all
        });
        let result = if all.is_null() { null_mut() } else { call(function, all, dict) };
        for object in [rest, all, dict] {
            ffi::Py_XDECREF(object);
        }
        result
    }
}

unsafe extern "C-unwind" fn packed_call(function: Object, args: *const Object, count: usize, names: Object) -> Object {
    // SAFETY: as the caller of `vectorcall` promised; what is packed is given back.
    unsafe {
        let Some((tuple, dict)) = pack(args, count, names) else { return null_mut() };
        let result = call(function, tuple, dict);
        ffi::Py_DECREF(tuple);
        ffi::Py_XDECREF(dict);
        result
    }
}

/// `function(*tuple, **dict)`; `dict` may be null.
///
/// # Safety
/// The GIL is held, and all references are valid.
#[inline]
pub unsafe fn call(function: Object, tuple: Object, dict: Object) -> Object {
    type Call = unsafe extern "C-unwind" fn(Object, Object, Object) -> Object;
    // SAFETY: the same function, declared as one that may unwind.
    let call: Call = unsafe { transmute(ffi::PyObject_Call as *const ()) };
    // SAFETY: as this function asks of its caller.
    unsafe { call(function, tuple, dict) }
}

/// Runs `wait` while other threads have the interpreter. At the interpreter's end this thread may end on its way back: that
/// `wait` is `Copy` keeps what has to be dropped out of this frame, and those below are to have nothing either.
///
/// # Safety
/// The GIL is held.
#[inline]
pub unsafe fn detached<T: Copy>(wait: impl FnOnce() -> T + Copy) -> T {
    type Restore = unsafe extern "C-unwind" fn(*mut ffi::PyThreadState);
    // SAFETY: the same function, declared as one that may unwind; what was saved is restored on the same thread.
    unsafe {
        let restore: Restore = transmute(ffi::PyEval_RestoreThread as *const ());
        let state = ffi::PyEval_SaveThread();
        let seen = wait();
        restore(state);
        seen
    }
}

/// Whether no signal's handler raised; an error is set if one did.
///
/// # Safety
/// The GIL is held.
pub unsafe fn check_signals() -> bool {
    type Check = unsafe extern "C-unwind" fn() -> std::ffi::c_int;
    // SAFETY: the same function, declared as one that may unwind.
    let check: Check = unsafe { transmute(ffi::PyErr_CheckSignals as *const ()) };
    // SAFETY: as this function asks of its caller.
    unsafe { check() == 0 }
}

/// Gives back a reference of the user's; may run what user code has in `__del__`. Null is none.
///
/// # Safety
/// The GIL is held, and the reference is owned.
pub unsafe fn give_back(object: Object) {
    type DecRef = unsafe extern "C-unwind" fn(Object);
    // SAFETY: the same function, declared as one that may unwind.
    let give_back: DecRef = unsafe { transmute(ffi::Py_DecRef as *const ()) };
    // SAFETY: as this function asks of its caller.
    unsafe { give_back(object) };
}

/// The arguments of a vectorcall as a new tuple and a new dict, which is null when there are no keywords; `None` with an
/// error set when there is no memory.
///
/// # Safety
/// As [`vectorcall`].
pub unsafe fn pack(args: *const Object, count: usize, names: Object) -> Option<(Object, Object)> {
    // SAFETY: `args` holds `count` references and one for each name; a new tuple steals those it is given.
    unsafe {
        let tuple = ffi::PyTuple_New(count as isize);
        if tuple.is_null() {
            return None;
        }
        for at in 0..count {
            let argument = *args.add(at);
            ffi::Py_INCREF(argument);
            ffi::PyTuple_SetItem(tuple, at as isize, argument);
        }
        if names.is_null() {
            return Some((tuple, null_mut()));
        }
        let dict = ffi::PyDict_New();
        let named = if dict.is_null() { 0 } else { ffi::PyTuple_Size(names) };
        for at in 0..named {
            let name = ffi::PyTuple_GetItem(names, at);
            if ffi::PyDict_SetItem(dict, name, *args.add(count + at as usize)) < 0 {
                ffi::Py_DECREF(tuple);
                ffi::Py_DECREF(dict);
                return None;
            }
        }
        if dict.is_null() {
            ffi::Py_DECREF(tuple);
            return None;
        }
        Some((tuple, dict))
    }
}

/// The error that is set, as an exception object with its traceback; the indicator is cleared. Null when none is set.
///
/// # Safety
/// The GIL is held.
pub unsafe fn take_error() -> Object {
    // SAFETY: the three references become ours; the exception is passed on, the others are given back.
    unsafe {
        let (mut kind, mut value, mut traceback) = (null_mut(), null_mut(), null_mut());
        #[allow(deprecated, reason = "its successor is not there before 3.12")]
        ffi::PyErr_Fetch(&mut kind, &mut value, &mut traceback);
        if kind.is_null() {
            return null_mut();
        }
        #[allow(deprecated, reason = "its successor is not there before 3.12")]
        ffi::PyErr_NormalizeException(&mut kind, &mut value, &mut traceback);
        if !traceback.is_null() {
            ffi::PyException_SetTraceback(value, traceback);
        }
        ffi::Py_XDECREF(kind);
        ffi::Py_XDECREF(traceback);
        value
    }
}

/// Sets an exception object as the error; takes the reference over.
///
/// # Safety
/// The GIL is held, and `exception` is an exception.
pub unsafe fn set_error(exception: Object) {
    // SAFETY: as this function asks of its caller.
    unsafe {
        ffi::PyErr_SetObject(ffi::Py_TYPE(exception).cast(), exception);
        ffi::Py_DECREF(exception);
    }
}

/// A method for [`add`], with the type that the interpreter's table asks for.
pub const fn method(
    name: &'static std::ffi::CStr,
    function: Fastcall,
    doc: &'static std::ffi::CStr,
) -> ffi::PyMethodDef {
    ffi::PyMethodDef {
        ml_name: name.as_ptr(),
        ml_meth: ffi::PyMethodDefPointer {
            // SAFETY: the two types differ only in that one may unwind.
            PyCFunctionFastWithKeywords: unsafe { transmute::<Fastcall, ffi::PyCFunctionFastWithKeywords>(function) },
        },
        ml_flags: ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        ml_doc: doc.as_ptr(),
    }
}

/// Puts a function of that definition into the module.
pub fn add(module: &Bound<'_, PyModule>, function: ffi::PyMethodDef) -> PyResult<()> {
    let definition = Box::leak(Box::new(function));
    // SAFETY: the definition lives for ever.
    let function = unsafe {
        let function = ffi::PyCFunction_NewEx(definition, null_mut(), null_mut());
        Bound::from_owned_ptr_or_err(module.py(), function)?
    };
    module.add(function.getattr("__name__")?.extract::<String>()?.as_str(), function)
}

/// A method of a class of pyo3's that runs user code, or Python code at all, and so must not run under a frame of pyo3's.
pub fn add_method(class: &Bound<'_, pyo3::types::PyType>, method: ffi::PyMethodDef) -> PyResult<()> {
    let definition = Box::leak(Box::new(method));
    // SAFETY: the class is alive; the definition lives for ever.
    let descriptor = unsafe {
        let descriptor = ffi::PyDescr_NewMethod(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(class.py(), descriptor)?
    };
    class.setattr(descriptor.getattr("__name__")?.extract::<String>()?.as_str(), descriptor)
}

/// A property for [`add_getter`].
pub type Getter = unsafe extern "C-unwind" fn(Object, *mut std::ffi::c_void) -> Object;

/// The same for a property.
pub fn add_getter(
    class: &Bound<'_, pyo3::types::PyType>,
    name: &'static std::ffi::CStr,
    getter: Getter,
    doc: &'static std::ffi::CStr,
) -> PyResult<()> {
    let definition = Box::leak(Box::new(ffi::PyGetSetDef {
        name: name.as_ptr(),
        // SAFETY: the two types differ only in that one may unwind.
        get: Some(unsafe { transmute::<Getter, ffi::getter>(getter) }),
        set: None,
        doc: doc.as_ptr(),
        closure: null_mut(),
    }));
    // SAFETY: the class is alive; the definition lives for ever.
    let descriptor = unsafe {
        let descriptor = ffi::PyDescr_NewGetSet(class.as_type_ptr(), definition);
        Bound::from_owned_ptr_or_err(class.py(), descriptor)?
    };
    class.setattr(descriptor.getattr("__name__")?.extract::<String>()?.as_str(), descriptor)
}

/// Looks a class up whose exact instances are recognized by it.
#[inline]
pub unsafe fn is_exactly(object: Object, class: &Kept) -> bool {
    // SAFETY: the object is valid.
    unsafe { ffi::Py_TYPE(object).cast::<ffi::PyObject>() == class.get() }
}
