"""An app's calls while one of its endpoints gets into trouble, or others come and go, each of them a process of its own. What the
calls came to before, during and after is printed (``pytest -s``)."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from programs import PREFIX, STRICT_C, run

CALLS = 20_000
HERE = Path(__file__).parent


@dataclass
class Programs:
    server: Path
    caller: Path


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """The endpoint and the app."""
    folder = tmp_path_factory.mktemp("network")
    library = ["-L", PREFIX / "lib", f"-Wl,-rpath,{PREFIX}/lib", "-lambassador"]
    flags = ["-O2", "-D_DEFAULT_SOURCE", "-I", PREFIX / "include"]
    run([*STRICT_C, *flags, HERE / "server.c", "-o", folder / "server", "-lpthread"], cwd=folder)
    run([*STRICT_C, *flags, HERE / "caller.c", "-o", folder / "caller", *library, "-lpthread"], cwd=folder)
    return Programs(folder / "server", folder / "caller")


@dataclass
class Endpoint:
    process: subprocess.Popen[str]
    url: str

    def gets(self, *signals: signal.Signals) -> None:
        for one in signals:
            self.process.send_signal(one)


@contextmanager
def endpoints(programs: Programs, *delays: int) -> Iterator[list[Endpoint]]:
    """An endpoint for each, which takes so many milliseconds to answer."""
    with ExitStack() as stack:
        started = []
        for delay in delays:
            process = stack.enter_context(
                subprocess.Popen([programs.server, str(delay)], stdout=subprocess.PIPE, text=True)
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            started.append(Endpoint(process, process.stdout.readline().strip()))
        yield started


class App:
    """The app, as it makes its calls."""

    def __init__(
        self, programs: Programs, threads: int, of: list[Endpoint], *, calls: int = CALLS, balance: str = "p2c"
    ) -> None:
        command = [programs.caller, str(calls), str(threads), balance, *(endpoint.url for endpoint in of)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def calls(self, of: list[Endpoint]) -> None:
        """These endpoints from now on."""
        assert self.process.stdin is not None
        print(*(endpoint.url for endpoint in of), file=self.process.stdin, flush=True)

    def ends(self, at: dict[int, Callable[[], None]] | None = None) -> dict[str, Any]:
        """What came of its calls; when so many were made, that is done."""
        assert self.process.stdout is not None
        said = ""
        with self.process:
            for said in self.process.stdout:
                if at is not None and said.strip().isdigit() and int(said) in at:
                    at[int(said)]()
        assert self.process.returncode == 0
        ended: dict[str, Any] = json.loads(said)
        return ended


def show(what: str, threads: int, ended: dict[str, Any]) -> None:
    print(f"\n{what}, {threads} threads:")
    for phase in ("before", "during", "after"):
        of = ended[phase]
        print(
            f"  {phase:7}{of['per_s']:8.0f} calls/s{of['success']:10.4%} well, p50 {of['p50_ms']:.2f} ms,"
            f" p99 {of['p99_ms']:.2f} ms, slowest {of['slowest_ms']:.0f} ms"
        )


def calls_while(
    programs: Programs, threads: int, trouble: signal.Signals, relief: signal.Signals | None
) -> dict[str, Any]:
    """What came of calls of which the second quarter is made, or more, while one of three endpoints is in trouble."""
    with endpoints(programs, 0, 0, 0) as three:
        app, victim = App(programs, threads, three), three[0]
        at = {CALLS // 4: lambda: victim.gets(trouble)}
        if relief is not None:
            at[CALLS // 2] = lambda: victim.gets(relief)
        ended = app.ends(at)
    show(trouble.name, threads, ended)
    assert ended["calls"] == CALLS
    assert ended["all"]["success"] >= 0.9999
    return {**ended, "victim": victim.url}


@pytest.mark.parametrize("threads", [1, 16])
def test_a_killed_endpoint_costs_no_call(programs: Programs, threads: int) -> None:
    ended = calls_while(programs, threads, signal.SIGKILL, None)
    # Or the balancer keeps away from it before it has failed so often.
    assert ended["ejected"] in ("", ended["victim"])
    assert not ended["elsewhere"]
    # Attempts that run at once when it goes away may fail beside those that count.
    assert ended["failures_before"] <= 5 + threads - 1


@pytest.mark.parametrize("threads", [1, 16])
def test_a_paused_endpoint_costs_no_call(programs: Programs, threads: int) -> None:
    ended = calls_while(programs, threads, signal.SIGSTOP, None)
    assert ended["ejected"] in ("", ended["victim"])
    assert not ended["elsewhere"]
    assert ended["failures_before"] <= 5 + threads - 1


@pytest.mark.parametrize("threads", [1, 16])
def test_an_endpoint_that_goes_on_after_a_pause_costs_no_call(programs: Programs, threads: int) -> None:
    calls_while(programs, threads, signal.SIGSTOP, signal.SIGCONT)


@pytest.mark.parametrize("threads", [1, 16])
def test_an_endpoint_that_is_slowed_by_300_ms_costs_no_call_and_gets_few(programs: Programs, threads: int) -> None:
    ended = calls_while(programs, threads, signal.SIGUSR1, signal.SIGHUP)
    assert ended["during"]["at"][ended["victim"]] < CALLS // 4 // 10


@pytest.mark.parametrize("threads", [1, 16])
def test_an_endpoint_that_answers_503_half_of_the_time_costs_no_call(programs: Programs, threads: int) -> None:
    calls_while(programs, threads, signal.SIGUSR2, signal.SIGHUP)


@pytest.mark.parametrize("threads", [1, 16])
def test_an_endpoint_that_is_added_gets_calls(programs: Programs, threads: int) -> None:
    with endpoints(programs, 0, 0, 0) as three:
        app = App(programs, threads, three[:2])
        ended = app.ends({CALLS // 4: lambda: app.calls(three)})
    show("added", threads, ended)
    assert ended["all"]["success"] == 1
    assert ended["before"]["at"][three[2].url] == 0
    # At least its first, which tells what it takes; how many follow is for that to say.
    assert ended["during"]["at"][three[2].url] + ended["after"]["at"][three[2].url] > 0


@pytest.mark.parametrize("threads", [1, 16])
def test_an_endpoint_that_is_drained_ends_what_it_has_and_gets_no_more(programs: Programs, threads: int) -> None:
    with endpoints(programs, 0, 0, 0) as three:
        app = App(programs, threads, three)
        ended = app.ends({CALLS // 4: lambda: app.calls(three[1:])})
    show("drained", threads, ended)
    assert ended["all"]["success"] == 1
    assert ended["before"]["at"][three[0].url] > 0
    assert ended["after"]["at"][three[0].url] == 0


def test_two_choices_by_latency_keep_a_slow_tenth_out_of_the_99th_percentile(programs: Programs) -> None:
    """As core/tests/balancing.rs has it in virtual time: one of ten endpoints takes 20 times as long as the others."""
    p99 = {}
    with endpoints(programs, *[5] * 9, 100) as ten:
        for balance in ("round_robin", "p2c"):
            p99[balance] = App(programs, 8, ten, calls=4_000, balance=balance).ends()["all"]["p99_ms"]
    print(f"\np99: round_robin {p99['round_robin']:.1f} ms, p2c {p99['p2c']:.1f} ms")
    assert p99["round_robin"] >= 5 * p99["p2c"]
