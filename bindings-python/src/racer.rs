//! An attempt that runs beside others of its call (H1): its number and its bound, and where it is a plain function's, its job on a
//! worker. The caller waits for several jobs at once. Who loses is left to itself, as at a bound, but comes not late.

use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering::Relaxed};

use ambassador_core::Hedge;
use ambassador_core::call::{Call as CoreCall, Outcome};
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos, now};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::attempt::Attempt;
use crate::call::{self, Call, seconds_until};
use crate::pool::{self, Handed, Job};
use crate::raw::{self, Object};
use crate::{direct, interrupt};

/// How often a wait looks whether a signal came, or a bound around this call passed.
const LOOK: Nanos = 20 * MILLISECOND;
/// How many run at once at most.
const MOST: usize = Hedge::MOST as usize + 1;

/// An attempt of a call of which several may run at once.
#[pyclass(frozen, module = "ambassador_proxy._native")]
pub struct Racer {
    call: Py<Call>,
    /// As it stood when the attempt began.
    begun: CoreCall,
    /// What its function sees of it.
    attempt: Option<Py<Attempt>>,
    /// Leaked, until it is left; null before and after.
    job: AtomicPtr<Job>,
    timed_out: AtomicBool,
}

impl Racer {
    /// The newest attempt of a call.
    pub fn new(call: &Bound<'_, Call>, begun: CoreCall, with_context: bool) -> PyResult<Py<Racer>> {
        let py = call.py();
        let attempt = if with_context {
            let attempt = Attempt::new(call.get().proxy(), begun, begun.bound());
            attempt.belongs_to(call);
            Some(Py::new(py, attempt)?)
        } else {
            None
        };
        let call = call.clone().unbind();
        let (job, timed_out) = (AtomicPtr::new(null_mut()), AtomicBool::new(false));
        Py::new(py, Racer { call, begun, attempt, job, timed_out })
    }

    /// What a Python object holds.
    ///
    /// # Safety
    /// The GIL is held; `racer` is a `Racer` that outlives the answer.
    unsafe fn behind<'a>(racer: Object) -> &'a Racer {
        // SAFETY: as this function asks of its caller; a frozen class needs no borrow.
        unsafe {
            let racer = Bound::ref_from_ptr(Python::assume_attached(), &racer);
            &*ptr::from_ref(racer.cast_unchecked::<Racer>().get())
        }
    }

    /// In virtual time a function that moves the clock beyond its bound has timed out when it ends.
    fn bound(&self) -> Nanos {
        if ambassador_core::testing::instant().is_some() { NEVER } else { self.begun.bound() }
    }

    /// Borrowed: the attempt, or None.
    fn shown(&self) -> Object {
        // SAFETY: None lives for ever.
        self.attempt.as_ref().map_or_else(|| unsafe { ffi::Py_None() }, Py::as_ptr)
    }

    /// Taken out, so that it is left once.
    fn take_job(&self) -> *const Job {
        self.job.swap(null_mut(), Relaxed)
    }
}

impl Drop for Racer {
    /// The driver leaves each; an exception in the midst of that may have kept it from doing so.
    fn drop(&mut self) {
        let job = self.take_job();
        if !job.is_null() {
            // SAFETY: `start` leaked it for this.
            unsafe { pool::release(job) };
        }
    }
}

#[pymethods]
impl Racer {
    #[getter]
    fn number(&self) -> u32 {
        self.begun.attempt()
    }

    /// What its function sees of it; `None` when it does not want to.
    #[getter]
    fn attempt(&self, py: Python<'_>) -> Option<Py<Attempt>> {
        self.attempt.as_ref().map(|attempt| attempt.clone_ref(py))
    }

    /// Seconds until its bound; `None` when there is none to be watched.
    #[getter]
    fn remaining(&self) -> Option<f64> {
        seconds_until(self.bound())
    }

    /// T3: whether what it brings now comes too late.
    #[getter]
    fn is_late(&self) -> bool {
        now() > self.begun.bound()
    }

    /// Whether it outran its bound, so that what it brought is dropped (T3).
    #[getter]
    fn timed_out(&self) -> bool {
        self.timed_out.load(Relaxed)
    }

    /// As `Call.settle`, for this attempt.
    #[pyo3(signature = (outcome, context=None, hint=None))]
    fn settle(
        &self,
        py: Python<'_>,
        outcome: u8,
        context: Option<&Bound<'_, Attempt>>,
        hint: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u8> {
        let (outcome, hint) = (Outcome::from_number(outcome), call::asked(context, hint));
        let at = now();
        let is_late = at > self.begun.bound() && outcome != Outcome::Cancelled;
        self.timed_out.store(is_late || outcome == Outcome::Timeout, Relaxed);
        self.call.get().settle_attempt(py, self.begun.attempt(), at, outcome, hint)
    }

    /// As `Call.answered`.
    fn answered(&self, well: bool) {
        self.call.get().answered(well);
    }

    /// The same attempt, to be made once more: in another place.
    fn again(&self, py: Python<'_>) -> PyResult<Py<Racer>> {
        Racer::new(self.call.bind(py), self.begun, self.attempt.is_some())
    }
}

/// `start(racer, run, args, kwargs, is_alone)`: one that runs alone needs a thread now; beside others it may wait for one in the
/// queue. What a signal's handler raises meanwhile is raised.
pub unsafe extern "C-unwind" fn start(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_hedged.py`, and by nothing else: with a `Racer`, `context.run`, a tuple, a dict or None, and a truth.
    // Nothing here is to be dropped while Python code runs.
    unsafe {
        debug_assert_eq!(count, 5);
        let racer = Racer::behind(*args);
        let is_alone = *args.add(4) == ffi::Py_True();
        let job = pool::new_job(racer.call.get(), *args.add(1), *args.add(2), *args.add(3));
        match pool::hand_over(job, !is_alone) {
            Handed::Over => {
                racer.job.store(job.cast_mut(), Relaxed);
                ffi::PyBool_FromLong(1)
            }
            Handed::ToNobody => {
                pool::release(job);
                ffi::PyBool_FromLong(0)
            }
            Handed::Raised => pool::left(job, racer.shown(), raw::take_error()),
        }
    }
}

/// Those that are waited for. They are kept by their racers, and left by the thread that waits.
struct Race {
    jobs: [*const Job; MOST],
    bounds: [Nanos; MOST],
}

impl Race {
    unsafe fn of(racers: Object) -> Race {
        let mut race = Race { jobs: [ptr::null(); MOST], bounds: [NEVER; MOST] };
        // SAFETY: the GIL is held; `racers` is a list of racers.
        unsafe {
            let running = (ffi::PyList_Size(racers) as usize).min(MOST);
            for at in 0..running {
                let racer = Racer::behind(ffi::PyList_GetItem(racers, at as isize));
                race.jobs[at] = racer.job.load(Relaxed);
                race.bounds[at] = racer.bound();
            }
        }
        race
    }

    /// The place of one that has ended, the oldest first.
    fn ended(&self) -> Option<usize> {
        // SAFETY: null, or a job that its racer keeps.
        self.jobs.iter().position(|job| unsafe { job.as_ref() }.is_some_and(Job::has_ended))
    }

    fn outran(&self, now: Nanos) -> Option<usize> {
        self.bounds.iter().position(|bound| *bound <= now)
    }
}

/// `wait_for_one(call, racers)`: the racer that has ended, or whose bound has passed; None when it is time to ask for another
/// attempt. What a signal's handler raises meanwhile is raised, and so is the end of a bound around this call.
pub unsafe extern "C-unwind" fn wait_for_one(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_hedged.py`, and by nothing else, with a `Call` and a list of racers. Its thread may end in the wait:
    // nothing here is to be dropped.
    unsafe {
        debug_assert_eq!(count, 2);
        let (call, racers) = (*args, *args.add(1));
        let race = Race::of(racers);
        let hedge_at = Call::behind(call).hedge_at();
        let next = race.bounds.iter().fold(hedge_at, |next, bound| next.min(*bound));
        let sliced = interrupt::is_nested() || interrupt::is_main_thread();
        loop {
            let until = if sliced { next.min(now() + LOOK) } else { next };
            raw::detached(|| pool::wait_for(|| race.ended().is_some(), until));
            let at = now();
            if let Some(place) = race.ended().or_else(|| race.outran(at)) {
                let racer = ffi::PyList_GetItem(racers, place as isize);
                ffi::Py_INCREF(racer);
                return racer;
            }
            if hedge_at <= at {
                ffi::Py_INCREF(ffi::Py_None());
                return ffi::Py_None();
            }
            if !raw::check_signals() || interrupt::raise_due() {
                return null_mut();
            }
        }
    }
}

/// `end_of(racer)`: what the function of one that was waited for returned, or `TIMED_OUT`. What it raised is raised here.
pub unsafe extern "C-unwind" fn end_of(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_hedged.py`, and by nothing else, with a `Racer`.
    unsafe {
        debug_assert_eq!(count, 1);
        let racer = Racer::behind(*args);
        let job = racer.take_job();
        if job.is_null() { direct::timed_out() } else { pool::left(job, racer.shown(), null_mut()) }
    }
}

/// `lose(racer)`. Does nothing to one that was left already.
pub unsafe extern "C-unwind" fn lose(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: as `end_of`.
    unsafe {
        debug_assert_eq!(count, 1);
        let racer = Racer::behind(*args);
        let job = racer.take_job();
        if !job.is_null() {
            pool::lose(job, racer.shown());
        }
        ffi::Py_INCREF(ffi::Py_None());
        ffi::Py_None()
    }
}
