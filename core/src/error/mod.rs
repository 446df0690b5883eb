//! Errors of the ambassador's own. Their codes come from `core/errors.toml`, so that each means the same in every
//! language; the app's own errors are never wrapped (A4).

mod codes;
mod config;

pub use codes::Code;
pub use config::ConfigError;

use std::fmt;
use std::time::Duration;

/// An error of the ambassador's, rather than of the app's function.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    pub(crate) code: Code,
    pub(crate) target: String,
    pub(crate) attempts: u32,
    pub(crate) attempt: u32,
    pub(crate) elapsed: Duration,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) message: String,
}

impl Error {
    /// Which error it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The target of the call.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How many attempts the call made.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The number of the attempt that ended last: of several that ran at once (H1), the one that the call ended with. 0 when none
    /// had ended.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// How long the call took.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// When a refused call may come again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
