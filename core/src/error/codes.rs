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
}

#[rustfmt::skip]
impl Code {
    /// Every code, by number.
    pub const ALL: &'static [Code] = &[Code::Timeout, Code::Deadline, Code::Config, Code::Shutdown, Code::Forked, Code::Internal];

    /// Its name: `TIMEOUT`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::Timeout => "TIMEOUT",
            Code::Deadline => "DEADLINE",
            Code::Config => "CONFIG",
            Code::Shutdown => "SHUTDOWN",
            Code::Forked => "FORKED",
            Code::Internal => "INTERNAL",
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
        }
    }
}
