"""Calls of coroutine functions, on the caller's own event loop. Bounds are timers of that loop (T1); at a bound the
function is cancelled, and what it still does then is no longer waited for (T2). A cancellation from outside goes
through untouched (A3).
"""

from __future__ import annotations

import asyncio
import sys
from types import coroutine
from typing import TYPE_CHECKING, Any

from ambassador_proxy import _native

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

#: Functions that go on after their bound, so that they are not collected half-way.
_going_on: set[asyncio.Task[None]] = set()


async def drive_async(
    proxy: _native.Proxy,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    with_context: bool = False,
    call: _native.Call | None = None,
    attempt: _native.Attempt | None = None,
    begun: Any = None,
) -> Any:
    """A whole call; ``fn`` gets an ``Attempt`` first if ``with_context``. Or the rest of ``call``, which is in its
    first attempt, whose coroutine ``begun`` is.
    """
    if call is None:
        call = proxy._begin()
        if with_context:
            attempt = call.context()
        if call.is_direct:
            # F1: once, directly.
            return await (fn(*args, **kwargs or {}) if attempt is None else fn(attempt, *args, **kwargs or {}))
    value: Any = None
    error: BaseException | None = None
    last: BaseException | None = None
    try:
        while True:
            try:
                if begun is None:
                    begun = fn(*args, **kwargs or {}) if attempt is None else fn(attempt, *args, **kwargs or {})
                steps, begun = begun if hasattr(begun, "send") else begun.__await__(), None
                try:
                    yielded = steps.send(None)
                except StopIteration as stop:
                    value, error = stop.value, None
                else:
                    value, error = await _suspended(call, attempt, steps, yielded), None
            except BaseException as raised:
                value, error = None, raised
            if error is None and proxy._rules is None and value is not _native.TIMED_OUT:
                decision = call.settle(_native.OK)
                if decision == _native.VALUE:
                    return value
            else:
                decision = _drive.settle(proxy, call, attempt, value, error)
            if call.timed_out:
                # T3: what came too late is dropped.
                value, error = _native.TIMED_OUT, None
            last = error or last
            if decision == _native.WAIT:
                _drive.tell(call, value, error)
                while decision == _native.WAIT:
                    await asyncio.sleep(call.left)
                    decision = call.resume()
            if decision != _native.RUN:
                return _drive.conclude(call, decision, value, error, last)
            if attempt is not None:
                attempt = call.context()
    except BaseException:
        # Cancelled from outside, closed in mid-flight, or a fault. Nothing to a call that has ended.
        call.cancel()
        raise
    finally:
        # Their tracebacks hold this frame.
        del value, error, last


class _Timer:
    """Cancels the present task when the bound of ``call`` passes."""

    __slots__ = ("before", "call", "fired", "handle", "loop", "task")

    def __init__(self, call: _native.Call, left: float) -> None:
        self.loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a bounded call of a coroutine function has to run in an asyncio task")
        self.task = task
        self.call = call
        self.fired = False
        self.before = task.cancelling() if sys.version_info >= (3, 11) else 0
        self.handle = self.loop.call_later(left, self._fire)

    def _fire(self) -> None:
        left = self.call.remaining
        if left is not None and left > 0:
            # T1: never early.
            self.handle = self.loop.call_later(left, self._fire)
            return
        self.fired = True
        self.task.cancel()

    def took_back(self) -> bool:
        """Takes the cancellation back that the timer made; ``False`` when somebody else cancelled the task too."""
        self.fired = False
        return sys.version_info < (3, 11) or self.task.uncancel() <= self.before


@coroutine
def _suspended(
    call: _native.Call, attempt: _native.Attempt | None, steps: Any, yielded: Any
) -> Generator[Any, Any, Any]:
    """Awaits the rest of a coroutine whose first step suspended: its value, or ``TIMED_OUT``."""
    left = call.remaining
    timer = None if left is None else _Timer(call, left)
    try:
        while True:
            thrown: BaseException | None = None
            sent = None
            try:
                sent = yield yielded
            except BaseException as cancelled:
                thrown = cancelled
            if timer is not None and timer.fired and timer.took_back():
                return _give_up(call, attempt, steps)
            yielded = steps.send(sent) if thrown is None else steps.throw(thrown)
    except StopIteration as stop:
        return stop.value
    finally:
        if timer is not None:
            timer.handle.cancel()


def _give_up(call: _native.Call, attempt: _native.Attempt | None, steps: Any) -> Any:
    """Cancels a coroutine at its bound. One that does not end at once (it may have to clean up) goes on by itself."""
    if attempt is not None:
        attempt._give_up()
    try:
        yielded = steps.throw(asyncio.CancelledError())
    except asyncio.CancelledError:
        return _native.TIMED_OUT
    # Any other end is late, which the core sees.
    task = asyncio.get_running_loop().create_task(_rest(call, steps, yielded))
    _going_on.add(task)
    task.add_done_callback(_going_on.discard)
    return _native.TIMED_OUT


async def _rest(call: _native.Call, steps: Any, yielded: Any) -> None:
    call.note_abandoned(True)
    try:
        await _going_on_from(steps, yielded)
        call.note_late()
    except asyncio.CancelledError:
        pass
    except Exception:
        # T3: nobody waits for it.
        call.note_late()
    finally:
        call.note_abandoned(False)


@coroutine
def _going_on_from(steps: Any, yielded: Any) -> Generator[Any, Any, Any]:
    try:
        while True:
            thrown: BaseException | None = None
            sent = None
            try:
                sent = yield yielded
            except BaseException as cancelled:
                thrown = cancelled
            yielded = steps.send(sent) if thrown is None else steps.throw(thrown)
    except StopIteration as stop:
        return stop.value


# The two modules need each other: a plain function may make a coroutine, and both end calls alike.
from ambassador_proxy import _drive  # noqa: E402
