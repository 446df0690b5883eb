//! Bounds on the caller's own thread (T1, T2): each thread keeps a stack of slots on the core's deadline board, for calls
//! nest; one watchdog thread waits there and interrupts whoever outran a bound. The thread itself is Python's (`_threads.py`).
//!
//! An interrupt must never hit what runs after the function. All that matters happens with the GIL held: the watchdog sends only
//! while a slot is fired, and the owner disarms its slot and takes back what was sent before any more Python code runs there.

use std::cell::{Cell, RefCell};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ambassador_core::board::{Board, Slot};
use ambassador_core::clock::{NEVER, Nanos, SECOND, now};
use pyo3::ffi;
use pyo3::prelude::*;

use crate::once::Leaked;
use crate::pool;
use crate::raw::{self, Kept, Object};

static BOARD: Leaked<Board> = Leaked::new();
/// How many forks lie between this process and the one that loaded the module.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// The bit of an owner that says: interrupt by signal. Thread identifiers are addresses, far below it.
pub const BY_SIGNAL: u64 = 1 << 63;
/// A function that goes on after an interrupt is interrupted again: the first may have hit code that swallows exceptions, such
/// as a `__del__`.
const AGAIN: Nanos = SECOND;

static PREPARE: Kept = Kept::nothing();
static INTERRUPTED: Kept = Kept::nothing();

/// The thread that runs signal handlers.
static MAIN: AtomicU64 = AtomicU64::new(0);

/// `main` is the main thread's identifier; `prepare()` makes the present thread ready to be interrupted, and gives its
/// identifier, with [`BY_SIGNAL`] if it can be interrupted so, or 0 when nothing can interrupt it; `interrupted` is the
/// exception.
pub fn install(main: u64, prepare: Py<PyAny>, interrupted: Py<PyAny>) {
    MAIN.store(main, Relaxed);
    PREPARE.keep(prepare);
    INTERRUPTED.keep(interrupted);
}

#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Relaxed)
}

fn board() -> &'static Board {
    BOARD.get_or(Board::new)
}

struct Bounds {
    slots: RefCell<Vec<Arc<Slot>>>,
    depth: Cell<usize>,
    /// When `slots` was made, plus one; 0 before.
    prepared: Cell<u32>,
    /// The job that this thread runs as a worker.
    job: Cell<*const pool::Job>,
}

thread_local! {
    static BOUNDS: Bounds = const {
        Bounds {
            slots: RefCell::new(Vec::new()),
            depth: Cell::new(0),
            prepared: Cell::new(0),
            job: Cell::new(std::ptr::null()),
        }
    };
}

/// To be called before a bounded function runs: makes this thread known to the watchdog. Runs Python code, but only the
/// first time. `false` when a signal's handler raised there; the error is set then.
///
/// # Safety
/// The GIL is held.
#[inline]
pub unsafe fn ready() -> bool {
    // SAFETY: as this function asks of its caller.
    BOUNDS.with(|bounds| bounds.prepared.get()) == generation() + 1 || unsafe { prepare() }
}

#[cold]
unsafe fn prepare() -> bool {
    // SAFETY: the GIL is held, and `install` kept a function that gives a number.
    let ident = unsafe {
        let answer = raw::vectorcall(PREPARE.get(), null(), 0, null_mut());
        if answer.is_null() {
            return false;
        }
        let ident = ffi::PyLong_AsUnsignedLongLong(answer);
        ffi::Py_DECREF(answer);
        ident
    };
    BOUNDS.with(|bounds| {
        let depth = bounds.depth.get();
        let mut slots = bounds.slots.borrow_mut();
        slots.clear();
        // F1: without a watchdog the function runs all the same; `arm` finds no slot.
        if ident != 0 {
            // A child inherits the depth at which it was forked; those calls are the parent's, and never fire here.
            slots.extend((0..=depth).map(|_| board().slot(ident)));
            bounds.prepared.set(generation() + 1);
        }
    });
    true
}

/// The function that runs next on this thread ends at `bound`. Whether there is something to disarm.
#[inline]
pub fn arm(bound: Nanos) -> bool {
    // In virtual time a function that moves the clock beyond its bound has timed out when it ends.
    if bound == NEVER || ambassador_core::testing::instant().is_some() {
        return false;
    }
    BOUNDS.with(|bounds| {
        let depth = bounds.depth.get();
        let mut slots = bounds.slots.borrow_mut();
        if slots.len() <= depth {
            let Some(owner) = slots.first().map(|slot| slot.owner()) else { return false };
            while slots.len() <= depth {
                slots.push(board().slot(owner));
            }
        }
        board().arm(&slots[depth], bound);
        bounds.depth.set(depth + 1);
        true
    })
}

/// The function ended. Whether its bound had passed first: then [`take_back`] is next.
#[inline]
pub fn disarm() -> bool {
    BOUNDS.with(|bounds| {
        let depth = bounds.depth.get().saturating_sub(1);
        bounds.depth.set(depth);
        bounds.slots.borrow().get(depth).is_some_and(|slot| slot.disarm())
    })
}

/// Takes back an interrupt that was sent and has not arrived. Whether one is due all the same, for a call around this one.
pub fn take_back() -> bool {
    let owner = BOUNDS.with(|bounds| bounds.slots.borrow().first().map(|slot| slot.owner()));
    if let Some(owner) = owner {
        // SAFETY: the GIL is held: only attached code gets here. Null takes an exception back.
        unsafe { ffi::PyThreadState_SetAsyncExc((owner & !BY_SIGNAL) as _, null_mut()) };
    }
    due()
}

/// Whether what runs on this thread has outrun a bound: one of its slots, or that of the job which it runs as a worker.
pub fn due() -> bool {
    BOUNDS.with(|bounds| {
        let outran = bounds.slots.borrow().iter().take(bounds.depth.get()).any(|slot| slot.has_fired());
        // SAFETY: null, or the job that this thread is running, which it keeps alive.
        outran || unsafe { bounds.job.get().as_ref() }.is_some_and(pool::Job::is_abandoned)
    })
}

/// Whether this thread runs on behalf of a bounded call, so that its waits must stay interruptible.
pub fn is_nested() -> bool {
    BOUNDS.with(|bounds| bounds.depth.get() > 0 || !bounds.job.get().is_null())
}

/// Whether signals' handlers run on this thread, so that its waits must look for them.
pub fn is_main_thread() -> bool {
    thread_ident() == MAIN.load(Relaxed)
}

/// This thread, as Python knows it.
pub fn thread_ident() -> u64 {
    // SAFETY: reads the identifier of the present thread.
    unsafe { ffi::PyThread_get_thread_ident() as u64 }
}

/// Sets the interrupt as the error if this thread has outrun a bound.
///
/// # Safety
/// The GIL is held.
pub unsafe fn raise_due() -> bool {
    let due = due();
    if due {
        // SAFETY: as this function asks of its caller; the class is never freed.
        unsafe { ffi::PyErr_SetNone(interrupted()) };
    }
    due
}

/// The job that this thread runs as a worker from now on; null for none.
pub fn works_on(job: *const pool::Job) {
    BOUNDS.with(|bounds| bounds.job.set(job));
}

/// Sends the interrupt to a thread, to be raised at its next Python instruction.
pub fn send(ident: u64) {
    if !interrupted().is_null() {
        // SAFETY: the GIL is held: only attached code gets here. The exception class is never freed.
        unsafe { ffi::PyThreadState_SetAsyncExc((ident & !BY_SIGNAL) as _, interrupted()) };
    }
}

/// The exception class, borrowed; null before `install`.
#[inline]
pub fn interrupted() -> Object {
    INTERRUPTED.get()
}

/// What was interrupted and still runs, and when it is interrupted again.
type GoingOn = Vec<(Arc<Slot>, Nanos)>;

// Only the watchdog's own thread ever locks it.
static GOING_ON: Leaked<Mutex<GoingOn>> = Leaked::new();

/// `watch()`.
pub unsafe extern "C-unwind" fn watch(_: Object, _: *const Object, _: isize, _: Object) -> Object {
    // SAFETY: called by the interpreter, on a daemon thread: here is nothing to drop.
    unsafe {
        raw::detached(wait_for_bounds);
        ffi::PyLong_FromUnsignedLongLong(interrupt_due())
    }
}

fn going_on() -> MutexGuard<'static, GoingOn> {
    GOING_ON.get_or(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Without the GIL.
fn wait_for_bounds() {
    let mut going_on = going_on();
    going_on.retain(|(slot, _)| slot.has_fired());
    let again = going_on.iter().map(|(_, again)| *again).min().unwrap_or(NEVER);
    let mut fired = Vec::new();
    board().wait_until(again, &mut fired);
    let at = now();
    going_on.extend(fired.into_iter().map(|slot| (slot, at)));
}

/// With the GIL held, so that no owner can disarm between the look and the sending. A thread that is to be sent a signal, or 0.
fn interrupt_due() -> u64 {
    let at = now();
    let mut by_signal = 0;
    for (slot, again) in going_on().iter_mut() {
        if slot.has_fired() && *again <= at {
            *again = at + AGAIN;
            if slot.owner() & BY_SIGNAL == 0 {
                send(slot.owner());
            } else {
                by_signal = slot.owner() & !BY_SIGNAL;
            }
        }
    }
    by_signal
}

/// F3: what belongs to the parent's threads and calls is left behind.
pub fn forked() {
    GENERATION.fetch_add(1, Relaxed);
    MAIN.store(thread_ident(), Relaxed);
    BOARD.forget();
    GOING_ON.forget();
}
