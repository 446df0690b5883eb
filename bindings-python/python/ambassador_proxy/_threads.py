"""The threads of the Python side: workers, and the watchdog that interrupts functions at their bounds (T2). All are
daemons, so that none keeps the interpreter alive (F4); after a fork the child starts its own (F3).
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable
from functools import partial

from ambassador_proxy import _native

#: Ignored by default, and used by no library for itself: a signal that comes late harms nobody.
_SIGNAL = getattr(signal, "SIGURG", None)

_numbers = itertools.count(1)
#: Held by the watchdog for as long as it lives.
_watchdog = threading.Lock()
#: Whether a thread tells what happens on threads of the core's.
_reports = False


class Interrupted(BaseException):
    """Raised in a function that outran its bound, to end it. No ``Exception``, lest it be taken for a failure."""


def _start(target: Callable[[], object], name: str) -> bool:
    """Whether a thread could be had (F1). What is raised came from a signal's handler."""
    thread = threading.Thread(target=target, name=name, daemon=True)
    try:
        thread.start()
    except Exception:
        if thread in threading.enumerate():
            # It was started: the handler's.
            raise
        return False
    return True


def start_worker() -> bool:
    return _start(_native.work, f"ambassador-worker-{next(_numbers)}")


def start_reader(target: Callable[..., object], *args: object) -> bool:
    """For what reads the body of a request while it is sent."""
    return _start(partial(target, *args), f"ambassador-reader-{next(_numbers)}")


def has_reporter() -> bool:
    return _reports


def start_reporter(target: Callable[[], object]) -> None:
    """For what happens on threads of the core's. Two are as good as one."""
    global _reports
    _reports = True
    _reports = _start(target, "ambassador-reporter")


def prepare() -> int:
    """Makes the present thread ready to be interrupted: its identifier, with the bit ``BY_SIGNAL`` where a signal can
    do it; or 0 where nothing can, for want of a watchdog.

    A signal also ends blocking system calls; only the main thread runs handlers. Others get an asynchronous exception,
    which arrives when they next run Python code.
    """
    if not _watchdog.locked() and not _start(_watch, "ambassador-watchdog"):
        return 0
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
    if not _watchdog.acquire(blocking=False):
        # Two threads had need of one at the same time.
        return
    while True:
        ident = _native.watch()
        if not ident:
            continue
        if _SIGNAL is not None and signal.getsignal(_SIGNAL) is _interrupt:
            signal.pthread_kill(ident, _SIGNAL)
        else:
            _native.interrupt_thread(ident)


def _forked() -> None:
    global _watchdog, _reports
    _watchdog = threading.Lock()
    _reports = False
    _native.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
