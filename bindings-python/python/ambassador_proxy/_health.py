"""The types of what ``proxy.health()`` and ``snapshot()`` tell: plain dictionaries, whose names are the same in every language.
Lengths of time in them are whole nanoseconds.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

CircuitState = Literal["closed", "open", "half_open", "isolated"]


class Quantiles(TypedDict):
    """How long things took; ``None`` where there were none."""

    count: int
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    p999_ns: int | None


#: What was counted within the last ten seconds, and the last minute.
Windows = TypedDict("Windows", {"10s": Quantiles, "60s": Quantiles})


class Latency(TypedDict):
    """How long calls took that were not refused, and attempts."""

    calls: Windows
    attempts: Windows


#: How many there were of each kind. No type of its own, so that the values of one can be summed.
Counts = dict[str, int]


class CircuitHealth(TypedDict):
    """The breaker: the attempts that ended within its window, and those of them that failed."""

    state: CircuitState
    #: How long it still refuses; ``None`` when it does not, or when nobody knows.
    open_for_ns: int | None
    outcomes: int
    failures: int
    #: How often it has entered each state.
    transitions: dict[CircuitState, int]


class BudgetHealth(TypedDict):
    """How many retries the budget has left."""

    tokens: float


class BulkheadHealth(TypedDict):
    """How many calls there may be at once, there are, and wait."""

    limit: int
    occupied: int
    queued: int


class Health(TypedDict):
    """What is known of a target in this process. The breaker, the budget and the bulkhead are ``None`` where they are off."""

    target: str
    name: str
    in_flight: int
    #: By how they ended.
    calls: Counts
    attempts: Counts
    retries: int
    hedges: int
    #: Results that came after their attempt had been given up, and functions that still run though theirs was.
    late_results: int
    abandoned: int
    internal_errors: int
    events_dropped: int
    #: Calls, and attempts of the breaker's, that were refused, by who refused them.
    rejections: Counts
    circuit: CircuitHealth | None
    budget: BudgetHealth | None
    bulkhead: BulkheadHealth | None
    #: ``None`` where the target itself is the one.
    endpoints: list[dict[str, Any]] | None
    latency: Latency


__all__ = ["Health", "Latency", "Quantiles"]
