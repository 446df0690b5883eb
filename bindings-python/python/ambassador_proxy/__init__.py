"""Ambassador: retries, timeouts and deadlines for calls to other services, decided by one core in every language.

>>> from ambassador_proxy import AmbassadorProxy
>>> payments = AmbassadorProxy("payment-api.example.com", max_retries=3, timeout=2.0)
>>> payments.call(lambda amount: {"status": "charged", "amount": amount}, 99.99)
{'status': 'charged', 'amount': 99.99}
"""

from ambassador_proxy import _native
from ambassador_proxy._configuration import configure
from ambassador_proxy._health import Health, Latency, Quantiles
from ambassador_proxy._native import Admin, Attempt, Headers, Response
from ambassador_proxy._network import Auth, Discovery, Endpoint, HealthCheck, Http, Outlier, Tls
from ambassador_proxy._proxy import AmbassadorProxy, shutdown
from ambassador_proxy._response import StatusError
from ambassador_proxy._settings import Backoff, Breaker, Budget, Bulkhead, EffectiveSetting, Hedge, Policy, RateLimit
from ambassador_proxy._telemetry import metrics, serve_admin, snapshot
from ambassador_proxy.errors import (
    AmbassadorError,
    AuthError,
    BodyError,
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    ConfigError,
    ConnectError,
    DeadlineExceededError,
    ForkedError,
    InternalError,
    NoEndpointError,
    ProtocolError,
    RateLimitedError,
    ShutdownError,
    TlsError,
    TransportError,
)

__version__ = _native.version()

__all__ = [
    "Admin",
    "AmbassadorError",
    "AmbassadorProxy",
    "Attempt",
    "Auth",
    "AuthError",
    "Backoff",
    "BodyError",
    "Breaker",
    "Budget",
    "Bulkhead",
    "BulkheadFullError",
    "CallTimeoutError",
    "CircuitOpenError",
    "ConfigError",
    "ConnectError",
    "DeadlineExceededError",
    "Discovery",
    "EffectiveSetting",
    "Endpoint",
    "ForkedError",
    "Headers",
    "Health",
    "HealthCheck",
    "Hedge",
    "Http",
    "InternalError",
    "Latency",
    "NoEndpointError",
    "Outlier",
    "Policy",
    "ProtocolError",
    "Quantiles",
    "RateLimit",
    "RateLimitedError",
    "Response",
    "ShutdownError",
    "StatusError",
    "Tls",
    "TlsError",
    "TransportError",
    "__version__",
    "configure",
    "metrics",
    "serve_admin",
    "shutdown",
    "snapshot",
]
