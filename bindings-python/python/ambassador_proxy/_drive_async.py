"""Calls of coroutine functions, on the caller's own event loop.

An attempt without a bound is awaited by the caller's task. One that has a bound runs in a task of its own: at the bound
that task is cancelled, and its caller waits no longer, whatever the function still does (T2); its cleanup goes on in
the task in which it began, so that scopes which belong to a task (``asyncio.timeout``, task groups, anyio's) stay
whole. Bounds are timers of the loop (T1). A cancellation from outside goes through untouched (A3).
"""

from __future__ import annotations

import asyncio
import inspect
from asyncio import _get_running_loop
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context
from functools import partial
from types import CoroutineType
from typing import Any

from ambassador_proxy import _native
from ambassador_proxy._events import hear


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
        if call.begins != _native.RUN:
            may_run, answer = await wait_to_run(proxy, call)
            if not may_run:
                return answer
        if with_context:
            attempt = call.context()
        if call.is_direct:
            # F1: once, directly.
            if call.is_heard:
                hear(call)
            return await (fn(*args, **kwargs or {}) if attempt is None else fn(attempt, *args, **kwargs or {}))
    value: Any = None
    error: BaseException | None = None
    last: BaseException | None = None
    try:
        while True:
            try:
                if begun is None:
                    begun = fn(*args, **kwargs or {}) if attempt is None else fn(attempt, *args, **kwargs or {})
                steps, begun = begun, None
                value, error = (await steps if call.is_unwatched else begin(steps)), None
            except NoTask as no_task:
                raise RuntimeError(*no_task.args) from None
            except BaseException as raised:
                value, error = None, raised
            if type(value) is Suspended:
                value, error = await _end_of(value, call, attempt)
            if error is None and proxy._rules is None and value is not _native.TIMED_OUT:
                decision = call.settle(_native.OK)
                if decision == _native.VALUE:
                    return value
            else:
                decision, error = _drive.settle(proxy, call, attempt, value, error)
            if call.timed_out:
                # T3: what came too late is dropped.
                value, error = _native.TIMED_OUT, None
            last = error if error is not None else last
            if decision == _native.WAIT:
                _drive.tell(call, value, error)
                decision = await wait(call)
            if decision != _native.RUN:
                return await conclude(proxy, call, decision, value, error, last)
            if call.is_heard:
                hear(call)
            if attempt is not None:
                attempt = call.context()
    except BaseException:
        # Cancelled from outside, closed in mid-flight, or a fault. Nothing to a call that has ended.
        call.cancel()
        raise
    finally:
        # Their tracebacks hold this frame.
        del value, error, last
        if call.is_heard:
            hear(call)


async def wait_to_run(proxy: _native.Proxy, call: _native.Call) -> tuple[bool, Any]:
    """For a call that does not begin by running: whether it runs now, and what it has ended with if not."""
    try:
        decision = await wait(call) if call.begins == _native.WAIT else call.begins
        if decision != _native.RUN:
            return False, await conclude(proxy, call, decision, None, None, None)
        return True, None
    except BaseException:
        call.cancel()
        raise
    finally:
        if call.is_heard:
            hear(call)


async def wait(call: _native.Call) -> int:
    """Waits until the core says that the wait is over; never less."""
    decision = _native.WAIT
    while decision == _native.WAIT:
        if not call.pass_time():
            await (_turn(call) if call.is_queued else asyncio.sleep(call.left))
        decision = call.resume()
    return decision


async def _turn(call: _native.Call) -> None:
    """Waits for a place in the bulkhead, no longer than its patience."""
    loop = asyncio.get_running_loop()
    turn = loop.create_future()

    def wake() -> None:
        if not turn.done():
            turn.set_result(None)

    timer = loop.call_later(call.left, wake)
    try:
        # It may come on any thread.
        call.on_turn(partial(loop.call_soon_threadsafe, wake))
        await turn
    finally:
        timer.cancel()


async def conclude(
    proxy: _native.Proxy,
    call: _native.Call,
    decision: int,
    value: Any,
    error: BaseException | None,
    last: BaseException | None,
) -> Any:
    """``_drive.conclude``; a fallback may be a coroutine function."""
    try:
        error = _drive.final_error(call, decision, value, error, last)
        if error is None:
            # A value that is a failure to the classifier is no error to be answered.
            call.answered(False)
            return value
        if not call.is_answering:
            raise error
        return await answer(proxy, call, error)
    finally:
        del error, last


async def answer(proxy: _native.Proxy, call: _native.Call | _native.Unanswered, error: BaseException) -> Any:
    """``_drive.answer``; a fallback may be a coroutine function."""
    fallback = proxy._fallback
    try:
        answered = fallback(error) if callable(fallback) else fallback
        if callable(fallback) and inspect.isawaitable(answered):
            answered = await answered
    except Exception as broken:
        call.answered(False)
        if broken is not error and broken.__cause__ is None:
            broken.__cause__ = error
        raise
    finally:
        del error
    call.answered(True)
    return answered


class Suspended(Coroutine[Any, Any, Any]):
    """What the task of an attempt runs: the steps of the function's coroutine, in the context of its caller.

    The first step is taken before the task's own turn comes, with the task as the current one already: most functions
    that end at once do so without the loop's help. A task whose turn comes before it was needed ends; until then it
    serves all calls that end at their first step and leave no trace on it.
    """

    __slots__ = ("context", "loop", "steps", "task", "yielded")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.context: Context | None = None
        self.steps: Any = None
        self.yielded: Any = None
        self.loop = loop
        # Taken out when the attempt ends, lest the two keep each other.
        self.task: asyncio.Task[Any] | None = asyncio.Task(self, loop=loop)

    def send(self, value: Any) -> Any:
        if self.context is None:
            self._unneeded()
            raise StopIteration
        yielded, self.yielded = self.yielded, None
        if yielded is not None:
            # The task's first turn: what the first step waits for.
            return yielded
        return self.context.run(self.steps.send, value)

    def throw(self, *error: Any) -> Any:
        try:
            if self.context is None:
                self._unneeded()
                raise error[0]
            yielded, self.yielded = self.yielded, None
            if asyncio.isfuture(yielded) and yielded.cancel(*error[0].args):
                # Cancelled before its first turn: as a task that waits already passes it on.
                return yielded
            return self.context.run(self.steps.throw, *error)
        finally:
            # Its traceback holds this frame.
            del error

    def close(self) -> None:
        if self.steps is not None:
            self.steps.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise RuntimeError("only its task awaits it")

    def __getattr__(self, name: str) -> Any:
        # For those who look where a task stands: its name, its frame.
        return getattr(self.steps, name)

    def _unneeded(self) -> None:
        self.task = None
        with suppress(ValueError):
            _spares.remove(self)


#: Those that no call has needed yet, of whichever loops. More than one when calls nest.
_spares: list[Suspended] = []


class NoTask(Exception):
    """There is nothing that a bound could cancel."""


def begin(steps: Any) -> Any:
    """Takes the first step of an attempt in a task of its own: what it returned, or the ``Suspended`` that it has become."""
    loop = _get_running_loop()
    caller = None if loop is None else asyncio.current_task(loop)
    if type(steps) is not CoroutineType:
        steps = _awaited(steps)
    if loop is None or caller is None:
        return _run_to_its_end(steps)
    # Taken out, lest a call that the function makes itself uses it too.
    try:
        attempt = _spares.pop()
    except IndexError:
        attempt = Suspended(loop)
    if attempt.loop is not loop:
        attempt = Suspended(loop)
    return _native.first_step(attempt, loop, caller, attempt.task, steps, _spares)


async def _awaited(awaitable: Any) -> Any:
    return await awaitable


def _run_to_its_end(steps: Any) -> Any:
    """Without a loop, what ends at its first step does so; nothing else can be bounded."""
    try:
        steps.send(None)
    except StopIteration as stop:
        return stop.value
    steps.close()
    raise NoTask("a bounded call of a coroutine function that waits has to run in an asyncio task")


async def _end_of(suspended: Suspended, call: _native.Call, attempt: _native.Attempt | None) -> tuple[Any, Any]:
    """Waits for an attempt: its value and error, or ``TIMED_OUT``. A cancellation from outside is passed on to the
    function, and raised here when that has ended, unless the function made something else of it.
    """
    task, suspended.task = suspended.task, None
    assert task is not None
    stopped: asyncio.CancelledError | None = None
    error: BaseException | None = None
    try:
        while not task.done():
            try:
                if not await _done_in_time(task, call):
                    break
            except asyncio.CancelledError as cancelled:
                if stopped is not None and cancelled.args and cancelled.args == stopped.args:
                    # The same one again: anyio repeats it until its scope has ended. The function has heard it.
                    continue
                if not task.cancel(*cancelled.args):
                    # The function has ended, and so cannot make anything of it.
                    raise
                stopped = cancelled
        if not task.done():
            give_up(task, call, attempt)
            if stopped is not None:
                raise stopped
            task.cancel()
            return _native.TIMED_OUT, None
        if task.cancelled():
            if stopped is not None:
                raise stopped
            # Cancelled by itself: control flow, to the core and to the caller.
            return None, cancellation_of(task)
        error = task.exception()
        if error is None:
            return task.result(), None
        if stopped is not None:
            # A cancelled call is not tried again, whatever its function makes of that.
            raise error
        return None, error
    except BaseException:
        # Closed in mid-flight, perhaps: nobody waits for it any more.
        if not (task.done() or task in _going_on or task.get_loop().is_closed()):
            give_up(task, call, attempt)
            task.cancel()
        raise
    finally:
        if task.done() and not task.cancelled():
            # Looked at, lest asyncio tell of an error that nobody saw.
            task.exception()
        # Tracebacks hold this frame.
        del task, stopped, error


def cancellation_of(task: asyncio.Task[Any]) -> asyncio.CancelledError:
    try:
        task.result()
    except asyncio.CancelledError as cancelled:
        return cancelled
    raise RuntimeError("a cancelled task has a result")


async def _done_in_time(task: asyncio.Task[Any], call: _native.Call) -> bool:
    """Whether the task was done before the bound of ``call`` passed."""
    loop = task.get_loop()
    while not task.done() and (left := call.remaining or 0.0) > 0:
        # T1: never early. A timer may be, and then there is another one.
        waiter = loop.create_future()
        wake = partial(set_done, waiter)
        timer = loop.call_later(left, wake, None)
        task.add_done_callback(wake)
        try:
            await waiter
        finally:
            timer.cancel()
            task.remove_done_callback(wake)
    return task.done()


def set_done(waiter: asyncio.Future[None], _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


#: Functions that go on after their bound, so that they are not collected half-way.
_going_on: set[asyncio.Task[Any]] = set()


def give_up(
    task: asyncio.Task[Any], call: _native.Call, attempt: _native.Attempt | None, is_lost: bool = False
) -> None:
    """Leaves an attempt to itself at its bound (O3), or when another one was quicker: then it ``is_lost``, and what it
    brings is not late but not needed (H1).
    """
    if attempt is not None:
        attempt._give_up()
    call.note_abandoned(True)
    _going_on.add(task)

    def ended(task: asyncio.Task[Any]) -> None:
        _going_on.discard(task)
        call.note_abandoned(False)
        if not task.cancelled():
            # T3: nobody waits for it. Looked at, lest asyncio tell of an error that nobody saw.
            task.exception()
            if not is_lost:
                call.note_late()

    task.add_done_callback(ended)


# The two modules need each other: a plain function may make a coroutine, and both end calls alike.
from ambassador_proxy import _drive  # noqa: E402
