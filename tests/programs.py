"""Running other programs as a user would, for the tests of what is installed and of what the pages show."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
PREFIX = ROOT / "build/prefix"
STRICT_C = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
STRICT_CPP = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]

# What would lead a program back into the repository, or to another interpreter.
LEADING_BACK = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "NODE_PATH", "CLASSPATH", "LD_LIBRARY_PATH", "MAKEFLAGS")

RETRY = re.compile(r"\[Ambassador\] Retry (\d+) after (\d+(?:\.\d{1,2})?)(ms|s): Payment API unreachable")


@dataclass
class Ran:
    """What a program that ended well said."""

    stdout: str
    stderr: str


def run(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] = {}, timeout: float = 300) -> Ran:
    clean = {name: value for name, value in os.environ.items() if name not in LEADING_BACK}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert ended.returncode == 0, (
        f"{' '.join(map(str, command))} ended with {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
    )
    return Ran(ended.stdout, ended.stderr)


def the_one(pattern: str) -> Path:
    """The one file of that pattern under build/; `make build` puts it there."""
    found = sorted((ROOT / "build").glob(pattern))
    assert len(found) == 1, f"build/{pattern}: {len(found)} files, where one was to be; run `make build`"
    return found[0]


def the_seeds_program_behaves(command: Sequence[str | Path], *, cwd: Path, env: Mapping[str, str] = {}) -> None:
    """Runs the seed's program until it had something to retry; six in ten of its attempts fail, so that is soon.

    Each run ends with its charge, or after three attempts with "All retries failed"; each retry has said its line.
    """
    for _ in range(20):
        ran = run(command, cwd=cwd, env=env)
        said = RETRY.findall(ran.stdout + ran.stderr)
        last = ran.stdout.strip().splitlines()[-1]
        assert [int(number) for number, _, _ in said] == list(range(1, len(said) + 1)), ran
        for number, length, unit in said:
            seconds = float(length) / (1000 if unit == "ms" else 1)
            assert seconds <= 2 ** int(number), f"full jitter waits at most 2 s, then 4 s: {ran}"
        if last.startswith("All retries failed"):
            assert len(said) == 2, ran
            return
        assert "charged" in last.lower(), ran
        assert "99.99" in last, ran
        if said:
            return
    raise AssertionError("twenty runs, and never a retry")
