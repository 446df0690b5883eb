//! Numbers that JavaScript and the natives of `calls.rs` read and write in turn, in one small buffer that both see. It is
//! several times quicker than arguments and results. Each native reads what was written just before it, and what it writes
//! is read at once after it: no user code runs in between.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem;
use std::ptr;

use napi::bindgen_prelude::{Result, check_status, sys};

/// The buffer. `lib/bridge.js` has the same places, as a `Float64Array` and an `Int32Array` over it.
#[repr(C)]
pub struct Exchange {
    /// Out: the bound of the attempt, when a wait is over, or the present instant; nanoseconds, `Infinity` for never. Into `pass`:
    /// the end of a wait; into `settle`: when the attempt ended. Out of `tell`: see there, as for `wait`.
    pub at: Cell<f64>,
    /// In: the wait that was asked for, in milliseconds; NaN for none.
    pub hint: Cell<f64>,
    /// Out: how long the wait is that was decided, in nanoseconds.
    pub wait: Cell<f64>,
    /// In: which proxy.
    pub proxy: Cell<i32>,
    /// In, and out of `begin`: which of its calls.
    pub call: Cell<i32>,
    /// In: how the attempt ended, as the core numbers it; or what to note; or whether a fallback answered; or the ticket of who
    /// queues.
    pub outcome: Cell<i32>,
    /// Out: what to do next; see `calls.rs`. Out of `open`: 1 when calls may be hedged (H1).
    pub answer: Cell<i32>,
    /// Out: the number of the attempt that runs. Into `settleAttempt`: of the one that ended.
    pub attempt: Cell<i32>,
    /// Out: 1 when what the attempt brought came after its bound, and is to be dropped.
    pub late: Cell<i32>,
    /// Out: 1 when the call's error may be answered by a fallback (H2).
    pub answering: Cell<i32>,
    /// Out: 1 when somebody listens to the target's events, and there may be some to fetch.
    pub heard: Cell<i32>,
    /// Out of `now`: 1 when time is virtual.
    pub is_virtual: Cell<i32>,
    /// Out of `settleAttempt`: the number of the attempt that the answer is about.
    pub ended: Cell<i32>,
}

impl Exchange {
    /// A new one: its memory, and the `ArrayBuffer` that owns it. It lives as long as the environment does.
    pub fn create(env: sys::napi_env) -> Result<(*const Exchange, sys::napi_value)> {
        let (mut memory, mut buffer, mut kept) = (ptr::null_mut::<c_void>(), ptr::null_mut(), ptr::null_mut());
        // SAFETY: `env` is the environment that is loading this addon; the pointers are to variables of this frame.
        check_status!(unsafe {
            sys::napi_create_arraybuffer(env, mem::size_of::<Exchange>(), &mut memory, &mut buffer)
        })?;
        // SAFETY: as above. Held for good, so that the memory outlives every function that is given its address.
        check_status!(unsafe { sys::napi_create_reference(env, buffer, 1, &mut kept) })?;
        Ok((memory.cast_const().cast(), buffer))
    }
}
