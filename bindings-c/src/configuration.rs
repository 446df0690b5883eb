//! A configuration from the program's own code.

use std::ffi::{CStr, c_char};

use ambassador_core::ConfigError;
use ambassador_core::config;

use crate::raise;
use crate::status::amb_status;

/// From now on that configuration holds over what the program says, for proxies that are made from now on, in place of the file that
/// `AMBASSADOR_CONFIG` names.
///
/// #AMB_ERR_CONFIG when something is wrong with it: amb_last_error() says what, with file, line and column; what held before then holds
/// on. #AMB_ERR_ARGUMENT when it is null.
///
/// @param path_or_text the path of a file; or its text in YAML or JSON: what has a line break, or begins with `{`
///
/// # Safety
/// `path_or_text` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_configure(path_or_text: *const c_char) -> amb_status {
    raise::guard(|| {
        if path_or_text.is_null() {
            return Err(raise::argument("amb_configure: path_or_text is null"));
        }
        // SAFETY: not null, and by the contract it ends with a zero.
        let source = unsafe { CStr::from_ptr(path_or_text) }.to_string_lossy();
        config::configure(&source).map(drop).map_err(|faults| raise::config(&ConfigError::from(faults)))
    })
}
