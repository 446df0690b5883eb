"""Settings as Python spells them. What is allowed, and what the defaults are, is the core's to say (C2); here values
are only put into its terms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, Literal, TypeAlias

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
class Policy:
    """The settings in force for a proxy: ``proxy.policy``. Lengths of time are seconds; ``None`` is none."""

    max_retries: int
    name: str
    timeout: float | None
    deadline: float | None
    run_in: RunIn
    backoff: Backoff


def backoff_edits(backoff: object) -> dict[str, object]:
    """A group is a typed object or a mapping; ``None`` and ``False`` switch it off, which the core knows."""
    if isinstance(backoff, Backoff):
        given = {field.name: getattr(backoff, field.name) for field in fields(backoff)}
        return {f"backoff.{name}": value for name, value in given.items() if value is not None}
    if isinstance(backoff, Mapping):
        return {f"backoff.{name}": value for name, value in backoff.items()}
    return {"backoff": backoff}


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
