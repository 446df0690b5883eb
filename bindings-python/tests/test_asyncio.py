"""Coroutine functions: on the caller's own loop, bounded by its timers, cancelled as tasks are (T1–T3, A3, O3)."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import inspect
import sys
import threading
import time
import types
import warnings
import weakref
from collections.abc import Callable, Coroutine
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
    failing = Flaky(OSError())

    async def function() -> None:
        failing()
        await asyncio.sleep(FOREVER)

    with pytest.raises(DeadlineExceededError) as caught:
        asyncio.run(proxy(timeout=FOREVER, deadline=0.5).call(function))
    assert caught.value.attempts == 2


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
    # Nothing is tried again for it, so no wait is missing its loop.
    ambassador = proxy(backoff=Backoff(base=FOREVER))

    class Suspend:
        def __await__(self):
            yield

    async def function() -> None:
        await Suspend()

    with pytest.raises(RuntimeError, match="has to run in an asyncio task"):
        ambassador.call(function).send(None)
    assert ambassador.health()["calls"]["cancelled"] == 1
    with pytest.raises(StopIteration):
        ambassador.call(charge, 1.0).send(None)


@pytest.mark.parametrize("first", ["the cancellation", "the end"])
def test_a_cancellation_in_the_same_turn_as_the_end_is_not_lost(proxy, first):
    async def main(end: str) -> None:
        ambassador = proxy()

        async def function() -> str:
            await asyncio.sleep(0)
            if first == "the cancellation":
                # It comes before those who wait for this task are told of its end …
                asyncio.get_running_loop().call_soon(caller.cancel)
            else:
                # … or right afterwards.
                asyncio.current_task().add_done_callback(lambda _: caller.cancel())
            if end == "error":
                raise ValueError("of its own")
            return "charged"

        caller = asyncio.create_task(ambassador.call(function))
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert caller.cancelled()
        assert ambassador.health()["calls"]["cancelled"] == 1
        assert ambassador.health()["in_flight"] == ambassador.health()["abandoned"] == 0

    for end in ("value", "error"):
        assert complaints_of(main(end)) == []


@pytest.mark.parametrize("first", ["the cancellation", "the bound"])
def test_a_cancellation_in_the_same_turn_as_the_bound_ends_the_call(proxy, first):
    ambassador = proxy(timeout=0.02)

    async def main() -> None:
        cancels = []

        async def function() -> None:
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError as cancelled:
                cancels.append(cancelled)
                await asyncio.sleep(0.001)
                raise

        caller = asyncio.create_task(ambassador.call(function))
        while ambassador.health()["in_flight"] == 0:
            await asyncio.sleep(0)
        if first == "the bound":
            asyncio.get_running_loop().call_later(0.03, caller.cancel)
        # The loop is late for both.
        time.sleep(0.05)
        if first == "the cancellation":
            caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        assert ambassador.health()["calls"]["cancelled"] == 1
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        # Its cleanup was not disturbed.
        assert len(cancels) == 1

    assert complaints_of(main()) == []


def test_each_cancellation_from_outside_is_passed_on_once(proxy):
    ambassador = proxy(timeout=FOREVER)

    async def main() -> None:
        heard = []

        async def function() -> str:
            while len(heard) < 3:
                try:
                    await asyncio.sleep(FOREVER)
                except asyncio.CancelledError as cancelled:
                    heard.append(cancelled.args)
            return "charged"

        task = asyncio.create_task(ambassador.call(function))
        while ambassador.health()["in_flight"] == 0:
            await asyncio.sleep(0)
        # A scope of anyio's goes on cancelling, with the same words.
        for words in (["scope 1"], ["scope 1"], ["scope 1"], [], []):
            task.cancel(*words)
            for _ in range(5):
                await asyncio.sleep(0)
        assert await task == "charged"
        assert len(heard) == 3

    asyncio.run(main())


def complaints_of(coroutine: Coroutine[Any, Any, None]) -> list[str]:
    """What asyncio has to say to its exception handler while it runs, such as of errors that nobody saw."""
    complaints = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))
        await coroutine
        gc.collect()

    asyncio.run(main())
    gc.collect()
    return complaints


def test_nobody_is_told_of_errors_that_came_too_late(proxy):
    async def late() -> None:
        try:
            await asyncio.sleep(FOREVER)
        finally:
            raise ValueError("late")

    async def main() -> None:
        ambassador = proxy(max_retries=1, timeout=0.01)
        with pytest.raises(CallTimeoutError):
            await ambassador.call(late)
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        assert ambassador.health()["late_results"] == 1

    assert complaints_of(main()) == []


def test_a_bounded_call_closed_in_mid_flight_cancels_its_function(proxy):
    ambassador = proxy(timeout=FOREVER)

    async def main() -> None:
        ends = []

        async def function() -> None:
            try:
                await asyncio.sleep(FOREVER)
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                ends.append("cleaned up")
                raise ValueError("of its own") from None

        coroutine = ambassador.call(function)
        coroutine.send(None)
        await asyncio.sleep(0)
        coroutine.close()
        assert ambassador.health()["calls"]["cancelled"] == 1
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        assert ends == ["cleaned up"]

    assert complaints_of(main()) == []


class Result:
    pass


@pytest.mark.parametrize("end", ["value", "error", "timeout", "cancelled"])
def test_nothing_that_a_call_brought_is_kept(proxy, end):
    async def main() -> None:
        ambassador = proxy(max_retries=1, timeout=0.01 if end == "timeout" else FOREVER)
        kept = []

        class Failure(Exception):
            pass

        async def function() -> Result:
            result = Result()
            kept.append(weakref.ref(result))
            await asyncio.sleep(0)
            if end == "error":
                raise Failure
            if end != "value":
                await asyncio.sleep(FOREVER)
            return result

        task = asyncio.create_task(ambassador.call(function))
        kept.append(weakref.ref(task))
        if end == "cancelled":
            while not kept[1:]:
                await asyncio.sleep(0)
            task.cancel()
        with contextlib.suppress(Failure, CallTimeoutError, asyncio.CancelledError):
            await task
        while ambassador.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        del task
        for _ in range(3):
            await asyncio.sleep(0)
        assert [reference() for reference in kept] == [None] * len(kept)

    gc.disable()
    try:
        asyncio.run(main())
    finally:
        gc.enable()


def test_what_a_function_does_to_its_task_stays_with_its_own_call(proxy):
    async def main() -> None:
        ambassador = proxy()
        kept, told = [], []

        async def keeps_its_task() -> None:
            kept.append(asyncio.current_task())

        async def leaves_a_callback() -> None:
            asyncio.current_task().add_done_callback(told.append)

        async def cancels_itself() -> None:
            asyncio.current_task().cancel()

        async def cancels_itself_and_waits() -> None:
            asyncio.current_task().cancel()
            await asyncio.sleep(FOREVER)

        async def suspends() -> str:
            await asyncio.sleep(0)
            return "charged"

        for _ in range(2):
            await ambassador.call(keeps_its_task)
        assert kept[0] is not kept[1]
        await ambassador.call(leaves_a_callback)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(told) == 1
        for function in (cancels_itself, cancels_itself_and_waits):
            with pytest.raises(asyncio.CancelledError):
                await ambassador.call(function)
            assert await ambassador.call(suspends) == "charged"

    assert complaints_of(main()) == []


def test_a_function_that_cancels_itself_and_waits_for_a_task_cancels_that_too(proxy):
    async def main() -> None:
        async def function() -> None:
            asyncio.current_task().cancel()
            await child

        child = asyncio.create_task(asyncio.sleep(FOREVER))
        with pytest.raises(asyncio.CancelledError):
            await proxy().call(function)
        assert child.cancelled()

    asyncio.run(main())


@pytest.mark.parametrize("suspends", [False, True])
def test_calls_nest(proxy, suspends):
    async def main() -> None:
        outer, middle, inner = proxy(), proxy(), proxy()
        tasks = set()

        async def function() -> str:
            tasks.add(id(asyncio.current_task()))
            if suspends:
                await asyncio.sleep(0)
            return "charged"

        async def further(ambassador, call, *args) -> str:
            tasks.add(id(asyncio.current_task()))
            return await ambassador.call(call, *args)

        for _ in range(100):
            assert await outer.call(further, middle, further, inner, function) == "charged"
            assert len(tasks) == 3
            tasks.clear()
        assert len(asyncio.all_tasks()) <= 4

    assert complaints_of(main()) == []


def test_the_bound_of_a_call_ends_those_that_its_function_makes(proxy):
    outer, inner = proxy(max_retries=1, timeout=0.02), proxy(timeout=FOREVER)

    async def main() -> None:
        cleaned = []

        async def function() -> None:
            try:
                await asyncio.sleep(FOREVER)
            finally:
                await asyncio.sleep(0)
                cleaned.append("up")

        with pytest.raises(CallTimeoutError):
            await outer.call(inner.call, function)
        while outer.health()["abandoned"] > 0:
            await asyncio.sleep(0)
        assert cleaned == ["up"]
        assert inner.health()["calls"]["cancelled"] == 1
        assert inner.health()["abandoned"] == 0

    assert complaints_of(main()) == []


class Steps:
    """Awaitable, and not made by the compiler."""

    def __await__(self) -> Any:
        return iter([None, None])


class Giving:
    def __init__(self, given: Callable[[], Any]) -> None:
        self.given = given

    def __call__(self) -> Any:
        return self.given()


@types.coroutine
def generator_based() -> Any:
    yield
    return "charged"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="inspect.markcoroutinefunction is there from Python 3.12 on")
@pytest.mark.parametrize("settings", [{}, {"timeout": None}], ids=["bounded", "unbounded"])
def test_a_coroutine_function_may_give_any_awaitable(proxy, settings):
    async def main() -> None:
        for given, expected in (
            (Steps, None),
            (generator_based, "charged"),
            (lambda: asyncio.ensure_future(asyncio.sleep(0, "charged")), "charged"),
        ):
            function = inspect.markcoroutinefunction(Giving(given))
            assert await proxy(**settings).call(function) == expected

    asyncio.run(main())


def test_a_task_shows_where_its_function_stands(proxy):
    async def main() -> None:
        async def hang() -> None:
            await asyncio.sleep(FOREVER)

        task = asyncio.create_task(proxy(timeout=FOREVER).call(hang))
        (attempts,) = await new_tasks_besides(task)
        assert "hang" in repr(attempts)
        assert [frame.f_code.co_name for frame in attempts.get_stack()] == ["hang"]
        task.cancel()

    asyncio.run(main())


async def new_tasks_besides(task: asyncio.Task[Any]) -> set[asyncio.Task[Any]]:
    mine = {asyncio.current_task(), task}
    for _ in range(3):
        await asyncio.sleep(0)
    return asyncio.all_tasks() - mine


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks are there from Python 3.12 on")
@pytest.mark.parametrize("suspends", [False, True])
def test_callers_may_be_eager_tasks(proxy, suspends):
    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        ambassador = proxy()

        async def function(n: int) -> tuple[int, bool]:
            mine = asyncio.current_task()
            if suspends:
                await asyncio.sleep(0)
            return n, asyncio.current_task() is mine

        calls = [asyncio.create_task(ambassador.call(function, n)) for n in range(10)]
        assert [call.done() for call in calls] == [not suspends] * 10
        assert await asyncio.gather(*calls) == [(n, True) for n in range(10)]

    assert complaints_of(main()) == []
