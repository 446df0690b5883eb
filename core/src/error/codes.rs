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
    /// The target has no endpoint to go to: none was found, or none is well.
    NoEndpoint,
    /// The connection was lost before the response had come.
    Transport,
    /// No connection could be made: the name was not found, or nothing answers at the address.
    Connect,
    /// No secure connection could be made: a certificate does not verify, or the two sides agree on nothing.
    Tls,
    /// What came is not HTTP, or more of it than is allowed.
    Protocol,
    /// A body could not be read to its end, or is larger than allowed.
    Body,
    /// No credentials could be had for the request, which was not sent.
    Auth,
}

#[rustfmt::skip]
impl Code {
    /// Every code, by number.
    pub const ALL: &'static [Code] = &[Code::Timeout, Code::Deadline, Code::Config, Code::Shutdown, Code::Forked, Code::Internal, Code::CircuitOpen, Code::BulkheadFull, Code::RateLimited, Code::NoEndpoint, Code::Transport, Code::Connect, Code::Tls, Code::Protocol, Code::Body, Code::Auth];

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
            Code::NoEndpoint => "NO_ENDPOINT",
            Code::Transport => "TRANSPORT",
            Code::Connect => "CONNECT",
            Code::Tls => "TLS",
            Code::Protocol => "PROTOCOL",
            Code::Body => "BODY",
            Code::Auth => "AUTH",
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
            Code::NoEndpoint => 19,
            Code::Transport => 20,
            Code::Connect => 21,
            Code::Tls => 22,
            Code::Protocol => 23,
            Code::Body => 24,
            Code::Auth => 25,
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
            Code::NoEndpoint => "the target has no endpoint to go to: none was found, or none is well",
            Code::Transport => "the connection was lost before the response had come",
            Code::Connect => "no connection could be made: the name was not found, or nothing answers at the address",
            Code::Tls => "no secure connection could be made: a certificate does not verify, or the two sides agree on nothing",
            Code::Protocol => "what came is not HTTP, or more of it than is allowed",
            Code::Body => "a body could not be read to its end, or is larger than allowed",
            Code::Auth => "no credentials could be had for the request, which was not sent",
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
            Code::NoEndpoint => "look at where its endpoints are discovered, and at their health",
            Code::Transport => "look at the endpoint that the message names",
            Code::Connect => "look whether the endpoint that the message names is up and can be reached",
            Code::Tls => "look at the certificate that the message names, and at the `tls` settings",
            Code::Protocol => "look whether the endpoint that the message names speaks HTTP, and at the `http` settings",
            Code::Body => "ask for the body as a stream, or raise `http.max_body_bytes`",
            Code::Auth => "look at the `auth` settings, and at the token endpoint that the message names",
        }
    }
}
