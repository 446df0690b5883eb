"""Coroutine functions: on the caller's own loop, bounded by its timers, cancelled as tasks are (T1–T3, A3, O3)."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import sys
import threading
import time
import warnings
from collections.abc import Coroutine
from typing import Any

import pytest
from ambassador_proxy import Backoff, CallTimeoutError, DeadlineExceededError
from conftest import FOREVER, Flaky


def test_a_coroutine_function_gives_an_awaitable(proxy):
    failing = Flaky(OSError(), OSError())

    async def charge(amount: float, currency: str = "EUR") -> tuple[float, str]:
        await asyncio.sleep(0)
        failing()
        return amount, currency

    ambassador = proxy()
    assert asyncio.run(ambassador.call(charge, 99.99, currency="USD")) == (99.99, "USD")
    assert failing.calls == 3
    assert ambassador.health()["calls"]["ok"] == 1


class WithCall:
    async def __call__(self, amount: float) -> float:
        return amount

    async def method(self, amount: float) -> float:
        return amount


async def charge(amount: float) -> float:
    return amount


@pytest.mark.parametrize(
    "function",
    [charge, functools.partial(charge), WithCall(), WithCall().method, functools.partial(WithCall())],
    ids=["function", "partial", "object", "method", "partial of object"],
)
def test_every_kind_of_coroutine_function(proxy, function):
    for settings in ({}, {"timeout": None}):
        ambassador = proxy(**settings)
        awaitable = ambassador.call(function, 2.5)
        assert ambassador.health()["in_flight"] == 0
        assert asyncio.run(awaitable) == 2.5


def test_an_unbounded_one_runs_in_the_callers_task(proxy):
    async def where() -> object:
        await asyncio.sleep(0)
        return asyncio.current_task()

    async def main() -> None:
        assert await proxy(timeout=None).call(where) is asyncio.current_task()

    asyncio.run(main())


@pytest.mark.parametrize("suspends", [False, True])
def test_a_bounded_one_runs_in_one_task_from_its_first_step_to_its_cleanup(proxy, suspends):
    seen = []

    async def where() -> int:
        seen.append(asyncio.current_task())
        try:
            if suspends:
                await asyncio.sleep(FOREVER)
        finally:
            seen.append(asyncio.current_task())
            if suspends:
                await asyncio.sleep(0)
            seen.append(asyncio.current_task())
        return threading.get_ident()

    async def main() -> None:
        ambassador = proxy(max_retries=1, timeout=0.02)
        mine = asyncio.current_task()
        if suspends:
            with pytest.raises(CallTimeoutError):
                await ambassador.call(where)
            while ambassador.health()["abandoned"] > 0:
                await asyncio.sleep(0)
        else:
            assert await ambassador.call(where) == threading.get_ident()
        assert asyncio.current_task() is mine
        assert len(seen) == 3
        assert len(set(seen)) == 1
        assert seen[0] is not mine

    asyncio.run(main())


def test_no_task_is_left_when_functions_end_at_their_first_step(proxy):
    async def main() -> None:
        ambassador = proxy()
        for _ in range(1000):
            await ambassador.call(charge, 1.0)
        assert len(asyncio.all_tasks()) <= 2
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


@pytest.mark.parametrize("suspends", [False, True])
@pytest.mark.parametrize("settings", [{}, {"timeout": None}], ids=["bounded", "unbounded"])
def test_contextvars_are_the_callers(proxy, suspends, settings):
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")

    async def seen() -> list[str]:
        before = tenant.get()
        if suspends:
            await asyncio.sleep(0)
        between = tenant.get()
        tenant.set("changed")
        if suspends:
            await asyncio.sleep(0)
        return [before, between, tenant.get()]

    async def main() -> None:
        for name in ("acme", "other"):
            tenant.set(name)
            assert await proxy(**settings).call(seen) == [name, name, "changed"]
            # What it sets itself stays in its own copy, unless it runs in the caller's task.
            assert tenant.get() == ("changed" if settings else name)

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is there from Python 3.11 on")
def test_a_timeout_in_cleanup_after_the_bound_hits_only_that_cleanup(proxy):
    ends = []

    async def slow_to_clean_up() -> None:
        try:
            async with asyncio.timeout(0.05):
                try:
                    await asyncio.sleep(FOREVER)
                finally:
                    await asyncio.sleep(FOREVER)
        finally:
            ends.append("cleaned up")

    async def main() -> None:
        ambassador = proxy(max_retries=1, timeout=0.02)
        with pytest.raises(CallTimeoutError):
            await ambassador.call(slow_to_clean_up)
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0.001)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())
    assert ends == ["cleaned up"]


def test_control_is_back_at_the_bound_though_the_function_waits_for_a_task_that_does_not_end(proxy):
    async def main() -> None:
        release = asyncio.Event()

        async def unwilling() -> None:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

        async def waits_for_it() -> None:
            await asyncio.create_task(unwilling())

        ambassador = proxy(max_retries=1, timeout=0.02)
        with pytest.raises(CallTimeoutError):
            await ambassador.call(waits_for_it)
        assert ambassador.health()["abandoned"] == 1
        release.set()
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)

    asyncio.run(main())


def test_a_cancelled_call_waits_for_its_functions_cleanup_and_is_not_tried_again(proxy):
    ambassador, begun, cleaned = proxy(), [], []

    async def function(end: str) -> str:
        begun.append(end)
        try:
            await asyncio.sleep(FOREVER)
        except asyncio.CancelledError:
            await asyncio.sleep(0.001)
            cleaned.append(end)
            if end == "error":
                raise ValueError("of its own") from None
            if end == "value":
                return "all the same"
            raise

    async def main() -> None:
        for end, expected in (("cancelled", asyncio.CancelledError), ("error", ValueError), ("value", None)):
            task = asyncio.create_task(ambassador.call(function, end))
            while end not in begun:
                await asyncio.sleep(0)
            task.cancel()
            if expected is None:
                assert await task == "all the same"
            else:
                with pytest.raises(expected):
                    await task
            assert cleaned[-1] == end

    asyncio.run(main())
    assert len(begun) == 3
    assert ambassador.health()["calls"]["cancelled"] == 2
    assert ambassador.health()["in_flight"] == 0


def test_a_coroutine_that_hangs_gives_control_back_at_the_bound(proxy):
    ambassador = proxy(max_retries=2, timeout=0.03)
    begun = time.monotonic()
    with pytest.raises(CallTimeoutError) as caught:
        asyncio.run(ambassador.call(asyncio.sleep, FOREVER))
    assert 0.06 <= time.monotonic() - begun < 60
    assert caught.value.attempts == 2
    assert ambassador.health()["attempts"]["timeout"] == 2


def test_the_deadline_bounds_the_whole_call(proxy):
    with pytest.raises(DeadlineExceededError):
        asyncio.run(proxy(max_retries=100, timeout=0.02, deadline=0.05).call(asyncio.sleep, FOREVER))


def test_a_coroutine_that_refuses_to_be_cancelled_is_abandoned(proxy):
    ambassador = proxy(max_retries=1, timeout=0.02)

    async def main() -> None:
        release, cancelled = asyncio.Event(), []

        async def unwilling() -> str:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError as error:
                    cancelled.append(error)
            return "late"

        with pytest.raises(CallTimeoutError):
            await ambassador.call(unwilling)
        assert ambassador.health()["abandoned"] == 1
        # It hears of it when the loop comes to its task.
        while not cancelled:
            await asyncio.sleep(0)
        release.set()
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        assert ambassador.health()["late_results"] == 1

    asyncio.run(main())


def test_a_coroutine_may_clean_up_after_its_bound(proxy):
    ambassador = proxy(max_retries=1, timeout=0.02)

    async def main() -> None:
        cleaned = asyncio.Event()

        async def with_cleanup() -> None:
            try:
                await asyncio.sleep(FOREVER)
            finally:
                await asyncio.sleep(0.001)
                cleaned.set()

        with pytest.raises(CallTimeoutError):
            await ambassador.call(with_cleanup)
        await asyncio.wait_for(cleaned.wait(), 60)
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        assert ambassador.health()["late_results"] == 0

    asyncio.run(main())


def test_a_late_value_or_error_is_dropped_and_counted(proxy):
    for end in ("value", "error"):
        ambassador = proxy(max_retries=1, timeout=0.02)

        async def late(end: str = end) -> str:
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError:
                if end == "error":
                    raise ValueError("late") from None
                return "late"

        with pytest.raises(CallTimeoutError):
            asyncio.run(ambassador.call(late))
        assert ambassador.health()["late_results"] == 1


def test_cancellation_from_outside_goes_through_untouched(proxy):
    ambassador = proxy(classify=lambda error, value: "retry")

    async def main() -> None:
        started = asyncio.Event()

        async def hang() -> None:
            started.set()
            await asyncio.sleep(FOREVER)

        task = asyncio.create_task(ambassador.call(hang))
        await started.wait()
        task.cancel("from outside")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert task.cancelled()
        assert caught.value.args in [("from outside",), ()]

    asyncio.run(main())
    health = ambassador.health()
    assert (health["calls"]["cancelled"], health["attempts"]["cancelled"], health["in_flight"]) == (1, 1, 0)


def test_cancellation_during_a_backoff_ends_the_call(proxy, caplog):
    ambassador = proxy(backoff=Backoff(base=FOREVER, max=FOREVER, jitter="none"))

    async def fail() -> None:
        raise OSError

    async def main() -> None:
        task = asyncio.create_task(ambassador.call(fail))
        while "Retry 1 after 3600s" not in caplog.text:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert ambassador.health()["calls"]["cancelled"] == 1
    assert ambassador.health()["in_flight"] == 0


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is there from Python 3.11 on")
def test_a_timeout_around_the_call_is_its_own(proxy):
    ambassador = proxy(timeout=FOREVER)

    async def main() -> None:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.02):
                await ambassador.call(asyncio.sleep, FOREVER)
        assert not isinstance(caught.value, CallTimeoutError)
        assert asyncio.current_task().cancelling() == 0
        # And one that does not pass leaves a call's own bound alone.
        async with asyncio.timeout(FOREVER):
            with pytest.raises(CallTimeoutError):
                await proxy(max_retries=1, timeout=0.02).call(asyncio.sleep, FOREVER)
        assert asyncio.current_task().cancelling() == 0
        await asyncio.sleep(0)

    asyncio.run(main())
    assert ambassador.health()["calls"]["cancelled"] == 1


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is there from Python 3.11 on")
def test_a_timeout_inside_the_function_is_its_own(proxy):
    async def function() -> str:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.sleep(FOREVER)
        except TimeoutError:
            return "its own"

    assert asyncio.run(proxy(timeout=FOREVER).call(function)) == "its own"


def test_two_loops_in_two_threads_share_a_proxy(proxy):
    ambassador, results = proxy(), []

    async def main(n: int) -> None:
        async def double(k: int) -> int:
            await asyncio.sleep(0)
            return 2 * k

        results.append(sum(await asyncio.gather(*(ambassador.call(double, n) for _ in range(200)))))

    threads = [threading.Thread(target=lambda n=n: asyncio.run(main(n))) for n in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [400, 800]
    assert ambassador.health()["calls"]["ok"] == 400


def test_many_calls_wait_at_once_on_one_loop(proxy):
    ambassador = proxy(max_retries=2, backoff=Backoff(base=0.01))

    async def main() -> None:
        async def once_wrong(state: list[int]) -> str:
            state.append(1)
            await asyncio.sleep(0)
            if len(state) == 1:
                raise OSError
            return "charged"

        assert await asyncio.gather(*(ambassador.call(once_wrong, []) for _ in range(500))) == ["charged"] * 500

    asyncio.run(main())
    assert ambassador.health()["retries"] == 500


def test_twenty_thousand_coroutines_that_end_at_their_bounds_leave_nothing_behind(proxy):
    bound = 0.001
    ambassador = proxy(max_retries=1, timeout=bound)
    ends = {"value": 0, "timeout": 0}

    async def sleep_for(length: float) -> float:
        await asyncio.sleep(length)
        return length

    async def one(n: int) -> None:
        try:
            await ambassador.call(sleep_for, bound + (n % 101 - 50) * 4e-6)
            ends["value"] += 1
        except CallTimeoutError:
            ends["timeout"] += 1
        if sys.version_info >= (3, 11):
            assert asyncio.current_task().cancelling() == 0

    async def main() -> None:
        for batch in range(200):
            await asyncio.gather(*(one(batch + n) for n in range(100)))

    asyncio.run(main())
    assert sum(ends.values()) == 20_000
    assert ambassador.health()["in_flight"] == 0
    assert ambassador.health()["abandoned"] == 0


def test_a_call_collected_in_mid_flight_ends_cancelled(proxy):
    ambassador = proxy(timeout=None)

    async def hang() -> None:
        await Suspend()

    class Suspend:
        def __await__(self):
            yield

    coroutine = ambassador.call(hang)
    coroutine.send(None)
    assert ambassador.health()["in_flight"] == 1
    del coroutine
    gc.collect()
    assert ambassador.health()["in_flight"] == 0
    assert ambassador.health()["calls"]["cancelled"] == 1


def test_a_call_that_is_never_awaited_never_began(proxy):
    ambassador = proxy()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ambassador.call(charge, 1)
        gc.collect()
    assert any("never awaited" in str(warning.message) for warning in caught)
    assert ambassador.health()["calls"] == dict.fromkeys(ambassador.health()["calls"], 0)


def test_execute_gives_coroutine_functions_their_attempt(proxy):
    async def function(attempt, amount: float) -> tuple[int, float]:
        await asyncio.sleep(0)
        if attempt.attempt < 2:
            attempt.retry_after = 0
            raise OSError
        return attempt.attempt, amount

    assert asyncio.run(proxy().execute(function, 2.5)) == (2, 2.5)


def test_cancelled_is_seen_in_cleanup(proxy):
    seen = []

    async def function(attempt) -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            seen.append(attempt.cancelled)

    with pytest.raises(CallTimeoutError):
        asyncio.run(proxy(max_retries=1, timeout=0.02).execute(function))
    assert seen == [True]


def test_outside_a_task_a_bounded_call_that_suspends_says_what_it_needs(proxy):
    ambassador = proxy()

    class Suspend:
        def __await__(self):
            yield

    async def function() -> None:
        await Suspend()

    def run_to_its_end(coroutine: Coroutine[Any, Any, None]) -> None:
        while True:
            coroutine.send(None)

    with pytest.raises(RuntimeError, match="has to run in an asyncio task"):
        run_to_its_end(ambassador.call(function))
