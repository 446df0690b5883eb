//! The status codes of the C ABI. Generated from core/errors.toml by `make generate`. Do not edit.

use ambassador_core::Code;

/// What a function of this library returns. Zero is success. Negative numbers are the ambassador's; a call whose last
/// attempt failed returns that attempt's own status, which an application chooses above zero.
#[allow(non_camel_case_types)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub enum amb_status {
    /// Success.
    AMB_OK = 0,
    /// An argument cannot be used: a null pointer, or a handle that was freed or is none.
    AMB_ERR_ARGUMENT = -1,
    /// Returned by a callback: control flow ended the attempt; it is not retried. Returned by a call: that happened, or
    /// the call was cancelled.
    AMB_CANCELLED = -4,
    /// TIMEOUT: an attempt outran `timeout` and no attempt is left; find out why the target is slow, or raise `timeout`.
    AMB_ERR_TIMEOUT = -10,
    /// DEADLINE: the whole call outran `deadline`; find out why the target is slow, or raise `deadline`.
    AMB_ERR_DEADLINE = -11,
    /// CONFIG: a setting is wrong; raised at construction, never by a call; correct the setting that the message names.
    AMB_ERR_CONFIG = -12,
    /// SHUTDOWN: the call came after `shutdown`; make no calls after `shutdown`.
    AMB_ERR_SHUTDOWN = -13,
    /// FORKED: a call in flight was used in a forked child; it belongs to the parent; start the call in the process that needs its result.
    AMB_ERR_FORKED = -14,
    /// INTERNAL: a fault of the ambassador itself; report it with this message.
    AMB_ERR_INTERNAL = -15,
    /// CIRCUIT_OPEN: the circuit breaker refused the first attempt; the function was not run; call again when the target has recovered, or look at why it failed.
    AMB_ERR_CIRCUIT_OPEN = -16,
    /// BULKHEAD_FULL: `max_concurrent` calls are running, and no place came free within the queue's wait; call less at once, or raise `max_concurrent` or `max_queue`.
    AMB_ERR_BULKHEAD_FULL = -17,
    /// RATE_LIMITED: the rate limit has no turn for the call within `max_wait`; call less often, or raise `rate`, `burst` or `max_wait`.
    AMB_ERR_RATE_LIMITED = -18,
    /// NO_ENDPOINT: the target has no endpoint to go to: none was found, or none is well; look at where its endpoints are discovered, and at their health.
    AMB_ERR_NO_ENDPOINT = -19,
    /// TRANSPORT: the connection was lost before the response had come; look at the endpoint that the message names.
    AMB_ERR_TRANSPORT = -20,
    /// CONNECT: no connection could be made: the name was not found, or nothing answers at the address; look whether the endpoint that the message names is up and can be reached.
    AMB_ERR_CONNECT = -21,
    /// TLS: no secure connection could be made: a certificate does not verify, or the two sides agree on nothing; look at the certificate that the message names, and at the `tls` settings.
    AMB_ERR_TLS = -22,
    /// PROTOCOL: what came is not HTTP, or more of it than is allowed; look whether the endpoint that the message names speaks HTTP, and at the `http` settings.
    AMB_ERR_PROTOCOL = -23,
    /// BODY: a body could not be read to its end, or is larger than allowed; ask for the body as a stream, or raise `http.max_body_bytes`.
    AMB_ERR_BODY = -24,
    /// AUTH: no credentials could be had for the request, which was not sent; look at the `auth` settings, and at the token endpoint that the message names.
    AMB_ERR_AUTH = -25,
}

/// The status of an error code.
pub(crate) fn of(code: Code) -> amb_status {
    match code {
        Code::Timeout => amb_status::AMB_ERR_TIMEOUT,
        Code::Deadline => amb_status::AMB_ERR_DEADLINE,
        Code::Config => amb_status::AMB_ERR_CONFIG,
        Code::Shutdown => amb_status::AMB_ERR_SHUTDOWN,
        Code::Forked => amb_status::AMB_ERR_FORKED,
        Code::Internal => amb_status::AMB_ERR_INTERNAL,
        Code::CircuitOpen => amb_status::AMB_ERR_CIRCUIT_OPEN,
        Code::BulkheadFull => amb_status::AMB_ERR_BULKHEAD_FULL,
        Code::RateLimited => amb_status::AMB_ERR_RATE_LIMITED,
        Code::NoEndpoint => amb_status::AMB_ERR_NO_ENDPOINT,
        Code::Transport => amb_status::AMB_ERR_TRANSPORT,
        Code::Connect => amb_status::AMB_ERR_CONNECT,
        Code::Tls => amb_status::AMB_ERR_TLS,
        Code::Protocol => amb_status::AMB_ERR_PROTOCOL,
        Code::Body => amb_status::AMB_ERR_BODY,
        Code::Auth => amb_status::AMB_ERR_AUTH,
        _ => amb_status::AMB_ERR_INTERNAL,
    }
}
