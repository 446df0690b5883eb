"""Calls of plain functions, beyond a first attempt that succeeds at once (that one never leaves the native side). The
core decides what comes next; here attempts are run, waits waited, and what came of it handed back.
"""

from __future__ import annotations

import contextvars
import logging
import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ambassador_proxy import _native
from ambassador_proxy._drive_async import drive_async
from ambassador_proxy._outcome import judge, note, text_of
from ambassador_proxy._threads import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("ambassador")
#: How often a wait looks whether the bound of a call around it has passed, in seconds.
_LOOK = 0.02


def drive(
    proxy: _native.Proxy,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    with_context: bool = False,
) -> Any:
    """A whole call; ``fn`` gets an ``Attempt`` first if ``with_context``."""
    call = proxy._begin()
    attempt = call.context() if with_context else None
    if call.is_direct:
        # F1: once, directly.
        return fn(attempt, *args, **kwargs or {}) if with_context else fn(*args, **kwargs or {})
    # Not kept in this frame, which an error's traceback holds.
    return go_on(proxy, call, fn, args, kwargs, *_run(proxy, call, attempt, fn, args, kwargs), attempt=attempt)


def go_on(
    proxy: _native.Proxy,
    call: _native.Call,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    value: Any,
    error: BaseException | None,
    attempt: _native.Attempt | None = None,
) -> Any:
    """Continues a call whose first attempt has ended, with a value or an error."""
    last = None
    try:
        while True:
            if error is None and type(value) is CoroutineType:
                # No coroutine function by its looks, but it made a coroutine all the same.
                return drive_async(proxy, fn, args, kwargs, attempt is not None, call, attempt, value)
            decision = settle(proxy, call, attempt, value, error)
            if call.timed_out:
                # T3: what came too late is dropped.
                value, error = _native.TIMED_OUT, None
            last = error if error is not None else last
            if decision == _native.WAIT:
                tell(call, value, error)
                decision = _wait(call)
            if decision != _native.RUN:
                return conclude(call, decision, value, error, last)
            if attempt is not None:
                attempt = call.context()
            value, error = _run(proxy, call, attempt, fn, args, kwargs)
    except BaseException:
        # Whatever ends the call here other than by a decision: a signal's handler, a fault. Nothing to a call that has
        # ended.
        call.cancel()
        raise
    finally:
        # Their tracebacks hold this frame.
        del value, error, last


def _run(
    proxy: _native.Proxy,
    call: _native.Call,
    attempt: _native.Attempt | None,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
) -> tuple[Any, BaseException | None]:
    """One attempt, where the proxy's functions run: what it returned, or ``TIMED_OUT``, or what it raised."""
    if attempt is not None:
        args = (attempt, *args)
    try:
        if proxy._on_caller:
            return _native.run_here(call, fn, args, kwargs), None
        run, args = contextvars.copy_context().run, (fn, *args)
        value = _native.run_on_worker(call, attempt, run, args, kwargs)
        if value is _native.NO_THREAD:
            # F1
            value = _native.run_here(call, run, args, kwargs)
        return value, None
    except BaseException as error:
        return None, error


def settle(
    proxy: _native.Proxy,
    call: _native.Call,
    attempt: _native.Attempt | None,
    value: Any,
    error: BaseException | None,
) -> int:
    """Tells the core how an attempt ended: its decision."""
    try:
        if error is not None and not isinstance(error, Exception):
            # A3: control flow goes through. So does an interrupt for a call around this one.
            raise error
        # A2, T3: what comes too late is a timeout to the core, and shown to nobody.
        rules = None if call.remaining == 0.0 else proxy._rules
        try:
            outcome = judge(rules, error, value)
        except Exception as broken:
            # A2: the classifier's error is the call's, and the original one its cause.
            call.settle(_native.FAIL, attempt)
            broken.__cause__ = error
            raise
        return call.settle(outcome, attempt, None if error is None else _hint(error))
    finally:
        # Tracebacks hold this frame; here and below it must not hold them.
        del error


def _hint(error: BaseException) -> object:
    """What it says of when to come again (R3)."""
    try:
        return getattr(error, "retry_after", None)
    except Exception:
        return None


def tell(call: _native.Call, value: Any, error: BaseException | None) -> None:
    """R7. A logger that throws changes nothing for the call (F5)."""
    text = call.timeout_text() if value is _native.TIMED_OUT else text_of(error, value)
    line = call.retry_line(text)
    try:
        _log.warning("%s", line)
    except Exception:
        return


def _wait(call: _native.Call) -> int:
    """Waits until the core says that the wait is over; never less."""
    nested = _native.is_nested()
    decision = _native.WAIT
    while decision == _native.WAIT:
        left = call.left
        if nested:
            left = min(left, _LOOK)
            if _native.due():
                raise Interrupted
        time.sleep(left)
        decision = call.resume()
    return decision


def conclude(
    call: _native.Call, decision: int, value: Any, error: BaseException | None, last: BaseException | None
) -> Any:
    """Hands the caller what the decision says."""
    try:
        if decision == _native.ERROR or value is _native.TIMED_OUT:
            error = call.error()
            error.__cause__ = last
        elif error is None:
            return value
        elif decision == _native.LAST_ERROR:
            note(error, call.end_note())
        raise error
    finally:
        del error, last
