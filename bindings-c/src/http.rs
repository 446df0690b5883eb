//! Requests that the core makes. One is read here from what C gave (`request`, `source`), goes on the core's runtime (`flight`), and
//! comes back as a `response`: to the caller, which waits on its own thread, or to its `on_done`.

mod flight;
mod request;
mod response;
mod source;

use std::ffi::c_void;
use std::mem;
use std::ptr;
use std::sync::Arc;
use std::thread;

use ambassador_core::{Code, clock, runtime};
use tokio::task::block_in_place;

use self::flight::{Flight, Told, Waiter};
use self::request::amb_http_request;
use self::response::amb_response;
use crate::flight::amb_call;
use crate::proxy::{amb_proxy, find};
use crate::raise;
use crate::result::amb_result;
use crate::status::amb_status;
use crate::worker::{UserData, amb_destroy};

/// Is told how a spawned request ended; called once, on a thread of the ambassador's that drives other requests too: keep it short. The
/// response, to be freed with amb_response_free(), is null unless there is one; `result` is valid until it returns.
pub type amb_on_response =
    Option<unsafe extern "C" fn(response: *mut amb_response, result: *const amb_result, user_data: *mut c_void)>;

/// Fills in the defaults, and the size: GET of `/`, without headers or a body. #AMB_ERR_ARGUMENT when `request` is null.
///
/// # Safety
/// `request` is null or points to an `amb_http_request` that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_http_request_init(request: *mut amb_http_request) -> amb_status {
    raise::guard(|| {
        if request.is_null() {
            return Err(raise::argument("amb_http_request_init: request is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { request.write(amb_http_request::new()) };
        Ok(())
    })
}

/// Sends a request to the proxy's target and waits for the response: whatever its status is, the last one is handed back. Failures
/// that may be tried again are, at another endpoint where there is one, as far as the request may safely be made twice.
///
/// @param proxy    the proxy
/// @param request  what is sent, from amb_http_request_init(); not needed any more when this returns, but for what `read` gives
/// @param response receives the response, to be freed with amb_response_free(); null unless there is one
/// @param result   receives how it ended; may be null
/// @return what is in `result->status`: #AMB_OK when there is a response, or a fallback of the proxy has answered in place of one;
/// else an `AMB_ERR_…`, of which amb_last_error() tells too, or what the fallback failed with. After #AMB_ERR_ARGUMENT nothing was
/// sent, and `read_destroy` is not called.
///
/// # Safety
/// `request` is null or points to at least a size; what it points to is there; its functions may be called with their data on any
/// thread. `response` and `result` are null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_http_send(
    proxy: *const amb_proxy,
    request: *const amb_http_request,
    response: *mut *mut amb_response,
    result: *mut amb_result,
) -> i32 {
    let mut ended = None;
    let status = raise::guard(|| {
        if response.is_null() {
            return Err(raise::argument("amb_http_send: response is null"));
        }
        // SAFETY: not null, and by the contract writable.
        unsafe { response.write(ptr::null_mut()) };
        let entry = find(proxy, "amb_http_send")?;
        // SAFETY: by the contract.
        let (asked, user_data) = unsafe { request::read(request, "amb_http_send")? };
        let flight = Flight::new(entry);
        let waiter = Arc::new(Waiter::default());
        flight.send(asked, Told::Caller(Arc::clone(&waiter)));
        // From a thread of the runtime, as of an `on_done`, others go on meanwhile.
        let end = block_in_place(|| waiter.wait());
        // SAFETY: the data is the call's, whose caller waits here.
        let (result, came) = flight.conclude(end, |fallback, result| unsafe { fallback.ask(result, user_data) });
        // SAFETY: as above.
        unsafe { response.write(came) };
        ended = Some(result);
        Ok(())
    });
    let ended = ended.unwrap_or_else(|| raise::as_result(status));
    if !result.is_null() {
        // SAFETY: not null, and by the contract writable.
        unsafe { result.write(ended) };
    }
    ended.status
}

/// Sends a request as amb_http_send() does, and returns at once. When this returns #AMB_OK, `on_done` and `destroy` are each called
/// exactly once: `on_done` when the request has ended, `destroy` after it. When it returns an error, neither is called, nor is the
/// request's `read_destroy`, and the data remains the caller's.
///
/// `on_done` may send the next request; it may also wait for one, or read a body, though others wait meanwhile. A fallback of the
/// proxy runs before it, on the same thread, and is given `user_data`.
///
/// @param proxy     the proxy
/// @param request   what is sent, from amb_http_request_init(); not needed any more when this returns, but for what `read` gives
/// @param on_done   is told how it ended; may be null
/// @param user_data passed to it, to a fallback, and to `destroy`, on other threads
/// @param destroy   releases `user_data`; may be null
/// @param call      receives a handle for amb_call_cancel(); may be null
///
/// # Safety
/// As of amb_http_send(); `on_done` and `destroy` may be called with `user_data` on any thread; `call` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_http_spawn(
    proxy: *const amb_proxy,
    request: *const amb_http_request,
    on_done: amb_on_response,
    user_data: *mut c_void,
    destroy: amb_destroy,
    call: *mut *mut amb_call,
) -> amb_status {
    raise::guard(|| {
        if !call.is_null() {
            // SAFETY: not null, and by the contract writable.
            unsafe { call.write(ptr::null_mut()) };
        }
        let entry = find(proxy, "amb_http_spawn")?;
        let is_shut_down = runtime::is_shut_down();
        if is_shut_down && entry.fallback.is_none() {
            let now = clock::now();
            // The core refuses it, and counts it.
            let _refused = entry.proxy.begin(now);
            let message = entry.proxy.error_message(Code::Shutdown, None, now);
            return Err(raise::other(amb_status::AMB_ERR_SHUTDOWN, &message));
        }
        // SAFETY: by the contract.
        let (asked, _) = unsafe { request::read(request, "amb_http_spawn")? };
        let flight = Flight::new(entry);
        if !call.is_null() {
            // SAFETY: as above.
            unsafe { call.write(flight.handle()) };
        }
        let told = Told::Program(on_done, UserData { pointer: user_data, destroy });
        if is_shut_down {
            // The runtime's threads are gone. It is refused, answered, and done. Where there is no thread to be had, that it was shut
            // down is told here.
            let send = move || flight.send(asked, told);
            let _ = thread::Builder::new().name("ambassador".into()).spawn(send);
            return Ok(());
        }
        flight.send(asked, told);
        Ok(())
    })
}

const _: () = assert!(mem::align_of::<amb_http_request>() == mem::align_of::<usize>(), "a size can be read alone");
