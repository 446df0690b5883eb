//! The C ABI of Ambassador; `include/ambassador.h` is made of it by cbindgen. What a call means is the core's: here handles
//! are looked up, values converted, and callbacks run. A file a subject; `status.rs` is generated from `core/errors.toml`.
//!
//! Every export is inside [`raise::guard`], so no panic crosses into C. Handles are numbers of a registry dressed as
//! pointers and never dereferenced: one that was freed, or never was one, is answered with an error.
#![allow(non_camel_case_types, reason = "these are the names that C sees")]

mod attempt;
mod call;
mod fallback;
mod flight;
mod fork;
mod http;
mod log;
mod options;
mod proxy;
mod raise;
mod result;
mod spawn;
mod status;
mod telemetry;
mod testing;
mod worker;

use std::ffi::{CString, c_char};

/// The version of the library, such as `0.1.0`. Never null; do not free.
#[unsafe(no_mangle)]
pub extern "C" fn amb_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

/// Frees text that a function of this library returned for the caller to keep. Null is fine.
///
/// # Safety
/// `text` is null, or came from such a function and was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_string_free(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: by this function's own contract it came from `CString::into_raw`, once.
        drop(unsafe { CString::from_raw(text) });
    }
}

/// Text for C. A byte of zero would cut it short, and says nothing in a message.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}
