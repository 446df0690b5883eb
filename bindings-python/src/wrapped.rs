//! What `proxy.wrap(fn)` gives for a function that is no coroutine function: a callable that costs hardly more than the call
//! itself, with the wrapped function's name, docs and signature, and that is a method when it stands in a class.
//!
//! A class made by hand: those of pyo3 are called through a tuple and a dict, and under a frame that must not be unwound.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::{offset_of, transmute};
use std::ptr::null_mut;

use pyo3::exceptions::PyImportError;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::direct;
use crate::raw::{self, Kept, Object};

#[repr(C)]
struct Wrapped {
    head: ffi::PyObject,
    vectorcall: *mut c_void,
    proxy: Object,
    function: Object,
    dict: Object,
    weakrefs: Object,
}

// Of `Py_TPFLAGS_…`: bits that every version has, and the stable ABI names only in later ones.
const HAVE_VECTORCALL: c_uint = 1 << 11;
const METHOD_DESCRIPTOR: c_uint = 1 << 17;

static CLASS: Kept = Kept::nothing();
static METHOD: Kept = Kept::nothing();

const fn slot(slot: c_int, pfunc: *mut c_void) -> ffi::PyType_Slot {
    ffi::PyType_Slot { slot, pfunc }
}

const fn offset(name: &'static std::ffi::CStr, at: usize) -> ffi::PyMemberDef {
    ffi::PyMemberDef {
        name: name.as_ptr(),
        type_code: ffi::Py_T_PYSSIZET,
        offset: at as isize,
        flags: ffi::Py_READONLY,
        doc: std::ptr::null(),
    }
}

/// Makes the class, and puts `wrap(proxy, function)` into the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    METHOD.keep(py.import("types")?.getattr("MethodType")?.unbind());
    let members = Box::leak(Box::new([
        offset(c"__vectorcalloffset__", offset_of!(Wrapped, vectorcall)),
        offset(c"__dictoffset__", offset_of!(Wrapped, dict)),
        offset(c"__weaklistoffset__", offset_of!(Wrapped, weakrefs)),
        // SAFETY: the end of the list is all zero.
        unsafe { std::mem::zeroed() },
    ]));
    let properties = Box::leak(Box::new([
        ffi::PyGetSetDef {
            name: c"__dict__".as_ptr(),
            get: Some(ffi::PyObject_GenericGetDict),
            set: Some(ffi::PyObject_GenericSetDict),
            doc: std::ptr::null(),
            closure: null_mut(),
        },
        // SAFETY: the end of the list is all zero.
        unsafe { std::mem::zeroed() },
    ]));
    let methods = Box::leak(Box::new([
        raw::method(c"__reduce__", reduce, c"By its name, as functions are."),
        // SAFETY: the end of the list is all zero.
        unsafe { std::mem::zeroed() },
    ]));
    // SAFETY: the name is a C string. Every version exports it; the stable ABI names it from 3.12 on.
    let packed_call = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"PyVectorcall_Call".as_ptr()) };
    if packed_call.is_null() {
        return Err(PyImportError::new_err("this interpreter has no PyVectorcall_Call"));
    }
    let mut slots = [
        slot(ffi::Py_tp_call, packed_call),
        slot(ffi::Py_tp_descr_get, bind as *mut c_void),
        slot(ffi::Py_tp_repr, show as *mut c_void),
        slot(ffi::Py_tp_dealloc, free as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_members, members.as_mut_ptr().cast()),
        slot(ffi::Py_tp_getset, properties.as_mut_ptr().cast()),
        slot(ffi::Py_tp_methods, methods.as_mut_ptr().cast()),
        slot(0, null_mut()),
    ];
    let mut spec = ffi::PyType_Spec {
        name: c"ambassador_proxy.Wrapped".as_ptr(),
        basicsize: size_of::<Wrapped>() as c_int,
        itemsize: 0,
        flags: (ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_HAVE_GC) as c_uint | HAVE_VECTORCALL | METHOD_DESCRIPTOR,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: what the class points at for good was leaked above.
    let class = unsafe { Bound::from_owned_ptr_or_err(py, ffi::PyType_FromSpec(&mut spec))? };
    CLASS.keep(class.unbind());
    module.add_function(pyo3::wrap_pyfunction!(wrap, module)?)
}

/// `fn` as a callable that goes through the proxy.
#[pyfunction]
fn wrap<'py>(proxy: &Bound<'py, crate::proxy::Proxy>, function: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = proxy.py();
    // SAFETY: the class lives for ever; the object is filled before anybody sees it.
    unsafe {
        let class: *mut ffi::PyTypeObject = CLASS.get().cast();
        let made = Bound::from_owned_ptr_or_err(py, ffi::PyType_GenericAlloc(class, 0))?;
        let wrapped = made.as_ptr().cast::<Wrapped>();
        (*wrapped).vectorcall = called as *mut c_void;
        (*wrapped).proxy = proxy.clone().into_ptr();
        (*wrapped).function = function.clone().into_ptr();
        Ok(made)
    }
}

unsafe extern "C-unwind" fn called(slf: Object, args: *const Object, flagged: usize, names: Object) -> Object {
    let count = flagged & !(1 << (usize::BITS - 1));
    // SAFETY: the interpreter keeps `slf` for the time of its call; the references in it outlive that.
    unsafe {
        let wrapped = slf.cast::<Wrapped>();
        direct::plain::<false>((*wrapped).proxy, (*wrapped).function, args, count, names)
    }
}

/// As functions do: a method of the instance, itself when got from the class.
unsafe extern "C" fn bind(slf: Object, instance: Object, _: Object) -> Object {
    // SAFETY: called by the interpreter, with the GIL held.
    unsafe {
        if instance.is_null() || instance == ffi::Py_None() {
            ffi::Py_INCREF(slf);
            return slf;
        }
        raw::vectorcall(METHOD.get(), [slf, instance].as_ptr(), 2, null_mut())
    }
}

unsafe extern "C" fn show(slf: Object) -> Object {
    // SAFETY: as `bind`.
    unsafe {
        let wrapped = slf.cast::<Wrapped>();
        ffi::PyUnicode_FromFormat(c"<%R through %R>".as_ptr(), (*wrapped).function, (*wrapped).proxy)
    }
}

unsafe extern "C-unwind" fn reduce(slf: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: as `bind`.
    unsafe { ffi::PyObject_GetAttrString(slf, c"__qualname__".as_ptr()) }
}

unsafe extern "C" fn traverse(slf: Object, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: called by the garbage collector; nothing is made or freed here.
    unsafe {
        let wrapped = slf.cast::<Wrapped>();
        let class: Object = ffi::Py_TYPE(slf).cast();
        for object in [class, (*wrapped).proxy, (*wrapped).function, (*wrapped).dict] {
            let stop = if object.is_null() { 0 } else { visit(object, arg) };
            if stop != 0 {
                return stop;
            }
        }
        0
    }
}

unsafe extern "C" fn clear(slf: Object) -> c_int {
    // SAFETY: called with the GIL held. Not the two that a call under way still needs: the cycle breaks at the dict, or at the
    // function's own.
    unsafe {
        let wrapped = slf.cast::<Wrapped>();
        let dict = std::mem::replace(&mut (*wrapped).dict, null_mut());
        ffi::Py_XDECREF(dict);
        0
    }
}

unsafe extern "C" fn free(slf: Object) {
    // SAFETY: the last reference is gone.
    unsafe {
        ffi::PyObject_GC_UnTrack(slf.cast());
        let wrapped = slf.cast::<Wrapped>();
        if !(*wrapped).weakrefs.is_null() {
            ffi::PyObject_ClearWeakRefs(slf);
        }
        let class = ffi::Py_TYPE(slf);
        for object in [(*wrapped).proxy, (*wrapped).function, (*wrapped).dict] {
            ffi::Py_XDECREF(object);
        }
        let free: unsafe extern "C" fn(*mut c_void) = transmute(ffi::PyType_GetSlot(class, ffi::Py_tp_free));
        free(slf.cast());
        ffi::Py_DECREF(class.cast());
    }
}
