"""Settings as Python spells them. What is allowed, and what the defaults are, is the core's to say (C2); here values
are only put into its terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias

from ambassador_proxy._network import (
    Auth,
    Balance,
    Discovery,
    Endpoint,
    HealthCheck,
    Http,
    IdempotencyKey,
    Outlier,
    Tls,
)
from ambassador_proxy._outcome import Rules

#: A length of time: a number of seconds, or a ``timedelta``.
Seconds: TypeAlias = float | timedelta
#: How an attempt ended, as ``classify`` says it; ``None`` leaves it to the other settings.
Outcome: TypeAlias = Literal["ok", "retry", "fail"] | None
#: Error types, or a predicate.
Errors: TypeAlias = type[Exception] | tuple[type[Exception], ...] | Callable[[Exception], bool]
Classify: TypeAlias = Callable[[Exception | None, Any], Outcome]
Jitter: TypeAlias = Literal["full", "equal", "decorrelated", "none"]
RunIn: TypeAlias = Literal["worker", "caller"]
Quantile: TypeAlias = Literal["p50", "p90", "p95", "p99"]


@dataclass(frozen=True)
class Backoff:
    """The waits between attempts: ``min(max, base * factor ** (n - 1))`` after attempt ``n``, spread by ``jitter``.

    What is left out is the default: 2 s, doubling, at most 30 s, with full jitter.

    ``base``, ``max`` and ``hint_max`` are lengths of time, in seconds. ``jitter`` is ``"full"`` (uniform between 0 and
    the wait), ``"equal"`` (half of it, and uniform up to the whole), ``"decorrelated"`` (uniform between ``base`` and
    three times the wait before) or ``"none"``. A server that asks for a longer wait than ``hint_max`` ends the call.
    """

    base: Seconds | None = None
    factor: float | None = None
    max: Seconds | None = None
    jitter: Jitter | None = None
    hint_max: Seconds | None = None


@dataclass(frozen=True)
class Budget:
    """The retry budget: over ``window``, each call pays for ``ratio`` retries, and ``min_per_second`` come besides.

    What is left out is the default: 0.2, 10 a second, 10 s. When it is empty a call ends with its own error.
    """

    ratio: float | None = None
    min_per_second: float | None = None
    window: Seconds | None = None


@dataclass(frozen=True)
class Breaker:
    """The circuit breaker: opens when at least ``failure_rate`` of at least ``min_calls`` attempts within ``window`` have
    failed, or after ``consecutive_failures``, or when ``slow_rate`` of them took at least ``slow_call``.

    It stays open for ``open_for``, twice as long with each reopening up to ``open_max``; then lets ``probes`` attempts
    through at once, and closes when as many succeed. What is left out is the default: 0.5, 20, 30 s, off, 1.0, off,
    5 s, 60 s, 3.
    """

    failure_rate: float | None = None
    min_calls: int | None = None
    window: Seconds | None = None
    consecutive_failures: int | None = None
    slow_call: Seconds | None = None
    slow_rate: float | None = None
    open_for: Seconds | None = None
    open_max: Seconds | None = None
    probes: int | None = None


@dataclass(frozen=True)
class Bulkhead:
    """How many calls run at once: ``max_concurrent`` is a number, or ``"adaptive"`` for as many as the target takes without
    growing slower. ``max_queue`` more may wait (none by default), for ``queue_timeout`` at most (as long as an
    attempt's ``timeout`` by default), first come, first served.
    """

    max_concurrent: int | Literal["adaptive"] | None = None
    max_queue: int | None = None
    queue_timeout: Seconds | None = None


@dataclass(frozen=True)
class RateLimit:
    """So many calls: ``rate`` in each ``per`` (1 s by default), evenly, of which ``burst`` may come at once (``rate`` by
    default). One that comes too early waits its turn for ``max_wait`` at most (0 by default), or is refused.
    """

    rate: float
    per: Seconds | None = None
    burst: int | None = None
    max_wait: Seconds | None = None


@dataclass(frozen=True)
class Hedge:
    """Another attempt beside one that has run for ``after``: a length of time, or ``"p50"``, ``"p90"``, ``"p95"`` or ``"p99"``
    for as long as that share of the target's attempts take. At most ``max`` of them (1 by default); the first success
    wins, and the others are cancelled.
    """

    after: Seconds | Quantile
    max: int | None = None


@dataclass(frozen=True)
class EffectiveSetting:
    """A setting in force, and where its value comes from: ``proxy.effective_policy()``. ``field`` is its name, such as
    ``backoff.hint_max``; ``origin`` is ``default``, ``constructor``, ``config FILE:LINE`` or ``another proxy of the name``.
    """

    field: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Policy:
    """The settings in force for a proxy: ``proxy.policy``. Lengths of time are seconds; ``None`` is none; what is secret is
    ``"***"``.
    """

    max_retries: int
    name: str
    timeout: float | None
    deadline: float | None
    run_in: RunIn
    backoff: Backoff
    budget: Budget | None
    breaker: Breaker | None
    bulkhead: Bulkhead | None
    rate_limit: RateLimit | None
    hedge: Hedge | None
    idempotent: bool
    endpoints: tuple[Endpoint, ...]
    discovery: Discovery | None
    balance: Balance
    hash_on: str | None
    zone: str | None
    slow_start: float | None
    outlier: Outlier | None
    health_check: HealthCheck | None
    tls: Tls
    auth: Auth | None
    headers: dict[str, str]
    idempotency_key: IdempotencyKey
    http: Http


#: The groups of settings, and their classes.
GROUPS: dict[str, type[Any]] = {
    "backoff": Backoff,
    "budget": Budget,
    "breaker": Breaker,
    "bulkhead": Bulkhead,
    "rate_limit": RateLimit,
    "hedge": Hedge,
    "discovery": Discovery,
    "outlier": Outlier,
    "health_check": HealthCheck,
    "tls": Tls,
    "auth": Auth,
    "http": Http,
}


def group_edits(group: str, given: object) -> dict[str, object]:
    """A group is a typed object or a mapping; ``None`` and ``False`` switch it off, which the core knows."""
    if isinstance(given, GROUPS[group]):
        values = {field.name: getattr(given, field.name) for field in fields(given)}
        return {f"{group}.{name}": value for name, value in values.items() if value is not None}
    if isinstance(given, Mapping):
        return {f"{group}.{name}": value for name, value in given.items()}
    return {group: given}


def rules_of(edits: dict[str, object]) -> Rules | None:
    """Takes the settings that only Python can hold out of ``edits``; a wrong one stays, for the core to say what is
    allowed.
    """
    retry_on, not_on, classify = (edits.get(name) for name in ("retry_on", "not_on", "classify"))
    taken: dict[str, Any] = {}
    for name, value, is_right in (
        ("retry_on", retry_on, is_errors(retry_on)),
        ("not_on", not_on, is_errors(not_on)),
        ("classify", classify, callable(classify)),
    ):
        if name in edits and (value is None or is_right):
            del edits[name]
            taken[name] = value
    if all(value is None for value in taken.values()):
        return None
    return Rules(taken.get("retry_on"), taken.get("not_on"), taken.get("classify"))


def is_errors(value: object) -> bool:
    """Exceptions that are no ``Exception`` are control flow, and never retried (A3)."""
    if isinstance(value, type):
        return issubclass(value, Exception)
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(one, type) and issubclass(one, Exception) for one in value)
    return callable(value)
