//! Worker threads for functions whose caller must get control back at the bound, whatever they do (T2). A caller hands a
//! [`Job`] to a warm thread and waits for it without the GIL; at the bound it leaves, and the thread is interrupted, counted
//! as abandoned until its function really ends, and then used again (O3, T3).
//!
//! A job changes its state only with the GIL held, so that an interrupt is never sent to a function that has ended. No lock of
//! this file is held while the GIL is waited for.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::ptr::{self, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ambassador_core::AmbassadorProxy;
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos, now};
use once_cell::sync::Lazy;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::call::{Attempt, Call};
use crate::interrupt;
use crate::once::Leaked;
use crate::raw::{self, Kept, Object};

/// How many threads there are at most; calls beyond that wait for one, within their bounds.
const MOST: usize = 256;
/// How long both sides look before they sleep: a hand-over through the kernel costs more than a short function.
const SPIN: Duration = Duration::from_micros(20);
/// How long a thread without work stays.
const WARM: Duration = Duration::from_secs(30);
/// How often a wait looks whether a signal came, or a bound around this call passed.
const LOOK: Nanos = 20 * MILLISECOND;

const QUEUED: u8 = 0;
const RUNNING: u8 = 1;
const ENDED: u8 = 2;
const ABANDONED: u8 = 3;

/// One attempt on its way over a worker.
pub struct Job {
    proxy: AmbassadorProxy,
    generation: u32,
    state: AtomicU8,
    /// `context.run`, and its arguments: the user's function and that function's own. Owned, until the job has run.
    run: Object,
    args: Object,
    kwargs: Object,
    /// Owned: what came of it; an exception if `failed`.
    result: AtomicPtr<ffi::PyObject>,
    failed: AtomicBool,
    /// The worker's thread, as Python knows it.
    ident: AtomicU64,
    waiter: Thread,
}

// SAFETY: the Python objects in it are touched only with the GIL held.
unsafe impl Send for Job {}
// SAFETY: as above; the rest is atomic.
unsafe impl Sync for Job {}

impl Job {
    /// Whether its caller has left while its function still runs.
    pub fn is_abandoned(&self) -> bool {
        self.state.load(SeqCst) == ABANDONED
    }

    fn has_ended(&self) -> bool {
        self.state.load(SeqCst) == ENDED
    }
}

struct Worker {
    thread: Thread,
    job: Mutex<Option<Arc<Job>>>,
    has_job: AtomicBool,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Arc<Worker>>,
    waiting: VecDeque<Arc<Job>>,
    /// Those that run, and those that are starting.
    threads: usize,
    starting: usize,
}

impl Pool {
    /// Whether it was still in the queue.
    fn take_out(&mut self, job: &Arc<Job>) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| !Arc::ptr_eq(waiting, job));
        self.waiting.len() < before
    }

    /// One that was starting is not needed any more. If it comes up all the same it ends at once.
    fn give_up_start(&mut self) {
        if self.starting > 0 {
            self.starting -= 1;
            self.threads -= 1;
        }
    }
}

static POOL: Leaked<Mutex<Pool>> = Leaked::new();
static START: Kept = Kept::nothing();
/// With one processor, whoever spins keeps the other from running.
static MAY_SPIN: Lazy<bool> = Lazy::new(|| thread::available_parallelism().is_ok_and(|n| n.get() > 1));

/// Stands for the result of a function that has not run, for no thread could be had.
static NO_THREAD: Kept = Kept::nothing();

/// `start()` starts a daemon thread that runs `work`, and says whether one could be had. It raises only what a signal's handler
/// raised meanwhile.
pub fn install(start: Py<PyAny>) {
    START.keep(start);
}

/// Puts `NO_THREAD` into the module.
pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let no_thread = module.py().import("builtins")?.getattr("object")?.call0()?;
    NO_THREAD.keep(no_thread.clone().unbind());
    module.add("NO_THREAD", no_thread)
}

pub fn forked() {
    POOL.forget();
}

fn pool() -> MutexGuard<'static, Pool> {
    POOL.get_or(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sleeps until `ready`, or until that instant. Spins first.
fn wait_for(ready: impl Fn() -> bool, until: Nanos) {
    if *MAY_SPIN {
        let begun = Instant::now();
        while begun.elapsed() < SPIN {
            for _ in 0..32 {
                if ready() {
                    return;
                }
                spin_loop();
            }
        }
    }
    while !ready() {
        if until == NEVER {
            thread::park();
            continue;
        }
        match until.saturating_sub(now()) {
            0 => return,
            left => thread::park_timeout(Duration::from_nanos(left)),
        }
    }
}

/// Runs one attempt of `call` on a worker: what the function returned, or `TIMED_OUT` when its bound passed first (T1), or
/// `NO_THREAD`. What it raised is raised here; so is what a signal's handler raises meanwhile, and the job is abandoned then.
#[pyfunction]
#[pyo3(signature = (call, attempt, run, args, kwargs))]
pub fn run_on_worker<'py>(
    py: Python<'py>,
    call: &Bound<'py, Call>,
    attempt: Option<&Bound<'py, Attempt>>,
    run: Py<PyAny>,
    args: Py<PyTuple>,
    kwargs: Option<Py<PyDict>>,
) -> PyResult<Bound<'py, PyAny>> {
    let bound = call.get().bound();
    let job = Arc::new(Job {
        proxy: call.get().proxy().clone(),
        generation: interrupt::generation(),
        state: AtomicU8::new(QUEUED),
        run: run.into_ptr(),
        args: args.into_ptr(),
        kwargs: kwargs.map_or(null_mut(), Py::into_ptr),
        result: AtomicPtr::new(null_mut()),
        failed: AtomicBool::new(false),
        ident: AtomicU64::new(0),
        waiter: thread::current(),
    });
    match hand_over(py, &job) {
        Ok(true) => {}
        // SAFETY: the reference is valid for as long as the module.
        Ok(false) => return Ok(unsafe { Bound::from_borrowed_ptr(py, NO_THREAD.get()) }),
        Err(raised) => return left(py, &job, attempt, Some(raised)),
    }
    let sliced = interrupt::is_nested() || interrupt::is_main_thread();
    loop {
        let until = if sliced { bound.min(now() + LOOK) } else { bound };
        py.detach(|| wait_for(|| job.has_ended(), until));
        if job.has_ended() {
            return taken(py, &job);
        }
        let bound_passed = now() >= bound;
        // What a signal's handler raises goes to the caller; so does the end of a bound around this one.
        let raised = if bound_passed { None } else { py.check_signals().err().or_else(|| interrupt::raised(py)) };
        if bound_passed || raised.is_some() {
            return left(py, &job, attempt, raised);
        }
    }
}

/// Whether a thread will run it: one that waits for work, a new one, or, when there are as many as may be, one that comes free.
fn hand_over(py: Python<'_>, job: &Arc<Job>) -> PyResult<bool> {
    let mut pool = pool();
    if let Some(worker) = pool.idle.pop() {
        drop(pool);
        give(&worker, job);
        return Ok(true);
    }
    pool.waiting.push_back(Arc::clone(job));
    if pool.threads == MOST {
        return Ok(true);
    }
    pool.threads += 1;
    pool.starting += 1;
    drop(pool);
    // SAFETY: null, or a reference that is never given back.
    let start = unsafe { Bound::from_borrowed_ptr_or_opt(py, START.get()) };
    let started = start.map_or(Ok(false), |start| start.call0()?.extract());
    if matches!(started, Ok(true)) {
        return Ok(true);
    }
    let mut pool = self::pool();
    pool.give_up_start();
    // Where nothing was raised, a worker that came free meanwhile may have taken it.
    if started.is_err() || !pool.take_out(job) {
        return started.map(|_| true);
    }
    drop(pool);
    drop_arguments(job);
    Ok(false)
}

fn give(worker: &Worker, job: &Arc<Job>) {
    *worker.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(job));
    worker.has_job.store(true, SeqCst);
    worker.thread.unpark();
}

/// What came of a job that ended in time.
fn taken<'py>(py: Python<'py>, job: &Job) -> PyResult<Bound<'py, PyAny>> {
    let result = job.result.swap(null_mut(), SeqCst);
    // SAFETY: the reference is owned, and was taken out.
    let result = unsafe { Bound::from_owned_ptr_or_opt(py, result) };
    let Some(result) = result else { return timed_out(py) };
    if job.failed.load(SeqCst) { Err(PyErr::from_value(result)) } else { Ok(result) }
}

fn timed_out(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // SAFETY: the reference is valid for as long as the module.
    Ok(unsafe { Bound::from_borrowed_ptr(py, crate::direct::TIMED_OUT.get()) })
}

/// What its caller gets who waits no longer: what was `raised`, else that the bound has passed; unless the job ended meanwhile.
fn left<'py>(
    py: Python<'py>,
    job: &Arc<Job>,
    attempt: Option<&Bound<'py, Attempt>>,
    raised: Option<PyErr>,
) -> PyResult<Bound<'py, PyAny>> {
    if job.has_ended() {
        let result = taken(py, job);
        return raised.map_or(result, Err);
    }
    leave(job, attempt);
    raised.map_or_else(|| timed_out(py), Err)
}

/// With the GIL held.
fn leave(job: &Arc<Job>, attempt: Option<&Bound<'_, Attempt>>) {
    if job.state.compare_exchange(QUEUED, ABANDONED, SeqCst, SeqCst).is_ok() {
        // No thread has come to it. It never runs: whoever finds it abandoned drops it.
        if pool().take_out(job) {
            drop_arguments(job);
        }
        return;
    }
    if job.state.compare_exchange(RUNNING, ABANDONED, SeqCst, SeqCst).is_ok() {
        if let Some(attempt) = attempt {
            attempt.get().give_up();
        }
        job.proxy.note_abandoned();
        interrupt::send(job.ident.load(SeqCst));
    }
}

/// With the GIL held; may run what user code has in `__del__`.
fn drop_arguments(job: &Job) {
    // SAFETY: owned by the job, and given back once: by whoever took the job out of the queue, or ran it.
    unsafe {
        ffi::Py_DECREF(job.run);
        ffi::Py_DECREF(job.args);
        ffi::Py_XDECREF(job.kwargs);
    }
}

/// What a worker thread runs: one job after the other. A daemon thread, that the interpreter's end may cut off anywhere.
pub unsafe extern "C-unwind" fn work(_: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by the interpreter, with the GIL held. Nothing here is to be dropped while user code runs.
    unsafe {
        if !comes_up() {
            ffi::Py_INCREF(ffi::Py_None());
            return ffi::Py_None();
        }
        let ident = ffi::PyThread_get_thread_ident() as u64;
        let worker = Arc::into_raw(Arc::new(Worker {
            thread: thread::current(),
            job: Mutex::new(None),
            has_job: AtomicBool::new(false),
        }));
        loop {
            let job = next(worker, ident);
            if job.is_null() {
                drop(Arc::from_raw(worker));
                ffi::Py_INCREF(ffi::Py_None());
                return ffi::Py_None();
            }
            let (run, args, kwargs) = ((*job).run, (*job).args, (*job).kwargs);
            let result = raw::call(run, args, kwargs);
            if (*job).generation != interrupt::generation() {
                return left_in_child(job, result);
            }
            let late = ended(job, result);
            ffi::Py_XDECREF(late);
            ffi::Py_DECREF(run);
            ffi::Py_DECREF(args);
            ffi::Py_XDECREF(kwargs);
        }
    }
}

/// Whether this thread, just started, is still needed.
fn comes_up() -> bool {
    let mut pool = pool();
    let needed = pool.starting > 0;
    pool.starting -= usize::from(needed);
    needed
}

/// The next job for this worker, running; null when it is to end. Called and returns with the GIL held.
unsafe fn next(worker: *const Worker, ident: u64) -> *const Job {
    // SAFETY: it is this thread's own, and leaked until its end.
    let worker = unsafe {
        Arc::increment_strong_count(worker);
        Arc::from_raw(worker)
    };
    // SAFETY: the GIL is held.
    let py = unsafe { Python::assume_attached() };
    loop {
        let Some(job) = py.detach(|| wait_for_job(&worker)) else { return ptr::null() };
        job.ident.store(ident, SeqCst);
        if job.state.compare_exchange(QUEUED, RUNNING, SeqCst, SeqCst).is_err() {
            // Its caller left before it began.
            drop_arguments(&job);
            continue;
        }
        let job = Arc::into_raw(job);
        interrupt::works_on(job);
        return job;
    }
}

fn wait_for_job(worker: &Arc<Worker>) -> Option<Arc<Job>> {
    loop {
        {
            let mut pool = pool();
            if let Some(job) = pool.waiting.pop_front() {
                return Some(job);
            }
            pool.idle.push(Arc::clone(worker));
        }
        let cold = now().saturating_add(WARM.as_nanos() as Nanos);
        wait_for(|| worker.has_job.load(SeqCst), cold);
        if !worker.has_job.load(SeqCst) {
            let mut pool = pool();
            let before = pool.idle.len();
            pool.idle.retain(|idle| !Arc::ptr_eq(idle, worker));
            if pool.idle.len() < before {
                pool.threads -= 1;
                return None;
            }
            // Taken out by a caller, who is about to give a job.
            drop(pool);
            wait_for(|| worker.has_job.load(SeqCst), NEVER);
        }
        worker.has_job.store(false, SeqCst);
        if let Some(job) = worker.job.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Some(job);
        }
    }
}

/// The function of a job returned, with the GIL held ever since. Gives what came too late, to be dropped.
unsafe fn ended(job: *const Job, result: Object) -> Object {
    interrupt::works_on(ptr::null());
    // SAFETY: `next` leaked it for this.
    let job = unsafe { Arc::from_raw(job) };
    let failed = result.is_null();
    // SAFETY: the GIL is held, and an error is set when there is no result.
    let result = if failed { unsafe { raw::take_error() } } else { result };
    // Only with the GIL held does a caller leave: this look stays true.
    if job.is_abandoned() {
        // Take back an interrupt that has not arrived, and count what came too late (T3).
        // SAFETY: the GIL is held; `result` is an exception if the function failed.
        unsafe {
            ffi::PyThreadState_SetAsyncExc(job.ident.load(SeqCst) as _, null_mut());
            if !failed || ffi::PyErr_GivenExceptionMatches(result, interrupt::interrupted()) == 0 {
                job.proxy.note_late();
            }
        }
        job.proxy.note_abandoned_ended();
        return result;
    }
    job.result.store(result, SeqCst);
    job.failed.store(failed, SeqCst);
    job.state.store(ENDED, SeqCst);
    job.waiter.unpark();
    null_mut()
}

/// F3: the function forked, and its child came back here. Its caller is in the parent; nobody waits for it.
unsafe fn left_in_child(job: *const Job, result: Object) -> Object {
    // SAFETY: the GIL is held; the job is leaked.
    unsafe {
        ffi::Py_XDECREF(result);
        ffi::PyErr_Clear();
        let py = Python::assume_attached();
        match crate::raise::error(py, &(*job).proxy, ambassador_core::Code::Forked, None, now()) {
            Ok(error) => raw::set_error(error.into_ptr()),
            Err(error) => error.restore(py),
        }
    }
    null_mut()
}

/// How many threads work or wait for work, for tests.
#[pyfunction]
pub fn worker_threads() -> usize {
    pool().threads
}
