"""Breaker, budget, bulkhead, rate limit, fallback and events, as Python's users see them (B, R5, R6, L, H2, S1, F5)."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
import time

import pytest
from ambassador_proxy import (
    BulkheadFullError,
    CallTimeoutError,
    CircuitOpenError,
    RateLimitedError,
)
from ambassador_proxy.testing import virtual_time
from conftest import FOREVER, Flaky


def down(*_: object) -> None:
    raise ConnectionError("down")


def opened(proxy, **settings):
    ambassador = proxy(breaker={"min_calls": 1}, max_retries=1, **settings)
    with pytest.raises(ConnectionError):
        ambassador.call(down)
    return ambassador


def test_the_policy_is_what_is_in_force_also_when_another_proxy_of_the_name_has_changed_it(proxy):
    first = proxy(name="two that differ", breaker={"min_calls": 5}, max_retries=2)
    second = proxy(name="two that differ", breaker={"min_calls": 7}, max_retries=4)
    assert (first.policy.breaker.min_calls, second.policy.breaker.min_calls) == (7, 7)
    assert (first.policy.max_retries, second.policy.max_retries) == (2, 4)


def test_an_open_breaker_refuses_without_running_the_function_and_says_when_to_come_again(proxy, run_in):
    ambassador = opened(proxy, run_in=run_in)
    untouched = Flaky()
    with pytest.raises(CircuitOpenError) as caught:
        ambassador.call(untouched)
    assert untouched.calls == 0
    assert 0 < caught.value.retry_after <= 5
    assert (caught.value.code, caught.value.attempts) == ("CIRCUIT_OPEN", 0)
    assert ambassador.health()["circuit"]["state"] == "open"

    async def charge() -> None:
        untouched()

    with pytest.raises(CircuitOpenError):
        asyncio.run(ambassador.call(charge))
    assert untouched.calls == 0


def test_a_refusal_is_an_exception_like_any_other(proxy, run_in):
    ambassador = opened(proxy, run_in=run_in)
    refusals = []
    for _ in range(2):
        with pytest.raises(CircuitOpenError) as caught:
            ambassador.call(down)
        refusals.append(caught.value)
    error = refusals[0]
    assert set(vars(error)) == {"target", "attempts", "elapsed", "retry_after"}
    made = CircuitOpenError(str(error), **vars(error))
    for same in (made, copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (type(same), same.args, str(same), repr(same)) == (type(error), error.args, str(error), repr(error))
        assert vars(same) == vars(error)
    # Each has attributes of its own.
    error.target = "another"
    assert refusals[1].target == ambassador.target


def test_refusals_one_after_the_other_each_say_their_own(proxy):
    ambassador = opened(proxy, run_in="caller")

    def refusal() -> CircuitOpenError:
        with pytest.raises(CircuitOpenError) as caught:
            ambassador.call(down)
        return caught.value

    with virtual_time() as clock:
        ambassador.reset()
        with pytest.raises(ConnectionError):
            ambassador.call(down)
        first, alike = refusal(), refusal()
        clock.advance(2)
        later = refusal()
        ambassador.isolate()
        by_hand = refusal()
    assert "(again in 5s)" in str(first)
    assert (str(first), first is alike) == (str(alike), False)
    assert "(again in 3s)" in str(later)
    assert (first.retry_after, later.retry_after) == (5, 3)
    assert "(again" not in str(by_hand)
    assert by_hand.retry_after is None


def test_the_circuit_is_opened_and_closed_by_hand(proxy):
    ambassador = proxy(breaker={})
    ambassador.isolate()
    with pytest.raises(CircuitOpenError) as caught:
        ambassador.call(int)
    assert caught.value.retry_after is None
    ambassador.reset()
    assert ambassador.call(int) == 0


def test_a_retry_that_would_come_to_an_open_breaker_ends_with_the_last_real_error(proxy, run_in):
    ambassador = proxy(breaker={"min_calls": 1}, max_retries=5, backoff={"base": FOREVER, "max": 1.0}, run_in=run_in)
    function = Flaky(*[ConnectionError("down")] * 5)
    with pytest.raises(ConnectionError) as caught:
        ambassador.call(function)
    assert function.calls == 1
    if hasattr(caught.value, "__notes__"):
        assert caught.value.__notes__[0].endswith("the circuit is open")


def test_an_empty_budget_ends_a_call_with_its_own_error(proxy, run_in):
    ambassador = proxy(budget={"min_per_second": 0.1}, run_in=run_in)
    functions = [Flaky(*[ConnectionError()] * 3) for _ in range(2)]
    for function in functions:
        with pytest.raises(ConnectionError):
            ambassador.call(function)
    assert [function.calls for function in functions] == [2, 1]


def test_a_full_bulkhead_refuses_and_has_room_when_a_call_ends(proxy, run_in):
    ambassador = proxy(bulkhead={"max_concurrent": 1}, run_in=run_in, timeout=FOREVER)

    def full() -> None:
        with pytest.raises(BulkheadFullError):
            ambassador.call(int)

    ambassador.call(full)
    assert ambassador.call(int) == 0


def test_who_queues_on_another_thread_is_called_in_when_a_call_ends(proxy, run_in):
    ambassador = proxy(bulkhead={"max_concurrent": 1, "max_queue": 5}, run_in=run_in, timeout=FOREVER)
    entered, release, order = threading.Event(), threading.Event(), []

    def hold() -> None:
        entered.set()
        assert release.wait(60)

    holder = threading.Thread(target=ambassador.call, args=(hold,))
    holder.start()
    assert entered.wait(60)
    threads = []
    for number in range(3):
        threads.append(threading.Thread(target=ambassador.call, args=(order.append, number)))
        threads[-1].start()
        while ambassador.health()["bulkhead"]["queued"] <= number:
            time.sleep(0)
    begun = time.monotonic()
    release.set()
    for thread in (holder, *threads):
        thread.join()
    assert order == [0, 1, 2]
    assert time.monotonic() - begun < 60
    assert ambassador.health()["bulkhead"] == {"limit": 1, "occupied": 0, "queued": 0}


def test_coroutines_queue_too_and_are_called_in_across_loops(proxy):
    ambassador = proxy(bulkhead={"max_concurrent": 1, "max_queue": 500}, timeout=FOREVER)

    async def one(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async def many() -> list[int]:
        return await asyncio.gather(*(ambassador.call(one, n) for n in range(100)))

    results: list[list[int]] = []
    threads = [threading.Thread(target=lambda: results.append(asyncio.run(many()))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [list(range(100))] * 3
    assert ambassador.health()["bulkhead"]["occupied"] == 0


def test_a_coroutine_that_leaves_the_queue_leaves_no_trace(proxy):
    ambassador = proxy(bulkhead={"max_concurrent": 1, "max_queue": 1}, timeout=FOREVER)

    async def main() -> None:
        release = asyncio.Event()
        holder = asyncio.create_task(ambassador.call(release.wait))
        while ambassador.health()["bulkhead"]["occupied"] == 0:
            await asyncio.sleep(0)
        leaver = asyncio.create_task(ambassador.call(release.wait))
        while ambassador.health()["bulkhead"]["queued"] == 0:
            await asyncio.sleep(0)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        assert ambassador.health()["bulkhead"]["queued"] == 0
        release.set()
        await holder
        assert await ambassador.call(one) == 1

    async def one() -> int:
        return 1

    asyncio.run(main())
    assert ambassador.health()["calls"]["cancelled"] == 1


def test_abandoned_work_keeps_its_place(proxy):
    ambassador = proxy(bulkhead={"max_concurrent": 1}, max_retries=1, timeout=0.05)
    release = threading.Event()

    def unwilling() -> None:
        while not release.is_set():
            try:
                release.wait(60)
            except BaseException:
                continue

    with pytest.raises(CallTimeoutError):
        ambassador.call(unwilling)
    with pytest.raises(BulkheadFullError):
        ambassador.call(int)
    release.set()
    while ambassador.health()["abandoned"] > 0:
        time.sleep(0.001)
    assert ambassador.call(int) == 0


def test_a_call_beyond_the_rate_is_refused_or_waits_its_turn(proxy, run_in):
    refusing = proxy(rate_limit={"rate": 0.01, "burst": 1}, run_in=run_in)
    assert refusing.call(int) == 0
    with pytest.raises(RateLimitedError) as caught:
        refusing.call(int)
    assert 99 < caught.value.retry_after <= 100
    waiting = proxy(rate_limit={"rate": 50, "burst": 1, "max_wait": 1.0}, run_in=run_in)
    begun = time.monotonic()
    for _ in range(3):
        waiting.call(int)
    assert time.monotonic() - begun >= 0.04

    async def one() -> int:
        return 1

    assert asyncio.run(waiting.call(one)) == 1
    assert time.monotonic() - begun >= 0.06


@pytest.mark.parametrize(("fallback", "answer"), [("later", "later"), (lambda error: str(error), "down"), (0, 0)])
def test_a_fallback_answers_in_place_of_the_final_error(proxy, run_in, fallback, answer):
    ambassador = proxy(fallback=fallback, max_retries=2, run_in=run_in)
    assert ambassador.call(down) == answer
    assert ambassador.call(int) == 0

    async def down_async() -> None:
        down()

    assert asyncio.run(ambassador.call(down_async)) == answer
    health = ambassador.health()
    assert (health["calls"]["fallback"], health["calls"]["ok"], health["calls"]["failure"]) == (2, 1, 0)


def test_a_fallback_may_be_a_coroutine_function(proxy):
    async def later(error: Exception) -> str:
        await asyncio.sleep(0)
        return f"instead of {error}"

    async def down_async() -> None:
        down()

    assert asyncio.run(proxy(fallback=later).call(down_async)) == "instead of down"


def test_a_fallback_that_throws_makes_its_error_the_calls_with_the_original_as_its_cause(proxy, run_in):
    def fallback(error: Exception) -> None:
        raise ValueError("of the fallback")

    ambassador = proxy(fallback=fallback, max_retries=1, run_in=run_in)
    with pytest.raises(ValueError, match="of the fallback") as caught:
        ambassador.call(down)
    assert isinstance(caught.value.__cause__, ConnectionError)
    health = ambassador.health()
    assert (health["calls"]["fallback"], health["calls"]["failure"], health["in_flight"]) == (0, 1, 0)


def test_a_refused_call_is_answered_too(proxy):
    ambassador = proxy(fallback=lambda error: getattr(error, "code", None), breaker={})
    ambassador.isolate()
    assert ambassador.call(int) == "CIRCUIT_OPEN"
    assert ambassador.health()["calls"]["fallback"] == 1


def test_listeners_hear_what_happens_in_its_order_through_whatever_proxy(proxy, run_in):
    ambassador = proxy(max_retries=2, breaker={"min_calls": 2}, run_in=run_in)
    heard: list[tuple[object, ...]] = []
    ambassador.on_event(lambda event: heard.append((event["type"], event.get("outcome") or event.get("to"))))
    with pytest.raises(ConnectionError):
        ambassador.call(down)
    assert heard == [
        ("attempt", "failure"),
        ("retry", None),
        ("attempt", "failure"),
        ("circuit", "open"),
        ("call", "failure"),
    ]
    heard.clear()
    same = type(ambassador)(
        "other.example.com", name=ambassador.name, breaker={"min_calls": 2}, budget=None, backoff=None
    )
    same.reset()
    same.call(int)
    assert heard[-3:] == [("circuit", "closed"), ("attempt", "ok"), ("call", "ok")]


def test_a_listener_that_throws_changes_nothing_and_one_may_make_calls(proxy, run_in, caplog):
    ambassador = proxy(run_in=run_in)
    depth = []

    def throws(event: object) -> None:
        raise ValueError("a listener that throws")

    def calls(event: object) -> None:
        if len(depth) < 3:
            depth.append(event)
            ambassador.call(int)

    ambassador.on_event(throws)
    ambassador.on_event(calls)
    assert ambassador.call(int) == 0
    assert len(depth) == 3
    assert "a listener of the ambassador's events raised" in caplog.text


def test_a_listener_lasts_as_long_as_its_proxy(proxy):
    ambassador = proxy()
    heard: list[object] = []
    ambassador.on_event(heard.append)
    other = type(ambassador)("other.example.com", name=ambassador.name, breaker=None, budget=None, backoff=None)
    other.call(int)
    count = len(heard)
    assert count > 0
    del ambassador
    gc.collect()
    other.call(int)
    assert len(heard) == count
