//! For tests of programs and of this library.

use std::ffi::{CStr, c_char};
use std::ptr;

use ambassador_core::fault;
use ambassador_core::settings::{Settings, Spelling};

use crate::proxy::{amb_proxy, find};
use crate::status::amb_status;
use crate::{c_text, raise};

/// For tests: from now on the waits of this proxy's target are those of the seed, the same in every language.
#[unsafe(no_mangle)]
pub extern "C" fn amb_test_seed_jitter(proxy: *const amb_proxy, seed: u64) -> amb_status {
    raise::guard(|| {
        find(proxy, "amb_test_seed_jitter")?.proxy.seed_jitter(seed);
        Ok(())
    })
}

/// For tests: from now on the core fails at "begin", "settle" or "resume"; null or anything else switches that off.
///
/// # Safety
/// `at` is null or ends with a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_test_inject_panic(at: *const c_char) {
    raise::shield((), || {
        if at.is_null() {
            return fault::inject_panic("");
        }
        // SAFETY: not null, and by the contract it ends with a zero.
        fault::inject_panic(&unsafe { CStr::from_ptr(at) }.to_string_lossy());
    });
}

/// Every setting as JSON: name, kind, default, what is allowed. Free it with amb_string_free().
#[unsafe(no_mangle)]
pub extern "C" fn amb_settings() -> *mut c_char {
    raise::shield(ptr::null_mut(), || c_text(&Settings::fields_json(Spelling::C)).into_raw())
}
