"""What a call costs that succeeds at once, in nanoseconds: the bare function, the peers, and ours; and what one costs that an
open breaker refuses.

A plain loop of calls; each figure is the median of several rounds, and the rounds of all rows alternate, so that a slow
moment of the machine is shared. Prints Markdown tables; ``make bench`` puts them into ``benches/README.md``.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import hyx.circuitbreaker
import hyx.retry
import hyx.timeout
import pybreaker
import stamina
import tenacity
from ambassador_proxy import AmbassadorProxy, Breaker, CircuitOpenError

ROUNDS = 15
ROUND_NS = 40_000_000

Row = tuple[str, Callable[[], object]]
AsyncRow = tuple[str, Callable[[], Awaitable[object]]]


def charge() -> int:
    """The user's function: nothing."""
    return 99


async def charge_async() -> int:
    """The same, as a coroutine function."""
    return 99


def seeds_loop(fn: Callable[[], object], max_retries: int = 3) -> object:
    """The loop that one writes by hand, as the seed does: no bound, and the same wait for everybody."""
    for attempt in range(1, max_retries + 1):
        try:
            return fn()
        except Exception:
            if attempt == max_retries:
                raise
            time.sleep(2**attempt)
    return None


async def seeds_loop_async(fn: Callable[[], Awaitable[object]], max_retries: int = 3) -> object:
    for attempt in range(1, max_retries + 1):
        try:
            return await fn()
        except Exception:
            if attempt == max_retries:
                raise
            await asyncio.sleep(2**attempt)
    return None


# As ours by default: three attempts, waits from 2 s on with jitter.
RETRIES = {"stop": tenacity.stop_after_attempt(3), "wait": tenacity.wait_random_exponential(multiplier=2, max=30)}
STAMINA = {"on": Exception, "attempts": 3, "timeout": None, "wait_initial": 2.0, "wait_max": 30.0, "wait_jitter": 2.0}

by_tenacity = tenacity.retry(**RETRIES)(charge)
by_stamina = stamina.retry(**STAMINA)(charge)
pool = ThreadPoolExecutor(4)

unbounded = AmbassadorProxy("unbounded.example.com", timeout=None)
caller = AmbassadorProxy("caller.example.com", run_in="caller")
worker = AmbassadorProxy("worker.example.com")
# The rest (retries, breaker, budget, metrics) is on by default.
everything = AmbassadorProxy("everything.example.com", run_in="caller", bulkhead={"max_concurrent": 64})
everything_async = AmbassadorProxy("everything-async.example.com", bulkhead={"max_concurrent": 64})
wrapped = caller.wrap(charge)
wrapped_unbounded = unbounded.wrap(charge)


@tenacity.retry(**RETRIES)
@pybreaker.CircuitBreaker()
def by_tenacity_and_pybreaker() -> int:
    return 99


INLINE: list[Row] = [
    ("the bare function", charge),
    ("the seed's loop, written by hand (unbounded)", lambda: seeds_loop(charge)),
    ("tenacity (unbounded)", by_tenacity),
    ("stamina (unbounded)", by_stamina),
    ("tenacity around pybreaker (unbounded)", by_tenacity_and_pybreaker),
    ("**Ambassador**, `timeout=None` (unbounded)", lambda: unbounded.call(charge)),
    ('**Ambassador**, `run_in="caller"` (each attempt bounded)', lambda: caller.call(charge)),
    ('**Ambassador**, `run_in="caller"`, with a bulkhead too', lambda: everything.call(charge)),
    ('**Ambassador**, `wrap`, `run_in="caller"` (each attempt bounded)', wrapped),
    ("**Ambassador**, `wrap`, `timeout=None` (unbounded)", wrapped_unbounded),
    ('**Ambassador**, `execute` with context, `run_in="caller"`', lambda: caller.execute(lambda _: 99)),
]


def opened() -> tuple[pybreaker.CircuitBreaker, AmbassadorProxy]:
    """Two breakers that the only call ever made has opened, for an hour."""

    def down() -> int:
        raise ConnectionError("Payment API unreachable")

    peer = pybreaker.CircuitBreaker(fail_max=1, reset_timeout=3600)
    breaker = Breaker(consecutive_failures=1, open_for=3600, open_max=3600)
    ours = AmbassadorProxy("open.example.com", max_retries=1, run_in="caller", breaker=breaker)
    for call in (peer.call, ours.call):
        with suppress(ConnectionError, pybreaker.CircuitBreakerError):
            call(down)
    return peer, ours


peer_open, ours_open = opened()


def refused_by_pybreaker() -> None:
    try:
        peer_open.call(charge)
    except pybreaker.CircuitBreakerError:
        return
    raise AssertionError("the breaker is not open")


def refused_by_ours() -> None:
    try:
        ours_open.call(charge)
    except CircuitOpenError:
        return
    raise AssertionError("the breaker is not open")


REFUSED: list[Row] = [
    ("pybreaker", refused_by_pybreaker),
    ('**Ambassador**, `run_in="caller"`', refused_by_ours),
]

BOUNDED: list[Row] = [
    ("`ThreadPoolExecutor`, `submit` and `result(2)`", lambda: pool.submit(charge).result(2)),
    ("tenacity around it", lambda: by_tenacity_bounded()),
    ("stamina around it", lambda: by_stamina_bounded()),
    ("**Ambassador**, defaults: a worker thread (each attempt bounded)", lambda: worker.call(charge)),
]


@tenacity.retry(**RETRIES)
def by_tenacity_bounded() -> int:
    return pool.submit(charge).result(2)


@stamina.retry(**STAMINA)
def by_stamina_bounded() -> int:
    return pool.submit(charge).result(2)


by_tenacity_async = tenacity.retry(**RETRIES)(charge_async)
by_stamina_async = stamina.retry(**STAMINA)(charge_async)
by_hyx_async = hyx.retry.retry(on=Exception, attempts=3)(charge_async)


@hyx.retry.retry(on=Exception, attempts=3)
@hyx.circuitbreaker.consecutive_breaker()
async def by_hyx_async_bounded() -> int:
    async with hyx.timeout.timeout(2):
        return await charge_async()


@tenacity.retry(**RETRIES)
async def by_tenacity_async_bounded() -> int:
    return await asyncio.wait_for(charge_async(), 2)


ASYNC: list[AsyncRow] = [
    ("the bare coroutine function", charge_async),
    ("the seed's loop, written by hand (unbounded)", lambda: seeds_loop_async(charge_async)),
    ("tenacity (unbounded)", by_tenacity_async),
    ("tenacity around `asyncio.wait_for`", by_tenacity_async_bounded),
    ("stamina (unbounded)", by_stamina_async),
    ("hyx (unbounded)", by_hyx_async),
    ("hyx, retry, circuit breaker and timeout", by_hyx_async_bounded),
    ("`asyncio.wait_for` alone", lambda: asyncio.wait_for(charge_async(), 2)),
    ("**Ambassador**, `timeout=None` (unbounded)", lambda: unbounded.call(charge_async)),
    ("**Ambassador**, defaults (each attempt bounded)", lambda: worker.call(charge_async)),
    ("**Ambassador**, with a bulkhead too", lambda: everything_async.call(charge_async)),
]


def nanoseconds(work: Callable[[], object], calls: int) -> float:
    turns = range(calls)
    begun = time.perf_counter_ns()
    for _ in turns:
        work()
    return (time.perf_counter_ns() - begun) / calls


async def nanoseconds_async(work: Callable[[], Awaitable[object]], calls: int) -> float:
    turns = range(calls)
    begun = time.perf_counter_ns()
    for _ in turns:
        await work()
    return (time.perf_counter_ns() - begun) / calls


def measure(measured: Sequence[Callable[[int], float]]) -> list[float]:
    """The median of each row, in nanoseconds a call."""
    counts = []
    for row in measured:
        calls = 100
        while row(calls) * calls < ROUND_NS / 4:
            calls *= 2
        counts.append(calls * 4)
    figures: list[list[float]] = [[] for _ in measured]
    order = list(range(len(measured)))
    for _ in range(ROUNDS):
        # In another order each round, lest a row always pays for what the one before it left behind.
        random.shuffle(order)
        for at in order:
            figures[at].append(measured[at](counts[at]))
    return [statistics.median(row) for row in figures]


def table(title: str, peer: str, names: list[str], medians: list[float], against: int) -> None:
    print(f"| {title} | ns | {peer} = 1 |")
    print("| --- | ---: | ---: |")
    for name, median in zip(names, medians, strict=True):
        ratio = median / medians[against]
        print(f"| {name} | {median:.0f} | {ratio:.{3 if ratio < 0.1 else 2}f} |")
    print()


def main() -> None:
    medians = measure([lambda calls, work=work: nanoseconds(work, calls) for _, work in INLINE])
    table("Python: a call that succeeds at once", "tenacity", [name for name, _ in INLINE], medians, 2)
    medians = measure([lambda calls, work=work: nanoseconds(work, calls) for _, work in REFUSED])
    table("Python: a call that an open breaker refuses", "pybreaker", [name for name, _ in REFUSED], medians, 0)
    medians = measure([lambda calls, work=work: nanoseconds(work, calls) for _, work in BOUNDED])
    names = [name for name, _ in BOUNDED]
    table("Python: the same, on another thread", "ThreadPoolExecutor", names, medians, 0)
    loop = asyncio.new_event_loop()
    medians = measure(
        [lambda calls, work=work: loop.run_until_complete(nanoseconds_async(work, calls)) for _, work in ASYNC]
    )
    loop.close()
    table("Python: the same, on asyncio", "tenacity", [name for name, _ in ASYNC], medians, 2)


if __name__ == "__main__":
    main()
