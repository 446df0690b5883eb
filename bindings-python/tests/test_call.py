"""What a call is: the seed's behaviour, its lines, what functions can be called, and what comes back (A1, A4, R1, R7)."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import re
import threading
import time
import weakref

import pytest
from ambassador_proxy import AmbassadorProxy, Backoff
from conftest import FOREVER, Flaky, new_target


class PaymentService:
    """The seed's, with a fault that can be counted."""

    def __init__(self, ambassador: AmbassadorProxy, failures: int) -> None:
        self.ambassador = ambassador
        self.failures = failures
        self.attempts = 0

    def charge(self, amount: float) -> dict[str, object]:
        return self.ambassador.call(self._do_charge, amount)

    def _do_charge(self, amount: float) -> dict[str, object]:
        self.attempts += 1
        if self.attempts <= self.failures:
            raise ConnectionError("Payment API unreachable")
        return {"status": "charged", "amount": amount}


def test_the_seeds_service_is_charged_after_two_failures(proxy):
    service = PaymentService(proxy(max_retries=3), failures=2)
    assert service.charge(99.99) == {"status": "charged", "amount": 99.99}
    assert service.attempts == 3


def test_the_last_error_comes_back_as_the_same_object(proxy, run_in):
    errors = [ConnectionError(str(n)) for n in (1, 2, 3)]
    with pytest.raises(ConnectionError) as caught:
        proxy(run_in=run_in).call(Flaky(*errors))
    assert caught.value is errors[2]
    assert caught.value.__cause__ is None


def test_it_carries_a_note_of_what_was_tried(proxy, run_in):
    ambassador = proxy(run_in=run_in)
    with pytest.raises(ConnectionError) as caught:
        ambassador.call(Flaky(*[ConnectionError()] * 3))
    if hasattr(BaseException, "add_note"):
        (note,) = caught.value.__notes__
        assert re.fullmatch(rf"\[Ambassador\] {ambassador.target}: 3 attempts in [\d.]+m?s, retries exhausted", note)


def test_an_error_that_is_raised_again_and_again_keeps_one_note(proxy):
    ambassador, error = proxy(max_retries=1), ConnectionError()
    for _ in range(10):
        with pytest.raises(ConnectionError):
            ambassador.call(Flaky(error))
    assert len(getattr(error, "__notes__", ["one"])) == 1


def test_retries_are_told_through_logging_in_the_cores_words(caplog, run_in):
    ambassador = AmbassadorProxy(new_target(), backoff=Backoff(base=0.002, jitter="none"), run_in=run_in)
    with caplog.at_level(logging.WARNING, "ambassador"):
        ambassador.call(Flaky(*[ConnectionError("Payment API unreachable")] * 2))
    assert caplog.messages == [
        "[Ambassador] Retry 1 after 2ms: Payment API unreachable",
        "[Ambassador] Retry 2 after 4ms: Payment API unreachable",
    ]
    assert {record.name for record in caplog.records} == {"ambassador"}


def test_without_jitter_the_seeds_waits_are_two_seconds_and_then_four(caplog, target):
    ambassador = AmbassadorProxy(target, backoff={"jitter": "none"})
    begun = time.monotonic()
    with caplog.at_level(logging.WARNING, "ambassador"), pytest.raises(ConnectionError):
        ambassador.call(Flaky(*[ConnectionError("Payment API unreachable")] * 3))
    assert time.monotonic() - begun >= 6
    assert caplog.messages == [
        "[Ambassador] Retry 1 after 2s: Payment API unreachable",
        "[Ambassador] Retry 2 after 4s: Payment API unreachable",
    ]


def test_with_full_jitter_waits_lie_between_nothing_and_the_schedule(caplog):
    waits = []
    for _ in range(20):
        ambassador = AmbassadorProxy(new_target(), max_retries=2, backoff=Backoff(base=0.005))
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ambassador"):
            ambassador.call(Flaky(ConnectionError("x")))
        waits.append(float(re.match(r"\[Ambassador\] Retry 1 after ([\d.]+)ms: x", caplog.messages[0])[1]))
    assert all(0 <= wait <= 5 for wait in waits)
    assert len(set(waits)) > 1


def test_the_same_seed_gives_the_same_waits(caplog):
    def lines() -> list[str]:
        ambassador = AmbassadorProxy(new_target(), max_retries=4, backoff=Backoff(base=0.002))
        ambassador._seed_jitter(7)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "ambassador"):
            ambassador.call(Flaky(*[ConnectionError("x")] * 3))
        return caplog.messages

    assert lines() == lines()


class WithMethods:
    def bound(self, a: int, b: int = 2) -> tuple[int, int]:
        return a, b

    @classmethod
    def of_class(cls, a: int, b: int = 2) -> tuple[int, int]:
        return a, b

    @staticmethod
    def static(a: int, b: int = 2) -> tuple[int, int]:
        return a, b

    def __call__(self, a: int, b: int = 2) -> tuple[int, int]:
        return a, b


def plain(a: int, b: int = 2) -> tuple[int, int]:
    return a, b


@pytest.mark.parametrize(
    "function",
    [
        plain,
        lambda a, b=2: (a, b),
        functools.partial(plain),
        WithMethods().bound,
        WithMethods.of_class,
        WithMethods.static,
        WithMethods(),
        functools.lru_cache(plain),
    ],
    ids=["function", "lambda", "partial", "method", "classmethod", "staticmethod", "object", "builtin wrapper"],
)
def test_any_callable_is_called_with_its_arguments(proxy, run_in, function):
    ambassador = proxy(run_in=run_in)
    assert ambassador.call(function, 1) == (1, 2)
    assert ambassador.call(function, 1, b=3) == (1, 3)
    assert ambassador.call(function, a=4, b=5) == (4, 5)
    # Once more after a failure, with the same arguments.
    failing = Flaky(ConnectionError())

    def fails_once(*args: int, **kwargs: int) -> tuple[int, int]:
        failing()
        return function(*args, **kwargs)

    assert ambassador.call(fails_once, 1, b=3) == (1, 3)


def test_builtins_and_classes_are_called(proxy, run_in):
    ambassador = proxy(run_in=run_in)
    assert ambassador.call(max, 2, 3) == 3
    assert ambassador.call(sorted, [2, 1], reverse=True) == [2, 1]
    assert ambassador.call(dict, a=1) == {"a": 1}
    assert ambassador.call("a,b".split, ",") == ["a", "b"]


def test_a_generator_function_gives_its_generator(proxy, run_in):
    def count(n: int):
        yield from range(n)

    assert list(proxy(run_in=run_in).call(count, 3)) == [0, 1, 2]


def test_values_come_back_as_the_same_object(proxy, run_in):
    for value in (None, False, 0, [], object()):
        assert proxy(run_in=run_in).call(lambda value=value: value) is value


@pytest.mark.parametrize("wrong", [None, 5, "charge", {"status": "charged"}])
def test_what_is_no_function_is_refused_at_once(proxy, wrong):
    ambassador = proxy()
    for call in (ambassador.call, ambassador.execute, ambassador.wrap):
        with pytest.raises(
            TypeError, match=f"expected a function to call, not an object of class {type(wrong).__name__}"
        ):
            call(wrong)
    assert ambassador.health()["retries"] == 0


def test_call_needs_a_function(proxy):
    with pytest.raises(TypeError, match="needs the function"):
        proxy().call()


def test_contextvars_are_seen_by_the_function(proxy, run_in):
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    tenant.set("acme")
    assert proxy(run_in=run_in).call(tenant.get) == "acme"


def test_a_function_on_a_worker_changes_a_copy_of_the_context(proxy):
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="acme")
    proxy(run_in="worker").call(tenant.set, "other")
    assert tenant.get() == "acme"
    proxy(run_in="caller").call(tenant.set, "other")
    assert tenant.get() == "other"


def test_functions_run_where_the_setting_says(proxy):
    here = threading.get_ident()
    assert proxy(run_in="caller").call(threading.get_ident) == here
    assert proxy(run_in="worker").call(threading.get_ident) != here
    # By default: on a worker when there is a bound.
    assert proxy().call(threading.get_ident) != here
    assert proxy(timeout=None).call(threading.get_ident) == here
    assert proxy(timeout=None, deadline=5).call(threading.get_ident) != here


def test_the_gil_is_released_while_a_call_waits(proxy):
    running, done = threading.Event(), threading.Event()

    def function() -> str:
        running.set()
        # Set by the other thread, which needs the GIL while this call is waited for.
        assert done.wait(FOREVER)
        return "value"

    other = threading.Thread(target=lambda: running.wait(FOREVER) and done.set())
    other.start()
    assert proxy(timeout=FOREVER, run_in="worker").call(function) == "value"
    other.join()


def test_calls_nest_on_the_same_proxy(proxy, run_in):
    ambassador = proxy(run_in=run_in)

    def outer(depth: int) -> int:
        return depth if depth == 20 else ambassador.call(outer, depth + 1)

    assert ambassador.call(outer, 0) == 20
    assert ambassador.health()["calls"]["ok"] == 21


def test_counters_add_up(proxy, run_in):
    ambassador = proxy(run_in=run_in)
    ambassador.call(Flaky(OSError()))
    with pytest.raises(ConnectionError):
        ambassador.call(Flaky(*[ConnectionError()] * 3))
    health = ambassador.health()
    assert health["calls"] == {"ok": 1, "failure": 1, "timeout": 0, "rejected": 0, "cancelled": 0, "fallback": 0}
    assert health["attempts"] == {"ok": 1, "failure": 4, "timeout": 0, "cancelled": 0}
    assert (health["retries"], health["in_flight"]) == (3, 0)


def test_proxies_of_one_target_share_their_state_unless_named():
    target = new_target()
    one, two, apart = AmbassadorProxy(target), AmbassadorProxy(target), AmbassadorProxy(target, name="apart")
    one.call(int)
    assert two.health()["calls"]["ok"] == 1
    assert apart.health()["calls"]["ok"] == 0
    assert (apart.target, apart.name) == (target, "apart")


def test_nothing_is_kept_of_arguments_values_and_errors(proxy, run_in):
    class Thing:
        pass

    class Refused(Exception):
        pass

    ambassador = proxy(run_in=run_in)
    gone = []

    def call_with(fails: int) -> None:
        argument = Thing()
        value = Thing()
        gone.extend([weakref.ref(argument), weakref.ref(value)])
        failing = Flaky(*[Refused() for _ in range(fails)])

        def function(_: Thing) -> Thing:
            failing()
            return value

        try:
            ambassador.call(function, argument)
        except Refused as error:
            gone.append(weakref.ref(error))

    gc.disable()
    try:
        for fails in (0, 1, 3):
            call_with(fails)
        # The worker lets go of its arguments just after its caller has the value.
        ambassador.call(int)
        assert [ref() for ref in gone] == [None] * len(gone)
    finally:
        gc.enable()


def test_a_subclass_may_have_an_init_of_its_own(target):
    class Payments(AmbassadorProxy):
        def __init__(self) -> None:
            super().__init__(target, timeout=None)

    assert Payments().call(max, 1, 2) == 2


def test_a_subclass_that_forgets_super_is_told_so():
    class Payments(AmbassadorProxy):
        def __init__(self) -> None:
            pass

    with pytest.raises(RuntimeError, match=r"super\(\).__init__"):
        Payments().call(max, 1, 2)


def test_a_lambda_that_makes_a_coroutine_is_awaited_like_one(proxy, run_in):
    attempts = []

    async def charge(amount: float) -> float:
        attempts.append(amount)
        await asyncio.sleep(0)
        if len(attempts) < 3:
            raise ConnectionError("Payment API unreachable")
        return amount

    ambassador = proxy(run_in=run_in)
    assert asyncio.run(ambassador.call(lambda: charge(99.99))) == 99.99
    assert attempts == [99.99] * 3
    assert ambassador.health()["calls"]["ok"] == 1
