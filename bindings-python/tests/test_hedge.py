"""Hedging: an attempt beside one that takes long, on workers and on the caller's loop (H1). By events: whoever has to be slow
waits for the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import itertools
import logging
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from ambassador_proxy import Attempt, Backoff, BulkheadFullError, CallTimeoutError, Hedge, _native
from conftest import FOREVER, output_of


@pytest.fixture
def hedged(proxy) -> Callable[..., Any]:
    """Makes a proxy that begins another attempt as soon as it can."""

    def make(**settings: Any) -> Any:
        return proxy(**{"hedge": Hedge(after=0.001), "idempotent": True, "timeout": FOREVER, **settings})

    return make


def hang() -> None:
    """Until it is interrupted."""
    while True:
        time.sleep(0.001)


def until(condition: Callable[[], object]) -> None:
    while not condition():
        time.sleep(0.001)


async def until_async(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0)


# ---------------------------------------------------------------- plain functions


def test_the_hedge_wins_while_the_first_attempt_hangs_and_that_one_is_stopped(hedged):
    ambassador, stopped, seen = hedged(), threading.Event(), []

    def charge(attempt: Attempt, amount: float) -> tuple[int, float]:
        if attempt.attempt == 1:
            seen.append(attempt)
            try:
                hang()
            finally:
                stopped.set()
        return attempt.attempt, amount

    assert ambassador.execute(charge, 2.5) == (2, 2.5)
    # It hears of it at its next step of Python.
    stopped.wait()
    assert seen[0].cancelled
    until(lambda: ambassador.health()["abandoned"] == 0)
    health = ambassador.health()
    assert health["attempts"] == {"ok": 1, "failure": 0, "timeout": 0, "cancelled": 1}
    assert (health["hedges"], health["retries"], health["late_results"], health["in_flight"]) == (1, 0, 0, 0)


def test_the_first_attempt_may_win_all_the_same(hedged):
    ambassador, begun, stopped = hedged(), threading.Event(), threading.Event()

    def charge(attempt: Attempt) -> int:
        if attempt.attempt == 1:
            begun.wait()
            return 1
        begun.set()
        try:
            hang()
        finally:
            stopped.set()
        return 2

    assert ambassador.execute(charge) == 1
    stopped.wait()
    assert ambassador.health()["attempts"]["cancelled"] == 1


def test_a_function_that_ends_at_once_has_no_hedge(hedged):
    ambassador = hedged(hedge={"after": FOREVER})
    assert ambassador.call(max, 1, 2) == 2
    assert ambassador.health()["hedges"] == 0


def test_so_many_run_beside_each_other_as_the_setting_says(hedged):
    ambassador, all_run = hedged(max_retries=10, hedge=Hedge(after=0.001, max=3)), threading.Barrier(4)

    def charge(attempt: Attempt) -> int:
        all_run.wait()
        if attempt.attempt != 3:
            hang()
        return attempt.attempt

    assert ambassador.execute(charge) == 3
    assert ambassador.health()["attempts"]["cancelled"] == 3
    assert ambassador.health()["hedges"] == 3


def test_a_failure_is_not_the_end_while_another_attempt_runs(hedged):
    ambassador, begun = hedged(), threading.Event()

    def charge(attempt: Attempt) -> str:
        if attempt.attempt == 1:
            begun.wait()
            raise ConnectionError("Payment API unreachable")
        begun.set()
        until(lambda: ambassador.health()["attempts"]["failure"] == 1)
        return "charged"

    assert ambassador.execute(charge) == "charged"
    assert ambassador.health()["calls"]["ok"] == 1


def test_when_all_have_failed_the_error_of_the_last_comes_back_as_the_same_object(hedged):
    ambassador, begun = hedged(max_retries=2), threading.Event()
    errors = {1: ConnectionError("the first"), 2: ConnectionError("the hedge")}

    def charge(attempt: Attempt) -> None:
        if attempt.attempt == 1:
            begun.wait()
        else:
            begun.set()
            until(lambda: ambassador.health()["attempts"]["failure"] == 1)
        raise errors[attempt.attempt]

    with pytest.raises(ConnectionError) as caught:
        ambassador.execute(charge)
    assert caught.value is errors[2]
    if sys.version_info >= (3, 11):
        assert "2 attempts in" in errors[2].__notes__[0]
        assert not hasattr(errors[1], "__notes__")


def test_a_retry_after_both_have_failed_runs_alone_and_may_be_hedged_again(hedged, caplog):
    ambassador, begun, attempts = hedged(max_retries=4, backoff=Backoff(base=0.001)), threading.Event(), []

    def charge(attempt: Attempt) -> int:
        attempts.append(attempt.attempt)
        if attempt.attempt == 1:
            begun.wait()
        if attempt.attempt == 2:
            begun.set()
        if attempt.attempt <= 2:
            raise ConnectionError("Payment API unreachable")
        if attempt.attempt == 3:
            hang()
        return attempt.attempt

    assert ambassador.execute(charge) == 4
    assert sorted(attempts) == [1, 2, 3, 4]
    assert ambassador.health()["hedges"] == 2
    (line,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    # Of the two that failed, whichever did so last.
    assert line.startswith(("[Ambassador] Retry 1 after", "[Ambassador] Retry 2 after"))


def test_a_failure_that_may_not_be_tried_again_ends_the_call_and_stops_the_other(hedged):
    ambassador, stopped = hedged(not_on=PermissionError), threading.Event()

    def charge(attempt: Attempt) -> None:
        if attempt.attempt == 2:
            raise PermissionError("no credit")
        try:
            hang()
        finally:
            stopped.set()

    with pytest.raises(PermissionError):
        ambassador.execute(charge)
    stopped.wait()
    assert ambassador.health()["attempts"]["cancelled"] == 1


def test_an_attempt_that_outruns_its_bound_is_not_the_end_while_its_hedge_runs(hedged):
    ambassador = hedged(timeout=0.55, hedge=Hedge(after=0.5), max_retries=2)

    def charge(attempt: Attempt) -> str:
        if attempt.attempt == 1:
            hang()
        until(lambda: ambassador.health()["attempts"]["timeout"] == 1)
        return "charged"

    assert ambassador.execute(charge) == "charged"


def test_a_timeout_has_the_failure_beside_it_as_its_cause(hedged):
    ambassador = hedged(timeout=0.3, max_retries=2)
    error = ConnectionError("Payment API unreachable")

    def charge(attempt: Attempt) -> None:
        if attempt.attempt == 1:
            raise_when_hedged(ambassador, error)
        hang()

    with pytest.raises(CallTimeoutError) as caught:
        ambassador.execute(charge)
    assert caught.value.__cause__ is error
    assert caught.value.attempts == 2


def raise_when_hedged(ambassador: Any, error: Exception) -> None:
    until(lambda: ambassador.health()["hedges"] == 1)
    raise error


def test_a_classifier_that_throws_ends_the_call_and_stops_the_other(hedged):
    class Broken(Exception):
        pass

    def classify(error: Exception | None, value: object) -> None:
        raise Broken

    ambassador, stopped = hedged(classify=classify), threading.Event()

    def charge(attempt: Attempt) -> None:
        if attempt.attempt == 2:
            raise ConnectionError("Payment API unreachable")
        try:
            hang()
        finally:
            stopped.set()

    with pytest.raises(Broken) as caught:
        ambassador.execute(charge)
    assert isinstance(caught.value.__cause__, ConnectionError)
    stopped.wait()
    assert ambassador.health()["in_flight"] == 0


def test_control_flow_goes_through_and_stops_the_other(hedged):
    class Stop(BaseException):
        pass

    stop, stopped = Stop(), threading.Event()
    ambassador = hedged(classify=lambda error, value: "retry", fallback="an answer")

    def charge(attempt: Attempt) -> None:
        if attempt.attempt == 2:
            raise stop
        try:
            hang()
        finally:
            stopped.set()

    with pytest.raises(Stop) as caught:
        ambassador.execute(charge)
    assert caught.value is stop
    assert not hasattr(stop, "__notes__")
    stopped.wait()
    assert ambassador.health()["attempts"]["cancelled"] == 2
    assert ambassador.health()["calls"]["cancelled"] == 1


def test_the_fallback_answers_when_all_have_failed(hedged):
    ambassador, begun = hedged(max_retries=2, fallback=lambda error: f"instead of {error}"), threading.Event()

    def charge(attempt: Attempt) -> None:
        if attempt.attempt == 1:
            begun.wait()
        begun.set()
        raise ConnectionError("unreachable")

    assert ambassador.execute(charge) == "instead of unreachable"
    assert ambassador.health()["calls"]["fallback"] == 1


def test_what_a_loser_brings_later_changes_nothing_and_is_no_late_result(hedged):
    for end in ("value", "error"):
        ambassador, release, given_up = hedged(), threading.Event(), []

        def charge(attempt: Attempt, end: str = end, release: Any = release, given_up: Any = given_up) -> int:
            if attempt.attempt == 1:
                with contextlib.suppress(_interrupted()):
                    hang()
                given_up.append(attempt.cancelled)
                release.wait()
                if end == "error":
                    raise ValueError("later")
            return attempt.attempt

        assert ambassador.execute(charge) == 2
        until(lambda given_up=given_up: given_up == [True])
        assert ambassador.health()["abandoned"] == 1
        before = ambassador.health()["attempts"]
        release.set()
        until(lambda ambassador=ambassador: ambassador.health()["abandoned"] == 0)
        assert ambassador.health()["attempts"] == before
        assert ambassador.health()["late_results"] == 0


def _interrupted() -> type[BaseException]:
    from ambassador_proxy._threads import Interrupted

    return Interrupted


def test_each_attempt_has_its_own_copy_of_the_callers_context(hedged):
    ambassador, tenant, begun = hedged(), contextvars.ContextVar("tenant", default="none"), threading.Event()
    tenant.set("acme")

    def charge(attempt: Attempt) -> str:
        seen = tenant.get()
        tenant.set("changed")
        if attempt.attempt == 1:
            begun.set()
            hang()
        begun.wait()
        return seen

    assert ambassador.execute(charge) == "acme"
    assert tenant.get() == "acme"


def test_attempts_of_one_call_have_one_key_and_numbers_of_their_own(hedged):
    ambassador, headers = hedged(), {}

    def charge(attempt: Attempt) -> None:
        headers[attempt.attempt] = attempt.headers
        if attempt.attempt == 1:
            hang()

    ambassador.execute(charge)
    assert headers[1]["idempotency-key"] == headers[2]["idempotency-key"]
    assert [headers[n]["x-ambassador-attempt"] for n in (1, 2)] == ["1", "2"]


def test_a_hedge_is_told_to_those_who_listen(hedged):
    ambassador, events = hedged(), []
    ambassador.on_event(events.append)
    ambassador.execute(lambda attempt: hang() if attempt.attempt == 1 else None)
    told = [(event["type"], event.get("attempt")) for event in events]
    assert told == [("hedge", 2), ("attempt", 2), ("attempt", 1), ("call", None)]
    assert events[0]["after_ns"] >= 1_000_000


def test_a_call_has_one_place_however_many_of_its_attempts_run(hedged):
    ambassador, release = hedged(bulkhead={"max_concurrent": 1}), threading.Barrier(3)

    def charge() -> str:
        release.wait()
        return "charged"

    caller = threading.Thread(target=ambassador.call, args=(charge,))
    caller.start()
    until(lambda: ambassador.health()["hedges"] == 1)
    with pytest.raises(BulkheadFullError):
        ambassador.call(charge)
    release.wait()
    caller.join()


def test_a_bound_around_a_hedged_call_ends_all_of_its_attempts(proxy, hedged):
    ambassador = hedged()
    for run_in in ("caller", "worker"):
        stopped = threading.Barrier(3)

        def charge(stopped: threading.Barrier = stopped) -> None:
            try:
                hang()
            finally:
                stopped.wait()

        outer = proxy(max_retries=1, timeout=0.3, run_in=run_in)
        with pytest.raises(CallTimeoutError):
            outer.call(ambassador.call, charge)
        stopped.wait()
    until(lambda: ambassador.health()["abandoned"] == 0)
    assert ambassador.health()["calls"]["cancelled"] == 2


def test_ctrl_c_stops_both_attempts():
    output_of(
        """
        import os, signal, threading, time
        from ambassador_proxy import AmbassadorProxy, Hedge

        ambassador = AmbassadorProxy("hedge.example.com", timeout=3600, hedge=Hedge(after=0.001), idempotent=True)
        stopped = threading.Barrier(3)

        def charge(attempt):
            try:
                if attempt.attempt == 2:
                    os.kill(os.getpid(), signal.SIGINT)
                while True:
                    time.sleep(0.001)
            finally:
                stopped.wait()

        try:
            ambassador.execute(charge)
        except KeyboardInterrupt:
            stopped.wait()
        else:
            raise SystemExit("not interrupted")
        while ambassador.health()["abandoned"] > 0:
            time.sleep(0.001)
        health = ambassador.health()
        assert health["calls"]["cancelled"] == 1, health
        assert health["attempts"]["cancelled"] == 2, health
        assert health["in_flight"] == health["late_results"] == 0, health
        """
    )


def test_where_no_thread_can_be_had_the_first_attempt_runs_on_its_callers_own_without_a_hedge():
    output_of(
        """
        import logging, threading
        from ambassador_proxy import AmbassadorProxy, Hedge, _native

        def refuse(thread):
            raise RuntimeError("can't start new thread")

        logging.disable()
        start, threading.Thread.start = threading.Thread.start, refuse
        failing = [OSError()]

        def charge(attempt, amount):
            if failing:
                raise failing.pop()
            return attempt.attempt, threading.current_thread(), amount

        ambassador = AmbassadorProxy(
            "hedge.example.com", hedge=Hedge(after=3600), idempotent=True, timeout=None, backoff=None
        )
        assert ambassador.execute(charge, 2.5) == (2, threading.current_thread(), 2.5)
        assert _native.worker_threads() == 0
        assert ambassador.health()["in_flight"] == 0
        """
    )


def test_a_hedge_that_no_thread_can_be_had_for_waits_for_one_that_comes_free():
    output_of(
        """
        import threading, time
        from ambassador_proxy import AmbassadorProxy, Hedge

        settings = dict(timeout=3600, backoff=None, idempotent=True)
        ambassador = AmbassadorProxy("hedge.example.com", hedge=Hedge(after=0.001), **settings)
        AmbassadorProxy("other.example.com", timeout=3600).call(int)
        refused = threading.Event()

        def refuse(thread):
            refused.set()
            raise RuntimeError("can't start new thread")

        start, threading.Thread.start = threading.Thread.start, refuse

        def charge(attempt):
            if attempt.attempt == 1:
                # The one worker that there is, until the hedge is in its queue.
                refused.wait()
                raise OSError
            return attempt.attempt

        assert ambassador.execute(charge) == 2
        """
    )


def test_a_lambda_that_makes_a_coroutine_is_awaited_and_hedged_on_the_callers_loop(hedged):
    ambassador, begun, cancelled = hedged(hedge=Hedge(after=0.2)), [], []

    async def charge(attempt: Attempt) -> int:
        if attempt.attempt == 1:
            begun.append(1)
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError:
                cancelled.append(attempt.cancelled)
                raise
        await until_async(lambda: begun)
        return attempt.attempt

    async def main() -> None:
        assert await ambassador.execute(lambda attempt: charge(attempt)) == 2
        await until_async(lambda: cancelled)

    asyncio.run(main())
    assert cancelled == [True]
    assert ambassador.health()["attempts"]["cancelled"] == 1


def test_one_that_makes_its_coroutine_when_a_hedge_has_begun_is_awaited_too(hedged):
    ambassador, begun, made = hedged(max_retries=2), threading.Event(), []

    async def charge(attempt: Attempt) -> int:
        await asyncio.sleep(0)
        if attempt.attempt == 2:
            raise ConnectionError("Payment API unreachable")
        return attempt.attempt

    def function(attempt: Attempt) -> Any:
        made.append(attempt.attempt)
        if threading.current_thread() is not threading.main_thread():
            if attempt.attempt == 1:
                begun.set()
                hang()
            begun.wait()
        return charge(attempt)

    async def main() -> None:
        assert await ambassador.execute(function) == 1

    asyncio.run(main())
    # The first was made once more, on the loop.
    assert sorted(made) == [1, 1, 2]
    health = ambassador.health()
    assert (health["attempts"]["ok"], health["attempts"]["failure"], health["in_flight"]) == (1, 1, 0)


def test_one_that_makes_its_coroutine_when_its_hedge_has_failed_has_that_failure_as_its_cause(hedged):
    ambassador, error = hedged(timeout=0.3, max_retries=2), ConnectionError("Payment API unreachable")

    def function(attempt: Attempt) -> Any:
        if attempt.attempt == 2:
            raise error
        until(lambda: ambassador.health()["attempts"]["failure"] == 1)
        return asyncio.sleep(FOREVER)

    async def main() -> None:
        with pytest.raises(CallTimeoutError) as caught:
            await ambassador.execute(function)
        assert caught.value.__cause__ is error

    asyncio.run(main())


# ---------------------------------------------------------------- coroutine functions


def test_a_hedge_of_a_coroutine_wins_and_the_first_one_is_cancelled(hedged):
    ambassador, cancelled = hedged(), []

    async def charge(attempt: Attempt, amount: float) -> tuple[int, float]:
        if attempt.attempt == 1:
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError:
                cancelled.append((attempt.cancelled, asyncio.current_task()))
                raise
        return attempt.attempt, amount

    async def main() -> None:
        assert await ambassador.execute(charge, 2.5) == (2, 2.5)
        await until_async(lambda: ambassador.health()["abandoned"] == 0)
        assert cancelled[0][0]
        assert cancelled[0][1] is not asyncio.current_task()

    asyncio.run(main())
    health = ambassador.health()
    assert health["attempts"] == {"ok": 1, "failure": 0, "timeout": 0, "cancelled": 1}
    assert (health["hedges"], health["late_results"], health["in_flight"]) == (1, 0, 0)


def test_the_first_coroutine_may_win_all_the_same(hedged):
    ambassador = hedged()

    async def main() -> None:
        begun = asyncio.Event()

        async def charge(attempt: Attempt) -> int:
            if attempt.attempt == 2:
                begun.set()
                await asyncio.sleep(FOREVER)
            await begun.wait()
            return attempt.attempt

        assert await ambassador.execute(charge) == 1

    asyncio.run(main())
    assert ambassador.health()["attempts"]["cancelled"] == 1


def test_a_coroutine_that_ends_at_its_first_step_needs_no_loop_and_another_is_told_that_it_does(hedged):
    ambassador = hedged()

    async def charge(waits: bool) -> str:
        if waits:
            await asyncio.sleep(0)
        return "charged"

    with pytest.raises(StopIteration) as caught:
        ambassador.call(charge, False).send(None)
    assert caught.value.value == "charged"
    with pytest.raises(RuntimeError, match="has to run in an asyncio task"):
        ambassador.call(charge, True).send(None)
    assert ambassador.health()["in_flight"] == 0


def test_a_failed_coroutine_is_not_the_end_while_another_runs_and_the_last_error_is(hedged):
    for last in ("value", "error"):
        ambassador = hedged(max_retries=2)
        errors = {1: ConnectionError("the first"), 2: ConnectionError("the hedge")}

        async def charge(attempt: Attempt, last: str = last, ambassador: Any = ambassador, errors: Any = errors) -> str:
            if attempt.attempt == 1:
                await until_async(lambda: ambassador.health()["hedges"] == 1)
            else:
                await until_async(lambda: ambassador.health()["attempts"]["failure"] == 1)
                if last == "value":
                    return "charged"
            raise errors[attempt.attempt]

        if last == "value":
            assert asyncio.run(ambassador.execute(charge)) == "charged"
        else:
            with pytest.raises(ConnectionError) as caught:
                asyncio.run(ambassador.execute(charge))
            assert caught.value is errors[2]


def test_a_wrapped_coroutine_function_is_hedged_as_well(hedged):
    ambassador, calls = hedged(), itertools.count(1)

    @ambassador.wrap
    async def charge() -> int:
        number = next(calls)
        if number == 1:
            await asyncio.sleep(FOREVER)
        return number

    assert asyncio.run(charge()) == 2


def test_each_coroutine_has_its_own_bound(hedged):
    ambassador = hedged(timeout=0.3, max_retries=2)
    error = ConnectionError("Payment API unreachable")

    async def charge(attempt: Attempt) -> None:
        if attempt.attempt == 1:
            await until_async(lambda: ambassador.health()["hedges"] == 1)
            raise error
        await asyncio.sleep(FOREVER)

    with pytest.raises(CallTimeoutError) as caught:
        asyncio.run(ambassador.execute(charge))
    assert caught.value.__cause__ is error
    assert ambassador.health()["attempts"]["timeout"] == 1


def test_an_unbounded_coroutine_is_hedged_in_tasks_of_its_own(hedged):
    async def main() -> None:
        async def charge(attempt: Attempt) -> object:
            if attempt.attempt == 1:
                await asyncio.sleep(FOREVER)
            return asyncio.current_task()

        assert await hedged(timeout=None).execute(charge) is not asyncio.current_task()

    asyncio.run(main())


def test_cleanup_of_a_loser_goes_on_in_its_own_task_and_nobody_waits_for_it(hedged):
    ambassador = hedged()

    async def main() -> None:
        release, tasks = asyncio.Event(), []

        async def charge(attempt: Attempt) -> str:
            if attempt.attempt == 1:
                tasks.append(asyncio.current_task())
                try:
                    await asyncio.sleep(FOREVER)
                finally:
                    await release.wait()
                    tasks.append(asyncio.current_task())
            return "charged"

        assert await ambassador.execute(charge) == "charged"
        assert ambassador.health()["abandoned"] == 1
        release.set()
        await until_async(lambda: ambassador.health()["abandoned"] == 0)
        assert len(tasks) == 2
        assert tasks[0] is tasks[1]

    asyncio.run(main())
    assert ambassador.health()["late_results"] == 0


@pytest.mark.parametrize("end", ["value", "error"])
def test_what_a_coroutine_that_lost_brings_later_changes_nothing(hedged, end, caplog):
    ambassador = hedged()

    async def main() -> None:
        async def charge(attempt: Attempt) -> int:
            if attempt.attempt == 1:
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.sleep(FOREVER)
                if end == "error":
                    raise ValueError("later")
            return attempt.attempt

        assert await ambassador.execute(charge) == 2
        before = ambassador.health()["attempts"]
        await until_async(lambda: ambassador.health()["abandoned"] == 0)
        assert ambassador.health()["attempts"] == before

    asyncio.run(main())
    gc.collect()
    assert ambassador.health()["late_results"] == 0
    # asyncio tells of errors that nobody saw.
    assert not caplog.records


def test_an_error_in_the_same_turn_of_the_loop_as_the_success_is_no_news(hedged, caplog):
    ambassador = hedged()

    async def main() -> None:
        both_run = asyncio.Event()

        async def charge(attempt: Attempt) -> str:
            if attempt.attempt == 2:
                asyncio.get_running_loop().call_soon(both_run.set)
            await both_run.wait()
            if attempt.attempt == 2:
                raise ConnectionError("Payment API unreachable")
            return "charged"

        assert await ambassador.execute(charge) == "charged"

    asyncio.run(main())
    gc.collect()
    assert not caplog.records
    assert ambassador.health()["attempts"]["cancelled"] == 1


def test_a_coroutine_that_blocks_the_loop_beyond_its_bound_has_timed_out(hedged, caplog):
    ambassador = hedged(timeout=0.01, max_retries=2, hedge=Hedge(after=FOREVER))

    async def charge(attempt: Attempt) -> str:
        if attempt.attempt == 1:
            time.sleep(0.02)
        return "charged"

    assert asyncio.run(ambassador.execute(charge)) == "charged"
    assert "attempt 1 of 2 did not end within 10ms" in caplog.text
    assert ambassador.health()["late_results"] == 1


def test_a_cancellation_from_outside_stops_all_of_them_and_goes_through_when_they_have_ended(hedged):
    ambassador, cleaned = hedged(), []

    async def main() -> None:
        async def charge(attempt: Attempt) -> None:
            try:
                await asyncio.sleep(FOREVER)
            finally:
                if attempt.attempt == 1:
                    await until_async(lambda: cleaned)
                for _ in range(5):
                    await asyncio.sleep(0)
                cleaned.append(attempt.attempt)

        task = asyncio.create_task(ambassador.execute(charge))
        await until_async(lambda: ambassador.health()["hedges"] == 1)
        task.cancel("from outside")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert task.cancelled()
        assert caught.value.args in [("from outside",), ()]
        assert cleaned == [2, 1]

    asyncio.run(main())
    health = ambassador.health()
    assert (health["calls"]["cancelled"], health["attempts"]["cancelled"]) == (1, 2)
    assert (health["in_flight"], health["abandoned"]) == (0, 0)


def test_a_cancelled_call_waits_for_an_unwilling_function_until_its_bound_and_no_longer(hedged):
    ambassador = hedged(timeout=0.3)

    async def main() -> None:
        release = asyncio.Event()

        async def unwilling() -> None:
            while not release.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await release.wait()

        task = asyncio.create_task(ambassador.call(unwilling))
        await until_async(lambda: ambassador.health()["hedges"] == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ambassador.health()["abandoned"] == 2
        release.set()
        await until_async(lambda: ambassador.health()["abandoned"] == 0)

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is there from Python 3.11 on")
def test_a_timeout_around_a_hedged_call_is_its_own(hedged):
    ambassador = hedged()

    async def main() -> None:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.02):
                await ambassador.call(asyncio.sleep, FOREVER)
        assert not isinstance(caught.value, CallTimeoutError)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())
    assert ambassador.health()["calls"]["cancelled"] == 1
    assert ambassador.health()["abandoned"] == 0


def test_a_scope_that_cancels_again_and_again_cancels_each_function_once(hedged):
    ambassador = hedged()

    async def main() -> None:
        heard = []

        async def charge(attempt: Attempt) -> None:
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError:
                for _ in range(5):
                    await asyncio.sleep(0)
                heard.append(attempt.attempt)
                raise

        task = asyncio.create_task(ambassador.execute(charge))
        await until_async(lambda: ambassador.health()["hedges"] == 1)
        while not task.done():
            # As a scope of anyio's does, with the same words.
            task.cancel("Cancelled by cancel scope 1")
            await asyncio.sleep(0)
        assert task.cancelled()
        assert sorted(heard) == [1, 2]

    asyncio.run(main())


def test_a_hedged_coroutine_that_is_closed_in_mid_flight_ends_cancelled(hedged):
    ambassador, stopped = hedged(), []

    async def main() -> None:
        async def charge(attempt: Attempt) -> None:
            try:
                await asyncio.sleep(FOREVER)
            finally:
                stopped.append(attempt.attempt)

        call = ambassador.execute(charge)
        call.send(None)
        call.close()
        await until_async(lambda: stopped == [1])
        assert ambassador.health()["in_flight"] == 0

    asyncio.run(main())
    assert ambassador.health()["calls"]["cancelled"] == 1


def test_a_coroutine_that_cancels_itself_ends_the_call_cancelled(hedged):
    ambassador = hedged()

    async def main() -> None:
        async def charge(attempt: Attempt) -> None:
            if attempt.attempt == 2:
                await asyncio.sleep(0)
                raise asyncio.CancelledError
            await asyncio.sleep(FOREVER)

        with pytest.raises(asyncio.CancelledError):
            await ambassador.execute(charge)

    asyncio.run(main())
    health = ambassador.health()
    assert (health["calls"]["cancelled"], health["attempts"]["cancelled"]) == (1, 2)


def test_the_hedges_coroutine_sees_the_callers_context(hedged):
    ambassador, tenant = hedged(), contextvars.ContextVar("tenant", default="none")

    async def charge(attempt: Attempt) -> str:
        seen = tenant.get()
        tenant.set("changed")
        if attempt.attempt == 1:
            await asyncio.sleep(FOREVER)
        return seen

    async def main() -> None:
        tenant.set("acme")
        assert await ambassador.execute(charge) == "acme"
        assert tenant.get() == "acme"

    asyncio.run(main())


def test_a_fault_of_the_core_costs_a_hedge_and_no_call(hedged):
    output_of(
        """
        import asyncio, os, sys
        from ambassador_proxy import AmbassadorProxy, Hedge, _native

        # The panic's own message.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        ambassador = AmbassadorProxy("hedge.example.com", hedge=Hedge(after=3600), idempotent=True)

        async def charge():
            await asyncio.sleep(0)
            return "charged"

        for at in ("begin", "settle", "hedge"):
            _native.inject_panic(at)
            assert ambassador.call(str, "charged") == "charged", at
            assert asyncio.run(ambassador.call(charge)) == "charged", at
            _native.inject_panic("")
            assert ambassador.health()["in_flight"] == 0, at
        """
    )


# ---------------------------------------------------------------- both


def test_nothing_is_kept_of_what_the_attempts_of_a_hedged_call_brought(hedged):
    class Thing:
        pass

    class Refused(Exception):
        pass

    gone: list[Any] = []
    ambassador = hedged(max_retries=2)

    def charge(attempt: Attempt, argument: Thing, fails: bool) -> Thing:
        until(lambda: ambassador.health()["hedges"] % 2 == 1)
        if fails or attempt.attempt == 1:
            raise noted(Refused())
        return noted(Thing())

    async def charge_async(attempt: Attempt, argument: Thing, fails: bool) -> Thing:
        await until_async(lambda: ambassador.health()["hedges"] % 2 == 1)
        if fails or attempt.attempt == 1:
            raise noted(Refused())
        return noted(Thing())

    def noted(thing: Any) -> Any:
        gone.append(weakref.ref(thing))
        return thing

    def call_with(is_async: bool, fails: bool) -> None:
        argument = noted(Thing())

        async def main() -> None:
            # Within the loop: asyncio.run keeps what it raises.
            with contextlib.suppress(Refused):
                await ambassador.execute(charge_async, argument, fails)

        with contextlib.suppress(Refused):
            if is_async:
                asyncio.run(main())
            else:
                ambassador.execute(charge, argument, fails)
        # So that each begins with an even number of them.
        ambassador.execute(lambda attempt: hang() if attempt.attempt == 1 else None)
        until(lambda: ambassador.health()["abandoned"] == 0)

    gc.disable()
    try:
        for is_async, fails in itertools.product((False, True), (False, True)):
            call_with(is_async, fails)
        # Workers let go of their arguments just after their callers have the value.
        until(lambda: [ref() for ref in gone] == [None] * len(gone))
    finally:
        gc.enable()


def test_many_hedged_calls_at_once_leave_nothing_behind(hedged):
    ambassador = hedged(max_retries=3, hedge=Hedge(after=0.0005, max=2), backoff=None)
    numbers = itertools.count()

    def charge() -> int:
        number = next(numbers)
        if number % 3 == 0:
            time.sleep(0.002)
        if number % 7 == 0:
            raise OSError
        return number

    async def charge_async() -> int:
        number = next(numbers)
        if number % 3 == 0:
            await asyncio.sleep(0.002)
        if number % 7 == 0:
            raise OSError
        return number

    async def many() -> None:
        await asyncio.gather(*(ambassador.call(charge_async) for _ in range(200)), return_exceptions=True)

    def work() -> None:
        for _ in range(50):
            with contextlib.suppress(OSError):
                ambassador.call(charge)
        asyncio.run(many())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until(lambda: ambassador.health()["abandoned"] == 0)
    health = ambassador.health()
    assert health["calls"]["ok"] + health["calls"]["failure"] == 8 * 250
    assert (health["in_flight"], health["late_results"]) == (0, 0)
    assert health["hedges"] > 0
    assert _native.worker_threads() <= 256
