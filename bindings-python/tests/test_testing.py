"""`ambassador_proxy.testing`: time that passes at once, jitter that repeats, functions by script."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from ambassador_proxy import AmbassadorProxy, CallTimeoutError, CircuitOpenError
from ambassador_proxy.testing import Script, seed_jitter, virtual_time
from conftest import new_target


def test_waits_pass_at_once_and_are_kept(run_in):
    with virtual_time() as time:
        charge = Script(ConnectionError("down"), times=2, then="charged")
        ambassador = AmbassadorProxy(new_target(), backoff={"jitter": "none"}, run_in=run_in)
        assert ambassador.call(charge, 99.99, currency="EUR") == "charged"
        assert time.waits == [2.0, 4.0]
        assert time.elapsed == 6.0
        assert charge.calls == [((99.99,), {"currency": "EUR"})] * 3


def test_on_asyncio_too():
    async def charge() -> object:
        return script()

    script = Script.of(OSError(), OSError(), "charged")
    with virtual_time() as time:
        assert asyncio.run(AmbassadorProxy(new_target(), backoff={"jitter": "none"}).call(charge)) == "charged"
        assert time.waits == [2.0, 4.0]


def test_a_function_that_moves_time_beyond_its_bound_has_timed_out(run_in):
    with virtual_time() as time:
        ambassador = AmbassadorProxy(new_target(), max_retries=1, timeout=2.0, run_in=run_in)
        with pytest.raises(CallTimeoutError):
            ambassador.call(time.advance, 2.1)
        assert ambassador.call(time.advance, timedelta(seconds=2)) is None
        assert ambassador.health()["late_results"] == 1


def test_a_breaker_opens_and_closes_without_waiting(ambassador_time):
    ambassador = AmbassadorProxy(new_target(), max_retries=1, breaker={"min_calls": 2, "probes": 1})
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            ambassador.call(Script(OSError("down")))
    with pytest.raises(CircuitOpenError):
        ambassador.call(int)
    ambassador_time.advance(5)
    assert ambassador.call(int) == 0
    assert ambassador.health()["circuit"]["state"] == "closed"


def test_the_same_seed_gives_the_same_waits():
    seen = []
    for _ in range(2):
        with virtual_time() as time:
            ambassador = AmbassadorProxy(new_target())
            seed_jitter(ambassador, 7)
            ambassador.call(Script(OSError(), times=2))
            seen.append(time.waits)
    assert seen[0] == seen[1]
    assert len(seen[0]) == 2


def test_time_is_real_again_also_when_the_test_raises():
    with pytest.raises(KeyError), virtual_time():
        raise KeyError
    with virtual_time(), pytest.raises(RuntimeError, match="virtual already"), virtual_time():
        pass


def test_time_does_not_go_back(ambassador_time):
    for length in (-1, float("nan")):
        with pytest.raises(ValueError, match="from 0 on"):
            ambassador_time.advance(length)


def test_what_comes_after_the_last_end_repeats_it():
    script = Script.of(1, 2)
    assert [script() for _ in range(4)] == [1, 2, 2, 2]
    with pytest.raises(ValueError, match="at least one end"):
        Script.of()
