//! `amb_proxy_spawn`: the function runs on threads of the runtime (`worker.rs`), and its caller is told how the call ended; or waits for
//! that, where a call is hedged, of which a caller's own thread could run but one attempt (H1). A fallback runs on a thread of the
//! runtime too, which meanwhile hands its timers to another.

use std::ffi::c_void;
use std::future::poll_fn;
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ambassador_core::{Code, runtime};
use tokio::task::block_in_place;

use crate::call::amb_function;
use crate::fallback::Fallback;
use crate::flight::{Flight, amb_call};
use crate::proxy::{Entry, amb_proxy, find};
use crate::raise;
use crate::result::amb_result;
use crate::status::amb_status;
use crate::worker::{self, UserData, amb_destroy};

/// Is told how a spawned call ended; called once, on a thread of the ambassador's. `result` is valid until it returns.
pub type amb_on_done = Option<unsafe extern "C" fn(result: *const amb_result, user_data: *mut c_void)>;

/// Calls and requests that were spawned and whose `on_done` has not returned.
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

/// Who is told how a call ended.
enum Told {
    Program(amb_on_done, Arc<UserData>),
    /// Waits for it.
    Caller(SyncSender<amb_result>),
}

/// One of those, until it is dropped.
pub(crate) struct Pending(());

impl Pending {
    pub fn new() -> Pending {
        PENDING.fetch_add(1, SeqCst);
        Pending(())
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        PENDING.fetch_sub(1, SeqCst);
    }
}

/// Tells them, once, however the call ends: also when the runtime is shut down under it.
struct Done {
    told: Told,
    flight: Arc<Flight>,
    /// `None`: the runtime was ended under it (F4).
    result: Option<amb_result>,
    _pending: Pending,
}

impl Done {
    fn new(told: Told, flight: &Arc<Flight>) -> Done {
        Done { told, flight: Arc::clone(flight), result: None, _pending: Pending::new() }
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        let message = "the ambassador was shut down before the call ended";
        let result = self.result.unwrap_or_else(|| self.flight.cut_short(amb_status::AMB_ERR_SHUTDOWN, message));
        match &self.told {
            Told::Program(None, _) => {}
            // SAFETY: the program gave the two together; the result lives until this returns.
            Told::Program(Some(on_done), data) => unsafe { on_done(&result, data.pointer) },
            // It waits, and there is room for the one result.
            Told::Caller(caller) => drop(caller.send(result)),
        }
    }
}

/// Calls the function as amb_proxy_call() does, but on threads of the ambassador's, and returns at once. At its bound an
/// attempt is given up, even if the function hangs, and so is one that still runs when another has won (`hedge`); such a
/// function runs on unseen, also while a next attempt of the same call runs, so its data must stand being used by both. Of a
/// hedged call several attempts run at once anyway.
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
        let data = Arc::new(UserData { pointer: user_data, destroy });
        begin(flight, function, Arc::clone(&data), Told::Program(on_done, data));
        Ok(())
    })
}

/// A call whose function runs on threads of the runtime, while its caller waits for its end, and for no attempt that was given up.
pub(crate) fn call(entry: Arc<Entry>, function: amb_function, user_data: *mut c_void) -> amb_result {
    let (sender, receiver) = sync_channel(1);
    let data = Arc::new(UserData { pointer: user_data, destroy: None });
    let flight = Flight::new(entry);
    begin(Arc::clone(&flight), function, data, Told::Caller(sender));
    receiver.recv().unwrap_or_else(|_| flight.cut_short(amb_status::AMB_ERR_INTERNAL, "nobody told how the call ended"))
}

fn begin(flight: Arc<Flight>, function: amb_function, data: Arc<UserData>, told: Told) {
    let handle = runtime::handle();
    let done = Done::new(told, &flight);
    if flight.entry.fallback.is_some() {
        begin_elsewhere(flight, function, data, done);
        return;
    }
    let mut begun = Box::pin(run(flight, function, data, done, None));
    // It begins here and now, so that a shutdown which comes next finds it in flight.
    let _entered = handle.enter();
    if begun.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
        handle.spawn(begun);
    }
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
        worker::leave_if_forked(&flight);
        status
    };
    let ended = flight.run(|ctx| worker::attempt(ctx, Arc::clone(&flight), function, Arc::clone(&data)), ask).await;
    drop(data);
    done.result = Some(ended);
    if let Told::Caller(_) = done.told {
        return;
    }
    // The program's own code may take its time: not on a thread that drives timers.
    runtime::handle().spawn_blocking(move || drop(done));
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

/// In a forked child: what was pending is the parent's.
pub(crate) fn forked() {
    PENDING.store(0, SeqCst);
    BEGINNING.store(0, SeqCst);
    worker::forked();
}
