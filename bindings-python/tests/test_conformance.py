"""The conformance vectors, through the public API in virtual time: on worker threads, on the caller's, and on asyncio."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from ambassador_proxy import AmbassadorError, AmbassadorProxy, Attempt, ConfigError, _native
from ambassador_proxy.testing import seed_jitter, virtual_time

VECTORS = json.loads((Path(__file__).resolve().parents[2] / "conformance/vectors.json").read_text())
_numbers = itertools.count(1)


class Failure(Exception):
    """What the functions of a vector fail with."""


class Final(Failure):
    """One that may not be tried again."""


class Stop(BaseException):
    """Control flow."""


class ByClassifier(Exception):
    """What a classifier throws."""


class ByFallback(Exception):
    """What a fallback throws."""


def group(settings: list[list[Any]]) -> dict[str, Any]:
    """Settings of a vector as keyword arguments."""
    arguments: dict[str, Any] = {}
    for name, value in settings:
        if isinstance(value, dict):
            # What a number of seconds cannot tell exactly does not occur: a float has 15 digits.
            value = value["ns"] / 1e9
        above, _, field = name.partition(".")
        if field:
            arguments.setdefault(above, {})[field] = value
        else:
            arguments[name] = value
    return arguments


class Runner:
    """One vector, in one way of running functions."""

    def __init__(self, vector: dict[str, Any], surface: str) -> None:
        self.vector = vector
        self.is_async = surface == "asyncio"
        self.place = {} if self.is_async else {"run_in": surface}
        self.events: list[dict[str, Any]] = []

    def run(self) -> None:
        name = f"vector {next(_numbers)}"
        if self.vector["refuses"] is not None:
            with pytest.raises(ConfigError) as refused:
                self.proxy(name, self.vector["proxies"][0])
            assert refused.value.field == self.vector["refuses"]
            return
        with virtual_time():
            self.proxies = [self.proxy(name, settings) for settings in self.vector["proxies"]]
            self.proxies[0].on_event(self.events.append)
            if self.vector["seed"] is not None:
                seed_jitter(self.proxies[0], self.vector["seed"])
            try:
                if self.is_async:
                    asyncio.run(self.steps(self.vector["steps"]))
                else:
                    run_now(self.steps(self.vector["steps"]))
            finally:
                _native.inject_panic("")
            self.health(self.vector["health"])
        expected = self.vector["events"]
        if expected is not None:
            assert len(self.events) == len(expected), self.events
            for told, fields in zip(self.events, expected, strict=True):
                assert fields.items() <= told.items()

    def proxy(self, name: str, how: dict[str, Any]) -> AmbassadorProxy:
        def throws(*_: object) -> str:
            raise ByClassifier

        def fails(_: object) -> str:
            raise ByFallback

        settings: dict[str, Any] = {"name": name, "not_on": Final, **self.place, **group(how["settings"])}
        if how["fallback"] is not None:
            settings["fallback"] = fails if how["fallback"] == "throws" else (lambda _: "answer")
        if how["classify"] == "throws":
            settings["classify"] = throws
        elif how["classify"] is not None:
            settings["classify"] = lambda error, _: "retry" if error is None else None
        return AmbassadorProxy("payment-api.example.com", **settings)

    async def steps(self, steps: list[dict[str, Any]]) -> None:
        for step in steps:
            match step["op"]:
                case "advance":
                    self.advance(step["ns"])
                case "isolate":
                    self.proxies[0].isolate()
                case "reset":
                    self.proxies[0].reset()
                case "fault":
                    _native.inject_panic(step["at"])
                case "health":
                    self.health(step["is"])
                case "call":
                    await self.call(step)

    def advance(self, length: int) -> None:
        _native.advance(length)

    async def call(self, step: dict[str, Any]) -> None:
        begun = now()
        ran = 0
        waited: list[int] = []
        mark = len(_native.waits())

        def note_waits() -> None:
            nonlocal mark
            waits = _native.waits()
            waited.extend(waits[mark:])
            mark = len(waits)

        async def attempt(ctx: Attempt) -> str:
            nonlocal ran, mark
            note_waits()
            ran += 1
            if ran > len(step["attempts"]):
                raise Failure("one attempt too many")
            script = step["attempts"][ran - 1]
            await self.steps(script["do"])
            self.advance(script["takes"])
            if script["hint"] is not None:
                ctx.retry_after = script["hint"] / 1e9
            mark = len(_native.waits())
            if script["end"] == "ok":
                return "value"
            raise {"error": Failure, "final": Final, "cancel": asyncio.CancelledError if self.is_async else Stop}[
                script["end"]
            ]

        got, after = await self.outcome(self.proxies[step["by"]], attempt)
        note_waits()
        assert got == step["gives"]
        assert ran == len(step["attempts"])
        if step["waits"] is not None:
            assert waited == step["waits"]
        if step["waits_within"] is not None:
            assert len(waited) == len(step["waits_within"])
            assert all(low <= wait <= high for wait, (low, high) in zip(waited, step["waits_within"], strict=True))
        if step["elapsed"] is not None:
            assert now() - begun == step["elapsed"]
        if step["retry_after"] is not None:
            assert after == pytest.approx(step["retry_after"] / 1e9, rel=1e-12)

    async def outcome(
        self, proxy: AmbassadorProxy, attempt: Callable[[Attempt], Coroutine[Any, Any, str]]
    ) -> tuple[str, float | None]:
        try:
            if self.is_async:
                value = await proxy.execute(attempt)
            else:
                value = proxy.execute(lambda ctx: run_now(attempt(ctx)))
            return {"value": "value", "answer": "fallback"}[value], None
        except (Stop, asyncio.CancelledError):
            return "cancelled", None
        except ByClassifier:
            return "classifier", None
        except ByFallback:
            return "fallback_error", None
        except Failure:
            return "error", None
        except AmbassadorError as error:
            return error.code, error.retry_after

    def health(self, expected: dict[str, Any]) -> None:
        health = self.proxies[0].health()
        for path, value in expected.items():
            found: Any = health
            for name in path.split("."):
                found = found[name]
            assert found == value, path


def now() -> int:
    instant = _native.virtual_time(None)
    assert instant is not None
    return instant


def run_now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What never waits needs no loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


@pytest.mark.parametrize("surface", ["worker", "caller", "asyncio"])
def test_every_vector_holds(surface, capsys):
    faults = []
    for vector in VECTORS:
        try:
            Runner(vector, surface).run()
        except BaseException as fault:
            faults.append(f"{vector['id']} ({', '.join(vector['rules'])}): {fault!r}"[:500])
    with capsys.disabled():
        names = {"worker": "Python sync", "caller": "Python sync on the caller's thread", "asyncio": "Python asyncio"}
        print(f"\nconformance: {names[surface]} ran {len(VECTORS)} vectors, skipped 0")
    assert not faults, f"{len(faults)} of {len(VECTORS)} do not hold:\n" + "\n".join(faults)
