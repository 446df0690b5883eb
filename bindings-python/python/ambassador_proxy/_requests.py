"""Requests that the ambassador makes itself: ``proxy.get(…)`` and its like, for threads and for event loops. What is sent is made
plain here; all that is decided on the way, and the way itself, is the core's.
"""

from __future__ import annotations

from asyncio import get_running_loop
from datetime import timedelta
from types import EllipsisType
from typing import Any, TypeAlias

from ambassador_proxy import _drive, _drive_async, _log, _native, _tracing
from ambassador_proxy._bodies import AsyncContent, Content, Fields, Headers, Source, body_of, pairs_of, with_params
from ambassador_proxy._completions import completions_of
from ambassador_proxy._events import attend, hear, is_attending
from ambassador_proxy._native import Response

#: A bound of one request: ``...`` is the proxy's own, and ``None`` none.
Bound: TypeAlias = float | timedelta | EllipsisType | None

_native.install_tell(_log.retry)


class Requests(_native.Proxy):
    """The methods of a proxy that make requests."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: Content | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """Sends a request to the target, and gives the last response, whatever its status.

        ``path`` is a path, perhaps with a query, to which ``params`` are added. The body is one of ``json``, ``data``, which is a
        form, and ``content``, which is sent as it is: bytes, text, a file, or an iterable of pieces that is read meanwhile. With
        ``stream`` the response comes with its headers, and its body is read as it arrives. ``idempotent`` says whether the
        request may safely be made twice; by default its method says so. ``timeout`` bounds each attempt and ``deadline`` the
        whole request, in seconds; without them the proxy's settings do, and ``None`` is no bound.

        Raises what stands in ``ambassador_proxy.errors`` when there is no response: ``ConnectError``, ``CallTimeoutError``,
        ``CircuitOpenError`` and so on. The proxy's ``fallback`` answers in place of an error.
        """
        return self._send(method, path, params, headers, json, data, content, stream, idempotent, timeout, deadline)

    async def arequest(
        self,
        method: str,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: AsyncContent | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request``, awaited. ``content`` may be an async iterable too. A task that is cancelled ends its request."""
        return await self._asend(
            method, path, params, headers, json, data, content, stream, idempotent, timeout, deadline
        )

    def get(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method GET."""
        return self._send("GET", path, params, headers, None, None, None, stream, idempotent, timeout, deadline)

    async def aget(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method GET."""
        return await self._asend("GET", path, params, headers, None, None, None, stream, idempotent, timeout, deadline)

    def head(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method HEAD."""
        return self._send("HEAD", path, params, headers, None, None, None, stream, idempotent, timeout, deadline)

    async def ahead(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method HEAD."""
        return await self._asend("HEAD", path, params, headers, None, None, None, stream, idempotent, timeout, deadline)

    def options(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method OPTIONS."""
        return self._send("OPTIONS", path, params, headers, None, None, None, stream, idempotent, timeout, deadline)

    async def aoptions(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method OPTIONS."""
        return await self._asend(
            "OPTIONS", path, params, headers, None, None, None, stream, idempotent, timeout, deadline
        )

    def post(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: Content | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method POST."""
        return self._send("POST", path, params, headers, json, data, content, stream, idempotent, timeout, deadline)

    async def apost(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: AsyncContent | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method POST."""
        return await self._asend(
            "POST", path, params, headers, json, data, content, stream, idempotent, timeout, deadline
        )

    def put(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: Content | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method PUT."""
        return self._send("PUT", path, params, headers, json, data, content, stream, idempotent, timeout, deadline)

    async def aput(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: AsyncContent | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method PUT."""
        return await self._asend(
            "PUT", path, params, headers, json, data, content, stream, idempotent, timeout, deadline
        )

    def patch(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: Content | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method PATCH."""
        return self._send("PATCH", path, params, headers, json, data, content, stream, idempotent, timeout, deadline)

    async def apatch(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: AsyncContent | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method PATCH."""
        return await self._asend(
            "PATCH", path, params, headers, json, data, content, stream, idempotent, timeout, deadline
        )

    def delete(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: Content | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``request`` of the method DELETE."""
        return self._send("DELETE", path, params, headers, json, data, content, stream, idempotent, timeout, deadline)

    async def adelete(
        self,
        path: str,
        *,
        params: Fields | None = None,
        headers: Headers | None = None,
        json: Any = None,
        data: Fields | None = None,
        content: AsyncContent | None = None,
        stream: bool = False,
        idempotent: bool | None = None,
        timeout: Bound = ...,
        deadline: Bound = ...,
    ) -> Response:
        """``arequest`` of the method DELETE."""
        return await self._asend(
            "DELETE", path, params, headers, json, data, content, stream, idempotent, timeout, deadline
        )

    def _send(
        self,
        method: str,
        path: str,
        params: Fields | None,
        headers: Headers | None,
        json: Any,
        data: Fields | None,
        content: Content | None,
        stream: bool,
        idempotent: bool | None,
        timeout: Bound,
        deadline: Bound,
    ) -> Response:
        if params is not None:
            path = with_params(path, params)
        given: Any = headers
        if headers is not None and type(headers) is not dict:
            given = pairs_of(headers)
        body: Any = None
        source: Source | None = None
        if json is not None or data is not None or content is not None:
            body, given, source = body_of(json, data, content, given, False)
            if source is not None:
                source.start()
        if not is_attending():
            attend()
        parent = None if _tracing.ask is None else _tracing.ask()
        try:
            ended = _native.send(self, method, path, given, body, stream, idempotent, timeout, deadline, parent)
        finally:
            if source is not None:
                source.stop()
            if self.is_heard:
                hear(self)
        if type(ended) is Response:
            return ended
        unanswered, error = _failure(ended, source)
        try:
            if unanswered is None:
                raise error
            # Whatever the application answers by.
            return _drive.answer(self, unanswered, error)  # type: ignore[no-any-return]
        finally:
            # Its traceback holds this frame.
            del ended, error

    async def _asend(
        self,
        method: str,
        path: str,
        params: Fields | None,
        headers: Headers | None,
        json: Any,
        data: Fields | None,
        content: AsyncContent | None,
        stream: bool,
        idempotent: bool | None,
        timeout: Bound,
        deadline: Bound,
    ) -> Response:
        if params is not None:
            path = with_params(path, params)
        given: Any = headers
        if headers is not None and type(headers) is not dict:
            given = pairs_of(headers)
        body: Any = None
        source: Source | None = None
        if json is not None or data is not None or content is not None:
            body, given, source = body_of(json, data, content, given, True)
            if source is not None:
                source.start()
        loop = get_running_loop()
        completions = completions_of(loop)
        future = loop.create_future()
        number = 0
        try:
            parent = None if _tracing.ask is None else _tracing.ask()
            sent = (method, path, given, body, stream, idempotent, timeout, deadline, parent)
            number = completions.send(future, self, *sent)
            ended = await future
        except BaseException:
            # The caller went away, or what it asked for cannot be sent.
            completions.cancel(number)
            raise
        finally:
            if source is not None:
                source.stop()
            if self.is_heard:
                hear(self)
        if type(ended) is Response:
            return ended
        unanswered, error = _failure(ended, source)
        try:
            if unanswered is None:
                raise error
            return await _drive_async.answer(self, unanswered, error)  # type: ignore[no-any-return]
        finally:
            del ended, error


def _failure(ended: Any, source: Source | None) -> tuple[_native.Unanswered | None, BaseException]:
    """What is to be answered, if there is a fallback, and the error: the application's own where reading the body raised one."""
    unanswered = ended if type(ended) is _native.Unanswered else None
    error: BaseException = ended if unanswered is None else unanswered.error
    if source is not None and source.error is not None:
        if unanswered is not None:
            unanswered.answered(False)
        return None, source.error
    return unanswered, error
