//! `amb_proxy_call`: the function runs on its caller's thread, so its bound is cooperative (T2).

use std::cell::Cell;
use std::ffi::c_void;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use ambassador_core::runtime;

use crate::attempt::amb_attempt;
use crate::cancel::Cancel;
use crate::proxy::{Entry, amb_proxy, find};
use crate::result::{Failure, amb_result};
use crate::{log, raise};

/// The program's function: makes one attempt. Returns 0 for a success; a status above 0 of its own for a failure, which is
/// tried again; #AMB_CANCELLED to end the call at once.
pub type amb_function = Option<unsafe extern "C" fn(attempt: *const amb_attempt, user_data: *mut c_void) -> i32>;

/// Calls the function until it succeeds, may not be tried again, or no attempt is left. Runs it on the calling thread,
/// which also waits between attempts. The timeout cannot interrupt the function: it should heed amb_attempt_remaining_ms()
/// and amb_attempt_cancelled(); one that returns after its bound counts as timed out, whatever it returns.
///
/// @param proxy     the proxy
/// @param function  makes one attempt; it may call the same proxy again
/// @param user_data passed to the function
/// @param result    receives how the call ended; may be null
/// @return what is in `result->status`; #AMB_ERR_ARGUMENT when `proxy` is no proxy or `function` is null
///
/// # Safety
/// `function` may be called with `user_data`; `result` is null or may be written.
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
        // SAFETY: by this function's contract.
        ended = Some(call(&entry, &|attempt| unsafe { function(attempt, user_data) }));
        Ok(())
    });
    let ended = ended.unwrap_or_else(|| raise::as_result(status));
    if !result.is_null() {
        // SAFETY: not null, and by the contract writable.
        unsafe { result.write(ended) };
    }
    ended.status
}

fn call(entry: &Arc<Entry>, function: &dyn Fn(*const amb_attempt) -> i32) -> amb_result {
    let entered = Instant::now();
    let cancel = Arc::new(Cancel::default());
    let attempts = Cell::new(0);
    let ended = {
        let classified = entry.proxy.classify(|result| cancel.heed(outcome(entry, result))).on_retry(log::retry);
        let running = classified.execute(|ctx| {
            let number = ctx.attempt();
            attempts.set(number);
            let attempt = amb_attempt::new(ctx, Arc::clone(entry), Arc::clone(&cancel), None);
            let status = function(&attempt);
            std::future::ready(attempted(status, number, attempt.take_error()))
        });
        let mut call = pin!(cancel.or(running));
        // A call that succeeds at once needs no runtime.
        match call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ended) => ended,
            Poll::Pending => runtime::block_on(call),
        }
    };
    cancel.retire();
    amb_result::of(ended, attempts.get(), entered.elapsed())
}

/// The core's view of a status; a success carries its attempt's number.
pub(crate) fn attempted(status: i32, attempt: u32, text: Option<String>) -> Result<u32, Failure> {
    if status == 0 { Ok(attempt) } else { Err(Failure { status, attempt, text }) }
}

/// See [`Entry::outcome`].
pub(crate) fn outcome(entry: &Entry, result: &Result<u32, Failure>) -> ambassador_core::call::Outcome {
    entry.outcome(result.as_ref().map_or_else(|failure| failure.status, |_| 0))
}
