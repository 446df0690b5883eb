"""What a type checker makes of the package. `make lint` has mypy read it; it is never run. A line with an ignore has to be
wrong: mypy complains of one that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Any

from ambassador_proxy import (
    AmbassadorProxy,
    Attempt,
    Auth,
    Backoff,
    CallTimeoutError,
    Endpoint,
    Health,
    Hedge,
    Http,
    Policy,
    Tls,
    shutdown,
)
from typing_extensions import assert_type

proxy = AmbassadorProxy("payment-api.example.com", 5, 0.5)


def charge(amount: float, currency: str = "EUR") -> dict[str, float]:
    return {currency: amount}


async def charge_later(amount: float, currency: str = "EUR") -> dict[str, float]:
    return {currency: amount}


def charge_attempt(attempt: Attempt, amount: float) -> int:
    assert_type(attempt.attempt, int)
    assert_type(attempt.remaining, float | None)
    assert_type(attempt.headers, dict[str, str])
    attempt.retry_after = timedelta(seconds=1)
    attempt.retry_after = 1
    attempt.retry_after = None
    attempt.retry_after = "1"  # type: ignore[assignment]
    attempt.attempt = 1  # type: ignore[misc]
    return round(amount)


async def charge_attempt_later(attempt: Attempt, amount: float) -> int:
    return attempt.attempt


def plain_functions() -> None:
    assert_type(proxy.call(charge, 99.99), dict[str, float])
    assert_type(proxy.call(charge, 99.99, currency="USD"), dict[str, float])
    assert_type(proxy.call(lambda: 3), int)
    proxy.call(charge)  # type: ignore[call-overload]
    proxy.call(charge, "much")  # type: ignore[call-overload]
    proxy.call(charge, 99.99, curency="USD")  # type: ignore[arg-type, call-arg, unused-coroutine]
    proxy.call(charge(99.99))  # type: ignore[call-overload]


async def coroutine_functions() -> None:
    pending = assert_type(
        proxy.call(charge_later, 99.99, currency="USD"),
        Coroutine[Any, Any, dict[str, float]],
    )
    assert_type(await pending, dict[str, float])
    await proxy.call(charge_later)  # type: ignore[call-overload]
    await proxy.call(charge, 99.99)  # type: ignore[misc]


async def functions_of_their_attempt() -> None:
    assert_type(proxy.execute(charge_attempt, 99.99), int)
    assert_type(await proxy.execute(charge_attempt_later, 99.99), int)
    assert_type(proxy.execute(lambda attempt: attempt.endpoint), str)
    proxy.execute(charge_attempt)  # type: ignore[call-overload]
    proxy.execute(charge, 99.99)  # type: ignore[call-overload]


class Shop:
    @proxy.wrap
    def charge(self, amount: float) -> bool:
        return amount > 0

    @proxy.wrap
    async def charge_later(self, amount: float) -> bool:
        return amount > 0


async def wrapped_functions() -> None:
    assert_type(proxy.wrap(charge)(99.99), dict[str, float])
    assert_type(await proxy.wrap(charge_later)(99.99), dict[str, float])
    assert_type(Shop().charge(99.99), bool)
    assert_type(await Shop().charge_later(amount=99.99), bool)
    proxy.wrap(charge)("much")  # type: ignore[arg-type]
    Shop().charge()  # type: ignore[call-arg]


def settings(of_a_file: dict[str, Any]) -> None:
    AmbassadorProxy("payment-api.example.com", **of_a_file)
    AmbassadorProxy(
        "payment-api.example.com",
        timeout=timedelta(seconds=2),
        deadline=None,
        backoff={"base": 0.1},
        retry_on=(ConnectionError, TimeoutError),
        not_on=lambda error: isinstance(error, PermissionError),
        classify=lambda error, value: "retry" if value is None else None,
        run_in="caller",
        name="payments",
    )
    AmbassadorProxy("payment-api.example.com", backoff=Backoff(base=0.1, jitter="equal"))
    AmbassadorProxy("payment-api.example.com", backoff=None)
    AmbassadorProxy("payment-api.example.com", hedge=Hedge(after="p95", max=2), idempotent=True)
    AmbassadorProxy("payment-api.example.com", hedge=Hedge(after=timedelta(seconds=1)), idempotent=True)
    AmbassadorProxy("payment-api.example.com", hedge=Hedge(after="p96"), idempotent=True)  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", hedge=Hedge(max=2), idempotent=True)  # type: ignore[call-arg]
    AmbassadorProxy(
        "https://payment-api.example.com",
        endpoints=["10.0.0.7:8080", Endpoint("10.0.0.8", weight=2), {"url": "10.0.0.9"}],
        balance="round_robin",
        slow_start=timedelta(seconds=30),
        outlier=None,
        health_check={"tcp": True},
        tls=Tls(ca=Path("ca.pem")),
        auth=Auth(bearer_env="API_TOKEN"),
        headers={"x-shop": "7"},
        idempotency_key="auto",
        http=Http(version="2"),
    )
    AmbassadorProxy("payment-api.example.com", endpoints=[7])  # type: ignore[list-item]
    AmbassadorProxy("payment-api.example.com", balance="fastest")  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", http=Http(version="3"))  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", discovery=Tls())  # type: ignore[arg-type]
    AmbassadorProxy()  # type: ignore[call-arg]
    AmbassadorProxy("payment-api.example.com", max_retrys=3)  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", max_retries="3")  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", timeout="2s")  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", run_in="thread")  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", retry_on=KeyboardInterrupt)  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", classify=lambda error, value: "again")  # type: ignore[arg-type, return-value]
    AmbassadorProxy("payment-api.example.com", backoff=Backoff(jitter="half"))  # type: ignore[arg-type]
    AmbassadorProxy("payment-api.example.com", backoff=Backoff(bas=1))  # type: ignore[call-arg]


def what_there_is_to_read(error: CallTimeoutError) -> None:
    assert_type(proxy.policy, Policy)
    assert_type(proxy.policy.timeout, float | None)
    assert_type(proxy.target, str)
    assert_type(error.attempts, int)
    assert_type(error.retry_after, float | None)
    assert_type(shutdown(timeout=1), bool)
    assert_type(proxy.health(), Health)
    assert_type(proxy.health()["latency"]["calls"]["60s"]["p99_ns"], int | None)
    proxy.health()["latency"]["calls"]["1s"]  # type: ignore[typeddict-item]
    proxy.max_retries = 4  # type: ignore[misc]


charge_everybody: Callable[[float], dict[str, float]] = proxy.wrap(charge)
