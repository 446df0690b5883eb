"""Calls of plain functions, beyond a first attempt that succeeds at once (that one never leaves the native side). The
core decides what comes next; here attempts are run, waits waited, and what came of it handed back.
"""

from __future__ import annotations

import contextvars
import json
import time
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ambassador_proxy import _log, _native
from ambassador_proxy._drive_async import drive_async
from ambassador_proxy._events import hear
from ambassador_proxy._outcome import judge, note, text_of
from ambassador_proxy._threads import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

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
    return enter(proxy, proxy._begin(), fn, args, kwargs, with_context)


def enter(
    proxy: _native.Proxy,
    call: _native.Call,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    with_context: bool = False,
) -> Any:
    """A call from its beginning, which may be a wait for its turn or its place (L1, L2), or a refusal."""
    if call.begins != _native.RUN:
        may_run, answer = wait_to_run(proxy, call)
        if not may_run:
            return answer
    attempt = call.context() if with_context else None
    if call.is_direct:
        # F1: once, directly.
        if call.is_heard:
            hear(call)
        return fn(attempt, *args, **kwargs or {}) if with_context else fn(*args, **kwargs or {})
    # Not kept in this frame, which an error's traceback holds.
    return go_on(proxy, call, fn, args, kwargs, *_run(proxy, call, attempt, fn, args, kwargs), attempt=attempt)


def wait_to_run(proxy: _native.Proxy, call: _native.Call) -> tuple[bool, Any]:
    """For a call that does not begin by running: whether it runs now, and what it has ended with if not."""
    decision = call.begins
    try:
        if decision == _native.WAIT:
            decision = wait(call)
        if decision != _native.RUN:
            return False, conclude(proxy, call, decision, None, None, None)
        return True, None
    except BaseException:
        call.cancel()
        raise
    finally:
        if call.is_heard:
            hear(call)


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
            decision, error = settle(proxy, call, attempt, value, error)
            if call.timed_out:
                # T3: what came too late is dropped.
                value, error = _native.TIMED_OUT, None
            last = error if error is not None else last
            if decision == _native.WAIT:
                tell(call, value, error)
                decision = wait(call)
            if decision != _native.RUN:
                return conclude(proxy, call, decision, value, error, last)
            if call.is_heard:
                hear(call)
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
        if call.is_heard:
            hear(call)


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
    call: _native.Call | _native.Racer,
    attempt: _native.Attempt | None,
    value: Any,
    error: BaseException | None,
) -> tuple[int, BaseException | None]:
    """Tells the core how an attempt ended, the call's one or one of several: its decision, and the error, which is the
    classifier's if that throws (A2).
    """
    try:
        if error is not None and not isinstance(error, Exception):
            # A3: control flow goes through. So does an interrupt for a call around this one.
            raise error
        if call.is_late and value is not _native.TIMED_OUT:
            # T3: dropped, whatever a classifier would say of it.
            return call.settle(_native.RETRY), error
        try:
            outcome = judge(proxy._rules, error, value)
        except Exception as broken:
            # A2: the original error is its cause. A fallback answers for targets, not for what judges them.
            broken.__cause__ = error
            decision = call.settle(_native.FAIL, attempt)
            call.answered(False)
            return decision, broken
        return call.settle(outcome, attempt, None if error is None else _hint(error)), error
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
    """R7."""
    text = call.timeout_text() if value is _native.TIMED_OUT else text_of(error, value)
    line, event = call.retry_line(text)
    _log.retry(line, json.loads(event))


def wait(call: _native.Call) -> int:
    """Waits until the core says that the wait is over; never less."""
    nested = _native.is_nested()
    decision = _native.WAIT
    while decision == _native.WAIT:
        if call.pass_time():
            decision = call.resume()
            continue
        if call.is_queued:
            _native.wait_turn(call)
            decision = call.resume()
            continue
        left = call.left
        if nested:
            left = min(left, _LOOK)
            if _native.due():
                raise Interrupted
        time.sleep(left)
        decision = call.resume()
    return decision


def conclude(
    proxy: _native.Proxy,
    call: _native.Call,
    decision: int,
    value: Any,
    error: BaseException | None,
    last: BaseException | None,
) -> Any:
    """Hands the caller what the decision says, or what answers in place of an error (H2)."""
    try:
        error = final_error(call, decision, value, error, last)
        if error is None:
            # A value that is a failure to the classifier is no error to be answered.
            call.answered(False)
            return value
        if call.is_answering:
            return answer(proxy, call, error)
        raise error
    finally:
        del error, last


def final_error(
    call: _native.Call, decision: int, value: Any, error: BaseException | None, last: BaseException | None
) -> BaseException | None:
    """The error that the decision gives; ``None`` when it gives the value."""
    try:
        if decision == _native.ERROR or value is _native.TIMED_OUT:
            error = call.error()
            error.__cause__ = last
        elif error is not None and decision == _native.LAST_ERROR:
            note(error, call.end_note())
        return error
    finally:
        del error, last


def answer(proxy: _native.Proxy, call: _native.Call | _native.Unanswered, error: BaseException) -> Any:
    """What answers in place of that error."""
    fallback = proxy._fallback
    try:
        answered = fallback(error) if callable(fallback) else fallback
    except Exception as broken:
        call.answered(False)
        if broken is not error and broken.__cause__ is None:
            broken.__cause__ = error
        raise
    finally:
        del error
    call.answered(True)
    return answered
