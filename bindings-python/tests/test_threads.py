"""Threads that cannot be had, and threads whose start is cut short: no call is lost for them, and no failure counted (F1, A3)."""

from __future__ import annotations

import pytest
from conftest import output_of

#: No thread of the ambassador's whose name begins with one of ``names`` can be started. In a process of its own, so that
#: none is there from other tests.
WITHOUT_THREADS = """
    import logging; logging.disable()
    import contextvars, threading, time
    from ambassador_proxy import AmbassadorProxy, CallTimeoutError, _native

    starts, start, names = [], threading.Thread.start, {names!r}

    def refuse(thread):
        if thread.name.startswith(names):
            starts.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    threading.Thread.start = refuse
    ambassador = AmbassadorProxy("threads.example.com", timeout={timeout}, max_retries=1, run_in="{run_in}")

    def in_a_thread(function):
        thread = threading.Thread(target=function)
        thread.start()
        thread.join()
"""
NONE = ("ambassador-",)


def output_without(names: tuple[str, ...], run_in: str, program: str, timeout: float = 3600.0) -> str:
    return output_of(WITHOUT_THREADS.format(names=names, run_in=run_in, timeout=timeout) + program)


def test_a_function_that_no_thread_can_be_had_for_runs_on_its_callers_own(run_in):
    output_without(
        NONE,
        run_in,
        """
    failing = [OSError(), OSError()]

    def function(attempt, amount):
        if failing:
            raise failing.pop()
        return attempt.attempt, threading.current_thread(), amount

    def check():
        failing[:] = [OSError(), OSError()]
        assert proxy.execute(function, 2.5) == (3, threading.current_thread(), 2.5)

    proxy = AmbassadorProxy("threads.example.com", backoff=None, run_in=ambassador.policy.run_in)
    check()
    in_a_thread(check)
    health = proxy.health()
    assert starts
    assert health["calls"]["ok"] == 2 and health["attempts"]["failure"] == 4, health
    assert health["in_flight"] == health["abandoned"] == 0, health
    assert _native.worker_threads() == 0
    """,
    )


def test_it_still_runs_in_a_copy_of_its_callers_context():
    output_without(
        NONE,
        "worker",
        """
    tenant = contextvars.ContextVar("tenant")
    tenant.set("acme")

    def function():
        seen = tenant.get()
        tenant.set("changed")
        return seen

    assert ambassador.call(function) == "acme"
    assert tenant.get() == "acme"
    """,
    )


def test_it_is_interrupted_at_its_bound_where_only_workers_cannot_be_had():
    output_without(
        ("ambassador-worker",),
        "worker",
        """
    try:
        ambassador.call(time.sleep, 3600)
    except CallTimeoutError:
        pass
    else:
        raise SystemExit("no timeout")
    """,
        timeout=0.05,
    )


def test_a_late_end_of_it_is_a_timeout_though_nothing_can_interrupt_it(run_in):
    output_without(
        NONE,
        run_in,
        """
    def function(attempt):
        while not attempt.cancelled:
            time.sleep(0.001)
        return "late"

    try:
        ambassador.execute(function)
    except CallTimeoutError as error:
        assert error.attempts == 1
    else:
        raise SystemExit("no timeout")
    health = ambassador.health()
    assert health["late_results"] == health["calls"]["timeout"] == 1, health
    """,
        timeout=0.02,
    )


def test_threads_are_used_as_soon_as_they_can_be_had_again(run_in):
    output_without(
        NONE,
        run_in,
        """
    assert ambassador.call(threading.get_ident) == threading.get_ident()
    threading.Thread.start = start
    brief = AmbassadorProxy("threads.example.com", timeout=0.05, max_retries=1, run_in=ambassador.policy.run_in)
    try:
        brief.call(time.sleep, 3600)
    except CallTimeoutError:
        pass
    else:
        raise SystemExit("no timeout")
    on_its_own = ambassador.call(threading.get_ident) == threading.get_ident()
    assert on_its_own == (ambassador.policy.run_in == "caller")
    """,
    )


def test_what_the_system_says_when_it_has_no_more_threads(run_in):
    output_of(
        f"""
        import threading
        from ambassador_proxy import AmbassadorProxy

        # More than there are addresses for.
        threading.stack_size(1 << 46)
        ambassador = AmbassadorProxy("threads.example.com", max_retries=1, run_in="{run_in}")
        assert ambassador.call(threading.get_ident) == threading.get_ident()
        """
    )


def test_in_an_exit_handler_no_thread_may_be_left_to_start(run_in):
    """From Python 3.12 on the interpreter starts none that late."""
    output = output_of(
        f"""
        import atexit
        from ambassador_proxy import AmbassadorProxy

        def last():
            print(ambassador.call(max, 1, 2), ambassador.health()["attempts"]["failure"])

        atexit.register(last)
        ambassador = AmbassadorProxy("atexit.example.com", run_in="{run_in}")
        """
    )
    assert output == "2 0\n"


CUT_SHORT = """
    import threading, time
    from ambassador_proxy import AmbassadorProxy, CallTimeoutError, _native

    class Stop(BaseException):
        pass

    running, start, cut_short = threading.Event(), threading.Thread.start, []

    def cut_short_once(thread):
        start(thread)
        if not cut_short:
            cut_short.append(thread)
            # As a signal's handler may, in whatever Python code the main thread is.
            {until}
            raise Stop

    def function():
        running.set()
        time.sleep(0.2)

    threading.Thread.start = cut_short_once
    ambassador = AmbassadorProxy("threads.example.com", timeout=3600, run_in="{run_in}")
    try:
        ambassador.call(function)
    except Stop:
        pass
    else:
        raise SystemExit("nothing was raised")
    health = ambassador.health()
    assert health["calls"]["cancelled"] == 1 and health["in_flight"] == 0, health
    brief = AmbassadorProxy("threads.example.com", timeout=0.05, max_retries=1, run_in="{run_in}")
    for _ in range(2):
        try:
            brief.call(time.sleep, 3600)
        except CallTimeoutError:
            pass
        else:
            raise SystemExit("no timeout")
"""


@pytest.mark.parametrize("until", ["pass", "running.wait()"], ids=["before it runs", "while it runs"])
def test_what_a_signals_handler_raises_while_a_worker_starts_ends_the_call(until):
    output_of(
        CUT_SHORT.format(until=until, run_in="worker")
        + """
    while ambassador.health()["abandoned"] > 2:
        time.sleep(0.001)
    assert 2 <= _native.worker_threads() <= 3, _native.worker_threads()
    """
    )


def test_what_a_signals_handler_raises_while_the_watchdog_starts_leaves_one_watchdog():
    output_of(
        CUT_SHORT.format(until="pass", run_in="caller")
        + """
    assert [thread.name for thread in threading.enumerate()].count("ambassador-watchdog") == 1
    """
    )
