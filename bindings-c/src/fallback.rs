//! What answers in place of a call's error (H2): a function of the program's, with the data that it comes with. When it is asked, and
//! how its call counts, the core says; where it runs is the affair of `call.rs` and `spawn.rs`.

use std::ffi::c_void;

use crate::result::amb_result;

/// Answers in place of the error that a call ends with. It is given that end, as the call would have returned it, valid while it
/// runs, and the call's `user_data`, where it leaves the answer as the function would have. Returns 0 when it has answered; anything
/// else is what the call then returns.
pub type amb_fallback =
    Option<unsafe extern "C" fn(result: *const amb_result, user_data: *mut c_void, fallback_data: *mut c_void) -> i32>;

/// A fallback, and the data that the program gave with it.
#[derive(Clone, Copy)]
pub(crate) struct Fallback {
    function: unsafe extern "C" fn(*const amb_result, *mut c_void, *mut c_void) -> i32,
    data: *mut c_void,
}

// SAFETY: the data is the program's, which promises with it that the function may be called from any thread; nothing here reads
// through it.
unsafe impl Send for Fallback {}
// SAFETY: as above.
unsafe impl Sync for Fallback {}

impl Fallback {
    /// # Safety
    /// `fallback` may be called with `data`, on any thread, for as long as the proxy has calls.
    pub unsafe fn new(fallback: amb_fallback, data: *mut c_void) -> Option<Fallback> {
        fallback.map(|function| Fallback { function, data })
    }

    /// # Safety
    /// `user_data` is the call's, and still alive.
    pub unsafe fn ask(&self, result: &amb_result, user_data: *mut c_void) -> i32 {
        // SAFETY: the program gave function and data together, for this; the rest is this function's contract.
        unsafe { (self.function)(result, user_data, self.data) }
    }
}
