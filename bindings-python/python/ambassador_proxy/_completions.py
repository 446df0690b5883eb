"""How coroutines hear of their requests: each event loop has a queue, and its own thread settles all that has come at once. No
other thread takes part, for one that waits for the interpreter would hold up the ambassador's runtime.
"""

from __future__ import annotations

import asyncio
import select
from contextlib import suppress

from ambassador_proxy import _events, _log, _native, _threads

#: Where a loop keeps its queue: what waits in it holds the loop, so that nothing else may hold the queue.
_PLACE = "_ambassador_completions"


def completions_of(loop: asyncio.AbstractEventLoop) -> _native.Completions:
    """The queue of that loop, whose own thread settles all that has come at once."""
    present: _native.Completions | None = getattr(loop, _PLACE, None)
    if present is not None:
        return present
    _events.attend()
    completions = _native.Completions()
    setattr(loop, _PLACE, completions)
    try:
        loop.add_reader(completions.fileno(), settle, completions)
    except NotImplementedError:
        # A loop that looks at no files: a thread looks for it.
        def look() -> None:
            # Until the loop is closed.
            with suppress(RuntimeError):
                while True:
                    select.select([completions.fileno()], [], [])
                    completions.calm()
                    loop.call_soon_threadsafe(settle, completions)

        _threads.start_reader(look)
    return completions


def settle(completions: _native.Completions) -> None:
    """Settles the futures for which something has come."""
    for future, value in completions.fetch():
        if future is None:
            _log.retry(value)
        elif not future.done():
            future.set_result(value)
