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
        _ => amb_status::AMB_ERR_INTERNAL,
    }
}
