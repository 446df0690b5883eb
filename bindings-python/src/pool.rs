//! Worker threads for functions whose caller must get control back at the bound, whatever they do (T2). A caller hands a
//! [`Job`] to a warm thread and waits for it without the GIL; at the bound it leaves, and the thread is interrupted, counted
//! as abandoned until its function really ends, and then used again (O3, T3).
//!
//! A job changes its state only with the GIL held, so that an interrupt is never sent to a function that has ended. No lock of
//! this file is held while the GIL is waited for.

use std::collections::VecDeque;
use std::hint::spin_loop;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use ambassador_core::AmbassadorProxy;
use ambassador_core::clock::{MILLISECOND, NEVER, Nanos, now};
use once_cell::sync::Lazy;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::attempt::Attempt;
use crate::call::Call;
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

/// Sleeps until `ready`, or until that instant. Spins first. Without the GIL.
pub fn wait_for(ready: impl Fn() -> bool, until: Nanos) {
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

/// `run_on_worker(call, attempt, run, args, kwargs)`: what the function returned, or `TIMED_OUT` when its bound passed first
/// (T1), or `NO_THREAD`. What it raised is raised here; so is what a signal's handler raises meanwhile, and the job is abandoned
/// then.
pub unsafe extern "C-unwind" fn run_on_worker(_: Object, args: *const Object, count: isize, _: Object) -> Object {
    // SAFETY: called by `_drive.py`, and by nothing else: with a `Call`, an `Attempt` or None, `context.run`, a tuple, and a dict
    // or None. Its thread may end in a wait: nothing here is to be dropped.
    unsafe {
        debug_assert_eq!(count, 5);
        let (call, attempt) = (*args, *args.add(1));
        let call = Call::behind(call);
        // In virtual time a function that moves the clock beyond its bound has timed out when it ends.
        let bound = if ambassador_core::testing::instant().is_some() { NEVER } else { call.bound() };
        let job = new_job(call, *args.add(2), *args.add(3), *args.add(4));
        match hand_over(job) {
            Handed::Over => {}
            Handed::ToNobody => {
                release(job);
                return reference_to(&NO_THREAD);
            }
            Handed::Raised => return left(job, attempt, raw::take_error()),
        }
        let sliced = interrupt::is_nested() || interrupt::is_main_thread();
        loop {
            let until = if sliced { bound.min(now() + LOOK) } else { bound };
            raw::detached(|| wait_for(|| (*job).has_ended(), until));
            let goes_on = !(*job).has_ended() && now() < bound;
            // What a signal's handler raises goes to the caller; so does the end of a bound around this one.
            let raised = goes_on && (!raw::check_signals() || interrupt::raise_due());
            if raised || !goes_on {
                return left(job, attempt, if raised { raw::take_error() } else { null_mut() });
            }
        }
    }
}

/// Leaked, until `release`.
unsafe fn new_job(call: &Call, run: Object, args: Object, kwargs: Object) -> *const Job {
    // SAFETY: the GIL is held, and the references are valid.
    let kwargs = unsafe {
        let kwargs = if kwargs == ffi::Py_None() { null_mut() } else { kwargs };
        for object in [run, args, kwargs] {
            ffi::Py_XINCREF(object);
        }
        kwargs
    };
    Arc::into_raw(Arc::new(Job {
        proxy: call.proxy().clone(),
        generation: interrupt::generation(),
        state: AtomicU8::new(QUEUED),
        run,
        args,
        kwargs,
        result: AtomicPtr::new(null_mut()),
        failed: AtomicBool::new(false),
        ident: AtomicU64::new(0),
        waiter: thread::current(),
    }))
}

unsafe fn release(job: *const Job) {
    // SAFETY: given back by the one who leaked it.
    drop(unsafe { Arc::from_raw(job) });
}

unsafe fn reference_to(kept: &Kept) -> Object {
    // SAFETY: the GIL is held.
    unsafe { ffi::Py_INCREF(kept.get()) };
    kept.get()
}

/// What became of a job that looked for a thread.
enum Handed {
    /// One runs it or will: one that waited for work, a new one or, when there are as many as may be, one that comes free.
    Over,
    /// None can be had.
    ToNobody,
    /// A signal's handler raised while a thread started.
    Raised,
}

unsafe fn hand_over(job: *const Job) -> Handed {
    // SAFETY: the GIL is held; `install` kept a function. Nothing here is to be dropped while Python code runs.
    unsafe {
        if !needs_a_start(job) {
            return Handed::Over;
        }
        let started = raw::vectorcall(START.get(), null(), 0, null_mut());
        ffi::Py_XDECREF(started);
        if started == ffi::Py_True() {
            return Handed::Over;
        }
        give_up_start();
        if started.is_null() {
            return Handed::Raised;
        }
        // A worker that came free meanwhile may have taken it.
        if !take_out(job) {
            return Handed::Over;
        }
        drop_arguments(job);
        Handed::ToNobody
    }
}

/// Gives the job to a worker that waits for one, or to the queue. Whether a thread is to be started for it.
unsafe fn needs_a_start(job: *const Job) -> bool {
    // SAFETY: the caller keeps the job alive.
    let job = unsafe {
        Arc::increment_strong_count(job);
        Arc::from_raw(job)
    };
    let mut pool = pool();
    if let Some(worker) = pool.idle.pop() {
        drop(pool);
        give(&worker, job);
        return false;
    }
    pool.waiting.push_back(job);
    let more = pool.threads < MOST;
    if more {
        pool.threads += 1;
        pool.starting += 1;
    }
    more
}

/// One that was starting is not needed any more. If it comes up all the same it ends at once.
fn give_up_start() {
    let mut pool = pool();
    if pool.starting > 0 {
        pool.starting -= 1;
        pool.threads -= 1;
    }
}

/// Whether the job was still in the queue.
fn take_out(job: *const Job) -> bool {
    let mut pool = pool();
    let before = pool.waiting.len();
    pool.waiting.retain(|waiting| Arc::as_ptr(waiting) != job);
    pool.waiting.len() < before
}

fn give(worker: &Worker, job: Arc<Job>) {
    *worker.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job);
    worker.has_job.store(true, SeqCst);
    worker.thread.unpark();
}

/// What its caller gets who waits no longer: what was `raised`, what came of the job if it has ended, or that its bound has
/// passed.
unsafe fn left(job: *const Job, attempt: Object, raised: Object) -> Object {
    // SAFETY: the GIL is held, so that a job which has not ended is left before it can end; `raised` is owned, or null.
    unsafe {
        let ended = (*job).has_ended();
        if !ended {
            leave(job, attempt);
        }
        let result = (*job).result.swap(null_mut(), SeqCst);
        let failed = (*job).failed.load(SeqCst);
        release(job);
        if !raised.is_null() {
            raw::give_back(result);
            raw::set_error(raised);
            null_mut()
        } else if !ended {
            reference_to(&crate::direct::TIMED_OUT)
        } else if failed {
            raw::set_error(result);
            null_mut()
        } else {
            result
        }
    }
}

unsafe fn leave(job: *const Job, attempt: Object) {
    // SAFETY: the GIL is held, the job alive, and `attempt` an `Attempt` or None.
    unsafe {
        if (*job).state.compare_exchange(QUEUED, ABANDONED, SeqCst, SeqCst).is_ok() {
            // No thread has come to it. It never runs: whoever finds it abandoned drops it.
            if take_out(job) {
                drop_arguments(job);
            }
        } else if (*job).state.compare_exchange(RUNNING, ABANDONED, SeqCst, SeqCst).is_ok() {
            if attempt != ffi::Py_None() {
                Attempt::behind(attempt).give_up();
            }
            (*job).proxy.note_abandoned();
            interrupt::send((*job).ident.load(SeqCst));
        }
    }
}

/// With the GIL held; may run what user code has in `__del__`.
unsafe fn drop_arguments(job: *const Job) {
    // SAFETY: owned by the job, and given back once: by whoever took the job out of the queue, or ran it.
    unsafe {
        let all = [(*job).run, (*job).args, (*job).kwargs];
        for object in all {
            raw::give_back(object);
        }
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
            for object in [ended(job, result), run, args, kwargs] {
                raw::give_back(object);
            }
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
    // SAFETY: the GIL is held; the worker is this thread's own, and leaked until its end. The thread may end here.
    unsafe {
        loop {
            let job = raw::detached(|| wait_for_job(worker));
            if job.is_null() {
                return job;
            }
            (*job).ident.store(ident, SeqCst);
            if (*job).state.compare_exchange(QUEUED, RUNNING, SeqCst, SeqCst).is_ok() {
                interrupt::works_on(job);
                return job;
            }
            // Its caller left before it began.
            drop_arguments(job);
            release(job);
        }
    }
}

/// Leaked, until `release`.
unsafe fn wait_for_job(worker: *const Worker) -> *const Job {
    // SAFETY: as `next`.
    let worker = unsafe {
        Arc::increment_strong_count(worker);
        Arc::from_raw(worker)
    };
    loop {
        {
            let mut pool = pool();
            if let Some(job) = pool.waiting.pop_front() {
                return Arc::into_raw(job);
            }
            pool.idle.push(Arc::clone(&worker));
        }
        let cold = now().saturating_add(WARM.as_nanos() as Nanos);
        wait_for(|| worker.has_job.load(SeqCst), cold);
        if !worker.has_job.load(SeqCst) {
            let mut pool = pool();
            let before = pool.idle.len();
            pool.idle.retain(|idle| !Arc::ptr_eq(idle, &worker));
            if pool.idle.len() < before {
                pool.threads -= 1;
                return null();
            }
            // Taken out by a caller, who is about to give a job.
            drop(pool);
            wait_for(|| worker.has_job.load(SeqCst), NEVER);
        }
        worker.has_job.store(false, SeqCst);
        if let Some(job) = worker.job.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Arc::into_raw(job);
        }
    }
}

/// The function of a job returned, with the GIL held ever since. Gives what came too late, to be dropped.
unsafe fn ended(job: *const Job, result: Object) -> Object {
    interrupt::works_on(null());
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
        // SAFETY: the GIL is held.
        crate::turn::tell(unsafe { Python::assume_attached() });
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
        crate::raise::set(&(*job).proxy, ambassador_core::Code::Forked, None, now())
    }
}

/// How many threads work or wait for work, for tests.
#[pyfunction]
pub fn worker_threads() -> usize {
    pool().threads
}
