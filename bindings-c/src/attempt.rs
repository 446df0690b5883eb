//! One attempt, as a callback sees it.

use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use ambassador_core::Attempt;

use crate::flight::{Flight, amb_call};
use crate::result::Returned;
use crate::{c_text, raise};

/// One attempt of a call. Valid while the callback runs, in its thread.
pub struct amb_attempt {
    attempt: Attempt,
    flight: Arc<Flight>,
    abandoned: Option<Arc<AtomicBool>>,
    endpoint: OnceCell<CString>,
    headers: OnceCell<Vec<(CString, CString)>>,
    error: RefCell<Option<String>>,
}

impl amb_attempt {
    /// `abandoned` turns true when nobody waits for this attempt any more.
    pub(crate) fn new(attempt: Attempt, flight: Arc<Flight>, abandoned: Option<Arc<AtomicBool>>) -> amb_attempt {
        amb_attempt {
            attempt,
            flight,
            abandoned,
            endpoint: OnceCell::new(),
            headers: OnceCell::new(),
            error: RefCell::default(),
        }
    }

    /// The callback has returned that.
    pub(crate) fn returned(self, status: i32) -> Returned {
        Returned { attempt: self.attempt, status, text: self.error.take(), judged: Cell::new(None) }
    }

    fn endpoint(&self) -> &CStr {
        self.endpoint.get_or_init(|| c_text(self.attempt.endpoint()))
    }

    fn headers(&self) -> &[(CString, CString)] {
        self.headers.get_or_init(|| {
            self.attempt.headers().into_iter().map(|(name, value)| (c_text(name), c_text(&value))).collect()
        })
    }
}

/// # Safety
/// `attempt` is null, or what a callback was given and has not returned from.
unsafe fn of<'a>(attempt: *const amb_attempt) -> Option<&'a amb_attempt> {
    // SAFETY: by this function's contract.
    unsafe { attempt.as_ref() }
}

/// The attempt's number: 1, 2, 3; 0 when `attempt` is null.
///
/// # Safety
/// `attempt` is null, or the present callback's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_number(attempt: *const amb_attempt) -> u32 {
    // SAFETY: by the contract.
    raise::shield(0, || unsafe { of(attempt) }.map_or(0, |a| a.attempt.attempt()))
}

/// Where the attempt goes: the address of an endpoint; where there are no endpoints, the target. Valid while the callback
/// runs; empty when `attempt` is null.
///
/// # Safety
/// `attempt` is null, or the present callback's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_endpoint(attempt: *const amb_attempt) -> *const c_char {
    // SAFETY: by the contract.
    raise::shield(c"".as_ptr(), || unsafe { of(attempt) }.map_or(c"".as_ptr(), |a| a.endpoint().as_ptr()))
}

/// How many milliseconds are left until the attempt's bound, at least 0; #AMB_NONE when it has none; 0 when `attempt` is
/// null. Good for the timeouts of a socket.
///
/// # Safety
/// `attempt` is null, or the present callback's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_remaining_ms(attempt: *const amb_attempt) -> f64 {
    raise::shield(0.0, || {
        // SAFETY: by the contract.
        let Some(attempt) = (unsafe { of(attempt) }) else { return 0.0 };
        attempt.attempt.remaining().map_or(f64::INFINITY, |left| left.as_nanos() as f64 / 1e6)
    })
}

/// Whether the attempt's result is not wanted any more: its bound has passed, or the call was cancelled. A function that
/// takes long should look now and then, and return.
///
/// # Safety
/// `attempt` is null, or the present callback's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_cancelled(attempt: *const amb_attempt) -> bool {
    raise::shield(true, || {
        // SAFETY: by the contract.
        let Some(attempt) = (unsafe { of(attempt) }) else { return true };
        let abandoned = attempt.abandoned.as_ref().is_some_and(|flag| flag.load(SeqCst));
        abandoned || attempt.flight.is_cancelled() || attempt.attempt.cancelled()
    })
}

/// One of the headers to send along: `idempotency-key` (the same for all attempts of a call), `traceparent`,
/// `x-ambassador-attempt`, `x-ambassador-remaining-ms` (when bounded). Valid while the callback runs; null when there is no
/// such header.
///
/// # Safety
/// `attempt` is null, or the present callback's; `name` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_header(attempt: *const amb_attempt, name: *const c_char) -> *const c_char {
    raise::shield(ptr::null(), || {
        // SAFETY: by the contract.
        let Some(attempt) = (unsafe { of(attempt) }) else { return ptr::null() };
        if name.is_null() {
            return ptr::null();
        }
        // SAFETY: not null, and by the contract it ends with a zero.
        let name = unsafe { CStr::from_ptr(name) };
        let found = attempt.headers().iter().find(|(known, _)| known.to_bytes().eq_ignore_ascii_case(name.to_bytes()));
        found.map_or(ptr::null(), |(_, value)| value.as_ptr())
    })
}

/// The headers one after the other: `true` and the header number `index`, counted from 0, or `false` when there are no
/// more. The texts are valid while the callback runs.
///
/// # Safety
/// `attempt` is null, or the present callback's; `name` and `value` are null or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_header_at(
    attempt: *const amb_attempt,
    index: usize,
    name: *mut *const c_char,
    value: *mut *const c_char,
) -> bool {
    raise::shield(false, || {
        // SAFETY: by the contract.
        let header = unsafe { of(attempt) }.and_then(|a| a.headers().get(index));
        let (Some(header), false, false) = (header, name.is_null(), value.is_null()) else { return false };
        // SAFETY: not null, and by the contract writable.
        unsafe {
            name.write(header.0.as_ptr());
            value.write(header.1.as_ptr());
        }
        true
    })
}

/// Asks for at least that wait before the next attempt, as a server does by `Retry-After`. Anything that is no length of
/// time is ignored.
///
/// # Safety
/// `attempt` is null, or the present callback's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_set_retry_after_ms(attempt: *const amb_attempt, wait_ms: f64) {
    raise::shield((), || {
        // SAFETY: by the contract.
        let attempt = unsafe { of(attempt) };
        // R3: garbage is ignored.
        if let (Some(attempt), true) = (attempt, wait_ms >= 0.0) {
            attempt.attempt.set_retry_after(Duration::from_nanos(whole_nanos(wait_ms)));
        }
    });
}

/// Rounded up, so never early (R3); but not for what is a whole number, and only its spelling in binary is not.
fn whole_nanos(ms: f64) -> u64 {
    let nanos = ms * 1e6;
    let nearest = nanos.round();
    let noise = nanos * 2.0 * f64::EPSILON;
    (if (nanos - nearest).abs() <= noise { nearest } else { nanos.ceil() }) as u64
}

/// Says what went wrong, for the line of the retry and the message of the result. Without it they say `status 7`.
///
/// # Safety
/// `attempt` is null, or the present callback's; `message` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_set_error(attempt: *const amb_attempt, message: *const c_char) {
    raise::shield((), || {
        // SAFETY: by the contract.
        if let (Some(attempt), false) = (unsafe { of(attempt) }, message.is_null()) {
            // SAFETY: not null, and by the contract it ends with a zero.
            let message = unsafe { CStr::from_ptr(message) };
            attempt.error.replace(Some(message.to_string_lossy().into_owned()));
        }
    });
}

/// The call that this attempt belongs to, for amb_call_cancel() in another thread. Null when `attempt` is.
///
/// # Safety
/// `attempt` is null, or the present callback's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_attempt_call(attempt: *const amb_attempt) -> *mut amb_call {
    // SAFETY: by the contract.
    raise::shield(ptr::null_mut(), || unsafe { of(attempt) }.map_or(ptr::null_mut(), |a| a.flight.handle()))
}
