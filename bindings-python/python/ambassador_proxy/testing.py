"""For tests of whatever uses the ambassador: no real waiting, jitter that repeats, faults by script.

>>> from ambassador_proxy import AmbassadorProxy
>>> from ambassador_proxy.testing import Script, virtual_time
>>> with virtual_time() as time:
...     charge = Script(ConnectionError("Payment API unreachable"), times=2, then="charged")
...     AmbassadorProxy("payment-api.example.com", backoff={"jitter": "none"}).call(charge, 99.99)
...     time.waits
'charged'
[2.0, 4.0]

With pytest, the fixture ``ambassador_time`` is a ``virtual_time()`` around one test.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from ambassador_proxy import _native
from ambassador_proxy._proxy import AmbassadorProxy

__all__ = ["Script", "VirtualTime", "seed_jitter", "virtual_time"]

_START = 1_000_000 * 1_000_000_000


class VirtualTime:
    """The ambassador's clock while time is virtual: waits pass at once, and it moves only by them and by ``advance``.

    A function that moves it beyond its bound has timed out when it ends; one that really hangs is not interrupted.
    """

    def advance(self, length: float | timedelta) -> None:
        """Moves time on, by seconds or a ``timedelta``."""
        seconds = length.total_seconds() if isinstance(length, timedelta) else length
        if not seconds >= 0:
            raise ValueError(f"time does not move by {length!r}; expected a length of time from 0 on")
        _native.advance(round(seconds * 1e9))

    @property
    def elapsed(self) -> float:
        """How long time has been virtual, in virtual seconds."""
        return ((_native.virtual_time(None) or _START) - _START) / 1e9

    @property
    def waits(self) -> list[float]:
        """The waits so far, in seconds: between attempts, for a turn, in a queue."""
        return [wait / 1e9 for wait in _native.waits()]


@contextlib.contextmanager
def virtual_time() -> Iterator[VirtualTime]:
    """Time is virtual within, for the whole process, and real again afterwards, also when the test raises."""
    if _native.virtual_time(None) is not None:
        raise RuntimeError("time is virtual already: tests in virtual time run one at a time")
    _native.virtual_time(True)
    try:
        yield VirtualTime()
    finally:
        _native.virtual_time(False)


def seed_jitter(proxy: AmbassadorProxy, seed: int) -> None:
    """From now on the jitter of the proxy's target is that of the seed: the same waits each time, in every language."""
    proxy._seed_jitter(seed)


class Script:
    """A function by script: fails ``times`` times with ``error``, then returns ``then``; or several such in a row.

    ``calls`` has the arguments of every time it was called. ``Script.of(a, b, c)`` raises what is an exception and returns
    what is not, one after the other; what comes after the last repeats it.
    """

    def __init__(self, error: BaseException, *, times: int = 1, then: object = None) -> None:
        self.ends: list[object] = [error] * times + [then]
        self.calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    @classmethod
    def of(cls, *ends: object) -> Script:
        """One end after the other: an exception is raised, anything else returned."""
        if not ends:
            raise ValueError("a script needs at least one end")
        script = cls(Exception())
        script.ends = list(ends)
        return script

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        end = self.ends[min(len(self.calls), len(self.ends) - 1)]
        self.calls.append((args, kwargs))
        if isinstance(end, BaseException):
            raise end
        return end
