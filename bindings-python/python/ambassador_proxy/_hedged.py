"""Calls of plain functions whose proxy has a ``hedge``: attempts on workers, beside each other; the caller waits for whichever
ends first (H1). The core says when another one begins, and whose end is the call's.
"""

from __future__ import annotations

import contextvars
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from ambassador_proxy import _native
from ambassador_proxy._drive import conclude, enter, settle, tell, wait, wait_to_run
from ambassador_proxy._events import hear

if TYPE_CHECKING:
    from collections.abc import Callable


class Race:
    """One call's attempts: those that are to begin, and what those have brought that have ended. ``value``, ``error`` and
    ``last`` are the call's, once a decision was made: those of the attempt that the core means, and the cause of an
    error of the ambassador's.
    """

    __slots__ = ("call", "ends", "error", "last", "proxy", "to_begin", "value", "with_context")

    def __init__(self, proxy: _native.Proxy, call: _native.Call, with_context: bool) -> None:
        self.proxy = proxy
        self.call = call
        self.with_context = with_context
        #: With its coroutine, where there is one already.
        self.to_begin: list[tuple[_native.Racer, Any]] = []
        #: By number, in the order in which they ended.
        self.ends: dict[int, tuple[Any, BaseException | None]] = {}
        self.value: Any = None
        self.error: BaseException | None = None
        self.last: BaseException | None = None

    def begin(self) -> None:
        """The call's newest attempt begins; perhaps others do, beside it and at once."""
        self.to_begin.append((self.call.racer(self.with_context), None))
        self.hedge()

    def hedge(self) -> None:
        """It may be time for another attempt."""
        while self.call.hedge():
            if self.call.is_heard:
                hear(self.call)
            self.to_begin.append((self.call.racer(self.with_context), None))

    def settle(self, racer: _native.Racer, value: Any, error: BaseException | None) -> int:
        """Tells the core how an attempt ended: its decision. What control flow ended the call is raised (A3)."""
        try:
            if error is not None and not isinstance(error, Exception):
                decision = racer.settle(_native.CANCELLED)
            else:
                decision, error = settle(self.proxy, racer, racer.attempt, value, error)
            # T3: what came too late is dropped.
            self.ends[racer.number] = (_native.TIMED_OUT, None) if racer.timed_out else (value, error)
            if decision == _native.AWAIT or decision == _native.RUN:
                if self.call.is_heard:
                    hear(self.call)
                if decision == _native.RUN:
                    self.begin()
                return decision
            # In virtual time, not always the one that was settled last.
            self.value, self.error = self.ends.pop(self.call.ended, (value, error))
            others = [error for _, error in self.ends.values() if error is not None]
            self.ends.clear()
            newest = others[-1] if others else self.last
            self.last = self.error if self.error is not None else newest
            if self.error is not None and not isinstance(self.error, Exception):
                raise self.error
            return decision
        finally:
            # Tracebacks hold this frame.
            del value, error

    def forget(self) -> None:
        """Tracebacks hold the frames that hold this."""
        self.value = self.error = self.last = None
        self.ends.clear()
        self.to_begin.clear()

    def goes_on(self, running: list[tuple[_native.Racer, Any]]) -> Race:
        """The same one, to be driven by coroutines: ``running`` begin anew, those that have a coroutine with that."""
        race = Race(self.proxy, self.call, self.with_context)
        race.to_begin = running + self.to_begin
        race.ends = dict(self.ends)
        race.last = self.last
        return race


def race(
    proxy: _native.Proxy,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    with_context: bool = False,
) -> Any:
    """A whole call; ``fn`` gets an ``Attempt`` first if ``with_context``."""
    call = proxy._begin()
    if call.is_direct:
        return enter(proxy, call, fn, args, kwargs, with_context)
    if call.begins != _native.RUN:
        may_run, answer = wait_to_run(proxy, call)
        if not may_run:
            return answer
    race = Race(proxy, call, with_context)
    running: list[_native.Racer] = []
    value: Any = None
    error: BaseException | None = None
    try:
        race.begin()
        while True:
            if race.to_begin:
                racer, _ = race.to_begin.pop(0)
                ended = _start(racer, running, call, fn, args, kwargs)
                if ended is None:
                    continue
                (value, error), ended = ended, None
            else:
                one = _native.wait_for_one(call, running)
                if one is None:
                    race.hedge()
                    continue
                racer = one
                value, error = _end_of(racer)
                running.remove(racer)
            if error is None and type(value) is CoroutineType:
                # No coroutine function by its looks. Whatever else runs makes one too, and does so on the caller's loop.
                begun = [(racer, value), *((other.again(), None) for other in running)]
                return race_async(proxy, fn, args, kwargs, with_context, call, race.goes_on(begun))
            decision = race.settle(racer, value, error)
            if decision == _native.WAIT:
                tell(call, race.value, race.error)
                decision = wait(call)
                if decision == _native.RUN:
                    if call.is_heard:
                        hear(call)
                    race.begin()
            if decision != _native.AWAIT and decision != _native.RUN:
                _lose(running)
                return conclude(proxy, call, decision, race.value, race.error, race.last)
    except BaseException:
        # Whatever ends the call here other than by a decision. Nothing to a call that has ended.
        call.cancel()
        raise
    finally:
        _lose(running)
        # Their tracebacks hold this frame.
        del value, error
        race.forget()
        if call.is_heard:
            hear(call)


def _start(
    racer: _native.Racer,
    running: list[_native.Racer],
    call: _native.Call,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
) -> tuple[Any, BaseException | None] | None:
    """Begins an attempt on a worker. Where none can be had for one that runs alone it runs here (F1): how it ended."""
    attempt = racer.attempt
    run, args = contextvars.copy_context().run, ((fn, *args) if attempt is None else (fn, attempt, *args))
    is_alone = not running
    running.append(racer)
    if _native.start(racer, run, args, kwargs, is_alone):
        return None
    running.remove(racer)
    try:
        return _native.run_here(call, run, args, kwargs), None
    except BaseException as error:
        return None, error


def _end_of(racer: _native.Racer) -> tuple[Any, BaseException | None]:
    try:
        return _native.end_of(racer), None
    except BaseException as error:
        return None, error


def _lose(running: list[_native.Racer]) -> None:
    """Those that still run are not needed any more."""
    for racer in running:
        _native.lose(racer)
    running.clear()


# The two modules need each other: a plain function may make a coroutine, and both keep what attempts bring alike.
from ambassador_proxy._hedged_async import race_async  # noqa: E402
