/**
 * @file ambassador_errors.hpp
 * The ambassador's own errors as C++ exceptions; include ambassador.hpp. Generated from core/errors.toml by `make generate`. Do not edit.
 */
#ifndef AMBASSADOR_ERRORS_HPP
#define AMBASSADOR_ERRORS_HPP

#include "ambassador.h"

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ambassador {

/** What every error of the ambassador's knows. */
struct ErrorFacts {
    std::string message;                                  ///< what happened, to which target, and what to do
    amb_status status = AMB_ERR_INTERNAL;                 ///< which error it is
    std::string target{};                                 ///< what was called
    std::uint32_t attempts = 0;                           ///< how many attempts were made
    std::chrono::duration<double, std::milli> elapsed{0}; ///< how long the call took
    std::exception_ptr cause{};                           ///< the function's own last exception, if there was one
    /** How long to wait before calling again, where that is known. */
    std::optional<std::chrono::duration<double, std::milli>> retry_after{};
};

/** An error of the ambassador's own, rather than of the function that it called. */
class AmbassadorError : public std::runtime_error {
public:
    /** The error of these facts. */
    explicit AmbassadorError(ErrorFacts facts) : std::runtime_error(facts.message), facts_(std::move(facts)) {}

    /** The status that the C functions return for it. */
    amb_status status() const noexcept { return facts_.status; }
    /** What was called. */
    const std::string &target() const noexcept { return facts_.target; }
    /** How many attempts were made. */
    std::uint32_t attempts() const noexcept { return facts_.attempts; }
    /** How long the call took. */
    std::chrono::duration<double, std::milli> elapsed() const noexcept { return facts_.elapsed; }
    /** The function's own last exception that came in time; null when there was none. */
    std::exception_ptr cause() const noexcept { return facts_.cause; }
    /** How long to wait before calling again, when the call was refused and that is known; else nullopt. */
    std::optional<std::chrono::duration<double, std::milli>> retry_after() const noexcept { return facts_.retry_after; }

private:
    ErrorFacts facts_;
};

/** TIMEOUT: an attempt outran `timeout` and no attempt is left; find out why the target is slow, or raise `timeout`. */
class CallTimeoutError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** CONFIG: a setting is wrong; raised at construction, never by a call; correct the setting that the message names. */
class ConfigError : public AmbassadorError {
public:
    /** The error of these facts. */
    explicit ConfigError(ErrorFacts facts, std::string field, std::string value, std::string allowed)
        : AmbassadorError(std::move(facts)), field_(std::move(field)), value_(std::move(value)), allowed_(std::move(allowed))
    {}

    /** The setting that was wrong, as C spells it: `timeout_ms`. */
    const std::string &field() const noexcept { return field_; }
    /** The value that it had, as text. */
    const std::string &value() const noexcept { return value_; }
    /** What is allowed for it. */
    const std::string &allowed() const noexcept { return allowed_; }

private:
    std::string field_;
    std::string value_;
    std::string allowed_;
};

/** SHUTDOWN: the call came after `shutdown`; make no calls after `shutdown`. */
class ShutdownError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** FORKED: a call in flight was used in a forked child; it belongs to the parent; start the call in the process that needs its result. */
class ForkedError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** INTERNAL: a fault of the ambassador itself; report it with this message. */
class InternalError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** CIRCUIT_OPEN: the circuit breaker refused the first attempt; the function was not run; call again when the target has recovered, or look at why it failed. */
class CircuitOpenError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** BULKHEAD_FULL: `max_concurrent` calls are running, and no place came free within the queue's wait; call less at once, or raise `max_concurrent` or `max_queue`. */
class BulkheadFullError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** RATE_LIMITED: the rate limit has no turn for the call within `max_wait`; call less often, or raise `rate`, `burst` or `max_wait`. */
class RateLimitedError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** NO_ENDPOINT: the target has no endpoint to go to: none was found, or none is well; look at where its endpoints are discovered, and at their health. */
class NoEndpointError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** TRANSPORT: the connection was lost before the response had come; look at the endpoint that the message names. */
class TransportError : public AmbassadorError {
public:
    /** The error of these facts. */
    using AmbassadorError::AmbassadorError;
};

/** DEADLINE: the whole call outran `deadline`; find out why the target is slow, or raise `deadline`. */
class DeadlineExceededError : public CallTimeoutError {
public:
    /** The error of these facts. */
    using CallTimeoutError::CallTimeoutError;
};

/** CONNECT: no connection could be made: the name was not found, or nothing answers at the address; look whether the endpoint that the message names is up and can be reached. */
class ConnectError : public TransportError {
public:
    /** The error of these facts. */
    using TransportError::TransportError;
};

/** TLS: no secure connection could be made: a certificate does not verify, or the two sides agree on nothing; look at the certificate that the message names, and at the `tls` settings. */
class TlsError : public TransportError {
public:
    /** The error of these facts. */
    using TransportError::TransportError;
};

/** PROTOCOL: what came is not HTTP, or more of it than is allowed; look whether the endpoint that the message names speaks HTTP, and at the `http` settings. */
class ProtocolError : public TransportError {
public:
    /** The error of these facts. */
    using TransportError::TransportError;
};

/** BODY: a body could not be read to its end, or is larger than allowed; ask for the body as a stream, or raise `http.max_body_bytes`. */
class BodyError : public TransportError {
public:
    /** The error of these facts. */
    using TransportError::TransportError;
};

/** AUTH: no credentials could be had for the request, which was not sent; look at the `auth` settings, and at the token endpoint that the message names. */
class AuthError : public TransportError {
public:
    /** The error of these facts. */
    using TransportError::TransportError;
};

namespace detail {

/** Throws the exception of that status. */
[[noreturn]] inline void raise(const ErrorFacts &facts)
{
    switch (facts.status) {
    case AMB_ERR_TIMEOUT:
        throw CallTimeoutError(facts);
    case AMB_ERR_SHUTDOWN:
        throw ShutdownError(facts);
    case AMB_ERR_FORKED:
        throw ForkedError(facts);
    case AMB_ERR_INTERNAL:
        throw InternalError(facts);
    case AMB_ERR_CIRCUIT_OPEN:
        throw CircuitOpenError(facts);
    case AMB_ERR_BULKHEAD_FULL:
        throw BulkheadFullError(facts);
    case AMB_ERR_RATE_LIMITED:
        throw RateLimitedError(facts);
    case AMB_ERR_NO_ENDPOINT:
        throw NoEndpointError(facts);
    case AMB_ERR_TRANSPORT:
        throw TransportError(facts);
    case AMB_ERR_DEADLINE:
        throw DeadlineExceededError(facts);
    case AMB_ERR_CONNECT:
        throw ConnectError(facts);
    case AMB_ERR_TLS:
        throw TlsError(facts);
    case AMB_ERR_PROTOCOL:
        throw ProtocolError(facts);
    case AMB_ERR_BODY:
        throw BodyError(facts);
    case AMB_ERR_AUTH:
        throw AuthError(facts);
    default:
        throw AmbassadorError(facts);
    }
}

} // namespace detail
} // namespace ambassador

#endif
