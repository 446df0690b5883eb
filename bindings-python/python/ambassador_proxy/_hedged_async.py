"""Calls of coroutine functions whose proxy has a ``hedge``: attempts beside each other on the caller's own loop, each in a
task of its own, with timers of the loop for their bounds and for when the next one begins (H1).

Who loses is cancelled, and its cleanup goes on in its own task; the caller never waits for that. A cancellation from
outside goes to all of them, and is raised in the caller when they have ended, or at their bounds (A3).
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from ambassador_proxy import _drive, _native
from ambassador_proxy._drive_async import (
    NoTask,
    Suspended,
    begin,
    cancellation_of,
    conclude,
    give_up,
    set_done,
    wait,
    wait_to_run,
)
from ambassador_proxy._events import hear

if TYPE_CHECKING:
    from collections.abc import Callable


class _Running:
    """An attempt and its task."""

    __slots__ = ("racer", "task")

    def __init__(self, racer: _native.Racer, suspended: Suspended) -> None:
        self.racer = racer
        task, suspended.task = suspended.task, None
        assert task is not None
        self.task = task

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or its bound has passed."""
        return self.task.done() or self.racer.remaining == 0

    def leave(self, call: _native.Call, is_lost: bool) -> None:
        """Nobody waits for it any more: at its bound, or because it is not needed."""
        if self.task.done():
            if not self.task.cancelled():
                # Looked at, lest asyncio tell of an error that nobody saw.
                self.task.exception()
        elif not self.task.get_loop().is_closed():
            give_up(self.task, call, self.racer.attempt, is_lost)
            self.task.cancel()

    def end(self, call: _native.Call) -> tuple[Any, BaseException | None]:
        """Of one that is over: its value and error, or ``TIMED_OUT``."""
        if not self.task.done():
            self.leave(call, False)
            return _native.TIMED_OUT, None
        if self.task.cancelled():
            # By itself: control flow, to the core and to the caller.
            return None, cancellation_of(self.task)
        error = self.task.exception()
        try:
            return (None if error is not None else self.task.result()), error
        finally:
            # Its traceback holds this frame.
            del error


async def race_async(
    proxy: _native.Proxy,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    with_context: bool = False,
    call: _native.Call | None = None,
    race: _hedged.Race | None = None,
) -> Any:
    """A whole call; ``fn`` gets an ``Attempt`` first if ``with_context``. Or the rest of ``call``, which is in ``race``."""
    if call is None:
        call = proxy._begin()
        if call.begins != _native.RUN:
            may_run, answer = await wait_to_run(proxy, call)
            if not may_run:
                return answer
        if call.is_direct:
            # F1: once, directly.
            if call.is_heard:
                hear(call)
            return await (fn(call.context(), *args, **kwargs or {}) if with_context else fn(*args, **kwargs or {}))
    running: list[_Running] = []
    value: Any = None
    error: BaseException | None = None
    try:
        if race is None:
            race = _hedged.Race(proxy, call, with_context)
            race.begin()
        while True:
            if race.to_begin:
                racer, steps = race.to_begin.pop(0)
                value, error = _start(racer, steps, fn, args, kwargs)
                steps = None
                if type(value) is Suspended:
                    running.append(_Running(racer, value))
                    continue
            else:
                try:
                    one = await _next(running, call)
                except asyncio.CancelledError as stopped:
                    call.cancel()
                    await _stop(running, call, stopped)
                    raise
                if one is None:
                    race.hedge()
                    continue
                running.remove(one)
                racer, (value, error) = one.racer, one.end(call)
                # Its task holds its error, whose traceback holds this frame.
                one = None
            decision = race.settle(racer, value, error)
            if decision == _native.WAIT:
                _drive.tell(call, race.value, race.error)
                decision = await wait(call)
                if decision == _native.RUN:
                    if call.is_heard:
                        hear(call)
                    race.begin()
            if decision != _native.AWAIT and decision != _native.RUN:
                _lose(running, call)
                return await conclude(proxy, call, decision, race.value, race.error, race.last)
    except BaseException:
        # Cancelled from outside, closed in mid-flight, or a fault. Nothing to a call that has ended.
        call.cancel()
        raise
    finally:
        _lose(running, call)
        # Their tracebacks hold this frame.
        del value, error
        if race is not None:
            race.forget()
        if call.is_heard:
            hear(call)


def _start(
    racer: _native.Racer, steps: Any, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None
) -> tuple[Any, BaseException | None]:
    """Takes an attempt's first step: its value and error, or the ``Suspended`` that it has become."""
    try:
        if steps is None:
            attempt = racer.attempt
            steps = fn(*args, **kwargs or {}) if attempt is None else fn(attempt, *args, **kwargs or {})
        return begin(steps), None
    except NoTask as no_task:
        raise RuntimeError(*no_task.args) from None
    except BaseException as raised:
        return None, raised


async def _next(running: list[_Running], call: _native.Call | None) -> _Running | None:
    """Waits until an attempt is over, and gives that, the oldest first; or ``None`` when it is time to ask ``call`` for
    another.
    """
    loop = asyncio.get_running_loop()
    while True:
        for one in running:
            if one.is_over:
                return one
        until_hedge = None if call is None else call.until_hedge
        if until_hedge == 0:
            return None
        # T1: never early. A timer may be, and then there is another one.
        waiter = loop.create_future()
        wake = partial(set_done, waiter)
        lengths = [until_hedge, *(one.racer.remaining for one in running)]
        left = min((length for length in lengths if length is not None), default=None)
        timer = None if left is None else loop.call_later(left, wake, None)
        for one in running:
            one.task.add_done_callback(wake)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
            for one in running:
                one.task.remove_done_callback(wake)


async def _stop(running: list[_Running], call: _native.Call, stopped: asyncio.CancelledError) -> None:
    """Passes a cancellation from outside on to each attempt, and waits until all have ended, or outrun their bounds."""
    args = stopped.args
    for one in running:
        one.task.cancel(*args)
    while running:
        try:
            over = await _next(running, None)
        except asyncio.CancelledError as again:
            # The same one again: anyio repeats it until its scope has ended. The functions have heard it.
            if not args or again.args != args:
                args = again.args
                for one in running:
                    one.task.cancel(*args)
            continue
        if over is not None:
            running.remove(over)
            over.leave(call, True)


def _lose(running: list[_Running], call: _native.Call) -> None:
    """Those that still run are not needed any more."""
    for one in running:
        one.leave(call, True)
    running.clear()


# The two modules need each other: both keep what attempts bring alike.
from ambassador_proxy import _hedged  # noqa: E402
