"""The ambassador's own errors. Generated from core/errors.toml by `make generate`. Do not edit."""

from __future__ import annotations

__all__ = [
    "BY_CODE",
    "AmbassadorError",
    "AuthError",
    "BodyError",
    "BulkheadFullError",
    "CallTimeoutError",
    "CircuitOpenError",
    "ConfigError",
    "ConnectError",
    "DeadlineExceededError",
    "ForkedError",
    "InternalError",
    "NoEndpointError",
    "ProtocolError",
    "RateLimitedError",
    "ShutdownError",
    "TlsError",
    "TransportError",
]


class AmbassadorError(Exception):
    """An error of the ambassador's own, rather than of the function that it called.

    ``code`` is the same in every language. ``target`` is what was called, ``attempts`` how often, ``elapsed`` how long
    that took, in seconds; ``retry_after``, in seconds, is when to come again, where that is known. The last real
    failure is the ``__cause__``.
    """

    code = "INTERNAL"

    def __init__(
        self,
        message: str = "",
        *,
        target: str | None = None,
        attempts: int = 0,
        elapsed: float = 0.0,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.target = target
        self.attempts = attempts
        self.elapsed = elapsed
        self.retry_after = retry_after


class CallTimeoutError(AmbassadorError, TimeoutError):
    """TIMEOUT: an attempt outran `timeout` and no attempt is left.

    What to do: find out why the target is slow, or raise `timeout`.
    """

    code = "TIMEOUT"


class DeadlineExceededError(CallTimeoutError):
    """DEADLINE: the whole call outran `deadline`.

    What to do: find out why the target is slow, or raise `deadline`.
    """

    code = "DEADLINE"


class ConfigError(AmbassadorError, ValueError):
    """CONFIG: a setting is wrong; raised at construction, never by a call.

    What to do: correct the setting that the message names.
    """

    code = "CONFIG"

    def __init__(
        self,
        message: str = "",
        *,
        field: str | None = None,
        value: str | None = None,
        allowed: str | None = None,
        target: str | None = None,
    ) -> None:
        super().__init__(message, target=target)
        self.field = field
        self.value = value
        self.allowed = allowed


class ShutdownError(AmbassadorError):
    """SHUTDOWN: the call came after `shutdown`.

    What to do: make no calls after `shutdown`.
    """

    code = "SHUTDOWN"


class ForkedError(AmbassadorError):
    """FORKED: a call in flight was used in a forked child; it belongs to the parent.

    What to do: start the call in the process that needs its result.
    """

    code = "FORKED"


class InternalError(AmbassadorError):
    """INTERNAL: a fault of the ambassador itself.

    What to do: report it with this message.
    """

    code = "INTERNAL"


class CircuitOpenError(AmbassadorError):
    """CIRCUIT_OPEN: the circuit breaker refused the first attempt; the function was not run.

    What to do: call again when the target has recovered, or look at why it failed.
    """

    code = "CIRCUIT_OPEN"


class BulkheadFullError(AmbassadorError):
    """BULKHEAD_FULL: `max_concurrent` calls are running, and no place came free within the queue's wait.

    What to do: call less at once, or raise `max_concurrent` or `max_queue`.
    """

    code = "BULKHEAD_FULL"


class RateLimitedError(AmbassadorError):
    """RATE_LIMITED: the rate limit has no turn for the call within `max_wait`.

    What to do: call less often, or raise `rate`, `burst` or `max_wait`.
    """

    code = "RATE_LIMITED"


class NoEndpointError(AmbassadorError):
    """NO_ENDPOINT: the target has no endpoint to go to: none was found, or none is well.

    What to do: look at where its endpoints are discovered, and at their health.
    """

    code = "NO_ENDPOINT"


class TransportError(AmbassadorError):
    """TRANSPORT: the connection was lost before the response had come.

    What to do: look at the endpoint that the message names.
    """

    code = "TRANSPORT"


class ConnectError(TransportError, ConnectionError):
    """CONNECT: no connection could be made: the name was not found, or nothing answers at the address.

    What to do: look whether the endpoint that the message names is up and can be reached.
    """

    code = "CONNECT"


class TlsError(TransportError):
    """TLS: no secure connection could be made: a certificate does not verify, or the two sides agree on nothing.

    What to do: look at the certificate that the message names, and at the `tls` settings.
    """

    code = "TLS"


class ProtocolError(TransportError):
    """PROTOCOL: what came is not HTTP, or more of it than is allowed.

    What to do: look whether the endpoint that the message names speaks HTTP, and at the `http` settings.
    """

    code = "PROTOCOL"


class BodyError(TransportError):
    """BODY: a body could not be read to its end, or is larger than allowed.

    What to do: ask for the body as a stream, or raise `http.max_body_bytes`.
    """

    code = "BODY"


class AuthError(TransportError):
    """AUTH: no credentials could be had for the request, which was not sent.

    What to do: look at the `auth` settings, and at the token endpoint that the message names.
    """

    code = "AUTH"


BY_CODE: dict[str, type[AmbassadorError]] = {
    "TIMEOUT": CallTimeoutError,
    "DEADLINE": DeadlineExceededError,
    "CONFIG": ConfigError,
    "SHUTDOWN": ShutdownError,
    "FORKED": ForkedError,
    "INTERNAL": InternalError,
    "CIRCUIT_OPEN": CircuitOpenError,
    "BULKHEAD_FULL": BulkheadFullError,
    "RATE_LIMITED": RateLimitedError,
    "NO_ENDPOINT": NoEndpointError,
    "TRANSPORT": TransportError,
    "CONNECT": ConnectError,
    "TLS": TlsError,
    "PROTOCOL": ProtocolError,
    "BODY": BodyError,
    "AUTH": AuthError,
}
