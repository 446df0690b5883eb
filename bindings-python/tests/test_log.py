"""What the ambassador says by ``logging``: as much as the logger lets through, once, from whatever thread; and that a handler
which throws changes nothing (F5).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import threading
from collections.abc import Iterator

import pytest
from ambassador_proxy import AmbassadorProxy, Backoff, Breaker
from conftest import Flaky, output_of, run_program

LOGGER = logging.getLogger("ambassador")


@pytest.fixture(autouse=True)
def levels_are_as_they_were() -> Iterator[None]:
    root, own = logging.getLogger().level, LOGGER.level
    yield
    logging.disable(logging.NOTSET)
    logging.getLogger().setLevel(root)
    LOGGER.setLevel(own)


def fail() -> None:
    raise ConnectionError("Payment API unreachable")


async def fail_async() -> None:
    fail()


def fragile(proxy) -> AmbassadorProxy:
    """One that a failure opens."""
    return proxy(breaker=Breaker(min_calls=1, open_for=30), max_retries=1)


def said(caplog) -> list[tuple[str, str]]:
    return [(record.levelname, record.getMessage()) for record in caplog.records]


@pytest.mark.parametrize("make", ["call", "coroutine"])
def test_an_open_circuit_is_an_error_on_the_thread_that_caused_it(proxy, caplog, make):
    payments = fragile(proxy)
    with pytest.raises(ConnectionError):
        payments.call(fail) if make == "call" else asyncio.run(payments.call(fail_async))
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("ambassador", "ERROR")
    assert record.getMessage() == f"[Ambassador] {payments.target}: the circuit is open for 30s; it was closed"
    assert record.threadName == threading.current_thread().name
    event = {"type": "circuit", "name": payments.target, "from": "closed", "to": "open", "open_for_ns": 30_000_000_000}
    assert record.ambassador == event


def test_a_circuit_that_closes_is_information(proxy, caplog):
    payments = fragile(proxy)
    with caplog.at_level(logging.INFO, "ambassador"):
        payments.isolate()
        payments.reset()
    assert said(caplog) == [
        ("ERROR", f"[Ambassador] {payments.target}: the circuit is isolated; it was closed"),
        ("INFO", f"[Ambassador] {payments.target}: the circuit is closed; it was isolated"),
    ]


def test_a_call_that_succeeds_is_only_told_of_at_debug(proxy, caplog):
    payments = proxy()
    with caplog.at_level(logging.INFO, "ambassador"):
        payments.call(int)
        assert not payments.is_heard
        assert not caplog.records
    with caplog.at_level(logging.DEBUG, "ambassador"):
        payments.call(int)
    assert [record.ambassador["type"] for record in caplog.records] == ["attempt", "call"]
    assert {record.levelname for record in caplog.records} == {"DEBUG"}


@pytest.mark.parametrize(
    ("quieter", "louder"),
    [
        (lambda: LOGGER.setLevel(logging.INFO), lambda: LOGGER.setLevel(logging.DEBUG)),
        (lambda: logging.getLogger().setLevel(logging.INFO), lambda: logging.getLogger().setLevel(logging.DEBUG)),
        (lambda: logging.disable(logging.DEBUG), lambda: logging.disable(logging.NOTSET)),
    ],
    ids=["the logger's level", "the root's level", "logging.disable"],
)
def test_nothing_is_made_that_the_logger_does_not_let_through_at_present(proxy, caplog, quieter, louder):
    payments = proxy()
    logging.getLogger().setLevel(logging.DEBUG)
    quieter()
    payments.call(int)
    louder()
    # What was not made then is not there to be told now.
    assert not payments.is_heard
    payments.call(int)
    assert [record.ambassador["type"] for record in caplog.records] == ["attempt", "call"]


def test_a_retry_is_one_record_also_where_somebody_listens(proxy, caplog):
    payments = proxy(backoff=Backoff(base=0.001, jitter="none"))
    events = []
    payments.on_event(events.append)
    payments.call(Flaky(ConnectionError("Payment API unreachable")))
    (record,) = caplog.records
    assert record.getMessage() == "[Ambassador] Retry 1 after 1ms: Payment API unreachable"
    retry = {"type": "retry", "name": payments.target, "attempt": 1, "wait_ns": 1_000_000}
    assert record.ambassador == retry
    assert retry in events


def test_two_proxies_that_want_different_things_are_a_warning(target, caplog):
    first = AmbassadorProxy(target, breaker=Breaker(min_calls=7))
    AmbassadorProxy(target, breaker=Breaker(min_calls=8))
    assert said(caplog) == [
        (
            "WARNING",
            f"[Ambassador] {target}: two proxies want different settings of what they share; the newest hold: "
            "breaker.min_calls 8, where breaker.min_calls 7 held",
        )
    ]
    assert first.policy.breaker.min_calls == 8


def test_a_handler_that_throws_changes_nothing(proxy):
    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("a handler that throws")

    broken = Broken()
    LOGGER.addHandler(broken)
    try:
        LOGGER.setLevel(logging.DEBUG)
        payments = fragile(proxy)
        assert payments.call(lambda: "charged") == "charged"
        with pytest.raises(ConnectionError):
            payments.call(fail)
        payments.on_event(lambda event: 1 / 0)
        payments.reset()
        assert payments.call(lambda: "charged") == "charged"
    finally:
        LOGGER.removeHandler(broken)
    assert payments.health()["in_flight"] == 0


class Lines(logging.Handler):
    """Puts what is said into a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.records: queue.Queue[logging.LogRecord] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put(record)


def replace(path: os.PathLike[str], endpoints: list[str]) -> None:
    new = f"{path}.new"
    with open(new, "w") as file:
        json.dump(endpoints, file)
    os.replace(new, path)


def test_what_happens_beside_the_calls_is_said_without_one(target, tmp_path):
    lines = Lines()
    LOGGER.addHandler(lines)
    LOGGER.setLevel(logging.INFO)
    try:
        found = tmp_path / "endpoints.json"
        replace(found, ["http://10.0.0.1:80"])
        payments = AmbassadorProxy(target, discovery={"file": str(found)})
        heard: queue.Queue[dict[str, object]] = queue.Queue()
        payments.on_event(heard.put)
        payments.call(int)
        assert "endpoints came: http://10.0.0.1:80" in lines.records.get().getMessage()
        replace(found, ["http://10.0.0.2:80"])
        record = lines.records.get()
        assert "endpoints came: http://10.0.0.2:80; went: http://10.0.0.1:80" in record.getMessage()
        assert (record.levelname, record.threadName) == ("INFO", "ambassador-reporter")
        while heard.get().get("removed") != ["http://10.0.0.1:80"]:
            pass
    finally:
        LOGGER.removeHandler(lines)


PROGRAM = """
    from ambassador_proxy import AmbassadorProxy, Backoff, Breaker
    payments = AmbassadorProxy("payments", backoff=Backoff(base=0.001, jitter="none"), breaker=Breaker(consecutive_failures=2))
    errors = [OSError("no answer")]
    def charge():
        if errors:
            raise errors.pop()
    payments.call(charge)
    payments.isolate()
    payments.reset()
"""
RETRY = "[Ambassador] Retry 1 after 1ms: no answer"
ISOLATED = "[Ambassador] payments: the circuit is isolated; it was closed"
CLOSED = "[Ambassador] payments: the circuit is closed; it was isolated"


@pytest.mark.parametrize(
    ("level", "lines"),
    [
        (None, [RETRY, ISOLATED]),
        ("off", []),
        ("error", [ISOLATED]),
        ("warn", [RETRY, ISOLATED]),
        ("INFO", [RETRY, ISOLATED]),
        ("loud", [RETRY, ISOLATED]),
    ],
)
def test_the_operator_bounds_what_is_said_where_nothing_was_set_up(level, lines, monkeypatch):
    monkeypatch.delenv("AMBASSADOR_LOG", raising=False)
    if level is not None:
        monkeypatch.setenv("AMBASSADOR_LOG", level)
    ended = run_program(PROGRAM)
    # Python's handler of last resort begins at warnings.
    assert (ended.returncode, ended.stderr.splitlines()) == (0, lines)


def test_the_operator_bounds_what_a_program_asks_for_and_asks_for_what_it_does_not(monkeypatch):
    set_up = """
    import logging, sys
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s", level=logging.ERROR)"""
    monkeypatch.setenv("AMBASSADOR_LOG", "info")
    lines = output_of(set_up + PROGRAM).splitlines()
    assert lines == [f"WARNING {RETRY}", f"ERROR {ISOLATED}", f"INFO {CLOSED}"]
    monkeypatch.setenv("AMBASSADOR_LOG", "error")
    lines = output_of(set_up + "\n    logging.getLogger('ambassador').setLevel(logging.DEBUG)" + PROGRAM).splitlines()
    assert lines == [f"ERROR {ISOLATED}"]


def test_a_forked_child_says_what_happens_to_it_also_beside_its_calls(tmp_path):
    replace(tmp_path / "endpoints.json", ["http://10.0.0.1:80"])
    program = """
        import json, logging, os, sys, threading
        from ambassador_proxy import AmbassadorProxy
        path = sys.argv[1]
        come = {}
        class Lines(logging.Handler):
            def emit(self, record):
                # In one piece: both write to it.
                os.write(1, f"{os.getpid() == parent} {record.getMessage()}\\n".encode())
                come.setdefault(os.getpid(), threading.Semaphore(0)).release()
        parent = os.getpid()
        logging.getLogger("ambassador").addHandler(Lines())
        logging.getLogger("ambassador").setLevel(logging.INFO)
        payments = AmbassadorProxy("payments", discovery={"file": path})
        come[parent] = threading.Semaphore(0)
        payments.call(int)
        come[parent].acquire()
        child = os.fork()
        if child == 0:
            come[os.getpid()] = threading.Semaphore(0)
            payments.isolate()
            come[os.getpid()].acquire()
            payments.reset()
            come[os.getpid()].acquire()
            payments.call(int)
            with open(path + ".new", "w") as file:
                json.dump(["http://10.0.0.2:80"], file)
            os.replace(path + ".new", path)
            come[os.getpid()].acquire()
            os._exit(0)
        print(os.waitpid(child, 0)[1], flush=True)
    """
    lines = output_of(program, str(tmp_path / "endpoints.json")).splitlines()
    came = "payments: endpoints came: http://10.0.0."
    assert lines[0] == f"True [Ambassador] {came}1:80"
    in_child = [line for line in lines if line.startswith("False ")]
    assert in_child[:2] == [
        "False [Ambassador] payments: the circuit is isolated; it was closed",
        "False [Ambassador] payments: the circuit is closed; it was isolated",
    ]
    assert (in_child[2:], lines[-1]) == ([f"False [Ambassador] {came}2:80; went: http://10.0.0.1:80"], "0"), lines


def test_the_thread_that_says_it_keeps_no_program_alive(tmp_path):
    replace(tmp_path / "endpoints.json", ["http://10.0.0.1:80"])
    program = """
        import sys, threading
        from ambassador_proxy import AmbassadorProxy
        payments = AmbassadorProxy("payments", discovery={"file": sys.argv[1]})
        payments.call(int)
        print([thread.name for thread in threading.enumerate() if "reporter" in thread.name])
    """
    assert output_of(program, str(tmp_path / "endpoints.json")) == "['ambassador-reporter']\n"
