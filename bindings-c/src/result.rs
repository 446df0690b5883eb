//! How a call ended, as C reads it.

use std::ffi::c_char;
use std::time::Duration;

use ambassador_core::CallError;

use crate::status::{self, amb_status};

/// The longest message of an `amb_result`, its terminating zero included.
pub const AMB_MESSAGE_SIZE: usize = 256;

/// How a call ended.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_result {
    /// What the call returned: #AMB_OK, the function's own status after the last attempt, #AMB_CANCELLED, or an `AMB_ERR_…`.
    pub status: i32,
    /// The function's own status of the last attempt that returned one; with `AMB_ERR_…` in `status` it is the cause. 0
    /// when there was none.
    pub last_status: i32,
    /// How many attempts were made.
    pub attempts: u32,
    /// How long the call took, waits included.
    pub elapsed_ms: f64,
    /// What went wrong; empty after a success. Cut at the end of a character when too long.
    pub message: [c_char; AMB_MESSAGE_SIZE],
}

/// An attempt's failure, as the core hands it on.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub status: i32,
    pub attempt: u32,
    pub text: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => write!(f, "status {}", self.status),
        }
    }
}

/// What `execute` of the core ends with: the number of the attempt that succeeded, or a failure.
pub(crate) type Ended = Result<u32, CallError<Failure>>;

impl amb_result {
    /// `None`: the call was cancelled.
    pub fn of(ended: Option<Ended>, attempts: u32, elapsed: Duration) -> amb_result {
        let (status, last_status, attempts, text) = match ended {
            Some(Ok(attempt)) => (0, 0, attempt, String::new()),
            Some(Err(CallError::Failed(failure))) => {
                (failure.status, failure.status, failure.attempt, failure.to_string())
            }
            Some(Err(CallError::Ambassador(error, cause))) => {
                let cause = cause.map_or(0, |failure| failure.status);
                (status::of(error.code()) as i32, cause, error.attempts(), error.to_string())
            }
            None => (amb_status::AMB_CANCELLED as i32, 0, attempts, "the call was cancelled".into()),
        };
        amb_result { status, last_status, attempts, elapsed_ms: elapsed.as_secs_f64() * 1e3, message: fixed(&text) }
    }

    /// The ambassador failed before or around the call.
    pub fn refused(status: amb_status, message: &str) -> amb_result {
        amb_result { status: status as i32, last_status: 0, attempts: 0, elapsed_ms: 0.0, message: fixed(message) }
    }
}

fn fixed(text: &str) -> [c_char; AMB_MESSAGE_SIZE] {
    let mut message = [0; AMB_MESSAGE_SIZE];
    let end = (0..AMB_MESSAGE_SIZE).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let bytes = text.as_bytes()[..end].iter().filter(|byte| **byte != 0);
    for (place, byte) in message.iter_mut().zip(bytes) {
        *place = *byte as c_char;
    }
    message
}
