"""What a request is sent with, in plain terms: its path with a query, its headers, and its body, in memory or as a stream that is
read while it is sent.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import json
import os
import stat
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, Any, TypeAlias
from urllib.parse import urlencode

from ambassador_proxy import _native, _threads
from ambassador_proxy._completions import completions_of

#: What a query or a form consists of. A sequence as a value stands for the name as often; ``None`` for nothing.
Scalar: TypeAlias = str | bytes | int | float | bool | None
Fields: TypeAlias = Mapping[str, Scalar | Sequence[Scalar]] | Sequence[tuple[str, Scalar]]
Headers: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
#: What may be a body as it is: bytes or text; a file or an iterable of them, which is read while it is sent.
Content: TypeAlias = str | bytes | bytearray | memoryview | IO[bytes] | IO[str] | Iterable[bytes] | Iterable[str]
#: The same where there is an event loop.
AsyncContent: TypeAlias = Content | AsyncIterable[bytes] | AsyncIterable[str]

#: How much of a file is read at once, in bytes.
_PIECE = 64 * 1024


def with_params(path: Any, params: Fields) -> Any:
    """The path with these added to its query."""
    query = encoded(params, "params")
    if not query or not isinstance(path, str):
        return path
    path, hash, fragment = path.partition("#")
    return f"{path}{'&' if '?' in path else '?'}{query}{hash}{fragment}"


def encoded(fields: Fields, what: str) -> str:
    """As in a query."""
    if isinstance(fields, Mapping):
        given: Iterable[Any] = fields.items()
    elif isinstance(fields, Iterable) and not isinstance(fields, (str, bytes, bytearray)):
        given = fields
    else:
        raise TypeError(f"{what} is a mapping or pairs of names and values, not {type(fields).__name__}")
    pairs: list[tuple[Any, Any]] = []
    for pair in given:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(f"{what} is a mapping or pairs of names and values; one of them is no pair")
        name, value = pair
        values = value if isinstance(value, (list, tuple)) else [value]
        pairs += [(name, _plain(one)) for one in values if one is not None]
    return urlencode(pairs)


def _plain(value: Any) -> Any:
    """Truth values as every other language writes them."""
    return ("true" if value else "false") if isinstance(value, bool) else value


def pairs_of(headers: Any) -> list[tuple[Any, Any]]:
    """Headers that are no ``dict``, as a list of pairs."""
    if isinstance(headers, Mapping):
        return [(name, headers[name]) for name in headers]
    if isinstance(headers, (str, bytes)) or not isinstance(headers, Iterable):
        raise TypeError(f"headers are a mapping or pairs of names and values, not {type(headers).__name__}")
    pairs = [tuple(pair) if isinstance(pair, (tuple, list)) else () for pair in headers]
    if any(len(pair) != 2 for pair in pairs):
        raise TypeError("headers are a mapping or pairs of names and values; one of them is no pair")
    return pairs


class Source:
    """A body that is read while it is sent. What its reading raises is the request's error."""

    __slots__ = ("_content", "_context", "_is_async", "_task", "error", "feed")

    def __init__(self, content: Any, length: int | None, is_async: bool) -> None:
        self.feed = _native.Feed(length)
        self.error: Exception | None = None
        self._content = content
        self._is_async = is_async
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """On a thread of the ambassador's: who waits for the response gets it whatever the reading does (T2)."""
        if self._is_async:
            self._task = asyncio.get_running_loop().create_task(self._read_async())
        elif not _threads.start_reader(self._context.run, self._read):
            self.feed.end("no thread could be had to read it")

    def stop(self) -> None:
        """The request has ended; what still reads may stop."""
        if self._task is not None:
            self._task.cancel()

    def _read(self) -> None:
        try:
            for piece in _pieces(self._content):
                if not self.feed.push(piece):
                    return
        except Exception as error:
            self._fail(error)
        else:
            self.feed.end()
        finally:
            close = getattr(self._content, "close", None)
            if isinstance(self._content, Iterator) and callable(close) and not hasattr(self._content, "read"):
                with suppress(Exception):
                    # A generator that is not read to its end.
                    close()

    async def _read_async(self) -> None:
        loop = asyncio.get_running_loop()
        completions = completions_of(loop)
        try:
            async for piece in self._content:
                room = self.feed.offer(piece)
                if room < 0:
                    return
                if room == 0:
                    future = loop.create_future()
                    number = self.feed.tell_of_room(completions, future)
                    if number is not None:
                        try:
                            await future
                        finally:
                            completions.cancel(number)
        except Exception as error:
            self._fail(error)
        else:
            self.feed.end()

    def _fail(self, error: Exception) -> None:
        self.error = error
        self.feed.end(type(error).__name__)


def _pieces(content: Any) -> Iterator[Any]:
    read = getattr(content, "read", None)
    if read is None:
        yield from content
        return
    while piece := read(_PIECE):
        yield piece


def body_of(
    json_: Any, data: Any, content: Any, headers: Any, may_wait: bool
) -> tuple[bytes | _native.Feed, Any, Source | None]:
    """The body, the headers with what it is, and what reads it if it is a stream. ``may_wait``: where an event loop runs."""
    if (json_ is not None) + (data is not None) + (content is not None) > 1:
        raise TypeError("a request has one body: one of json, data and content")
    if json_ is not None:
        text = json.dumps(json_, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode(), _with_type(headers, "application/json"), None
    if data is not None:
        if isinstance(data, (str, bytes, bytearray)) or hasattr(data, "read"):
            raise TypeError("data is a form, a mapping or pairs; a body as it is goes into content")
        form = encoded(data, "data").encode()
        return form, _with_type(headers, "application/x-www-form-urlencoded"), None
    if isinstance(content, bytes):
        return content, headers, None
    if isinstance(content, str):
        return content.encode(), headers, None
    if isinstance(content, (bytearray, memoryview)):
        return bytes(content), headers, None
    is_async = isinstance(content, AsyncIterable) and (may_wait or not isinstance(content, Iterable))
    if is_async:
        if not may_wait:
            raise TypeError(
                "content that is an async iterable needs an event loop: await proxy.arequest(…) and its like"
            )
    elif isinstance(content, Mapping) or not (isinstance(content, Iterable) or hasattr(content, "read")):
        raise TypeError(f"content is bytes, str, a file or an iterable of these, not {type(content).__name__}")
    source = Source(content, _length(content), is_async)
    return source.feed, headers, source


def _with_type(headers: Any, kind: str) -> Any:
    """With that as its ``Content-Type``, unless it has one."""
    if headers is None:
        return {"content-type": kind}
    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    if any(isinstance(name, (str, bytes)) and name.lower() in ("content-type", b"content-type") for name, _ in pairs):
        return headers
    return [*pairs, ("content-type", kind)]


def _length(content: Any) -> int | None:
    """How long a file is, from where it stands to its end."""
    if isinstance(content, io.TextIOBase) or not hasattr(content, "read"):
        return None
    try:
        if isinstance(content, io.BytesIO):
            return max(0, content.getbuffer().nbytes - content.tell())
        status = os.fstat(content.fileno())
        return max(0, status.st_size - content.tell()) if stat.S_ISREG(status.st_mode) else None
    except (OSError, AttributeError, ValueError):
        return None
