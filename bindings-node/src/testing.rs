//! Virtual time for `lib/testing.js`. It is the process's, all its threads included.

use ambassador_core::clock::Nanos;
use ambassador_core::testing::{self, START};
use napi_derive::napi;

use crate::settings::milliseconds;

/// From now on time is virtual; `false` when it is already, which changes nothing.
#[napi(catch_unwind)]
pub fn start_virtual_time() -> bool {
    let is_real = testing::instant().is_none();
    if is_real {
        testing::start();
    }
    is_real
}

/// From now on time is real.
#[napi(catch_unwind)]
pub fn stop_virtual_time() {
    testing::stop();
}

/// Moves virtual time on by so many milliseconds.
#[napi(catch_unwind)]
pub fn advance_virtual_time(ms: f64) {
    testing::advance((ms * 1e6).round() as Nanos);
}

/// How many milliseconds it has been virtual, in virtual time; none when it is real.
#[napi(catch_unwind)]
pub fn virtual_time() -> Option<f64> {
    testing::instant().map(|instant| milliseconds(instant - START))
}

/// The waits that have been passed in virtual time, in milliseconds.
#[napi(catch_unwind)]
pub fn waits() -> Vec<f64> {
    testing::waits().into_iter().map(milliseconds).collect()
}
