"""One script of thirty calls, played with what is installed of each language: all tell the same, line by line.

`script.txt` says what a script is. A player prints the target's events as the core spells them, each wait, and what each call
gives. Whether that is right, the conformance vectors say.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from itertools import pairwise, zip_longest
from pathlib import Path

import pytest
from programs import PREFIX, ROOT, STRICT_C, STRICT_CPP, run, the_one

HERE = Path(__file__).resolve().parent
SCRIPT = HERE / "script.txt"
LIBRARY = [f"-I{PREFIX}/include", f"-L{PREFIX}/lib", f"-Wl,-rpath,{PREFIX}/lib", "-lambassador", "-lpthread", "-lm"]

#: What each is compared with; the others, by language and by where functions run.
FIRST = "Rust"
SURFACES = {
    FIRST: ["rust"],
    "C": ["c"],
    "C++": ["c++", "execute"],
    "C++ spawned": ["c++", "spawn"],
    "Python on workers": ["python", "worker"],
    "Python on the caller's thread": ["python", "caller"],
    "Python asyncio": ["python", "asyncio"],
    "Node": ["node"],
    "Java on the caller's thread": ["java", "caller"],
    "Java on workers": ["java", "worker"],
    "Java stages": ["java", "stages"],
}

Play = Callable[..., list[str]]


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Plays a script on a surface, and gives the lines that it told; the script of thirty calls once."""
    place = tmp_path_factory.mktemp("streams")

    @functools.cache
    def player(language: str) -> list[str | Path]:
        match language:
            case "c":
                run([*STRICT_C, HERE / "streams.c", "-o", "streams-c", *LIBRARY], cwd=place)
                return [place / "streams-c"]
            case "c++":
                run([*STRICT_CPP, HERE / "streams.cpp", "-o", "streams-cpp", *LIBRARY], cwd=place)
                return [place / "streams-cpp"]
            case "python":
                return [ROOT / "build/venv/bin/python", HERE / "streams.py"]
            case "node":
                # A module is looked for beside the program.
                (place / "package.json").write_text('{"name": "shop", "version": "1.0.0", "private": true}')
                run(["npm", "install", "--offline", "--no-audit", "--no-fund", the_one("npm/*.tgz")], cwd=place)
                (place / "streams.mjs").write_text((HERE / "streams.mjs").read_text())
                return ["node", place / "streams.mjs"]
            case "java":
                return ["java", "-cp", ROOT / "build/java/ambassador-proxy.jar", HERE / "Streams.java"]
            case _:
                return [ROOT / "target/release/streams"]

    @functools.cache
    def play(surface: str, script: Path = SCRIPT) -> list[str]:
        language, *where = SURFACES[surface]
        return run([*player(language), script, *where], cwd=place).stdout.splitlines()

    return play


def the_same(one: str, lines: list[str], other: str, others: list[str]) -> None:
    for number, (said, otherwise) in enumerate(zip_longest(lines, others), 1):
        assert said == otherwise, f"line {number} differs:\n{one} told {said}\n{other} told {otherwise}"


@pytest.mark.parametrize("surface", [surface for surface in SURFACES if surface != FIRST])
def test_every_surface_tells_the_same(play: Play, surface: str) -> None:
    the_same(FIRST, play(FIRST), surface, play(surface))


def test_the_script_reaches_whatever_can_be_told_of_thirty_calls(play: Play) -> None:
    told = [json.loads(line) for line in play(FIRST)]

    def all_of(field: str) -> set[str]:
        return {line[field] for line in told if field in line}

    assert sorted(all_of("call")) == list(range(1, 31))
    assert sum(line.get("type") == "call" for line in told) == 30
    # But for faults of the core itself, which no program causes.
    assert all_of("type") == {"attempt", "retry", "call", "circuit", "settings"}
    assert all_of("stop") == {
        "succeeded",
        "not retryable",
        "retries exhausted",
        "no time left before the deadline",
        "the server asked for a longer wait than hint_max",
        "cancelled",
        "shutting down",
        "the circuit is open",
        "the retry budget is empty",
        "the bulkhead is full",
        "rate limited",
    }
    # A fallback, the sixth outcome, is no setting in C.
    assert all_of("outcome") == {"ok", "failure", "timeout", "rejected", "cancelled"}
    assert all_of("gives") == {
        "value",
        "error",
        "cancelled",
        "DEADLINE",
        "CIRCUIT_OPEN",
        "BULKHEAD_FULL",
        "RATE_LIMITED",
        "SHUTDOWN",
    }
    assert all_of("to") == {"open", "half_open", "closed", "isolated"}


def test_every_wait_that_a_retry_told_was_waited(play: Play) -> None:
    told = [json.loads(line) for line in play(FIRST)]
    retries = [(line["wait_ns"], after) for line, after in pairwise(told) if line.get("type") == "retry"]
    assert len(retries) > 10
    assert all(after == {"wait_ns": wait} for wait, after in retries)


def test_another_seed_tells_other_waits_from_the_first_retry_on(play: Play, tmp_path: Path) -> None:
    script = SCRIPT.read_text()
    assert script.count("\nseed 20260\n") == 1
    other = tmp_path / "script.txt"
    other.write_text(script.replace("\nseed 20260\n", "\nseed 20261\n"))
    first = next(number for number, line in enumerate(play(FIRST), 1) if '"type":"retry"' in line)
    with pytest.raises(AssertionError, match=rf"line {first} differs:\s+{FIRST} told .*\s+Another seed told "):
        the_same(FIRST, play(FIRST), "Another seed", play(FIRST, other))
