//! Bounds on the caller's own thread (T1, T2): each thread keeps a stack of slots on the core's deadline board, for calls
//! nest; one watchdog thread waits there and interrupts whoever outran a bound. The thread itself is Python's (`_watchdog.py`).
//!
//! An interrupt must never hit what runs after the function. All that matters happens with the GIL held: the watchdog sends only
//! while a slot is fired, and the owner disarms its slot and takes back what was sent before any more Python code runs there.

use std::cell::{Cell, RefCell};
use std::ffi::c_ulong;
use std::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::Relaxed, Ordering::SeqCst};

use ambassador_core::board::{Board, Slot};
use ambassador_core::clock::{NEVER, Nanos};
use once::Leaked;
use pyo3::ffi;
use pyo3::prelude::*;

use crate::pool;

/// Things made once and never freed: a forked child gets fresh ones, for whatever another thread of the parent's held locked at
/// the moment of the fork stays locked there for ever.
pub mod once {
    use super::*;

    pub struct Leaked<T>(AtomicPtr<T>);

    impl<T> Leaked<T> {
        pub const fn new() -> Leaked<T> {
            Leaked(AtomicPtr::new(null_mut()))
        }

        #[inline]
        pub fn get_or(&self, make: fn() -> T) -> &'static T {
            let present = self.0.load(SeqCst);
            // SAFETY: what was stored came from `Box::leak` and is never freed.
            if let Some(present) = unsafe { present.as_ref() } {
                return present;
            }
            let fresh = Box::into_raw(Box::new(make()));
            match self.0.compare_exchange(null_mut(), fresh, SeqCst, SeqCst) {
                // SAFETY: just leaked, and never freed from now on.
                Ok(_) => unsafe { &*fresh },
                Err(winner) => {
                    // SAFETY: `fresh` was not published; `winner` was, by another thread, and is never freed.
                    unsafe {
                        drop(Box::from_raw(fresh));
                        &*winner
                    }
                }
            }
        }

        pub fn forget(&self) {
            self.0.store(null_mut(), SeqCst);
        }
    }
}

static BOARD: Leaked<Board> = Leaked::new();
/// How many forks lie between this process and the one that loaded the module.
static GENERATION: AtomicU32 = AtomicU32::new(0);

// References that are never given back; null until `install`.
static PREPARE: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());
static INTERRUPTED: AtomicPtr<ffi::PyObject> = AtomicPtr::new(null_mut());

/// `prepare(ident)` makes a thread ready to be interrupted and says whether that goes by signal; `interrupted` is the exception.
pub fn install(prepare: Py<PyAny>, interrupted: Py<PyAny>) {
    PREPARE.store(prepare.into_ptr(), SeqCst);
    INTERRUPTED.store(interrupted.into_ptr(), SeqCst);
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
    /// Slots below this depth are of calls that a parent process has in flight.
    inherited: Cell<usize>,
    /// The job that this thread runs as a worker.
    job: RefCell<Option<Arc<pool::Progress>>>,
}

thread_local! {
    static BOUNDS: Bounds = const {
        Bounds {
            slots: RefCell::new(Vec::new()),
            depth: Cell::new(0),
            prepared: Cell::new(0),
            inherited: Cell::new(0),
            job: RefCell::new(None),
        }
    };
}

/// To be called before a bounded function runs: makes this thread known to the watchdog. Runs Python code, but only the
/// first time.
#[inline]
pub fn ready(py: Python<'_>) -> PyResult<()> {
    if BOUNDS.with(|bounds| bounds.prepared.get()) == generation() + 1 {
        return Ok(());
    }
    prepare(py)
}

#[cold]
fn prepare(py: Python<'_>) -> PyResult<()> {
    // SAFETY: null or a reference that is never given back.
    let prepare = unsafe { Bound::from_borrowed_ptr_or_opt(py, PREPARE.load(SeqCst)) };
    let ident: u64 = prepare.map_or(Ok(0), |prepare| prepare.call0()?.extract())?;
    BOUNDS.with(|bounds| {
        let depth = bounds.depth.get();
        let mut slots = bounds.slots.borrow_mut();
        slots.clear();
        // A child inherits the depth at which it was forked; those calls are the parent's, and never fire here.
        slots.extend((0..=depth).map(|_| board().slot(ident)));
        bounds.prepared.set(generation() + 1);
    });
    Ok(())
}

/// The function that runs next on this thread ends at `bound`. Whether there is something to disarm.
#[inline]
pub fn arm(bound: Nanos) -> bool {
    if bound == NEVER {
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
    let ident = BOUNDS.with(|bounds| bounds.slots.borrow().first().map(|slot| slot.owner()));
    if let Some(ident) = ident {
        // SAFETY: the GIL is held: only attached code gets here. Null takes an exception back.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, null_mut()) };
    }
    due() || BOUNDS.with(|bounds| bounds.job.borrow().as_ref().is_some_and(|job| job.is_abandoned()))
}

/// Whether a bound of this thread has passed whose function still runs.
pub fn due() -> bool {
    BOUNDS.with(|bounds| bounds.slots.borrow().iter().take(bounds.depth.get()).any(|slot| slot.has_fired()))
}

/// Whether this thread runs on behalf of a bounded call.
pub fn is_nested() -> bool {
    BOUNDS.with(|bounds| bounds.depth.get() > 0 || bounds.job.borrow().is_some())
}

/// The job that this thread runs as a worker from now on.
pub fn works_on(job: Option<Arc<pool::Progress>>) {
    BOUNDS.with(|bounds| drop(bounds.job.replace(job)));
}

/// Sends the interrupt to a thread, to be raised at its next Python instruction.
pub fn send(ident: u64) {
    let interrupted = INTERRUPTED.load(SeqCst);
    if !interrupted.is_null() {
        // SAFETY: the GIL is held: only attached code gets here. The exception class is never freed.
        unsafe { ffi::PyThreadState_SetAsyncExc(ident as _, interrupted) };
    }
}

/// The exception class, borrowed; null before `install`.
pub fn interrupted() -> *mut ffi::PyObject {
    INTERRUPTED.load(SeqCst)
}

/// One round of the watchdog; see `watch` of the module.
pub fn watch(py: Python<'_>) -> u64 {
    let mut fired = Vec::new();
    py.detach(|| board().wait(&mut fired));
    let mut main = 0;
    for slot in fired {
        // With the GIL held, so that the owner cannot disarm between the look and the sending.
        if slot.has_fired() {
            match slot.owner() {
                owner if owner & BY_SIGNAL != 0 => main = owner & !BY_SIGNAL,
                owner => send(owner),
            }
        }
    }
    main
}

fn main_slots_fired() {}
