//! `amb_proxy_call`: the function runs on its caller's thread, so its bound is cooperative (T2). Where a call may be hedged it runs as if
//! spawned, and the caller waits.

use std::ffi::c_void;
use std::future::ready;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ambassador_core::runtime;

use crate::attempt::amb_attempt;
use crate::fallback::Fallback;
use crate::flight::Flight;
use crate::proxy::{amb_proxy, find};
use crate::raise;
use crate::result::amb_result;
use crate::spawn;

/// The program's function: makes one attempt. Returns 0 for a success; a status above 0 of its own for a failure, which is
/// tried again; #AMB_CANCELLED to end the call at once.
pub type amb_function = Option<unsafe extern "C" fn(attempt: *const amb_attempt, user_data: *mut c_void) -> i32>;

/// Calls the function until it succeeds, may not be tried again, or no attempt is left. Runs it on the calling thread,
/// which also waits between attempts. The timeout cannot interrupt the function: it should heed amb_attempt_remaining_ms()
/// and amb_attempt_cancelled(); one that returns after its bound counts as timed out, whatever it returns but #AMB_CANCELLED.
///
/// When the proxy has a `hedge`, the function runs on threads of the ambassador's instead, as with amb_proxy_spawn(), several
/// attempts at once, while the calling thread waits; so does a fallback. An attempt that was given up, at its bound or because
/// another has won, may run on after this returns. So `user_data` must stand being used by several threads, and has to live for
/// as long as any of them may use it; when that is, amb_proxy_spawn() tells by `destroy`.
///
/// A call goes on in the process that began it: when the function forks, and returns in the child as well, the call ends there
/// with #AMB_ERR_FORKED, whatever it returns. So it is with a fallback, which runs on the calling thread too. With a `hedge`, the
/// child ends, as with amb_proxy_spawn().
///
/// @param proxy     the proxy
/// @param function  makes one attempt; it may call the same proxy again
/// @param user_data passed to the function
/// @param result    receives how the call ended; may be null
/// @return what is in `result->status`; #AMB_ERR_ARGUMENT when `proxy` is no proxy or `function` is null
///
/// # Safety
/// `function` may be called with `user_data`, also after this returns when there is a hedge; `result` is null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_proxy_call(
    proxy: *const amb_proxy,
    function: amb_function,
    user_data: *mut c_void,
    result: *mut amb_result,
) -> i32 {
    let mut ended = None;
    let status = raise::guard(|| {
        let entry = find(proxy, "amb_proxy_call")?;
        let Some(function) = function else {
            return Err(raise::argument("amb_proxy_call: function is null"));
        };
        // After a shutdown the call is refused, or answered, here: it needs no thread for that.
        if entry.proxy.policy().hedge.is_some() && !runtime::is_shut_down() {
            ended = Some(spawn::call(entry, Some(function), user_data));
            return Ok(());
        }
        // SAFETY: by this function's contract.
        let function = |attempt| unsafe { function(attempt, user_data) };
        // SAFETY: the data is the call's, whose caller waits for it.
        let ask = |fallback: &Fallback, result: &_| unsafe { fallback.ask(result, user_data) };
        ended = Some(call(&Flight::new(entry), function, ask));
        Ok(())
    });
    let ended = ended.unwrap_or_else(|| raise::as_result(status));
    if !result.is_null() {
        // SAFETY: not null, and by the contract writable.
        unsafe { result.write(ended) };
    }
    ended.status
}

fn call(
    flight: &Arc<Flight>,
    function: impl Fn(*const amb_attempt) -> i32,
    ask: impl Fn(&Fallback, &amb_result) -> i32,
) -> amb_result {
    let attempt = |ctx| {
        let attempt = amb_attempt::new(ctx, Arc::clone(flight), None);
        let status = function(&attempt);
        ready(attempt.returned(status))
    };
    let mut call = pin!(flight.run(attempt, ask));
    // A call that succeeds at once needs no runtime.
    match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ended) => ended,
        Poll::Pending => runtime::block_on(call),
    }
}
