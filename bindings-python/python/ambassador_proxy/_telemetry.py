"""What is seen of the whole process: a snapshot, metrics, and the admin server, which has both over HTTP, and a page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

from ambassador_proxy import _native
from ambassador_proxy._native import Admin


def snapshot() -> dict[str, Any]:
    """Everything that is known at present of every target of this process, and of the process itself: the health of each target
    (``targets``), whether calls can be sent (``ready``), memory, threads and the runtime (``process``).

    >>> snapshot()["language"]
    'python'
    """
    seen: dict[str, Any] = json.loads(_native.snapshot_json())
    return seen


def metrics(format: Literal["prometheus", "openmetrics"] = "prometheus") -> str:
    """The same as metrics: Prometheus' text format 0.0.4, or OpenMetrics 1.0. For programs that have a route of their own for
    them; ``serve_admin`` has one.

    >>> metrics().startswith("# HELP ambassador_calls_total ")
    True
    """
    return _native.metrics(format)


def serve_admin(address: str, *, token: str | None = None, hosts: Iterable[str] = (), remote: bool = False) -> Admin:
    """Answers at that address from now on, such as ``127.0.0.1:9901``; port 0 takes a free one. The page is at ``/``; then there
    are ``/metrics``, ``/healthz``, ``/readyz``, and JSON under ``/v1``. Its thread is its own: it answers also while every thread
    of Python's is stuck.

    Only this machine is served, unless ``remote`` is set, which needs a ``token`` of 16 characters at least. ``hosts`` are names
    by which it is reached, besides ``localhost`` and addresses in numbers. Raises ``ConfigError`` when the address is none, is
    taken, or is not for this machine alone without ``remote``.

    >>> with serve_admin("127.0.0.1:0") as admin:
    ...     admin.is_serving
    True
    """
    return _native.serve_admin(address, token, list(hosts), remote)
