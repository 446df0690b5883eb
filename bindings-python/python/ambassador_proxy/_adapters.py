"""What the adapters of other clients share: a proxy for each origin that is asked, made when it first is; the same with another
bound; and errors that are the ambassador's and the other client's at once.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from ambassador_proxy._proxy import AmbassadorProxy
from ambassador_proxy.errors import AmbassadorError

T = TypeVar("T")

#: Between two hops only, or the core's to say.
HOP_BY_HOP = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)


class Kept:
    """The last so many of what was asked for, each made once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                present: T = self._kept[key]
                return present
        made = make()
        with self._lock:
            kept: T = self._kept.setdefault(key, made)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return kept

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()


class Proxies:
    """One proxy for all that is asked, or one for each origin."""

    def __init__(self, proxy: AmbassadorProxy | None, most: int, settings: dict[str, Any]) -> None:
        if proxy is not None and settings:
            raise TypeError(f"{', '.join(settings)}: settings are those of the proxy, where one is given")
        if proxy is not None and not isinstance(proxy, AmbassadorProxy):
            raise TypeError(f"proxy is an AmbassadorProxy, not {type(proxy).__name__}")
        if proxy is None:
            # Wrong settings are told here, and not by the first request (C2).
            AmbassadorProxy("localhost", **{**settings, "name": "settings of an adapter"})
        self.proxy = proxy
        self._settings = settings
        self._kept = Kept(most)

    def of(self, origin: str, **changes: Any) -> AmbassadorProxy:
        """The proxy for that origin, such as ``https://payment-api.example.com``, and these settings besides."""
        if self.proxy is not None:
            return self.proxy
        # Other settings of the target's state belong to a state of their own (C4).
        name = " ".join([origin, *(f"{field}={value}" for field, value in changes.items())])
        settings = {"name": name[:200], **self._settings, **changes}
        return self._kept.get(name, lambda: AmbassadorProxy(origin, **settings))

    def bounded(self, proxy: AmbassadorProxy, timeout: float) -> AmbassadorProxy:
        """The same proxy with another bound for each attempt."""
        return self._kept.get((proxy.name, timeout), lambda: proxy._with_timeout(timeout))

    def clear(self) -> None:
        self._kept.clear()


def both(ours: type[AmbassadorError], theirs: type[Exception]) -> type[AmbassadorError]:
    """A class of errors that is both, so that whoever expects either finds it."""

    def init(self: Any, message: str) -> None:
        (OSError if isinstance(self, OSError) else Exception).__init__(self, message)

    return type(ours.__name__, (ours, theirs), {"__init__": init, "__module__": __name__, "__doc__": ours.__doc__})


def as_both(error: AmbassadorError, kind: type[AmbassadorError], **attributes: object) -> AmbassadorError:
    """The error as one of that class."""
    made = kind(str(error))
    vars(made).update(vars(error), **attributes)
    made.__cause__ = error.__cause__
    made.__suppress_context__ = True
    return made
