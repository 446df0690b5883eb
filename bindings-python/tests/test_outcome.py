"""Outcomes: what is retried, what is not, what is never touched (A1–A3); hints (R3); the ambassador's own faults (F1, F5)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from datetime import timedelta

import pytest
from ambassador_proxy import AmbassadorProxy, CallTimeoutError, _native
from conftest import Flaky


def test_retry_on_types_are_retried_and_others_not(proxy, run_in):
    ambassador = proxy(retry_on=(ConnectionError, TimeoutError), run_in=run_in)
    assert ambassador.call(Flaky(ConnectionResetError(), TimeoutError())) == "charged"
    function = Flaky(ValueError("no such order"))
    with pytest.raises(ValueError, match="no such order") as caught:
        ambassador.call(function)
    assert function.calls == 1
    if hasattr(BaseException, "add_note"):
        assert caught.value.__notes__[0].endswith("not retryable")


def test_not_on_wins_over_retry_on(proxy):
    ambassador = proxy(retry_on=OSError, not_on=PermissionError)
    assert ambassador.call(Flaky(OSError())) == "charged"
    function = Flaky(PermissionError())
    with pytest.raises(PermissionError):
        ambassador.call(function)
    assert function.calls == 1


def test_predicates_see_the_error(proxy):
    ambassador = proxy(retry_on=lambda error: error.args == ("again",))
    assert ambassador.call(Flaky(OSError("again"))) == "charged"
    function = Flaky(OSError("never"))
    with pytest.raises(OSError, match="never"):
        ambassador.call(function)
    assert function.calls == 1


def test_classify_sees_values_and_errors(proxy, run_in):
    ambassador = proxy(classify=lambda error, value: "retry" if value == 503 else None, run_in=run_in)
    answers = iter([503, 503, 200])
    assert ambassador.call(lambda: next(answers)) == 200
    # The last value is handed back, not thrown.
    assert ambassador.call(lambda: 503) == 503
    assert ambassador.call(Flaky(OSError())) == "charged"


def test_classify_may_call_an_error_a_success_and_a_value_a_failure(proxy):
    ambassador = proxy(
        classify=lambda error, value: "ok" if isinstance(error, KeyError) else "fail" if value == 4 else None
    )
    missing = KeyError("order")
    with pytest.raises(KeyError) as caught:
        ambassador.call(Flaky(missing))
    assert caught.value is missing
    assert ambassador.health()["calls"]["ok"] == 1
    assert ambassador.call(lambda: 4) == 4
    assert ambassador.health()["calls"]["failure"] == 1


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("end", ["value", "error"])
def test_what_comes_too_late_is_not_shown_to_a_classifier(proxy, asynchronous, end):
    def classify(error: Exception | None, value: object) -> None:
        raise RuntimeError("it was asked")

    def blocks(attempt) -> str:
        while not attempt.cancelled:
            with contextlib.suppress(BaseException):
                # Whatever interrupts it.
                time.sleep(0.05)
        if end == "error":
            raise OSError("late")
        return "late"

    async def blocks_the_loop(attempt) -> str:
        return blocks(attempt)

    ambassador = proxy(classify=classify, max_retries=2, timeout=0.01, run_in="caller")
    with pytest.raises(CallTimeoutError):
        asyncio.run(ambassador.execute(blocks_the_loop)) if asynchronous else ambassador.execute(blocks)
    assert ambassador.health()["attempts"]["timeout"] == ambassador.health()["late_results"] == 2


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_classifier_that_throws_makes_its_error_the_calls(proxy, asynchronous):
    def classify(error: Exception | None, value: object) -> None:
        raise RuntimeError("broken classifier")

    ambassador, original = proxy(classify=classify), OSError("original")
    function = Flaky(original)

    async def as_coroutine() -> object:
        return function()

    with pytest.raises(RuntimeError, match="broken classifier") as caught:
        asyncio.run(ambassador.call(as_coroutine)) if asynchronous else ambassador.call(function)
    assert caught.value.__cause__ is original
    assert function.calls == 1
    assert ambassador.health()["in_flight"] == 0
    assert ambassador.health()["calls"]["failure"] == 1


def test_a_classifier_that_says_something_else_is_told_so(proxy):
    with pytest.raises(ValueError, match="classify returned 'maybe'; expected 'ok', 'retry', 'fail' or None"):
        proxy(classify=lambda error, value: "maybe").call(int)


class ControlFlow(BaseException):
    pass


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError, ControlFlow])
def test_control_flow_is_never_caught_retried_or_counted(proxy, run_in, kind):
    ambassador, thrown = proxy(run_in=run_in, classify=lambda error, value: "retry"), kind("stop")
    function = Flaky(thrown)
    with pytest.raises(kind) as caught:
        ambassador.call(function)
    assert caught.value is thrown
    assert function.calls == 1
    health = ambassador.health()
    assert (health["calls"]["cancelled"], health["attempts"]["cancelled"], health["in_flight"]) == (1, 1, 0)
    assert health["attempts"]["failure"] == 0


def test_stop_iteration_is_an_error_like_any_other(proxy, run_in):
    ambassador = proxy(run_in=run_in)
    with pytest.raises(StopIteration):
        ambassador.call(next, iter([]))
    assert ambassador.health()["attempts"]["failure"] == 3


class Busy(Exception):
    def __init__(self, retry_after: object) -> None:
        super().__init__("busy")
        self.retry_after = retry_after


def wait_after(caplog: pytest.LogCaptureFixture, ambassador: AmbassadorProxy, function: object) -> str:
    caplog.clear()
    with caplog.at_level(logging.WARNING, "ambassador"):
        ambassador.call(function)
    return caplog.messages[0].removeprefix("[Ambassador] Retry 1 after ").partition(":")[0]


@pytest.mark.parametrize("hint", [0.003, timedelta(milliseconds=3)])
def test_an_errors_retry_after_raises_the_wait(proxy, caplog, hint):
    assert wait_after(caplog, proxy(), Flaky(Busy(hint))) == "3ms"


@pytest.mark.parametrize("garbage", ["soon", None, float("nan"), True, object(), -5, timedelta(seconds=-5)])
def test_a_hint_that_is_garbage_or_past_is_no_wait(proxy, caplog, garbage):
    assert wait_after(caplog, proxy(), Flaky(Busy(garbage))) == "0ms"


@pytest.mark.parametrize("hint", [60.001, float("inf"), timedelta(days=1)])
def test_a_hint_above_the_cap_ends_the_call_with_the_last_error(proxy, hint):
    error = Busy(hint)
    function = Flaky(error)
    with pytest.raises(Busy) as caught:
        proxy().call(function)
    assert caught.value is error
    assert function.calls == 1


def test_a_function_may_say_when_to_come_again(proxy, caplog, run_in):
    def function(attempt: object) -> str:
        if attempt.attempt == 1:
            attempt.retry_after = 0.004
            assert attempt.retry_after == 0.004
            raise OSError
        assert attempt.retry_after is None
        return "charged"

    ambassador = proxy(run_in=run_in)
    with caplog.at_level(logging.WARNING, "ambassador"):
        assert ambassador.execute(function) == "charged"
    assert caplog.messages == ["[Ambassador] Retry 1 after 4ms: OSError"]


def test_a_logger_that_throws_changes_nothing(proxy, run_in):
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("broken filter")

    log, broken = logging.getLogger("ambassador"), Broken()
    log.addFilter(broken)
    try:
        assert proxy(run_in=run_in).call(Flaky(OSError())) == "charged"
    finally:
        log.removeFilter(broken)


def test_an_error_whose_text_throws_is_told_by_its_class(proxy, caplog):
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("broken str")

    assert wait_after(caplog, proxy(), Flaky(Silent())) == "0ms"
    assert caplog.messages[0].endswith(": Silent")


@pytest.fixture
def panics():
    yield _native.inject_panic
    _native.inject_panic("")


@pytest.mark.parametrize("at", ["begin", "settle"])
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("context", [False, True])
def test_a_fault_of_the_core_costs_no_call_and_repeats_none(proxy, run_in, panics, at, asynchronous, context, capfd):
    ambassador, calls = proxy(run_in=run_in), []

    def function(*args: object) -> str:
        calls.append(args)
        return "charged"

    async def as_coroutine(*args: object) -> str:
        return function(*args)

    way = ambassador.execute if context else ambassador.call
    panics(at)
    value = asyncio.run(way(as_coroutine)) if asynchronous else way(function)
    panics("")
    assert value == "charged"
    assert len(calls) == 1
    assert ambassador.health()["internal_errors"] == 1
    assert ambassador.health()["in_flight"] == 0


@pytest.mark.parametrize("at", ["begin", "settle", "resume"])
def test_a_fault_of_the_core_gives_the_functions_own_error(proxy, run_in, panics, at, capfd):
    ambassador, error = proxy(run_in=run_in), OSError("original")
    function = Flaky(error, OSError("second"))
    panics(at)
    with pytest.raises(OSError, match="original") as caught:
        ambassador.call(function)
    panics("")
    assert caught.value is error
    assert function.calls == 1
    assert ambassador.health()["internal_errors"] == 1


def test_a_timeout_whose_decision_failed_is_still_a_timeout(proxy, panics, capfd):
    ambassador, release = proxy(timeout=0.01), threading.Event()
    panics("settle")
    with pytest.raises(CallTimeoutError):
        ambassador.call(release.wait, 3600)
    panics("")
    release.set()
