//! An attempt on a thread of the runtime. Whoever waits for it goes on at its bound, or when another attempt has won, whatever the
//! function does (T2, H1): it is then abandoned: told so, counted, and its data kept until it really ends (O3).

use std::ffi::c_void;
use std::future::pending;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use ambassador_core::{Attempt, runtime};
use arc_swap::ArcSwap;
use once_cell::sync::Lazy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attempt::amb_attempt;
use crate::call::amb_function;
use crate::flight::Flight;
use crate::result::Returned;

/// Releases `user_data`; called once, when nothing uses it any more.
pub type amb_destroy = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// How many functions run at once at most. Waiting for a place counts in the bound. Tokio's blocking threads are 512: the
/// rest is for telling who waits.
static PLACES: Lazy<ArcSwap<Semaphore>> = Lazy::new(|| ArcSwap::from_pointee(all_places()));

fn all_places() -> Semaphore {
    Semaphore::new(256)
}

/// The program's data, destroyed with its last user.
pub(crate) struct UserData {
    pub pointer: *mut c_void,
    pub destroy: amb_destroy,
}

// SAFETY: the program gives the data to functions that run on other threads; that is what `amb_proxy_spawn` and
// hedged calls are for, and their documentation says so.
unsafe impl Send for UserData {}
// SAFETY: as above.
unsafe impl Sync for UserData {}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(destroy) = self.destroy {
            // SAFETY: the program gave both together; this is the last user.
            unsafe { destroy(self.pointer) };
        }
    }
}

/// The function on a thread of its own; dropped before its end, this leaves it to itself.
pub(crate) async fn attempt(
    ctx: Attempt,
    flight: Arc<Flight>,
    function: amb_function,
    data: Arc<UserData>,
) -> Returned {
    // The places are never closed.
    let place = PLACES.load_full().acquire_owned().await.ok();
    let watch = Watch { attempt: ctx.clone(), flight, shared: Arc::default() };
    let work = Work {
        part: Part { flight: Arc::clone(&watch.flight), shared: Arc::clone(&watch.shared), ran: false },
        _place: place,
        data,
    };
    match runtime::handle().spawn_blocking(move || work.run(ctx, function)).await {
        Ok(returned) => returned,
        // The runtime was ended before the function began; whoever ended it drops this, and the call, too.
        Err(_) => pending().await,
    }
}

/// What a thread does for an attempt. Dropped in this order: `destroy` finds nothing of its call counted any more.
struct Work {
    part: Part,
    _place: Option<OwnedSemaphorePermit>,
    data: Arc<UserData>,
}

impl Work {
    fn run(mut self, ctx: Attempt, function: amb_function) -> Returned {
        let Part { flight, shared, ran } = &mut self.part;
        let attempt = amb_attempt::new(ctx, Arc::clone(flight), Some(Arc::clone(&shared.abandoned)));
        let status = match function {
            Some(function) if !shared.abandoned.load(SeqCst) => {
                *ran = true;
                // SAFETY: by the contract of `amb_proxy_spawn`; the data lives as long as this holds it.
                unsafe { function(&attempt, self.data.pointer) }
            }
            _ => 0,
        };
        leave_if_forked(flight);
        attempt.returned(status)
    }
}

/// F3: in a child, what comes next on this thread is the parent's. It is all that the child has, so the child ends with it, as
/// POSIX says of a process and its last thread.
pub(crate) fn leave_if_forked(flight: &Flight) {
    if flight.is_the_parents() {
        leave();
    }
}

/// As [`leave_if_forked`], for who knows that it is a child.
pub(crate) fn leave() -> ! {
    process::exit(0)
}

/// The function's part in an attempt. It ends when the function does, or unrun, with the runtime.
struct Part {
    flight: Arc<Flight>,
    shared: Arc<Shared>,
    ran: bool,
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.shared.ended.swap(true, SeqCst) {
            // Given up meanwhile (O3); if that was at its bound and it ran, its result comes too late (T3). Of an attempt that lost, or
            // whose call was stopped, none was waited for.
            self.flight.entry.proxy.note_abandoned_ended();
            if self.ran && self.shared.outran.load(SeqCst) {
                self.flight.entry.proxy.note_late();
            }
        }
    }
}

/// Notes it when the attempt is given up before its function ended.
struct Watch {
    attempt: Attempt,
    flight: Arc<Flight>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    abandoned: Arc<AtomicBool>,
    /// Whether it was given up at its bound.
    outran: AtomicBool,
    /// Set by whichever comes first: the function's end, or its being given up.
    ended: AtomicBool,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.shared.ended.load(SeqCst) {
            return;
        }
        // Noted before it is said, so that the function's end never finds it uncounted.
        self.flight.entry.proxy.note_abandoned();
        self.shared.outran.store(self.attempt.cancelled(), SeqCst);
        self.shared.abandoned.store(true, SeqCst);
        if self.shared.ended.swap(true, SeqCst) {
            self.flight.entry.proxy.note_abandoned_ended();
        }
    }
}

/// In a forked child: the threads that have the places are the parent's.
pub(crate) fn forked() {
    if let Some(places) = Lazy::get(&PLACES) {
        places.store(Arc::new(all_places()));
    }
}
