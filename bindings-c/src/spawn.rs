//! `amb_proxy_spawn`: the function runs on a thread of the runtime, so its caller is told at the bound, whatever the function
//! does (T2). One that outlives its bound is abandoned: counted, and its data kept until it really ends (O3). A fallback runs on a
//! thread of the runtime too, which meanwhile hands its timers to another.

use std::ffi::c_void;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::process;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::{Attempt, Code, runtime};
use arc_swap::ArcSwap;
use once_cell::sync::Lazy;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::block_in_place;

use crate::attempt::amb_attempt;
use crate::call::amb_function;
use crate::fallback::Fallback;
use crate::flight::{Flight, amb_call};
use crate::proxy::{amb_proxy, find};
use crate::raise;
use crate::result::{Returned, amb_result};
use crate::status::amb_status;

/// Releases `user_data`; called once, when nothing uses it any more.
pub type amb_destroy = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Is told how a spawned call ended; called once, on a thread of the ambassador's. `result` is valid until it returns.
pub type amb_on_done = Option<unsafe extern "C" fn(result: *const amb_result, user_data: *mut c_void)>;

/// How many functions run at once at most. Waiting for a place counts in the bound. Tokio's blocking threads are 512: the
/// rest is for telling who waits.
static PLACES: Lazy<ArcSwap<Semaphore>> = Lazy::new(|| ArcSwap::from_pointee(all_places()));

fn all_places() -> Semaphore {
    Semaphore::new(256)
}

/// Calls that were spawned and whose `on_done` has not returned.
static PENDING: AtomicU64 = AtomicU64::new(0);

/// Of these, those with a fallback that have yet to begin on their thread: a shutdown lets them in.
static BEGINNING: AtomicU64 = AtomicU64::new(0);

/// One of them, until it has begun.
struct Beginning(AtomicBool);

impl Beginning {
    fn new() -> Beginning {
        BEGINNING.fetch_add(1, SeqCst);
        Beginning(AtomicBool::new(false))
    }

    fn is_over(&self) {
        if !self.0.swap(true, SeqCst) {
            BEGINNING.fetch_sub(1, SeqCst);
        }
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.is_over();
    }
}

/// The program's data, destroyed with its last user.
struct UserData {
    pointer: *mut c_void,
    destroy: amb_destroy,
}

// SAFETY: the program gives the data to functions that run on other threads; that is what `amb_proxy_spawn` is for, and its
// documentation says so.
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

/// Tells the program, once, however the call ends: also when the runtime is shut down under it.
struct Done {
    on_done: amb_on_done,
    data: Arc<UserData>,
    flight: Arc<Flight>,
    /// `None`: the runtime was ended under it (F4).
    result: Option<amb_result>,
}

impl Drop for Done {
    fn drop(&mut self) {
        if let Some(on_done) = self.on_done {
            let message = "the ambassador was shut down before the call ended";
            let result = self.result.unwrap_or_else(|| self.flight.cut_short(amb_status::AMB_ERR_SHUTDOWN, message));
            // SAFETY: the program gave the two together; the result lives until this returns.
            unsafe { on_done(&result, self.data.pointer) };
        }
        PENDING.fetch_sub(1, SeqCst);
    }
}

/// Calls the function as amb_proxy_call() does, but on threads of the ambassador's, and returns at once. At its bound an
/// attempt is given up, even if the function hangs; such a function runs on unseen, also while a next attempt of the same
/// call runs, so its data must stand being used by both.
///
/// When this returns #AMB_OK, `on_done` and `destroy` are each called exactly once: `on_done` when the call has ended,
/// `destroy` after it, when no function of the call runs any more. When it returns an error, neither is called, and the data
/// remains the caller's.
///
/// A fallback of the proxy runs on a thread of the ambassador's too, before `on_done`, also when the call is refused; after
/// amb_shutdown() on one of its own. Nothing bounds it. A function that was given up may still run then.
///
/// When the function forks, and returns in the child as well, the child ends, with exit status 0: the thread that it runs on is
/// all that the child has.
///
/// @param proxy     the proxy
/// @param function  makes one attempt
/// @param user_data passed to the three functions; they run on other threads
/// @param destroy   releases `user_data`; may be null
/// @param on_done   is told how the call ended; may be null
/// @param call      receives a handle for amb_call_cancel(); may be null
///
/// # Safety
/// The functions may be called with `user_data` on any thread; `call` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_proxy_spawn(
    proxy: *const amb_proxy,
    function: amb_function,
    user_data: *mut c_void,
    destroy: amb_destroy,
    on_done: amb_on_done,
    call: *mut *mut amb_call,
) -> amb_status {
    raise::guard(|| {
        if !call.is_null() {
            // SAFETY: not null, and by the contract writable.
            unsafe { call.write(ptr::null_mut()) };
        }
        let entry = find(proxy, "amb_proxy_spawn")?;
        if function.is_none() {
            return Err(raise::argument("amb_proxy_spawn: function is null"));
        }
        let has_fallback = entry.fallback.is_some();
        if runtime::is_shut_down() && !has_fallback {
            let now = ambassador_core::clock::now();
            // The core refuses it, and counts it.
            let _refused = entry.proxy.begin(now);
            let message = entry.proxy.error_message(Code::Shutdown, None, now);
            return Err(raise::other(amb_status::AMB_ERR_SHUTDOWN, &message));
        }
        let flight = Flight::new(entry);
        if !call.is_null() {
            // SAFETY: as above.
            unsafe { call.write(flight.handle()) };
        }
        let handle = runtime::handle();
        PENDING.fetch_add(1, SeqCst);
        let data = Arc::new(UserData { pointer: user_data, destroy });
        let done = Done { on_done, data: Arc::clone(&data), flight: Arc::clone(&flight), result: None };
        if has_fallback {
            begin_elsewhere(flight, function, data, done);
            return Ok(());
        }
        let mut begun = Box::pin(run(flight, function, data, done, None));
        // It begins here and now, so that a shutdown which comes next finds it in flight.
        let _entered = handle.enter();
        if begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            handle.spawn(begun);
        }
        Ok(())
    })
}

/// A call whose first moment may be its fallback's, which must not run on the caller's thread.
fn begin_elsewhere(flight: Arc<Flight>, function: amb_function, data: Arc<UserData>, done: Done) {
    if runtime::is_shut_down() {
        // The runtime's threads are gone. It is refused, answered, and done. Where there is no thread to be had, `done` tells that
        // it was shut down.
        let call = move || runtime::block_on(run(flight, function, data, done, None));
        let _ = thread::Builder::new().name("ambassador".into()).spawn(call);
        return;
    }
    let beginning = Arc::new(Beginning::new());
    runtime::handle().spawn(async move {
        let mut begun = pin!(run(flight, function, data, done, Some(Arc::clone(&beginning))));
        let first = poll_fn(|cx| Poll::Ready(begun.as_mut().poll(cx))).await;
        beginning.is_over();
        if first.is_pending() {
            begun.await;
        }
    });
}

async fn run(
    flight: Arc<Flight>,
    function: amb_function,
    data: Arc<UserData>,
    mut done: Done,
    beginning: Option<Arc<Beginning>>,
) {
    let ask = |fallback: &Fallback, result: &_| {
        if let Some(beginning) = &beginning {
            beginning.is_over();
        }
        // SAFETY: by the contract of `amb_proxy_spawn`; the data lives as long as this holds it.
        let status = block_in_place(|| unsafe { fallback.ask(result, data.pointer) });
        leave_if_forked(&flight);
        status
    };
    let ended = flight.run(|ctx| attempt(ctx, Arc::clone(&flight), function, Arc::clone(&data)), ask).await;
    drop(data);
    done.result = Some(ended);
    // The program's own code may take its time: not on a thread that drives timers.
    runtime::handle().spawn_blocking(move || drop(done));
}

/// The function on a thread of its own; dropped at the bound, this leaves it to itself.
async fn attempt(ctx: Attempt, flight: Arc<Flight>, function: amb_function, data: Arc<UserData>) -> Returned {
    // The places are never closed.
    let place = PLACES.load_full().acquire_owned().await.ok();
    let watch = Watch { flight, shared: Arc::default() };
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
fn leave_if_forked(flight: &Flight) {
    if flight.is_the_parents() {
        process::exit(0);
    }
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
            // Given up meanwhile (O3), and if it ran, its result comes too late (T3).
            self.flight.entry.proxy.note_abandoned_ended();
            if self.ran {
                self.flight.entry.proxy.note_late();
            }
        }
    }
}

/// Notes it when the attempt is given up before its function ended.
struct Watch {
    flight: Arc<Flight>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    abandoned: Arc<AtomicBool>,
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
        self.shared.abandoned.store(true, SeqCst);
        if self.shared.ended.swap(true, SeqCst) {
            self.flight.entry.proxy.note_abandoned_ended();
        }
    }
}

/// Refuses new calls from now on and waits for those in flight, `on_done` included, at most `timeout_ms`. Nothing needs this
/// for a clean exit; it is for programs that want their last calls to end well.
///
/// @return #AMB_OK when all have ended; #AMB_ERR_TIMEOUT when some had not; #AMB_ERR_ARGUMENT when `timeout_ms` is no length
/// of time
#[unsafe(no_mangle)]
pub extern "C" fn amb_shutdown(timeout_ms: f64) -> amb_status {
    raise::guard(|| {
        if timeout_ms.is_nan() || timeout_ms < 0.0 {
            return Err(raise::argument("amb_shutdown: timeout_ms is no length of time"));
        }
        let timeout = Duration::try_from_secs_f64(timeout_ms / 1e3).unwrap_or(Duration::MAX);
        let until = Instant::now().checked_add(timeout);
        let in_time = || until.is_none_or(|until| Instant::now() < until);
        while BEGINNING.load(SeqCst) > 0 && in_time() {
            thread::sleep(Duration::from_millis(1));
        }
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        let mut drained = runtime::shutdown(left);
        while drained && PENDING.load(SeqCst) > 0 {
            drained = in_time();
            thread::sleep(Duration::from_millis(1));
        }
        if drained {
            return Ok(());
        }
        Err(raise::other(amb_status::AMB_ERR_TIMEOUT, "amb_shutdown: calls were still in flight"))
    })
}

/// In a forked child: what was pending is the parent's, and so are the threads that have the places.
pub(crate) fn forked() {
    PENDING.store(0, SeqCst);
    BEGINNING.store(0, SeqCst);
    if let Some(places) = Lazy::get(&PLACES) {
        places.store(Arc::new(all_places()));
    }
}
