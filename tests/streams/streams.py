"""Plays a script with the wheel, in virtual time, and prints what happens, a line of JSON each.

`streams.py SCRIPT SURFACE`, where the surface is `worker`, `caller` or `asyncio`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import ambassador_proxy
from ambassador_proxy import AmbassadorError, AmbassadorProxy, Attempt
from ambassador_proxy.testing import VirtualTime, seed_jitter, virtual_time


class Failure(Exception):
    """What the functions of a script fail with."""


class Final(Failure):
    """One that may not be tried again."""


class Stop(BaseException):
    """Control flow."""


def tell(**fields: Any) -> None:
    print(json.dumps(fields, separators=(",", ":")))


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def value(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


class Player:
    def __init__(self, script: str, surface: str, time: VirtualTime) -> None:
        lines = (line.partition("#")[0].split() for line in script.splitlines())
        self.steps = iter([words for words in lines if words])
        self.is_async = surface == "asyncio"
        self.settings: dict[str, Any] = {"not_on": Final} | ({} if self.is_async else {"run_in": surface})
        self.time = time
        self.proxies: list[AmbassadorProxy] = []
        self.calls = 0
        self.waits = 0

    async def play(self) -> None:
        for step in self.steps:
            await self.step(step)

    async def step(self, step: list[str]) -> None:
        match step:
            case ["set", name, text]:
                self.set(name, value(text))
            case ["proxy"]:
                self.proxies.append(AmbassadorProxy("payment-api.example.com", **self.settings))
                if len(self.proxies) == 1:
                    self.proxies[0].on_event(lambda event: tell(**event))
            case ["seed", number]:
                seed_jitter(self.proxies[-1], int(number))
            case ["advance", length]:
                self.time.advance(int(length) / 1000)
            case ["isolate"]:
                self.proxies[-1].isolate()
            case ["reset"]:
                self.proxies[-1].reset()
            case ["shutdown"]:
                ambassador_proxy.shutdown()
            case ["call", *attempts]:
                await self.call(attempts)
            case _:
                raise ValueError(f"there is no step {step}")

    def set(self, name: str, value: Any) -> None:
        if name.endswith("_ms"):
            name, value = name.removesuffix("_ms"), value / 1000
        group, _, field = name.rpartition(".")
        (self.settings.setdefault(group, {}) if group else self.settings)[field] = value

    async def call(self, attempts: list[str]) -> None:
        self.calls += 1
        number, begun, ran = self.calls, self.time.elapsed, 0

        async def attempt(ctx: Attempt) -> str:
            nonlocal ran
            self.tell_waits()
            ran += 1
            return await self.attempt(ctx, attempts[ran - 1] if ran <= len(attempts) else "error")

        gives, after = "value", None
        try:
            if self.is_async:
                await self.proxies[-1].execute(attempt)
            else:
                self.proxies[-1].execute(lambda ctx: at_once(attempt(ctx)))
        except (Stop, asyncio.CancelledError):
            gives = "cancelled"
        except Failure:
            gives = "error"
        except AmbassadorError as error:
            gives, after = error.code, error.retry_after
        self.tell_waits()
        again = {} if after is None else {"retry_after_ns": nanoseconds(after)}
        tell(call=number, gives=gives, attempts=ran, elapsed_ns=nanoseconds(self.time.elapsed - begun), **again)

    async def attempt(self, ctx: Attempt, script: str) -> str:
        end, *before = script.split(":")
        for what in before:
            match what.split("="):
                case ["within"]:
                    await self.step(next(self.steps))
                case ["takes", length]:
                    self.time.advance(int(length) / 1000)
                case ["hint", length]:
                    ctx.retry_after = int(length) / 1000
                case _:
                    raise ValueError(f"there is no {what} of an attempt")
        if end == "ok":
            return "value"
        raise {"error": Failure, "final": Final, "cancel": asyncio.CancelledError if self.is_async else Stop}[end]

    def tell_waits(self) -> None:
        waits = self.time.waits
        for wait in waits[self.waits :]:
            tell(wait_ns=nanoseconds(wait))
        self.waits = len(waits)


def at_once(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What never waits needs no loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("it waited")


with virtual_time() as time:
    player = Player(Path(sys.argv[1]).read_text(), sys.argv[2], time)
    if player.is_async:
        asyncio.run(player.play())
    else:
        at_once(player.play())
