"""What happens to targets, told to whoever listens: ``proxy.on_event(listener)``."""

from __future__ import annotations

import json
import logging
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

Event: TypeAlias = dict[str, Any]
Listener: TypeAlias = Callable[[Event], object]

_log = logging.getLogger("ambassador")
#: Those proxies of each name that have listeners; listeners last as long as the proxy on which they were registered.
_listening: dict[str, weakref.WeakSet[Any]] = {}


class Source(Protocol):
    """A proxy or a call: what knows of a target's events."""

    @property
    def name(self) -> str: ...
    def fetch_events(self) -> list[str]: ...


def listen(proxy: Any, listener: Listener) -> None:
    """From now on ``listener`` is told of everything that happens to the target of ``proxy``."""
    proxy._listeners.append(listener)
    _listening.setdefault(proxy.name, weakref.WeakSet()).add(proxy)
    proxy._keep_events()


def hear(source: Source) -> None:
    """Tells what has happened and was told to nobody yet. A listener that throws changes nothing for the call (F5)."""
    events = source.fetch_events()
    if not events:
        return
    listeners = [listener for proxy in list(_listening.get(source.name, ())) for listener in proxy._listeners]
    for text in events:
        event = json.loads(text)
        for listener in listeners:
            try:
                listener(event)
            except Exception:
                _log.exception("a listener of the ambassador's events raised")
