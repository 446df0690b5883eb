"""An app's calls while one of its three endpoints goes away, each of them a process of its own: killed, or paused by SIGSTOP."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from programs import PREFIX, STRICT_C, run

CALLS = 20_000
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The endpoint and the app."""
    folder = tmp_path_factory.mktemp("network")
    library = ["-L", PREFIX / "lib", f"-Wl,-rpath,{PREFIX}/lib", "-lambassador"]
    flags = ["-O2", "-D_DEFAULT_SOURCE", "-I", PREFIX / "include"]
    run([*STRICT_C, *flags, HERE / "server.c", "-o", folder / "server", "-lpthread"], cwd=folder)
    run([*STRICT_C, *flags, HERE / "caller.c", "-o", folder / "caller", *library, "-lpthread"], cwd=folder)
    return folder / "server", folder / "caller"


@contextmanager
def endpoint(server: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([server], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def calls_while(programs: tuple[Path, Path], threads: int, strike: signal.Signals) -> tuple[str, dict[str, object]]:
    """What came of the calls of that many threads, of which a quarter was made when one endpoint was struck; and which it was."""
    server, caller = programs
    with ExitStack() as stack:
        endpoints = [stack.enter_context(endpoint(server)) for _ in range(3)]
        victim, struck = endpoints[0]
        app = stack.enter_context(
            subprocess.Popen(
                [caller, str(CALLS), str(threads), *(url for _, url in endpoints)], stdout=subprocess.PIPE, text=True
            )
        )
        assert app.stdout is not None
        begun = time.monotonic()
        said = ""
        for said in app.stdout:
            if said.strip() == str(CALLS // 4):
                victim.send_signal(strike)
        assert app.wait() == 0
        took = time.monotonic() - begun
    ended = json.loads(said)
    print(f"{strike.name}, {threads} threads: {ended}, {ended['calls'] / took:.0f} calls/s")
    return struck, ended


@pytest.mark.parametrize("threads", [1, 16])
def test_a_killed_endpoint_costs_no_call(programs: tuple[Path, Path], threads: int) -> None:
    struck, ended = calls_while(programs, threads, signal.SIGKILL)
    assert ended["calls"] == CALLS
    assert ended["failed"] <= CALLS * 0.0001
    assert ended["ejected"] == struck
    assert not ended["elsewhere"]
    # Attempts that run at once when it goes away may fail beside those that count.
    assert ended["failures_before"] <= 5 + threads - 1


@pytest.mark.parametrize("threads", [1, 16])
def test_a_paused_endpoint_costs_no_call(programs: tuple[Path, Path], threads: int) -> None:
    struck, ended = calls_while(programs, threads, signal.SIGSTOP)
    assert ended["calls"] == CALLS
    assert ended["failed"] <= CALLS * 0.0001
    assert ended["ejected"] in ("", struck)
    assert not ended["elsewhere"]
    assert ended["failures_before"] <= 5 + threads - 1
