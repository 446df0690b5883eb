"""What is seen of the whole process: the snapshot, the metrics, the admin server; and that all of it adds up (S2)."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import urllib.error
import urllib.request
from collections import defaultdict
from typing import get_args, get_type_hints, is_typeddict

import ambassador_proxy
import pytest
from ambassador_proxy import AmbassadorError, Breaker, Bulkhead, ConfigError, Health, metrics, serve_admin, snapshot
from conftest import output_of

TOKEN = "a-token-of-enough-length"


def get(url: str, token: str | None = None, method: str = "GET") -> tuple[int, str]:
    request = urllib.request.Request(url, method=method, headers={"authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def samples(text: str, target: str) -> dict[tuple[str, str], float]:
    """The samples of a target, by metric and by the value of the label beside ``target``, if there is one."""
    found: dict[tuple[str, str], float] = {}
    for line in text.splitlines():
        if line.startswith("#") or f'target="{target}"' not in line:
            continue
        name, rest = line.split("{", 1)
        labels, value = rest.rsplit("} ", 1)
        beside = [label.split("=")[1].strip('"') for label in labels.split(",") if not label.startswith("target=")]
        found[name.removeprefix("ambassador_"), "".join(beside)] = float(value)
    return found


def summed(found: dict[tuple[str, str], float]) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for (name, _), value in found.items():
        sums[name] += value
    return sums


def test_the_snapshot_has_each_target_with_its_health_and_the_process(proxy):
    payments = proxy()
    payments.call(lambda: 1)
    seen = snapshot()
    assert (seen["language"], seen["version"]) == ("python", ambassador_proxy.__version__)
    (target,) = [one for one in seen["targets"] if one["name"] == payments.target]
    assert target["calls"]["ok"] == 1
    assert target["latency"]["calls"]["60s"]["count"] == 1
    assert seen["process"]["memory_bytes"] > 0


def test_metrics_come_in_two_formats_and_in_no_other(proxy):
    payments = proxy()
    payments.call(lambda: 1)
    assert f'ambassador_calls_total{{target="{payments.target}",outcome="ok"}} 1' in metrics()
    assert metrics("openmetrics").endswith("# EOF\n")
    with pytest.raises(ConfigError, match='format: "json" is not allowed; expected prometheus or openmetrics') as wrong:
        metrics("json")  # type: ignore[arg-type]
    assert wrong.value.field == "format"


def test_the_admin_server_answers_until_it_is_stopped_and_then_its_address_is_free(proxy):
    payments = proxy()
    payments.call(lambda: 1)
    with serve_admin("127.0.0.1:0", token=TOKEN) as admin:
        assert admin.is_serving
        assert admin.url == f"http://{admin.address}/"
        assert get(admin.url + "healthz")[0] == 200
        assert payments.target in get(admin.url + "metrics")[1]
        assert json.loads(get(admin.url + "v1/snapshot")[1])["language"] == "python"
        assert "<!doctype html>" in get(admin.url)[1].lower()
    assert not admin.is_serving
    host, port = admin.address.split(":")
    with socket.create_server((host, int(port))):
        pass
    admin.stop()


def test_who_isolates_a_target_shows_the_token(proxy):
    payments = proxy(breaker=Breaker())
    with serve_admin("127.0.0.1:0") as admin:
        action = f"{admin.url}v1/targets/{payments.target}/isolate"
        assert get(action, method="POST")[0] == 401
        assert get(action, token=admin.token, method="POST")[0] == 200
        assert payments.health()["circuit"]["state"] == "isolated"
        assert admin.token not in repr(admin)


@pytest.mark.parametrize(
    ("address", "options", "field"),
    [
        ("here", {}, "admin"),
        ("127.0.0.1", {}, "admin"),
        ("0.0.0.0:0", {}, "admin"),
        ("0.0.0.0:0", {"remote": True}, "admin"),
        ("127.0.0.1:0", {"token": "short"}, "admin.token"),
    ],
)
def test_what_cannot_be_served_is_refused_at_once(address, options, field):
    with pytest.raises(ConfigError) as wrong:
        serve_admin(address, **options)
    assert wrong.value.field == field
    assert "short" not in str(wrong.value)


def test_an_address_that_is_taken_is_refused():
    with serve_admin("127.0.0.1:0") as admin, pytest.raises(ConfigError, match="an address that can be listened on"):
        serve_admin(admin.address)


def test_a_forked_child_has_no_admin_server():
    program = """
        import os
        from ambassador_proxy import serve_admin

        admin = serve_admin("127.0.0.1:0")
        child = os.fork()
        if child == 0:
            os._exit(admin.is_serving)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), admin.is_serving)
    """
    assert output_of(program) == "0 True\n"


def test_sums_hold_over_a_hundred_thousand_calls_while_they_are_scraped(proxy):
    """S2, from ``/metrics`` alone."""
    payments = proxy(max_retries=3, timeout=None, bulkhead=Bulkhead(3))
    over = threading.Event()
    scraped: list[dict[str, float]] = []

    def call(times: int, seed: int) -> None:
        script = random.Random(seed)

        def attempt() -> None:
            chance = script.random()
            if chance < 0.2:
                raise ConnectionError("down")
            if chance < 0.21:
                raise KeyboardInterrupt

        for _ in range(times):
            with contextlib.suppress(ConnectionError, AmbassadorError, KeyboardInterrupt):
                payments.call(attempt)

    def scrape() -> None:
        while not over.is_set():
            scraped.append(summed(samples(get(admin.url + "metrics")[1], payments.target)))

    with serve_admin("127.0.0.1:0") as admin:
        reader = threading.Thread(target=scrape)
        reader.start()
        callers = [threading.Thread(target=call, args=(25_000, seed)) for seed in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        over.set()
        reader.join()
        found = samples(get(admin.url + "metrics")[1], payments.target)

    sums = summed(found)
    assert sums["calls_total"] == 100_000
    assert sums["inflight_calls"] == 0
    assert found["calls_total", "rejected"] == sums["rejections_total"]
    assert sums["call_duration_seconds_count"] == sums["calls_total"] - found["calls_total", "rejected"]
    assert sums["attempt_duration_seconds_count"] == sums["attempts_total"]
    first_attempts = sums["calls_total"] - found["calls_total", "rejected"]
    assert sums["attempts_total"] == first_attempts + sums["retries_total"] + sums["hedges_total"]
    # The script had some of everything.
    assert all(found["calls_total", outcome] > 0 for outcome in ("ok", "failure", "cancelled"))
    # What was read meanwhile only grew.
    assert len(scraped) > 1
    counts = [scrape["calls_total"] for scrape in scraped]
    assert counts == sorted(counts)


def test_health_has_the_fields_that_its_types_name_and_no_others(proxy):
    def check(told: object, named: object) -> None:
        kinds = [kind for kind in (get_args(named) or (named,)) if is_typeddict(kind)]
        if kinds:
            fields = get_type_hints(kinds[0])
            assert isinstance(told, dict)
            assert told.keys() == fields.keys()
            for name, kind in fields.items():
                check(told[name], kind)

    payments = proxy(breaker=Breaker(), budget={}, bulkhead=Bulkhead(max_concurrent=1))
    payments.call(max, 1, 2)
    check(payments.health(), Health)
