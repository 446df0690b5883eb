"""``proxy.wrap``: the function as it was, called through the proxy."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import pickle
import weakref

import pytest
from ambassador_proxy import AmbassadorProxy
from conftest import Flaky

pickled = AmbassadorProxy("pickled.example.com")


@pickled.wrap
def charge(amount: float, currency: str = "EUR") -> str:
    """Charges."""
    return f"charged: {amount} {currency}"


def test_a_wrapped_function_keeps_its_name_docs_and_signature():
    assert (charge.__name__, charge.__doc__, charge.__module__) == ("charge", "Charges.", __name__)
    assert str(inspect.signature(charge)) == "(amount: 'float', currency: 'str' = 'EUR') -> 'str'"
    assert inspect.unwrap(charge)(1) == "charged: 1 EUR"
    assert "charge" in repr(charge)
    assert "pickled.example.com" in repr(charge)


def test_it_is_called_with_its_arguments(proxy, run_in):
    wrapped = proxy(run_in=run_in).wrap(lambda a, b=2: (a, b))
    assert (wrapped(1), wrapped(1, b=3), wrapped(*[1], b=4), wrapped(b=6, a=5)) == (
        (1, 2),
        (1, 3),
        (1, 4),
        (5, 6),
    )


def test_it_is_retried(proxy, run_in):
    ambassador, function = proxy(run_in=run_in), Flaky(OSError(), OSError())
    assert ambassador.wrap(function)() == "charged"
    assert function.calls == 3


def test_a_wrapped_coroutine_function_stays_one(proxy):
    failing = Flaky(OSError())

    @proxy().wrap
    async def function(amount: float) -> float:
        await asyncio.sleep(0)
        failing()
        return amount

    assert inspect.iscoroutinefunction(function)
    assert asyncio.run(function(2.5)) == 2.5
    assert failing.calls == 2


def test_methods_stay_methods(proxy, run_in):
    ambassador = proxy(run_in=run_in)

    class Service:
        rate = 2

        @ambassador.wrap
        def plain(self, amount: float) -> float:
            return amount * self.rate

        @classmethod
        @ambassador.wrap
        def of_class(cls, amount: float) -> float:
            return amount * cls.rate

        @staticmethod
        @ambassador.wrap
        def static(amount: float) -> float:
            return amount

        @ambassador.wrap
        async def asynchronous(self, amount: float) -> float:
            return amount * self.rate

    service = Service()
    assert (service.plain(3), Service.plain(service, 3), service.of_class(3), service.static(3)) == (6, 6, 6, 3)
    assert asyncio.run(service.asynchronous(3)) == 6
    bound = service.plain
    assert bound.__self__ is service
    assert bound(4) == 8
    assert functools.partial(service.plain, 5)() == 10


def test_it_can_be_pickled_by_name():
    assert pickle.loads(pickle.dumps(charge)) is charge


def test_it_takes_attributes_and_weak_references(proxy):
    wrapped = proxy().wrap(lambda: None)
    wrapped.cost = 3
    assert wrapped.cost == 3
    assert weakref.ref(wrapped)() is wrapped


def test_a_cycle_through_it_is_collected(proxy):
    class Service:
        def __init__(self) -> None:
            self.ambassador = proxy(classify=self.classify)
            self.charge = self.ambassador.wrap(self.do_charge)

        def classify(self, error: Exception | None, value: object) -> None:
            return None

        def do_charge(self) -> str:
            return "charged"

    service = Service()
    assert service.charge() == "charged"
    gone = weakref.ref(service)
    del service
    gc.collect()
    assert gone() is None


def test_wrapping_what_is_no_function_is_refused(proxy):
    with pytest.raises(TypeError, match="expected a function"):
        proxy().wrap(3)
