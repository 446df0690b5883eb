//! How a call ended, as C reads it.

use std::cell::Cell;
use std::ffi::c_char;
use std::time::Duration;

use ambassador_core::call::Outcome;
use ambassador_core::{Attempt, CallError, Code, Error};

use crate::status::{self, amb_status};

/// The longest message of an `amb_result`, its terminating zero included.
pub const AMB_MESSAGE_SIZE: usize = 256;

/// How a call ended.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct amb_result {
    /// What the call returned: #AMB_OK, the function's own status after the last attempt, #AMB_CANCELLED, an `AMB_ERR_…`, or what
    /// a `fallback` failed with.
    pub status: i32,
    /// The function's own status of the last attempt that returned one in time; with `AMB_ERR_…` in `status` it is the
    /// cause. 0 when there was none.
    pub last_status: i32,
    /// How many attempts were made.
    pub attempts: u32,
    /// How long the call took, waits included.
    pub elapsed_ms: f64,
    /// How long to wait before calling again, when the call was refused and that is known; else #AMB_NONE.
    pub retry_after_ms: f64,
    /// What went wrong, before a `fallback` ran if one did; empty after a success, also after one that only `classify` calls so.
    /// Cut at the end of a character when too long.
    pub message: [c_char; AMB_MESSAGE_SIZE],
    /// What the call would have returned, had not a `fallback` run in place of it: with #AMB_OK in `status` that has answered. 0 when
    /// none ran.
    pub original_status: i32,
    /// Which attempt's end it is; of several that ran at once (`hedge`) not always the newest. 0 when it is none's: the call was
    /// refused, stopped, or cut short.
    pub attempt: u32,
}

/// What an attempt brought. To the core's front door all of it is errors: a classifier may call any status a failure, which
/// then has its own words in the line of the retry.
#[derive(Clone)]
pub(crate) struct Returned {
    pub attempt: Attempt,
    pub status: i32,
    /// What the function said of its failure.
    pub text: Option<String>,
    /// What it was judged to be, once it was.
    pub judged: Cell<Option<Outcome>>,
}

impl Returned {
    /// What the function brought is a value; also one that a classifier calls a failure, which nothing answers (H2).
    pub fn is_value(&self) -> bool {
        self.status == 0
    }

    /// Unjudged when the core failed (F1).
    fn is_success(&self) -> bool {
        self.judged.get().map_or(self.is_value(), |judged| judged == Outcome::Ok)
    }
}

impl std::fmt::Display for Returned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.text {
            Some(text) => f.write_str(text),
            None => write!(f, "status {}", self.status),
        }
    }
}

impl amb_result {
    pub fn new(status: i32, last_status: i32, attempts: u32, elapsed: Duration, message: &str) -> amb_result {
        let (elapsed_ms, retry_after_ms) = (ms(elapsed), f64::INFINITY);
        let message = fixed(message);
        amb_result {
            status,
            last_status,
            attempts,
            elapsed_ms,
            retry_after_ms,
            message,
            original_status: 0,
            attempt: 0,
        }
    }

    /// What the core's front door ended with, after so many attempts.
    pub fn of(ended: &CallError<Returned>, attempts: u32, elapsed: Duration) -> amb_result {
        match ended {
            CallError::Failed(last) => {
                let message = if last.is_success() { String::new() } else { last.to_string() };
                let result = amb_result::new(last.status, last.status, attempts, elapsed, &message);
                amb_result { attempt: last.attempt.attempt(), ..result }
            }
            CallError::Ambassador(error, cause) => {
                let result = amb_result::of_error(error, cause.as_ref().map_or(0, |last| last.status));
                amb_result { elapsed_ms: ms(elapsed), ..result }
            }
        }
    }

    /// An error of the ambassador's, after that status of the function's.
    pub fn of_error(error: &Error, cause: i32) -> amb_result {
        let status = status::of(error.code());
        let result = amb_result::new(status as i32, cause, error.attempts(), error.elapsed(), &error.to_string());
        let retry_after_ms = error.retry_after().map_or(f64::INFINITY, ms);
        let attempt = match error.code() {
            Code::Timeout | Code::Deadline => error.attempt(),
            Code::Transport | Code::Connect | Code::Tls | Code::Protocol | Code::Body => error.attempt(),
            _ => 0,
        };
        amb_result { retry_after_ms, attempt, ..result }
    }

    /// With what a fallback came to in place of it.
    pub fn fell_back(self, status: i32, elapsed: Duration) -> amb_result {
        amb_result { status, original_status: self.status, elapsed_ms: ms(elapsed), ..self }
    }

    /// The call did not begin.
    pub fn refused(status: amb_status, message: &str) -> amb_result {
        amb_result::new(status as i32, 0, 0, Duration::ZERO, message)
    }
}

fn ms(length: Duration) -> f64 {
    // Not by way of seconds, which would cost the last digit.
    length.as_nanos() as f64 / 1e6
}

fn fixed(text: &str) -> [c_char; AMB_MESSAGE_SIZE] {
    let mut message = [0; AMB_MESSAGE_SIZE];
    let mut end = text.len().min(AMB_MESSAGE_SIZE - 1);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let bytes = text.as_bytes()[..end].iter().filter(|byte| **byte != 0);
    for (place, byte) in message.iter_mut().zip(bytes) {
        *place = *byte as c_char;
    }
    message
}
