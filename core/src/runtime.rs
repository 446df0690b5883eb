//! The one Tokio runtime of this process. Lazy: made at the first use, never at load time. Fork-aware: a child makes its
//! own and leaves the inherited one alone, whose threads stayed with the parent (F3). Its threads never keep the process
//! alive (F4). [`shutdown`] drains it.

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::target::State;
use crate::telemetry;

/// Drives a future on the present thread, whatever executor may own that thread, and also from within a future that is
/// being driven so. I/O of the future's own finds the shared runtime.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Parked {
        thread: Thread,
        woken: AtomicBool,
    }
    impl Wake for Parked {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, SeqCst);
            self.thread.unpark();
        }
    }
    let handle = handle();
    let _entered = handle.enter();
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // Not the thread's own token alone: a call within this one's poll may have eaten it.
        while !parked.woken.swap(false, SeqCst) {
            thread::park();
        }
    }
}

struct Shared {
    pid: u32,
    handle: Handle,
    runtime: Mutex<Option<Runtime>>,
    pace: AtomicU8,
}

// Swapped without a lock: a lock held by another thread at the moment of a fork would stay held in the child for ever.
static SHARED: Lazy<ArcSwapOption<Shared>> = Lazy::new(ArcSwapOption::empty);

/// A handle of the shared runtime, which starts now if it has not.
///
/// # Panics
/// When the operating system gives no threads.
pub fn handle() -> Handle {
    shared().handle.clone()
}

/// The shared runtime, if it has started in this process and not ended.
pub(crate) fn present() -> Option<Handle> {
    let shared = SHARED.load();
    shared
        .as_ref()
        .filter(|shared| shared.pid == std::process::id() && !has_ended())
        .map(|shared| shared.handle.clone())
}

/// [`handle`], for who is about to set a timer. As long as there are such, one is always due soon: whenever a timer is set that is due
/// before all others, Tokio wakes the thread that waits for I/O to tell it so, and a lone call's bound would be one at every call.
pub(crate) fn handle_for_timer() -> Handle {
    let shared = shared();
    if shared.pace.load(Relaxed) != KEPT && shared.pace.swap(KEPT, Relaxed) == LOST {
        shared.handle.spawn(keep_pace(Arc::downgrade(&shared)));
    }
    shared.handle.clone()
}

/// No timer is always due soon.
const LOST: u8 = 0;
/// One is, and nobody has set another since it was.
const FADING: u8 = 1;
/// One is, and others are set.
const KEPT: u8 = 2;

const PACE: Duration = Duration::from_millis(100);

async fn keep_pace(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(PACE).await;
        let Some(shared) = shared.upgrade() else { return };
        let is_needed = shared.pace.compare_exchange(KEPT, FADING, Relaxed, Relaxed).is_ok();
        if !is_needed && shared.pace.compare_exchange(FADING, LOST, Relaxed, Relaxed).is_ok() {
            return;
        }
    }
}

fn shared() -> Arc<Shared> {
    let pid = std::process::id();
    loop {
        let present = SHARED.load_full();
        match &present {
            Some(shared) if shared.pid == pid => return Arc::clone(shared),
            _ => {}
        }
        let runtime = start();
        let (handle, pace) = (runtime.handle().clone(), AtomicU8::new(LOST));
        let fresh = Arc::new(Shared { pid, handle, runtime: Mutex::new(Some(runtime)), pace });
        let before = SHARED.compare_and_swap(&present, Some(Arc::clone(&fresh)));
        if same(&before, &present) {
            // An inherited runtime is leaked: to drop it would be to join threads that do not exist here.
            std::mem::forget(present);
            return fresh;
        }
        // Another thread was quicker.
        if let Some(runtime) = fresh.take() {
            runtime.shutdown_background();
        }
    }
}

fn same(one: &Option<Arc<Shared>>, other: &Option<Arc<Shared>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

fn start() -> Runtime {
    let threads = std::thread::available_parallelism().map_or(2, |n| n.get().clamp(1, 4));
    Builder::new_multi_thread()
        .worker_threads(threads)
        .thread_name("ambassador")
        .on_thread_start(|| IS_OWN.set(true))
        .enable_all()
        .build()
        .expect("the operating system gives threads for the ambassador's runtime")
}

thread_local! {
    static IS_OWN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is a thread of the runtime's: no host looks after it at what has happened.
pub(crate) fn is_own_thread() -> bool {
    IS_OWN.get()
}

impl Shared {
    fn take(&self) -> Option<Runtime> {
        self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

static SHUT: AtomicBool = AtomicBool::new(false);
static ENDED: AtomicBool = AtomicBool::new(false);
static DRAIN: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

/// Whether [`shutdown`] was called: new calls are refused (O1).
#[inline]
pub fn is_shut_down() -> bool {
    SHUT.load(SeqCst)
}

/// Whether the runtime was ended, and its timers with it.
pub(crate) fn has_ended() -> bool {
    ENDED.load(SeqCst)
}

/// What was spawned here as a call, and has not begun yet: a shutdown lets it in.
static COMING: AtomicU64 = AtomicU64::new(0);

/// One of them, until it has begun.
#[cfg(feature = "http")]
pub(crate) struct Coming(());

#[cfg(feature = "http")]
impl Coming {
    pub(crate) fn new() -> Coming {
        COMING.fetch_add(1, SeqCst);
        Coming(())
    }
}

#[cfg(feature = "http")]
impl Drop for Coming {
    fn drop(&mut self) {
        // Not below zero: in a child that begins anew there may be none.
        let _ = COMING.fetch_update(SeqCst, SeqCst, |coming| coming.checked_sub(1));
    }
}

/// Refuses new calls from now on, waits for those in flight at most `timeout`, and ends the runtime. `true` when every
/// call ended in time; one that did not ends with `SHUTDOWN` when it next needs a timer. Blocks the calling thread.
pub fn shutdown(timeout: Duration) -> bool {
    shutdown_in_slices(timeout, timeout)
}

/// [`shutdown`], for hosts that cannot be blocked for so long: waits for calls in flight at most `slice` of what is `left` of the
/// timeout, and is to be asked again while it answers `false` and something is left. Only then, or once every call has ended, the
/// runtime ends; what it has to export is sent before, within what is left.
pub fn shutdown_in_slices(slice: Duration, left: Duration) -> bool {
    let begun = Instant::now();
    let (until, last) = (begun.checked_add(slice.min(left)), begun.checked_add(left));
    // Each takes no longer than a thread of the runtime takes to look at it.
    while COMING.load(SeqCst) > 0 && until.is_none_or(|until| Instant::now() < until) {
        thread::sleep(Duration::from_micros(100));
    }
    SHUT.store(true, SeqCst);
    let mut guard = DRAIN.0.lock().unwrap_or_else(PoisonError::into_inner);
    let drained = loop {
        if in_flight() == 0 {
            break true;
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        if left.is_zero() {
            break false;
        }
        // A call that ended between the count and this wait told nobody, so that its end needs no lock: look again soon.
        let slice = left.min(Duration::from_millis(20));
        guard = DRAIN.1.wait_timeout(guard, slice).unwrap_or_else(PoisonError::into_inner).0;
    };
    drop(guard);
    if !drained && slice < left {
        return false;
    }
    #[cfg(feature = "otlp")]
    telemetry::otlp::flush(last.map_or(Duration::MAX, |last| last.saturating_duration_since(Instant::now())));
    #[cfg(not(feature = "otlp"))]
    let _ = last;
    let shared = SHARED.load_full().filter(|shared| shared.pid == std::process::id());
    if let Some(runtime) = shared.and_then(|shared| shared.take()) {
        ENDED.store(true, SeqCst);
        // What still runs there was abandoned at its bound, or outlived `timeout`: it is not waited for twice.
        runtime.shutdown_background();
    }
    #[cfg(feature = "admin")]
    telemetry::stop_all();
    drained
}

fn in_flight() -> u64 {
    State::all().iter().map(|state| state.in_flight()).sum()
}

/// A call ended; whoever drains looks again.
#[inline]
pub(crate) fn call_ended() {
    if is_shut_down() {
        DRAIN.1.notify_all();
    }
}

/// To be called in a child after `fork`: calls in flight belong to the parent alone, and its waits are its own (F3). Safe to
/// call more than once.
pub fn forked() {
    COMING.store(0, SeqCst);
    telemetry::begin_anew();
    for state in State::all() {
        state.begin_anew();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_gets_the_same_runtime() {
        let handles: Vec<_> = (0..8).map(|_| std::thread::spawn(handle)).collect();
        let ids: Vec<_> = handles.into_iter().map(|h| h.join().unwrap().id()).collect();
        assert!(ids.iter().all(|id| *id == handle().id()), "{ids:?}");
    }
}
