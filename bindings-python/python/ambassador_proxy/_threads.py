"""The threads of the Python side: workers, and the watchdog that interrupts functions at their bounds (T2). All are
daemons, so that none keeps the interpreter alive (F4); after a fork the child starts its own (F3).
"""

from __future__ import annotations

import itertools
import os
import signal
import threading

from ambassador_proxy import _native

#: Ignored by default, and used by no library for itself: a signal that comes late harms nobody.
_SIGNAL = getattr(signal, "SIGURG", None)

_numbers = itertools.count(1)
_watchdog_starts = threading.Lock()


class Interrupted(BaseException):
    """Raised in a function that outran its bound, to end it. No ``Exception``, lest it be taken for a failure."""


def start_worker() -> None:
    name = f"ambassador-worker-{next(_numbers)}"
    threading.Thread(target=_native.work, name=name, daemon=True).start()


def prepare() -> int:
    """Makes the present thread ready to be interrupted: its identifier, with the bit ``BY_SIGNAL`` where a signal can
    do it.

    A signal also ends blocking system calls; only the main thread runs handlers. Others get an asynchronous exception,
    which arrives when they next run Python code.
    """
    if _watchdog_starts.acquire(blocking=False):
        try:
            threading.Thread(target=_watch, name="ambassador-watchdog", daemon=True).start()
        except BaseException:
            _watchdog_starts.release()
            raise
    ident = threading.get_ident()
    if ident == threading.main_thread().ident and _take_signal():
        return ident | _native.BY_SIGNAL
    return ident


def _take_signal() -> bool:
    if _SIGNAL is None:
        return False
    present = signal.getsignal(_SIGNAL)
    if present in (signal.SIG_DFL, signal.SIG_IGN):
        signal.signal(_SIGNAL, _interrupt)
        return True
    # Somebody else's stays theirs.
    return present is _interrupt


def _interrupt(*_: object) -> None:
    if _native.due():
        raise Interrupted


def _watch() -> None:
    while True:
        ident = _native.watch()
        if not ident:
            continue
        if _SIGNAL is not None and signal.getsignal(_SIGNAL) is _interrupt:
            signal.pthread_kill(ident, _SIGNAL)
        else:
            _native.interrupt_thread(ident)


def _forked() -> None:
    global _watchdog_starts
    _watchdog_starts = threading.Lock()
    _native.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
