"""What a response does beyond what it has: text, JSON, and a body that is read as it comes. The class is native; these are its
methods that run Python code.
"""

from __future__ import annotations

import asyncio
import codecs
import json
from collections.abc import AsyncIterator, Iterator
from collections.abc import Mapping as MappingABC
from typing import Any

from ambassador_proxy import _native
from ambassador_proxy._completions import completions_of


class StatusError(Exception):
    """A response says that something is wrong: its status is 400 or above. ``response`` has all of it."""

    def __init__(self, message: str, response: _native.Response) -> None:
        super().__init__(message)
        self.response = response

    @property
    def status_code(self) -> int:
        return self.response.status_code


def content(self: _native.Response) -> bytes:
    whole = self._content
    if whole is None:
        raise RuntimeError(
            "the body is a stream: read() or aread() reads it whole, iter_bytes() or aiter_bytes() as it comes"
        )
    return whole


def text(self: _native.Response) -> str:
    charset = self._charset
    if charset is not None:
        try:
            codecs.lookup(charset)
        except LookupError:
            charset = None
    return content(self).decode(charset or "utf-8", "replace")


def json_(self: _native.Response, **options: Any) -> Any:
    return json.loads(content(self), **options)


def raise_for_status(self: _native.Response) -> _native.Response:
    if self.status_code < 400:
        return self
    status = f"{self.status_code} {self.reason_phrase}".rstrip()
    raise StatusError(f"{self.target}: {self._line} was answered by {status}", self)


def read(self: _native.Response) -> bytes:
    whole = self._content
    if whole is None:
        _may_be_read(self)
        whole = b"".join(iter_bytes(self))
        self._keep(whole)
    return whole


async def aread(self: _native.Response) -> bytes:
    whole = self._content
    if whole is None:
        _may_be_read(self)
        whole = b"".join([piece async for piece in aiter_bytes(self)])
        self._keep(whole)
    return whole


def iter_bytes(self: _native.Response) -> Iterator[bytes]:
    whole = self._content
    if whole is not None:
        if whole:
            yield whole
        return
    _may_be_read(self)
    while (piece := self._next()) is not None:
        yield piece


async def aiter_bytes(self: _native.Response) -> AsyncIterator[bytes]:
    whole = self._content
    if whole is not None:
        if whole:
            yield whole
        return
    _may_be_read(self)
    loop = asyncio.get_running_loop()
    completions = completions_of(loop)
    while True:
        future = loop.create_future()
        is_there, piece = self._poll(completions, future)
        if not is_there:
            try:
                await future
            finally:
                completions.cancel(piece)
        elif piece is None:
            return
        else:
            yield piece


def iter_lines(self: _native.Response) -> Iterator[str]:
    decode, rest = _decoder(self), ""
    for piece in iter_bytes(self):
        *lines, rest = _lines(rest + decode(piece))
        yield from lines
    yield from _last(rest + decode(b"", True))


async def aiter_lines(self: _native.Response) -> AsyncIterator[str]:
    decode, rest = _decoder(self), ""
    async for piece in aiter_bytes(self):
        *lines, rest = _lines(rest + decode(piece))
        for line in lines:
            yield line
    for line in _last(rest + decode(b"", True)):
        yield line


def _may_be_read(self: _native.Response) -> None:
    if not self._is_stream:
        raise RuntimeError("the body was read to its end, or closed: it comes once")


def _decoder(self: _native.Response) -> Any:
    try:
        decoder = codecs.getincrementaldecoder(self._charset or "utf-8")
    except LookupError:
        decoder = codecs.getincrementaldecoder("utf-8")
    return decoder("replace").decode


def _lines(text: str) -> list[str]:
    """The lines that are whole, and what there is of the next one: a CR at the end may yet be followed by its LF."""
    held = text.endswith("\r")
    lines = (text[:-1] if held else text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if held:
        lines[-1] += "\r"
    return lines


def _last(rest: str) -> list[str]:
    lines = rest.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return lines if lines[-1] else lines[:-1]


def enter(self: _native.Response) -> _native.Response:
    return self


def exit(self: _native.Response, *_: object) -> None:
    self.close()


async def aenter(self: _native.Response) -> _native.Response:
    return self


async def aexit(self: _native.Response, *_: object) -> None:
    self.close()


async def aclose(self: _native.Response) -> None:
    self.close()


for _name, _method in {
    "content": property(content),
    "text": property(text),
    "json": json_,
    "raise_for_status": raise_for_status,
    "read": read,
    "aread": aread,
    "iter_bytes": iter_bytes,
    "aiter_bytes": aiter_bytes,
    "iter_lines": iter_lines,
    "aiter_lines": aiter_lines,
    "__enter__": enter,
    "__exit__": exit,
    "__aenter__": aenter,
    "__aexit__": aexit,
    "aclose": aclose,
}.items():
    setattr(_native.Response, _name, _method)

MappingABC.register(_native.Headers)
