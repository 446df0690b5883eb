//! The quick way: `proxy.call(fn, …)` and `proxy.execute(fn, …)` on the caller's own thread. A first attempt that succeeds goes
//! through here and the core, and nothing else: no object is made but what `execute` shows its function, no Python code runs but
//! the function itself. Everything else (a failure, a worker, a coroutine) goes on in Python, in `_drive.py`.
//!
//! The function runs between `arm` and `disarm` of its bound. From its return to `disarm` no Python code runs on this thread
//! and the GIL is held, so no interrupt can slip in between (see `interrupt`).

use std::ptr::null_mut;
use std::time::Duration;

use ambassador_core::Code;
use ambassador_core::call::{Call as CoreCall, Decision, Give, Outcome};
use ambassador_core::clock::{NEVER, now};
use ambassador_core::proxy::Begin;
use pyo3::prelude::*;
use pyo3::{PyClass, PyClassInitializer, PyTypeInfo, ffi};

use crate::attempt::Attempt;
use crate::call::Call;
use crate::kind::{Kind, kind_of};
use crate::proxy::{Proxy, SetUp, not_set_up};
use crate::raw::{self, Kept, Object};
use crate::{interrupt, pool, racer, raise, tracing, turn};

/// Stands for the result of a function that outran its bound.
pub static TIMED_OUT: Kept = Kept::nothing();

// Parts of the way that are written in Python.
static GO_ON: Kept = Kept::nothing();
static DRIVE: Kept = Kept::nothing();
static DRIVE_ASYNC: Kept = Kept::nothing();
static RACE: Kept = Kept::nothing();
static RACE_ASYNC: Kept = Kept::nothing();
static ENTER: Kept = Kept::nothing();
static HEAR: Kept = Kept::nothing();

/// The class whose exact instances are recognized.
static COROUTINE: Kept = Kept::nothing();

/// `go_on(proxy, call, fn, args, kwargs, value, error, attempt)` continues after a first attempt;
/// `drive(proxy, fn, args, kwargs, with_context)` makes a whole call; `drive_async` the same for a coroutine function; `race` and
/// `race_async` the same where several attempts may run at once (H1);
/// `enter(proxy, call, fn, args, kwargs, with_context)` goes on with a call that does not begin by running; `hear(proxy)` tells who
/// listens.
pub fn install(
    go_on: Py<PyAny>,
    drive: Py<PyAny>,
    drive_async: Py<PyAny>,
    race: Py<PyAny>,
    race_async: Py<PyAny>,
    enter: Py<PyAny>,
    hear: Py<PyAny>,
) {
    ENTER.keep(enter);
    HEAR.keep(hear);
    GO_ON.keep(go_on);
    DRIVE.keep(drive);
    DRIVE_ASYNC.keep(drive_async);
    RACE.keep(race);
    RACE_ASYNC.keep(race_async);
}

/// Gives `Proxy` its methods `call` and `execute`, and the module what else runs user code.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    raw::look_up();
    COROUTINE.keep(py.import("types")?.getattr("CoroutineType")?.unbind());
    // Told from every value of a function's own by being nobody else's.
    TIMED_OUT.keep(py.import("builtins")?.getattr("object")?.call0()?.unbind());
    // SAFETY: null was never stored: kept above.
    module.add("TIMED_OUT", unsafe { Bound::from_borrowed_ptr(py, TIMED_OUT.get()) })?;

    raw::add_method(&Proxy::type_object(py), raw::method(c"call", call, CALL_DOC))?;
    raw::add_method(&Proxy::type_object(py), raw::method(c"execute", execute, EXECUTE_DOC))?;
    raw::add_method(&Proxy::type_object(py), raw::method(c"_begin", begin, BEGIN_DOC))?;
    for function in [
        raw::method(
            c"run_here",
            run_here,
            c"Runs one attempt on the present thread: run_here(call, fn, args, kwargs).",
        ),
        raw::method(
            c"run_on_worker",
            pool::run_on_worker,
            c"Runs one attempt on a worker: run_on_worker(call, attempt, run, args, kwargs).",
        ),
        raw::method(
            c"start",
            racer::start,
            c"Runs one attempt on a worker, and waits for nothing; whether it runs or will: start(racer, run, args, kwargs, is_alone).",
        ),
        raw::method(
            c"wait_for_one",
            racer::wait_for_one,
            c"Waits for attempts that run on workers: wait_for_one(call, racers). The one that has ended or outrun its bound; None when it
is time to ask for another attempt.",
        ),
        raw::method(c"end_of", racer::end_of, c"What came of an attempt on a worker: end_of(racer)."),
        raw::method(c"lose", racer::lose, c"Leaves an attempt to itself that nobody needs any more: lose(racer)."),
        raw::method(c"work", pool::work, c"What a worker thread runs."),
        raw::method(c"wait_turn", turn::wait_turn, c"Waits for a place in the queue: wait_turn(call)."),
        raw::method(
            c"watch",
            interrupt::watch,
            c"One round of the watchdog: waits until bounds have passed, and interrupts their threads by asynchronous exceptions.
Gives the identifier of a thread that is to be sent a signal instead, or 0.",
        ),
        raw::method(
            c"drain",
            drain,
            c"Refuses new calls and waits for those in flight, a slice of the seconds that are left; whether all have ended: drain(slice, left).",
        ),
    ] {
        raw::add(module, function)?;
    }
    Ok(())
}

const CALL_DOC: &std::ffi::CStr = c"call($self, fn, /, *args, **kwargs)
--

Calls ``fn(*args, **kwargs)`` until it succeeds, may not be tried again, or no attempt is left.

Returns what the function returned. For a coroutine function, returns an awaitable of that, which runs on the caller's own
event loop. Every ``Exception`` may be tried again, unless ``retry_on``, ``not_on`` or ``classify`` say otherwise; the last one is
raised as it is, with a note of what was tried.

Raises ``CallTimeoutError`` when the last attempt outran ``timeout``, and ``DeadlineExceededError`` when the whole call outran
``deadline``.

>>> from ambassador_proxy import AmbassadorProxy
>>> AmbassadorProxy(\"payment-api.example.com\").call(max, 2, 3)
3
";

const EXECUTE_DOC: &std::ffi::CStr = c"execute($self, fn, /, *args, **kwargs)
--

``call``, for a function that wants to know its attempt: calls ``fn(attempt, *args, **kwargs)``.

>>> from ambassador_proxy import AmbassadorProxy
>>> AmbassadorProxy(\"payment-api.example.com\").execute(lambda attempt: attempt.attempt)
1
";

const BEGIN_DOC: &std::ffi::CStr = c"A call begins: a Call to be driven, or one that is direct when the core failed.";

/// `Proxy.call(fn, *args, **kwargs)`.
unsafe extern "C-unwind" fn call(proxy: Object, args: *const Object, count: isize, names: Object) -> Object {
    // SAFETY: called by the interpreter: `args` holds `count` references, and one for each name.
    unsafe { begun::<false>(c"call() needs the function to call as its first argument", proxy, args, count, names) }
}

/// `Proxy.execute(fn, *args, **kwargs)`.
unsafe extern "C-unwind" fn execute(proxy: Object, args: *const Object, count: isize, names: Object) -> Object {
    // SAFETY: as `call`.
    unsafe { begun::<true>(c"execute() needs the function to call as its first argument", proxy, args, count, names) }
}

#[inline]
unsafe fn begun<const WITH_CONTEXT: bool>(
    missing: &std::ffi::CStr,
    proxy: Object,
    args: *const Object,
    count: isize,
    names: Object,
) -> Object {
    // SAFETY: as `call`.
    unsafe {
        if count < 1 {
            ffi::PyErr_SetString(ffi::PyExc_TypeError, missing.as_ptr());
            return null_mut();
        }
        let function = *args;
        let (args, count) = (args.add(1), count as usize - 1);
        match kind_of(function) {
            Kind::Plain => plain::<WITH_CONTEXT>(proxy, function, args, count, names),
            Kind::Coroutine => {
                let Some(set_up) = set_up(proxy) else { return null_mut() };
                let way = if set_up.hedges() { &RACE_ASYNC } else { &DRIVE_ASYNC };
                packed::<WITH_CONTEXT>(way, proxy, function, args, count, names)
            }
            Kind::Neither => null_mut(),
        }
    }
}

/// A call of a function that is no coroutine function, and that gets its attempt first if `WITH_CONTEXT`.
///
/// # Safety
/// The GIL is held; `proxy` is a `Proxy`; the rest is as for a vectorcall.
#[inline]
pub unsafe fn plain<const WITH_CONTEXT: bool>(
    proxy: Object,
    function: Object,
    args: *const Object,
    count: usize,
    names: Object,
) -> Object {
    // SAFETY: as this function asks of its caller. Nothing here is to be dropped while user code runs.
    unsafe {
        let Some(set_up) = set_up(proxy) else { return null_mut() };
        if !set_up.on_caller() {
            let way = if set_up.hedges() { &RACE } else { &DRIVE };
            return packed::<WITH_CONTEXT>(way, proxy, function, args, count, names);
        }
        if !tracing::tell() {
            return null_mut();
        }
        let entered = now();
        let mut call = CoreCall::coming(entered);
        match set_up.core.enter(&mut call, entered) {
            Some(Decision::Run | Decision::Await) => {}
            Some(Decision::WaitUntil(until)) => {
                let call = Call::waiting(&set_up.core, call, until, entered);
                return enter::<WITH_CONTEXT>(proxy, call, function, args, count, names);
            }
            Some(Decision::Finish(give, _)) => {
                let code = if let Give::Error(code) = give { code } else { Code::Internal };
                if call.is_answering() {
                    let call = Call::refused(&set_up.core, call, code, entered);
                    return enter::<WITH_CONTEXT>(proxy, call, function, args, count, names);
                }
                let nothing = raise::refuse(set_up, code, &call, entered);
                return after_all(proxy, set_up, nothing);
            }
            // F1: once, directly.
            None if WITH_CONTEXT => {
                let call = Call::direct(&set_up.core, entered);
                return enter::<WITH_CONTEXT>(proxy, call, function, args, count, names);
            }
            None => {
                let result = raw::vectorcall(function, args, count, names);
                return after_all(proxy, set_up, result);
            }
        }
        let generation = interrupt::generation();
        let bound = call.bound();
        if bound != NEVER && !interrupt::ready() {
            set_up.core.cancel(&mut call, now());
            return null_mut();
        }
        let mut attempt = null_mut();
        if WITH_CONTEXT {
            attempt = into_object(Attempt::new(&set_up.core, call, bound));
            if attempt.is_null() {
                set_up.core.cancel(&mut call, now());
                return null_mut();
            }
        }
        let armed = interrupt::arm(bound);
        let result = if WITH_CONTEXT {
            raw::call_with(attempt, function, args, count, names)
        } else {
            raw::vectorcall(function, args, count, names)
        };
        let fired = armed && interrupt::disarm();
        if !result.is_null() && !fired && !set_up.sees_values && !raw::is_exactly(result, &COROUTINE) {
            let at = now();
            if at <= bound && generation == interrupt::generation() {
                let decision = set_up.core.settle(&mut call, at, Outcome::Ok, None);
                debug_assert!(matches!(decision, Decision::Finish(Give::Value, _)));
                ffi::Py_XDECREF(attempt);
                return after_all(proxy, set_up, result);
            }
        }
        let result = more(proxy, set_up, call, attempt, function, args, count, names, result, fired, generation);
        ffi::Py_XDECREF(attempt);
        result
    }
}

/// What is to be done after a call that ended here: who waited for its place is told, and who listens. Gives `result` on.
#[inline]
unsafe fn after_all(proxy: Object, set_up: &SetUp, result: Object) -> Object {
    // SAFETY: the GIL is held.
    turn::tell(unsafe { Python::assume_attached() });
    // SAFETY: `proxy` is valid, and `result` is owned, or null with an error set.
    if set_up.core.keeps_events() { unsafe { hear(proxy, result) } } else { result }
}

#[cold]
unsafe fn hear(proxy: Object, result: Object) -> Object {
    // SAFETY: as `after_all`. Nothing here is to be dropped while Python code runs.
    unsafe {
        let error = if result.is_null() { raw::take_error() } else { null_mut() };
        let heard = raw::vectorcall(HEAR.get(), &proxy, 1, null_mut());
        if heard.is_null() && error.is_null() {
            // What a signal's handler raised meanwhile.
            raw::give_back(result);
            return null_mut();
        }
        ffi::Py_XDECREF(heard);
        if !error.is_null() {
            ffi::PyErr_Clear();
            raw::set_error(error);
        }
        result
    }
}

/// A call that does not begin by running goes on in Python.
#[cold]
unsafe fn enter<const WITH_CONTEXT: bool>(
    proxy: Object,
    call: Call,
    function: Object,
    args: *const Object,
    count: usize,
    names: Object,
) -> Object {
    // SAFETY: as `plain`. Nothing here is to be dropped while Python code runs.
    unsafe {
        let call = into_object(call);
        if call.is_null() {
            return null_mut();
        }
        let Some((tuple, dict)) = raw::pack(args, count, names) else {
            ffi::Py_DECREF(call);
            return null_mut();
        };
        let all = [proxy, call, function, tuple, or_none(dict), truth(WITH_CONTEXT)];
        let result = raw::vectorcall(ENTER.get(), all.as_ptr(), all.len(), null_mut());
        for object in [call, tuple, dict] {
            ffi::Py_XDECREF(object);
        }
        result
    }
}

/// Whatever did not simply succeed.
#[cold]
#[allow(clippy::too_many_arguments)]
unsafe fn more(
    proxy: Object,
    set_up: &SetUp,
    mut call: CoreCall,
    attempt: Object,
    function: Object,
    args: *const Object,
    count: usize,
    names: Object,
    result: Object,
    fired: bool,
    generation: u32,
) -> Object {
    // SAFETY: as `plain`; `result` is owned, and null when an error is set.
    unsafe {
        let error = if result.is_null() { raw::take_error() } else { null_mut() };
        if generation != interrupt::generation() {
            ffi::Py_XDECREF(result);
            ffi::Py_XDECREF(error);
            // F3: the function forked, and this is the child.
            return raise::set(&set_up.core, Code::Forked, Some(&call), now());
        }
        let mut value = result;
        let mut raised = error;
        if fired {
            let due = interrupt::take_back();
            if !error.is_null() && is_interrupt(error) {
                ffi::Py_DECREF(error);
                raised = null_mut();
                value = TIMED_OUT.get();
                ffi::Py_INCREF(value);
            }
            // A bound around this call has passed too: this one is over.
            if due {
                set_up.core.cancel(&mut call, now());
                ffi::Py_XDECREF(value);
                ffi::Py_XDECREF(raised);
                ffi::PyErr_SetNone(interrupt::interrupted());
                return null_mut();
            }
        }
        let call = into_object(Call::of(&set_up.core, call));
        if call.is_null() {
            ffi::Py_XDECREF(value);
            ffi::Py_XDECREF(raised);
            return null_mut();
        }
        if !attempt.is_null() {
            Attempt::behind(attempt).belongs_to(Bound::ref_from_ptr(Python::assume_attached(), &call).cast_unchecked());
        }
        let Some((tuple, dict)) = raw::pack(args, count, names) else {
            ffi::Py_XDECREF(value);
            ffi::Py_XDECREF(raised);
            ffi::Py_DECREF(call);
            return null_mut();
        };
        let all = [proxy, call, function, tuple, or_none(dict), or_none(value), or_none(raised), or_none(attempt)];
        let result = raw::vectorcall(GO_ON.get(), all.as_ptr(), all.len(), null_mut());
        for object in [call, tuple, dict, value, raised] {
            ffi::Py_XDECREF(object);
        }
        result
    }
}

/// A new reference to what stands for the result of a function that outran its bound.
///
/// # Safety
/// The GIL is held.
pub unsafe fn timed_out() -> Object {
    // SAFETY: as this function asks of its caller.
    unsafe { ffi::Py_INCREF(TIMED_OUT.get()) };
    TIMED_OUT.get()
}

unsafe fn is_interrupt(error: Object) -> bool {
    // SAFETY: the GIL is held; `error` is an exception.
    unsafe { ffi::PyErr_GivenExceptionMatches(error, interrupt::interrupted()) != 0 }
}

/// Borrowed.
fn or_none(object: Object) -> Object {
    // SAFETY: lives for ever.
    if object.is_null() { unsafe { ffi::Py_None() } } else { object }
}

/// Borrowed.
fn truth(is_so: bool) -> Object {
    // SAFETY: both live for ever.
    unsafe { if is_so { ffi::Py_True() } else { ffi::Py_False() } }
}

/// A way that begins in Python: `way(proxy, function, args, kwargs, with_context)`.
unsafe fn packed<const WITH_CONTEXT: bool>(
    way: &Kept,
    proxy: Object,
    function: Object,
    args: *const Object,
    count: usize,
    names: Object,
) -> Object {
    // SAFETY: as `plain`.
    unsafe {
        let Some((tuple, dict)) = raw::pack(args, count, names) else { return null_mut() };
        let all = [proxy, function, tuple, or_none(dict), truth(WITH_CONTEXT)];
        let result = raw::vectorcall(way.get(), all.as_ptr(), all.len(), null_mut());
        ffi::Py_DECREF(tuple);
        ffi::Py_XDECREF(dict);
        result
    }
}

/// `run_here(call, fn, args, kwargs)`: what the function returned, or `TIMED_OUT` when the bound interrupted it (T1, T2).
unsafe extern "C-unwind" fn run_here(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_drive.py`, and by nothing else: with a `Call`, a function, a tuple, and a dict or None.
    unsafe {
        debug_assert_eq!(count, 4);
        let (call, function, tuple, dict) = (*args, *args.add(1), *args.add(2), *args.add(3));
        let bound = Call::behind(call).bound();
        if bound != NEVER && !interrupt::ready() {
            return null_mut();
        }
        let dict = if dict == ffi::Py_None() { null_mut() } else { dict };
        let armed = interrupt::arm(bound);
        let result = raw::call(function, tuple, dict);
        let fired = armed && interrupt::disarm();
        if !fired {
            return result;
        }
        let error = if result.is_null() { raw::take_error() } else { null_mut() };
        if interrupt::take_back() {
            ffi::Py_XDECREF(result);
            ffi::Py_XDECREF(error);
            ffi::PyErr_SetNone(interrupt::interrupted());
            return null_mut();
        }
        if error.is_null() {
            return result;
        }
        if is_interrupt(error) {
            ffi::Py_DECREF(error);
            return timed_out();
        }
        raw::set_error(error);
        null_mut()
    }
}

/// The settings of a proxy; `None` with an error set before `__init__`.
///
/// # Safety
/// The GIL is held; `proxy` is a `Proxy` that outlives the answer.
#[inline]
unsafe fn set_up<'a>(proxy: Object) -> Option<&'a SetUp> {
    // SAFETY: the method belongs to `Proxy`, so the interpreter has checked the class; a frozen class needs no borrow.
    let found = unsafe {
        let py = Python::assume_attached();
        let proxy = Bound::ref_from_ptr(py, &proxy).cast_unchecked::<Proxy>();
        (&raw const *proxy.get()).as_ref().and_then(Proxy::get)
    };
    if found.is_none() {
        // SAFETY: the GIL is held.
        not_set_up().restore(unsafe { Python::assume_attached() });
    }
    found
}

/// `Proxy._begin()` (O1).
unsafe extern "C-unwind" fn begin(proxy: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by the interpreter.
    unsafe {
        let Some(set_up) = set_up(proxy) else { return null_mut() };
        if !tracing::tell() {
            return null_mut();
        }
        let entered = now();
        into_object(match set_up.core.begin(entered) {
            Begin::Run(call) => Call::of(&set_up.core, call),
            Begin::Wait(call, until) => Call::waiting(&set_up.core, call, until, entered),
            Begin::Refuse(call, code) => Call::refused(&set_up.core, call, code, entered),
            Begin::Direct => Call::direct(&set_up.core, entered),
        })
    }
}

/// `drain(slice, left)`.
unsafe extern "C-unwind" fn drain(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_proxy.py`, and by nothing else, with two floats.
    unsafe {
        debug_assert_eq!(count, 2);
        // None is below zero, and more than a duration can hold is for ever.
        let seconds = |at| Duration::try_from_secs_f64(ffi::PyFloat_AsDouble(*args.add(at))).unwrap_or(Duration::MAX);
        let (slice, left) = (seconds(0), seconds(1));
        let drained = raw::detached(|| ambassador_core::runtime::shutdown_in_slices(slice, left));
        ffi::PyBool_FromLong(drained.into())
    }
}

/// As a Python object; null, with an error set, when there is no memory.
///
/// # Safety
/// The GIL is held.
unsafe fn into_object<T: PyClass + Into<PyClassInitializer<T>>>(value: T) -> Object {
    // SAFETY: as this function asks of its caller.
    let py = unsafe { Python::assume_attached() };
    match Py::new(py, value) {
        Ok(made) => made.into_ptr(),
        Err(error) => {
            error.restore(py);
            null_mut()
        }
    }
}
