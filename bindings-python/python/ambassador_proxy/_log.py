"""What the ambassador says by ``logging``: the logger ``ambassador``. How much is said is that logger's level, which the core is
told, so that what nobody wants to read is not even made; ``AMBASSADOR_LOG`` bounds it from outside.
"""

from __future__ import annotations

import logging
from typing import Any

from ambassador_proxy import _native

logger = logging.getLogger("ambassador")

#: Levels of ``logging``, by the core's numbers.
LEVELS = (logging.CRITICAL + 1, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)

_operators = _native.operators_log_level()
_says_retries = _operators is None or LEVELS[_operators] <= logging.WARNING


def follow() -> None:
    """Tells the core how much the logger lets through at present."""
    wanted = (number for number in range(len(LEVELS) - 1, 0, -1) if logger.isEnabledFor(LEVELS[number]))
    _native.set_log_level(next(wanted, 0))


class _Following(dict[int, bool]):
    """What a logger remembers of its levels. ``logging`` makes it forget when any level is changed: then it is time to look."""

    def clear(self) -> None:
        super().clear()
        follow()


def begin() -> None:
    if _operators is not None and logger.level == logging.NOTSET:
        logger.setLevel(LEVELS[_operators])
    # Of no concern to a logger of a Python that remembers in another way: the level is then looked at with each new proxy.
    if type(getattr(logger, "_cache", None)) is dict:
        logger._cache = _Following()  # type: ignore[attr-defined]
    follow()


def say(level: int, line: str, event: dict[str, Any] | None) -> None:
    """A handler that throws changes nothing for the call (F5)."""
    try:
        logger.log(LEVELS[level], "%s", line, extra={"ambassador": event})
    except Exception:
        return


def retry(line: str, event: dict[str, Any] | None = None) -> None:
    """R7"""
    if _says_retries:
        say(2, line, event)


def broken_listener() -> None:
    """F5: said in an ``except`` block, and that is all."""
    try:
        logger.exception("a listener of the ambassador's events raised")
    except Exception:
        return


begin()
