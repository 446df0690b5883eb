//! The lines that the ambassador says (R7): to a function of the program's, or to stderr.

use std::ffi::{CStr, c_char, c_void};
use std::io::Write;

use arc_swap::ArcSwapOption;
use once_cell::sync::Lazy;

use crate::status::amb_status;
use crate::{c_text, raise};

/// Receives a line, without its end, such as `[Ambassador] Retry 1 after 1.37s: Payment API unreachable`. Valid until it
/// returns. May be called on any thread, also by two at once.
pub type amb_log = Option<unsafe extern "C" fn(line: *const c_char, log_data: *mut c_void)>;

struct Listener {
    log: amb_log,
    data: *mut c_void,
}

// SAFETY: the program gives function and data together, to be called from any thread.
unsafe impl Send for Listener {}
// SAFETY: as above.
unsafe impl Sync for Listener {}

static LISTENER: Lazy<ArcSwapOption<Listener>> =
    Lazy::new(|| ArcSwapOption::from_pointee(Listener { log: Some(amb_log_stderr), data: std::ptr::null_mut() }));

/// Sends lines to this function from now on; null for silence. The default is amb_log_stderr(). A line that is being said
/// at this moment may still go to the function before.
#[unsafe(no_mangle)]
pub extern "C" fn amb_set_log(log: amb_log, log_data: *mut c_void) -> amb_status {
    raise::guard(|| {
        LISTENER.store(Some(Listener { log, data: log_data }.into()));
        Ok(())
    })
}

/// Writes a line to stderr; the default.
///
/// # Safety
/// `line` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_log_stderr(line: *const c_char, log_data: *mut c_void) {
    let _ = log_data;
    raise::shield((), || {
        if !line.is_null() {
            // SAFETY: not null, and by the contract it ends with a zero.
            let mut text = unsafe { CStr::from_ptr(line) }.to_bytes().to_vec();
            text.push(b'\n');
            // A closed stderr is no reason to fail a call (F5).
            let _ = std::io::stderr().write_all(&text);
        }
    });
}

/// R7
pub(crate) fn retry(line: &str) {
    if let Some(listener) = &*LISTENER.load() {
        let line = c_text(line);
        if let Some(log) = listener.log {
            // SAFETY: by the contract of `amb_set_log`; the line lives until this returns.
            unsafe { log(line.as_ptr(), listener.data) };
        }
    }
}
