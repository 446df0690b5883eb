"""Ambassador: retries, timeouts and deadlines for calls to other services, decided by one core in every language.

>>> from ambassador_proxy import AmbassadorProxy
>>> payments = AmbassadorProxy("payment-api.example.com", max_retries=3, timeout=2.0)
>>> payments.call(lambda amount: {"status": "charged", "amount": amount}, 99.99)
{'status': 'charged', 'amount': 99.99}
"""

from ambassador_proxy import _native
from ambassador_proxy._native import Attempt
from ambassador_proxy._proxy import AmbassadorProxy, shutdown
from ambassador_proxy._settings import Backoff, Policy
from ambassador_proxy.errors import (
    AmbassadorError,
    CallTimeoutError,
    ConfigError,
    DeadlineExceededError,
    ForkedError,
    InternalError,
    ShutdownError,
)

__version__ = _native.version()

__all__ = [
    "AmbassadorError",
    "AmbassadorProxy",
    "Attempt",
    "Backoff",
    "CallTimeoutError",
    "ConfigError",
    "DeadlineExceededError",
    "ForkedError",
    "InternalError",
    "Policy",
    "ShutdownError",
    "__version__",
    "shutdown",
]
