"""What the tests share: targets of their own, so that no test sees another's state, and programs run as users run them."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from typing import Any

import pytest
from ambassador_proxy import AmbassadorProxy

# A shell's job in the background ignores Ctrl-C, and so would the programs that the tests run.
signal.signal(signal.SIGINT, signal.default_int_handler)

_numbers = itertools.count(1)
#: No test waits for it. A function that would take so long, and a call that ends long before, prove a bound.
FOREVER = 3600.0


def new_target() -> str:
    return f"target-{next(_numbers)}.example.com"


@pytest.fixture
def target() -> str:
    return new_target()


@pytest.fixture
def proxy() -> Callable[..., AmbassadorProxy]:
    """Makes a proxy for a target of its own; no waits, no breaker and no budget unless asked for."""

    def make(**settings: Any) -> AmbassadorProxy:
        return AmbassadorProxy(new_target(), **{"backoff": None, "breaker": None, "budget": None, **settings})

    return make


@pytest.fixture(params=["caller", "worker"])
def run_in(request: pytest.FixtureRequest) -> str:
    """Both places where plain functions run."""
    return str(request.param)


class Flaky:
    """Raises what it was given, one after the other; then returns."""

    def __init__(self, *errors: BaseException, value: object = "charged") -> None:
        self.errors = list(errors)
        self.value = value
        self.calls = 0

    def __call__(self, *_: object) -> object:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.value


def run_program(program: str, *arguments: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Runs a program in an interpreter of its own."""
    # From Python 3.12 on a fork warns when there are threads; here there are, on purpose.
    options = ["-X", "faulthandler", "-W", "ignore:This process:DeprecationWarning"]
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(program), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def output_of(program: str, *arguments: str) -> str:
    """What a program says that ends well and says nothing on stderr."""
    ended = run_program(program, *arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    return ended.stdout
