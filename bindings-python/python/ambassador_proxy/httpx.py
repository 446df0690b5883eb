"""The ambassador below `httpx`: give its transport to a client, and all that the client sends goes through the ambassador.

    import httpx
    from ambassador_proxy.httpx import AmbassadorTransport, AsyncAmbassadorTransport

    client = httpx.Client(transport=AmbassadorTransport(max_retries=3, timeout=2.0))
    async_client = httpx.AsyncClient(transport=AsyncAmbassadorTransport(max_retries=3, timeout=2.0))

What goes wrong raises errors that are ``httpx``'s own and the ambassador's at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from ambassador_proxy._adapters import HOP_BY_HOP, Proxies, as_both, both
from ambassador_proxy._native import Response
from ambassador_proxy._proxy import AmbassadorProxy
from ambassador_proxy.errors import BY_CODE, AmbassadorError

__all__ = ["AmbassadorTransport", "AsyncAmbassadorTransport"]

#: What users of httpx expect of each failure.
_THEIRS: dict[str, type[Exception]] = {
    "TIMEOUT": httpx.ReadTimeout,
    "DEADLINE": httpx.ReadTimeout,
    "CIRCUIT_OPEN": httpx.ConnectError,
    "BULKHEAD_FULL": httpx.PoolTimeout,
    "NO_ENDPOINT": httpx.ConnectError,
    "TRANSPORT": httpx.ReadError,
    "CONNECT": httpx.ConnectError,
    "TLS": httpx.ConnectError,
    "PROTOCOL": httpx.RemoteProtocolError,
    "BODY": httpx.ReadError,
}
_KINDS = {
    code: both(ours, _THEIRS.get(code, httpx.TransportError)) for code, ours in BY_CODE.items() if code != "CONFIG"
}


class _Transport:
    def __init__(self, proxy: AmbassadorProxy | None = None, *, max_origins: int = 100, **settings: Any) -> None:
        self._proxies = Proxies(proxy, max_origins, settings)

    def _proxy_for(self, request: httpx.Request) -> AmbassadorProxy:
        proxy = self._proxies.of(f"{request.url.scheme}://{request.url.netloc.decode('ascii')}")
        bounds = [bound for bound in (request.extensions.get("timeout") or {}).values() if bound is not None]
        if bounds and (proxy.timeout is None or max(bounds) < proxy.timeout):
            return self._proxies.bounded(proxy, max(bounds))
        return proxy


def _asked(request: httpx.Request) -> dict[str, Any]:
    """What of it is sent."""
    own = request.url.netloc
    headers = [
        (name, value)
        for name, value in request.headers.raw
        if name.decode("ascii").lower() not in HOP_BY_HOP and not (name.lower() == b"host" and value == own)
    ]
    content: Any = request.stream
    if isinstance(content, httpx.ByteStream):
        # In memory, so that it may be sent again.
        content = b"".join(content) or None
    return {
        "method": request.method,
        "path": request.url.raw_path.decode("ascii"),
        "headers": headers,
        "content": content,
        "stream": True,
    }


def _answered(answer: Any, stream: Any) -> httpx.Response:
    if isinstance(answer, httpx.Response):
        # A fallback's.
        return answer
    if not isinstance(answer, Response):
        raise TypeError(f"a fallback below httpx answers with a httpx.Response, not {type(answer).__name__}")
    extensions = {"http_version": answer.http_version.encode(), "reason_phrase": answer.reason_phrase.encode()}
    pairs = [(name.encode(), value.encode()) for name, value in answer.headers.multi_items()]
    return httpx.Response(answer.status_code, headers=pairs, stream=stream(answer), extensions=extensions)


def _as_theirs(error: AmbassadorError, request: httpx.Request | None = None) -> AmbassadorError:
    return as_both(error, _KINDS[error.code], _request=request)


class AmbassadorTransport(_Transport, httpx.BaseTransport):
    """Sends what a ``httpx.Client`` sends. ``proxy`` takes all of it, whatever host it was for; without one there is a proxy for
    each origin, with these ``settings``, of which the last ``max_origins`` are kept.

    Each attempt is bounded by the shorter of the setting ``timeout`` and the client's own timeouts.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = self._proxy_for(request).request(**_asked(request))
        except AmbassadorError as error:
            raise _as_theirs(error, request) from error.__cause__
        return _answered(answer, _Pieces)

    def close(self) -> None:
        self._proxies.clear()


class AsyncAmbassadorTransport(_Transport, httpx.AsyncBaseTransport):
    """``AmbassadorTransport`` for a ``httpx.AsyncClient``, on asyncio."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._proxy_for(request).arequest(**_asked(request))
        except AmbassadorError as error:
            raise _as_theirs(error, request) from error.__cause__
        return _answered(answer, _AsyncPieces)

    async def aclose(self) -> None:
        self._proxies.clear()


class _Pieces(httpx.SyncByteStream):
    def __init__(self, response: Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._response.iter_bytes()
        except AmbassadorError as error:
            raise _as_theirs(error) from error.__cause__

    def close(self) -> None:
        self._response.close()


class _AsyncPieces(httpx.AsyncByteStream):
    def __init__(self, response: Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._response.aiter_bytes():
                yield piece
        except AmbassadorError as error:
            raise _as_theirs(error) from error.__cause__

    async def aclose(self) -> None:
        self._response.close()
