"""Bounds of plain functions: control is back at the bound whatever the function does, and nothing is left behind (T1–T3, O3)."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest
from ambassador_proxy import Backoff, CallTimeoutError, DeadlineExceededError
from conftest import FOREVER, Flaky, output_of

#: A bound that passes soon, and within which a busy machine too begins what it has to.
BRIEF = 0.3


def until(condition: Callable[[], object]) -> None:
    """Waits for what another thread is about to do."""
    patience = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < patience
        time.sleep(0)


def test_a_function_that_hangs_gives_control_back_at_the_bound(proxy, run_in):
    ambassador = proxy(max_retries=2, timeout=0.03, run_in=run_in)
    begun = time.monotonic()
    with pytest.raises(CallTimeoutError) as caught:
        ambassador.call(time.sleep, FOREVER)
    assert 0.06 <= time.monotonic() - begun < 60
    error = caught.value
    assert isinstance(error, TimeoutError)
    assert (error.code, error.target, error.attempts) == ("TIMEOUT", ambassador.target, 2)
    assert error.elapsed >= 0.06
    assert str(error).startswith(f"{ambassador.target}: attempt 2 of 2 did not end within 30ms (2 attempts in ")
    assert error.__cause__ is None


def test_a_timeout_carries_the_last_real_error_as_its_cause(proxy, run_in):
    original = ConnectionError("original")
    failing = Flaky(original)

    def function() -> None:
        failing()
        time.sleep(FOREVER)

    with pytest.raises(CallTimeoutError) as caught:
        proxy(max_retries=2, timeout=BRIEF, run_in=run_in).call(function)
    assert caught.value.__cause__ is original


def test_a_timed_out_attempt_is_tried_again(proxy, run_in, caplog):
    calls = []

    def function() -> str:
        calls.append(1)
        if len(calls) == 1:
            time.sleep(FOREVER)
        return "charged"

    assert proxy(timeout=BRIEF, run_in=run_in).call(function) == "charged"
    assert "[Ambassador] Retry 1 after 0ms: " in caplog.text
    assert "did not end within 300ms" in caplog.text


def test_an_interrupted_function_runs_its_finally_blocks_and_is_not_caught_by_except_exception(proxy, run_in):
    seen = threading.Event()

    def function() -> None:
        try:
            while True:
                try:
                    time.sleep(0.001)
                except Exception:
                    pytest.fail("an interrupt is no Exception")
        finally:
            seen.set()

    with pytest.raises(CallTimeoutError):
        proxy(max_retries=1, timeout=BRIEF, run_in=run_in).call(function)
    assert seen.wait(60)


def test_on_the_main_thread_even_a_blocking_system_call_is_interrupted(proxy):
    one, other = socket.socketpair()
    with one, other, pytest.raises(CallTimeoutError):
        proxy(max_retries=1, timeout=0.02, run_in="caller").call(one.recv, 1)
    with pytest.raises(CallTimeoutError):
        proxy(max_retries=1, timeout=0.02, run_in="caller").call(threading.Event().wait)


def test_on_another_thread_python_code_is_interrupted(proxy):
    ambassador, ended = proxy(max_retries=1, timeout=0.02, run_in="caller"), []

    def spin() -> None:
        while True:
            pass

    def thread() -> None:
        try:
            ambassador.call(spin)
        except CallTimeoutError as error:
            ended.append(error)

    thread_ = threading.Thread(target=thread, daemon=True)
    thread_.start()
    thread_.join(60)
    assert len(ended) == 1


def test_an_interrupt_that_is_swallowed_is_sent_again(proxy):
    swallowed = []

    def function() -> None:
        while len(swallowed) < 2:
            try:
                while True:
                    time.sleep(0.001)
            except BaseException as interrupt:
                swallowed.append(interrupt)

    with pytest.raises(CallTimeoutError):
        proxy(max_retries=1, timeout=0.02, run_in="caller").call(function)
    assert len(swallowed) == 2


def test_a_late_value_is_dropped_and_counted(proxy):
    # On the caller's thread a function that cannot be interrupted (here: it ignores it once) ends late.
    ambassador = proxy(max_retries=1, timeout=0.02, run_in="caller")

    def function() -> str:
        try:
            while True:
                time.sleep(0.001)
        except BaseException:
            return "late"

    with pytest.raises(CallTimeoutError):
        ambassador.call(function)
    health = ambassador.health()
    assert (health["late_results"], health["calls"]["timeout"], health["calls"]["ok"]) == (1, 1, 0)


def test_an_abandoned_worker_is_counted_until_its_function_really_ends_and_is_used_again(proxy):
    ambassador = proxy(max_retries=1, timeout=BRIEF, run_in="worker")
    release, where = threading.Event(), []

    def function() -> str:
        where.append(threading.get_ident())
        # Cannot be interrupted while it waits for the lock of the event.
        while not release.is_set():
            try:
                release.wait(FOREVER)
            except BaseException:
                continue
        return "late"

    with pytest.raises(CallTimeoutError):
        ambassador.call(function)
    assert ambassador.health()["abandoned"] == 1
    assert ambassador.health()["in_flight"] == 0
    release.set()
    until(lambda: ambassador.health()["abandoned"] == 0)
    assert ambassador.health()["late_results"] == 1
    until(lambda: ambassador.call(threading.get_ident) == where[0])


def test_cancelled_is_seen_by_a_function_that_looks(proxy, run_in):
    seen: list[bool] = []
    ended = threading.Event()

    def function(attempt) -> None:
        try:
            seen.append(attempt.cancelled)
            while True:
                time.sleep(0.001)
        finally:
            seen.append(attempt.cancelled)
            ended.set()

    with pytest.raises(CallTimeoutError):
        proxy(max_retries=1, timeout=BRIEF, run_in=run_in).execute(function)
    assert ended.wait(60)
    assert seen == [False, True]


def test_the_deadline_bounds_the_whole_call(proxy, run_in):
    ambassador = proxy(timeout=FOREVER, deadline=0.5, run_in=run_in)
    failing = Flaky(OSError())

    def function() -> None:
        failing()
        time.sleep(FOREVER)

    begun = time.monotonic()
    with pytest.raises(DeadlineExceededError) as caught:
        ambassador.call(function)
    assert 0.5 <= time.monotonic() - begun < 60
    assert isinstance(caught.value, CallTimeoutError)
    assert (caught.value.code, caught.value.attempts) == ("DEADLINE", 2)


def test_a_call_never_sleeps_in_vain(proxy, run_in):
    # R4: the wait of an hour would end after the deadline.
    error = ConnectionError("real")
    ambassador = proxy(deadline=60, backoff=Backoff(base=FOREVER, jitter="none", max=FOREVER), run_in=run_in)
    with pytest.raises(ConnectionError) as caught:
        ambassador.call(Flaky(error))
    assert caught.value is error


def test_a_bound_around_a_bounded_call_ends_both(proxy):
    inner = proxy(max_retries=100, timeout=FOREVER, run_in="caller")
    for outer_runs in ("caller", "worker"):
        outer = proxy(max_retries=1, timeout=0.05, run_in=outer_runs)
        with pytest.raises(CallTimeoutError):
            outer.call(inner.call, time.sleep, 0.2 if outer_runs == "worker" else FOREVER)
    until(lambda: inner.health()["in_flight"] == 0)
    assert inner.health()["calls"]["cancelled"] >= 1


@pytest.mark.parametrize("outer_runs", ["caller", "worker"])
def test_a_bound_around_a_backoff_or_a_worker_ends_it(proxy, outer_runs):
    waiting = proxy(backoff=Backoff(base=FOREVER, max=FOREVER, jitter="none"), run_in="caller")
    hanging = proxy(timeout=FOREVER, run_in="worker")
    outer = proxy(max_retries=1, timeout=BRIEF, run_in=outer_runs)
    with pytest.raises(CallTimeoutError):
        outer.call(waiting.call, Flaky(OSError()))
    with pytest.raises(CallTimeoutError):
        outer.call(hanging.call, threading.Event().wait, 1)
    for inner in (waiting, hanging):
        until(lambda inner=inner: inner.health()["calls"]["cancelled"] == 1)


@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_hundred_thousand_calls_that_end_at_their_bounds_leave_nothing_behind(thread):
    """Each is its value or TIMEOUT, and the thread is clean afterwards: no interrupt hits the next function or the caller."""
    print(output_of(RACE, thread))


RACE = """
    import sys, threading, time
    from ambassador_proxy import AmbassadorProxy, CallTimeoutError

    BOUND = 100e-6
    ambassador = AmbassadorProxy("race.example.com", max_retries=1, timeout=BOUND, backoff=None, breaker=None, run_in="caller")

    def function(length):
        until = time.perf_counter() + length
        while time.perf_counter() < until:
            pass
        return length

    def race():
        values = timeouts = 0
        for n in range(50_000):
            length = BOUND + (n % 101 - 50) * 1e-6
            try:
                assert ambassador.call(function, length) == length
                values += 1
            except CallTimeoutError:
                timeouts += 1
            # What would be hit by a stray interrupt.
            for _ in range(3):
                pass
        assert values + timeouts == 50_000
        assert values and timeouts, (values, timeouts)

    def in_thread():
        failures = []
        def guarded():
            try:
                race()
            except BaseException as error:
                failures.append(error)
        thread = threading.Thread(target=guarded)
        thread.start()
        thread.join()
        if failures:
            raise failures[0]

    in_thread() if sys.argv[1] == "other" else race()
    health = ambassador.health()
    assert health["in_flight"] == 0 and sum(health["calls"].values()) == 50_000, health
"""


def test_ten_thousand_calls_that_end_at_their_bounds_on_workers_leave_nothing_behind(proxy):
    bound = 0.0003
    ambassador = proxy(max_retries=1, timeout=bound, run_in="worker")
    ends = {"value": 0, "timeout": 0}
    for n in range(10_000):
        length = bound + (n % 101 - 80) * 3e-6
        try:
            assert ambassador.call(spin_for, length) == length
            ends["value"] += 1
        except CallTimeoutError:
            ends["timeout"] += 1
    assert sum(ends.values()) == 10_000
    until(lambda: ambassador.health()["abandoned"] == 0)
    assert proxy(timeout=FOREVER, run_in="worker").call(spin_for, 0.0) == 0.0


def spin_for(length: float) -> float:
    end = time.perf_counter() + length
    while time.perf_counter() < end:
        pass
    return length


def test_a_foreign_handler_of_the_signal_stays_in_place(proxy):
    if not hasattr(signal, "SIGURG"):
        pytest.skip("this system has no SIGURG")
    got = []
    before = signal.signal(signal.SIGURG, lambda *_: got.append(1))
    try:
        with pytest.raises(CallTimeoutError):
            proxy(max_retries=1, timeout=0.02, run_in="caller").call(pure_python_forever)
        signal.raise_signal(signal.SIGURG)
        assert got == [1]
    finally:
        signal.signal(signal.SIGURG, before)


def pure_python_forever() -> None:
    while True:
        pass


def test_more_calls_than_workers_wait_for_one_within_their_bounds():
    output_of(
        """
        import threading, time
        from ambassador_proxy import AmbassadorProxy, CallTimeoutError, _native

        ambassador = AmbassadorProxy("many.example.com", max_retries=1, timeout=30, backoff=None, run_in="worker")
        brief = AmbassadorProxy("brief.example.com", max_retries=1, timeout=0.05, backoff=None, run_in="worker")
        release, running = threading.Event(), []

        def hold():
            running.append(1)
            release.wait()

        callers = [threading.Thread(target=ambassador.call, args=(hold,)) for _ in range(256)]
        for caller in callers:
            caller.start()
        while len(running) < 256:
            time.sleep(0.001)
        ran = []
        try:
            brief.call(ran.append, 1)
        except CallTimeoutError:
            pass
        else:
            raise SystemExit("no worker was free, and yet it ran")
        late = threading.Thread(target=ambassador.call, args=(ran.append, 2))
        late.start()
        release.set()
        late.join()
        for caller in callers:
            caller.join()
        assert ran == [2], ran
        assert _native.worker_threads() <= 256
        """
    )


def test_sixty_four_threads_share_a_proxy(proxy, run_in):
    ambassador = proxy(run_in=run_in, timeout=FOREVER)
    sums = []

    def thread(n: int) -> None:
        sums.append(sum(ambassador.call(int.__add__, n, k) for k in range(200)))

    threads = [threading.Thread(target=thread, args=(n,)) for n in range(64)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(sums) == [sum(n + k for k in range(200)) for n in range(64)]
    assert ambassador.health()["calls"]["ok"] == 64 * 200
    assert ambassador.health()["in_flight"] == 0


def test_deep_recursion_inside_a_call_is_an_error_like_any_other(proxy, run_in):
    def deeper() -> None:
        deeper()

    ambassador = proxy(max_retries=2, timeout=FOREVER, run_in=run_in)
    with pytest.raises(RecursionError):
        ambassador.call(deeper)
    assert ambassador.health()["attempts"]["failure"] == 2


def test_headers_keep_their_key_across_attempts(proxy, run_in):
    seen = []

    def function(attempt) -> str:
        seen.append((attempt.attempt, attempt.endpoint, attempt.headers, attempt.remaining))
        if attempt.attempt < 3:
            raise ConnectionError
        return "charged"

    ambassador = proxy(timeout=5, run_in=run_in)
    assert ambassador.execute(function) == "charged"
    assert [attempt for attempt, *_ in seen] == [1, 2, 3]
    assert {endpoint for _, endpoint, *_ in seen} == {ambassador.target}
    keys = {headers["idempotency-key"] for _, _, headers, _ in seen}
    traces = {headers["traceparent"][3:35] for _, _, headers, _ in seen}
    assert (len(keys), len(traces)) == (1, 1)
    assert [headers["x-ambassador-attempt"] for _, _, headers, _ in seen] == ["1", "2", "3"]
    assert all(0 < remaining <= 5 for *_, remaining in seen)
    other: list[str] = []
    ambassador.execute(lambda attempt: other.append(attempt.headers["idempotency-key"]))
    assert not keys & set(other)


def test_a_first_attempt_that_is_asked_only_afterwards_has_its_calls_key(proxy, run_in):
    attempts = []

    def function(attempt) -> str:
        attempts.append(attempt)
        if attempt.attempt < 2:
            raise ConnectionError
        return "charged"

    assert proxy(run_in=run_in).execute(function) == "charged"
    keys = {attempt.headers["idempotency-key"] for attempt in attempts}
    assert (len(attempts), len(keys)) == (2, 1)


def test_an_unbounded_attempt_has_no_end(proxy):
    def function(attempt) -> tuple[object, bool]:
        return attempt.remaining, attempt.cancelled

    assert proxy(timeout=None).execute(function) == (None, False)


def test_execute_passes_arguments_on(proxy, run_in):
    assert proxy(run_in=run_in).execute(lambda attempt, a, *, b: (attempt.attempt, a, b), 2, b=3) == (1, 2, 3)


@pytest.mark.parametrize("many", [0, 3, 4, 9])
def test_execute_passes_any_number_of_arguments_on(proxy, run_in, many):
    args, kwargs = tuple(range(many)), {f"kw{n}": n for n in range(many)}
    seen = proxy(run_in=run_in).execute(lambda attempt, *a, **k: (attempt.attempt, a, k), *args, **kwargs)
    assert seen == (1, args, kwargs)
