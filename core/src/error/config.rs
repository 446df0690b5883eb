//! The error of a wrong setting: which field, what value, what is allowed (C2).

use std::fmt;

/// A setting is wrong. Raised at construction, never by a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting, as the language at hand spells it: `max_retries`, `backoff.baseMs`.
    pub field: String,
    /// The value that was given, as the language at hand would show it.
    pub value: String,
    /// What is allowed instead.
    pub allowed: String,
}

impl ConfigError {
    /// An error for what only a host can see: that a callback is no function, a target no text.
    pub fn new(field: impl Into<String>, value: impl Into<String>, allowed: impl Into<String>) -> ConfigError {
        ConfigError { field: field.into(), value: value.into(), allowed: allowed.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is not allowed; expected {}", self.field, self.value, self.allowed)
    }
}

impl std::error::Error for ConfigError {}
