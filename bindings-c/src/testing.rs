//! For tests of programs and of this library: virtual time, jitter that repeats, functions by script, faults of the core.

use std::ffi::{CStr, c_char, c_void};
use std::ptr;

use ambassador_core::settings::{Settings, Spelling};
use ambassador_core::{fault, testing};

use crate::attempt::{amb_attempt, amb_attempt_set_error, amb_attempt_set_retry_after_ms};
use crate::proxy::{amb_proxy, find};
use crate::status::amb_status;
use crate::{c_text, raise};

/// For tests: from now on the ambassador's time is virtual, for the whole process, so that tests which use it do not run beside
/// others. Waits pass at once, and the clock moves only by them and by amb_test_virtual_time_advance_ms().
///
/// Bounds hold in virtual time too: a function that moves the clock beyond its bound has timed out when it returns. A function
/// that really hangs is not given up.
///
/// @return #AMB_ERR_ARGUMENT when time is virtual already
#[unsafe(no_mangle)]
pub extern "C" fn amb_test_virtual_time_start() -> amb_status {
    raise::guard(|| {
        if testing::instant().is_some() {
            return Err(raise::argument("amb_test_virtual_time_start: time is virtual already"));
        }
        testing::start();
        Ok(())
    })
}

/// For tests: time is real again. Does nothing when it is.
#[unsafe(no_mangle)]
pub extern "C" fn amb_test_virtual_time_stop() {
    raise::shield((), testing::stop);
}

/// For tests: moves virtual time on.
///
/// @return #AMB_ERR_ARGUMENT when time is not virtual, or `length_ms` is no length of time
#[unsafe(no_mangle)]
pub extern "C" fn amb_test_virtual_time_advance_ms(length_ms: f64) -> amb_status {
    raise::guard(|| {
        virtual_time("amb_test_virtual_time_advance_ms")?;
        if !(length_ms >= 0.0 && length_ms.is_finite()) {
            return Err(raise::argument("amb_test_virtual_time_advance_ms: length_ms is no length of time"));
        }
        testing::advance((length_ms * 1e6).round() as u64);
        Ok(())
    })
}

/// For tests: how long time has been virtual, in virtual milliseconds; 0 when it is real.
#[unsafe(no_mangle)]
pub extern "C" fn amb_test_virtual_time_elapsed_ms() -> f64 {
    raise::shield(0.0, || testing::instant().map_or(0.0, |instant| (instant - testing::START) as f64 / 1e6))
}

/// For tests: the waits since time became virtual, in their order: between attempts, for a turn, in a queue.
///
/// @param waits_ms receives them; may be null when `capacity` is 0
/// @param capacity how many there is room for
/// @return how many there were
///
/// # Safety
/// `waits_ms` has room for so many numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_test_virtual_time_waits(waits_ms: *mut f64, capacity: usize) -> usize {
    raise::shield(0, || {
        let waits = testing::waits();
        if !waits_ms.is_null() {
            for (at, wait) in waits.iter().take(capacity).enumerate() {
                // SAFETY: not null, and by the contract there is room.
                unsafe { waits_ms.add(at).write(*wait as f64 / 1e6) };
            }
        }
        waits.len()
    })
}

fn virtual_time(function: &str) -> Result<(), amb_status> {
    match testing::instant() {
        Some(_) => Ok(()),
        None => {
            Err(raise::argument(&format!("{function}: time is not virtual; amb_test_virtual_time_start makes it so")))
        }
    }
}

/// For tests: what amb_test_play() does, attempt by attempt. Zero it, then say what it needs.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_test_script {
    /// What it returns, one an attempt; what comes after the last repeats it.
    pub statuses: *const i32,
    /// How many they are; 0 makes a function that succeeds.
    pub count: usize,
    /// What each failure says went wrong, as amb_attempt_set_error() does; may be null.
    pub error: *const c_char,
    /// The wait that each failure asks for, as amb_attempt_set_retry_after_ms() does; 0 for none.
    pub retry_after_ms: f64,
    /// How many attempts were made; counted up by amb_test_play().
    pub played: usize,
}

/// For tests: a function by script, for amb_proxy_call() and amb_proxy_spawn(); `script` is an #amb_test_script, of one call at
/// a time.
///
/// @code
/// const int32_t statuses[] = {503, 503, AMB_OK};
/// amb_test_script script = {.statuses = statuses, .count = 3, .error = "503 Service Unavailable"};
/// amb_proxy_call(payments, amb_test_play, &script, NULL);
/// @endcode
///
/// # Safety
/// `attempt` is the present callback's; `script` points to an `amb_test_script` that nobody else uses meanwhile.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn amb_test_play(attempt: *const amb_attempt, script: *mut c_void) -> i32 {
    raise::shield(amb_status::AMB_ERR_INTERNAL as i32, || {
        // SAFETY: by the contract.
        let Some(script) = (unsafe { script.cast::<amb_test_script>().as_mut() }) else {
            return raise::argument("amb_test_play: script is null") as i32;
        };
        let at = script.played.min(script.count.saturating_sub(1));
        script.played += 1;
        if script.count == 0 || script.statuses.is_null() {
            return 0;
        }
        // SAFETY: not null, and by the contract there are so many.
        let status = unsafe { script.statuses.add(at).read() };
        if status != 0 {
            // SAFETY: by the contract; null is fine.
            unsafe { amb_attempt_set_error(attempt, script.error) };
            if script.retry_after_ms > 0.0 {
                // SAFETY: by the contract.
                unsafe { amb_attempt_set_retry_after_ms(attempt, script.retry_after_ms) };
            }
        }
        status
    })
}

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
