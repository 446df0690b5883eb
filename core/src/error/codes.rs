//! The codes of the ambassador's own errors. Generated from core/errors.toml by `make generate`. Do not edit.

/// Which error it is; the same in every language.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// An attempt outran `timeout` and no attempt is left.
    Timeout,
    /// The whole call outran `deadline`.
    Deadline,
    /// A setting is wrong; raised at construction, never by a call.
    Config,
    /// The call came after `shutdown`.
    Shutdown,
    /// A call in flight was used in a forked child; it belongs to the parent.
    Forked,
    /// A fault of the ambassador itself.
    Internal,
    /// The circuit breaker refused the first attempt; the function was not run.
    CircuitOpen,
    /// `max_concurrent` calls are running, and no place came free within the queue's wait.
    BulkheadFull,
    /// The rate limit has no turn for the call within `max_wait`.
    RateLimited,
}

#[rustfmt::skip]
impl Code {
    /// Every code, by number.
    pub const ALL: &'static [Code] = &[Code::Timeout, Code::Deadline, Code::Config, Code::Shutdown, Code::Forked, Code::Internal, Code::CircuitOpen, Code::BulkheadFull, Code::RateLimited];

    /// Its name: `TIMEOUT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Timeout => "TIMEOUT",
            Code::Deadline => "DEADLINE",
            Code::Config => "CONFIG",
            Code::Shutdown => "SHUTDOWN",
            Code::Forked => "FORKED",
            Code::Internal => "INTERNAL",
            Code::CircuitOpen => "CIRCUIT_OPEN",
            Code::BulkheadFull => "BULKHEAD_FULL",
            Code::RateLimited => "RATE_LIMITED",
        }
    }

    /// Its number; the status code in C is its negative.
    pub const fn number(self) -> i32 {
        match self {
            Code::Timeout => 10,
            Code::Deadline => 11,
            Code::Config => 12,
            Code::Shutdown => 13,
            Code::Forked => 14,
            Code::Internal => 15,
            Code::CircuitOpen => 16,
            Code::BulkheadFull => 17,
            Code::RateLimited => 18,
        }
    }

    /// When it is raised.
    pub const fn summary(self) -> &'static str {
        match self {
            Code::Timeout => "an attempt outran `timeout` and no attempt is left",
            Code::Deadline => "the whole call outran `deadline`",
            Code::Config => "a setting is wrong; raised at construction, never by a call",
            Code::Shutdown => "the call came after `shutdown`",
            Code::Forked => "a call in flight was used in a forked child; it belongs to the parent",
            Code::Internal => "a fault of the ambassador itself",
            Code::CircuitOpen => "the circuit breaker refused the first attempt; the function was not run",
            Code::BulkheadFull => "`max_concurrent` calls are running, and no place came free within the queue's wait",
            Code::RateLimited => "the rate limit has no turn for the call within `max_wait`",
        }
    }

    /// What to do about it.
    pub const fn advice(self) -> &'static str {
        match self {
            Code::Timeout => "find out why the target is slow, or raise `timeout`",
            Code::Deadline => "find out why the target is slow, or raise `deadline`",
            Code::Config => "correct the setting that the message names",
            Code::Shutdown => "make no calls after `shutdown`",
            Code::Forked => "start the call in the process that needs its result",
            Code::Internal => "report it with this message",
            Code::CircuitOpen => "call again when the target has recovered, or look at why it failed",
            Code::BulkheadFull => "call less at once, or raise `max_concurrent` or `max_queue`",
            Code::RateLimited => "call less often, or raise `rate`, `burst` or `max_wait`",
        }
    }
}
