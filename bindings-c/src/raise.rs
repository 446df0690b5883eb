//! What went wrong, as C learns of it: a status, and the last error's texts of the calling thread. Also the guard around
//! every export.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

use ambassador_core::ConfigError;

use crate::c_text;
use crate::result::amb_result;
use crate::status::amb_status;

#[derive(Default)]
struct Last {
    message: CString,
    field: Option<CString>,
    value: Option<CString>,
    allowed: Option<CString>,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// Runs an export's body; a panic becomes `AMB_ERR_INTERNAL`.
pub(crate) fn guard(body: impl FnOnce() -> Result<(), amb_status>) -> amb_status {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => amb_status::AMB_OK,
        Ok(Err(status)) => status,
        Err(_) => internal(),
    }
}

/// Runs the body of an export that gives a plain value; `fallback` in case of a panic.
pub(crate) fn shield<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        internal();
        fallback
    })
}

fn internal() -> amb_status {
    keep(Last { message: c_text("a fault of the ambassador itself; report it"), ..Last::default() });
    amb_status::AMB_ERR_INTERNAL
}

/// An argument cannot be used.
pub(crate) fn argument(message: &str) -> amb_status {
    keep(Last { message: c_text(message), ..Last::default() });
    amb_status::AMB_ERR_ARGUMENT
}

/// A setting is wrong (C2).
pub(crate) fn config(error: &ConfigError) -> amb_status {
    keep(Last {
        message: c_text(&error.to_string()),
        field: Some(c_text(&error.field)),
        value: Some(c_text(&error.value)),
        allowed: Some(c_text(&error.allowed)),
    });
    amb_status::AMB_ERR_CONFIG
}

/// Any other error of the ambassador's.
pub(crate) fn other(status: amb_status, message: &str) -> amb_status {
    keep(Last { message: c_text(message), ..Last::default() });
    status
}

/// The last error, as the result of a call that did not begin.
pub(crate) fn as_result(status: amb_status) -> amb_result {
    let text = LAST.try_with(|last| last.borrow().message.to_string_lossy().into_owned()).unwrap_or_default();
    amb_result::refused(status, &text)
}

fn keep(last: Last) {
    // A thread that is ending has no place for it any more, and nobody who could ask.
    let _ = LAST.try_with(|place| place.replace(last));
}

fn show(text: impl Fn(&Last) -> Option<&CStr>) -> *const c_char {
    LAST.try_with(|last| text(&last.borrow()).map_or(ptr::null(), CStr::as_ptr)).unwrap_or(ptr::null())
}

/// What the last function of this library that failed in this thread had to say. Never null; valid until the next one
/// fails in this thread; do not free. (Calls report in their `amb_result`, not here.)
#[unsafe(no_mangle)]
pub extern "C" fn amb_last_error() -> *const c_char {
    let text = show(|last| Some(&last.message));
    if text.is_null() { c"".as_ptr() } else { text }
}

/// The setting that was wrong, such as `backoff.base_ms`, when the last error was #AMB_ERR_CONFIG; else null.
#[unsafe(no_mangle)]
pub extern "C" fn amb_last_error_field() -> *const c_char {
    show(|last| last.field.as_deref())
}

/// The value that it had, as text; else null.
#[unsafe(no_mangle)]
pub extern "C" fn amb_last_error_value() -> *const c_char {
    show(|last| last.value.as_deref())
}

/// What is allowed for it; else null.
#[unsafe(no_mangle)]
pub extern "C" fn amb_last_error_allowed() -> *const c_char {
    show(|last| last.allowed.as_deref())
}
