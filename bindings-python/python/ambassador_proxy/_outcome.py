"""What an attempt's end means (A1, A2), when ``retry_on``, ``not_on`` or ``classify`` are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ambassador_proxy import _native

_OUTCOMES = {"ok": _native.OK, "retry": _native.RETRY, "fail": _native.FAIL}


class Rules:
    """The settings that tell outcomes apart, as the user gave them."""

    __slots__ = ("classify", "not_on", "retry_on")

    def __init__(
        self, retry_on: Any, not_on: Any, classify: Callable[[Exception | None, Any], str | None] | None
    ) -> None:
        self.retry_on = retry_on
        self.not_on = not_on
        self.classify = classify

    def judge(self, error: Exception | None, value: object) -> int:
        """The outcome's number. What the user's functions raise goes through."""
        if self.classify is not None:
            said = self.classify(error, value)
            if said is not None:
                try:
                    return _OUTCOMES[said]
                except (KeyError, TypeError):
                    wrong = f"classify returned {said!r}; expected 'ok', 'retry', 'fail' or None"
                    raise ValueError(wrong) from None
        if error is None:
            return _native.OK
        if self.not_on is not None and _matches(self.not_on, error):
            return _native.FAIL
        if self.retry_on is not None and not _matches(self.retry_on, error):
            return _native.FAIL
        return _native.RETRY


def _matches(errors: Any, error: Exception) -> bool:
    if isinstance(errors, (type, tuple)):
        return isinstance(error, errors)
    return bool(errors(error))


def judge(rules: Rules | None, error: BaseException | None, value: object) -> int:
    """How an attempt ended, of what came of it. ``TIMED_OUT`` as value: it outran its bound."""
    if value is _native.TIMED_OUT:
        return _native.TIMEOUT
    if rules is None:
        return _native.OK if error is None else _native.RETRY
    return rules.judge(error, value)  # type: ignore[arg-type]  # control flow never gets here


def text_of(error: BaseException | None, value: object) -> str:
    """What a retry line says of a failure. An error whose text cannot be had is told by its class (F5)."""
    if error is None:
        return f"a {type(value).__name__} that classify wants retried"
    try:
        return str(error) or type(error).__name__
    except Exception:
        return type(error).__name__


def note(error: BaseException, text: str) -> None:
    """A4: what was tried, on the app's own error; from Python 3.11 on. An error that is raised again and again keeps
    one note.
    """
    if not hasattr(error, "add_note"):
        return
    try:
        notes = getattr(error, "__notes__", None)
        if notes and isinstance(notes, list):
            notes[:] = [one for one in notes if not str(one).startswith("[Ambassador] ")]
        error.add_note(text)
    except Exception:
        # An error without a place for notes is still the app's error.
        return
