"""What happens to targets, told to whoever listens: ``proxy.on_event(listener)``."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from ambassador_proxy import _log, _native, _threads

Event: TypeAlias = dict[str, Any]
Listener: TypeAlias = Callable[[Event], object]

#: As JSON; at which level it is logged, if at all; and the line.
Told: TypeAlias = tuple[str, int, str]
#: Those proxies of each name that have listeners; listeners last as long as the proxy on which they were registered.
_listening: dict[str, weakref.WeakSet[Any]] = {}
#: Whether it did once, perhaps in this process's parent.
_attends = False


class Source(Protocol):
    """A proxy or a call: what knows of a target's events."""

    @property
    def name(self) -> str: ...
    def fetch_events(self) -> list[Told]: ...


def listen(proxy: Any, listener: Listener) -> None:
    """From now on ``listener`` is told of everything that happens to the target of ``proxy``."""
    proxy._listeners.append(listener)
    _listening.setdefault(proxy.name, weakref.WeakSet()).add(proxy)
    proxy._keep_events()


def hear(source: Source) -> None:
    """Tells what has happened and was told to nobody yet. A listener that throws changes nothing for the call (F5)."""
    events = source.fetch_events()
    if events:
        _tell(source.name, events)
        if _attends and not is_attending():
            # F3: the thread was the parent's.
            attend()


def _tell(name: str, events: list[Told]) -> None:
    listeners = [listener for proxy in list(_listening.get(name, ())) for listener in proxy._listeners]
    for text, level, line in events:
        if not level and not listeners:
            continue
        event = json.loads(text)
        if level:
            _log.say(level, line, event)
        for listener in listeners:
            try:
                listener(event)
            except Exception:
                _log.broken_listener()


def is_attending() -> bool:
    """Whether a thread tells what happens on threads of the core's."""
    return _threads.has_reporter()


def attend() -> None:
    """From now on one does: requests, looks for endpoints and checks of them run there."""
    global _attends
    if not _threads.has_reporter():
        _attends = True
        _threads.start_reporter(_report)


def _report() -> None:
    while True:
        _native.wait_for_news()
        for name, events in _native.pending_events():
            _tell(name, events)
