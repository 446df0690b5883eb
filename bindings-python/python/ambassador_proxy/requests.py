"""The ambassador below `requests`: mount its adapter on a session, and all that the session sends goes through the ambassador.

    import requests
    from ambassador_proxy.requests import AmbassadorAdapter

    session = requests.Session()
    session.mount("https://", AmbassadorAdapter(max_retries=3, timeout=2.0))

What goes wrong raises errors that are ``requests``' own and the ambassador's at once.
"""

from __future__ import annotations

import http.client
import io
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests.adapters
import requests.exceptions
import urllib3

import requests
from ambassador_proxy._adapters import HOP_BY_HOP, Proxies, as_both, both
from ambassador_proxy._native import Response
from ambassador_proxy._network import Http, Tls
from ambassador_proxy._proxy import AmbassadorProxy
from ambassador_proxy.errors import BY_CODE, AmbassadorError

__all__ = ["AmbassadorAdapter"]

#: What users of requests expect of each failure.
_THEIRS: dict[str, type[Exception]] = {
    "TIMEOUT": requests.exceptions.ReadTimeout,
    "DEADLINE": requests.exceptions.ReadTimeout,
    "CIRCUIT_OPEN": requests.exceptions.ConnectionError,
    "NO_ENDPOINT": requests.exceptions.ConnectionError,
    "TRANSPORT": requests.exceptions.ConnectionError,
    "CONNECT": requests.exceptions.ConnectionError,
    "TLS": requests.exceptions.SSLError,
    "PROTOCOL": requests.exceptions.ConnectionError,
    "BODY": requests.exceptions.ChunkedEncodingError,
}
_KINDS = {
    code: both(ours, _THEIRS.get(code, requests.exceptions.RequestException))
    for code, ours in BY_CODE.items()
    if code != "CONFIG"
}


class AmbassadorAdapter(requests.adapters.BaseAdapter):
    """Sends what a session sends. ``proxy`` takes all of it, whatever host it was for; without one there is a proxy for each
    origin, with these ``settings``, of which the last ``max_origins`` are kept.

    A request's ``timeout`` is the bound of each attempt, in place of the setting's. ``verify`` with a file and ``cert`` are
    honoured. ``verify=False`` is refused, and so are ``proxies`` other than the environment's.
    """

    def __init__(self, proxy: AmbassadorProxy | None = None, *, max_origins: int = 100, **settings: Any) -> None:
        super().__init__()
        self._proxies = Proxies(proxy, max_origins, settings)
        self._tls = settings.get("tls") or {}
        self._http = settings.get("http") or {}

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        url = urlsplit(request.url or "")
        proxy = self._proxies.of(
            f"{url.scheme}://{url.netloc.rpartition('@')[2]}", **self._changes(url, verify, cert, proxies)
        )
        bound = _bound(timeout)
        if bound is not None:
            proxy = self._proxies.bounded(proxy, bound)
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP]
        try:
            answer: Any = proxy.request(
                request.method or "GET", request.path_url, headers=headers, content=request.body, stream=stream
            )
        except AmbassadorError as error:
            raise as_both(error, _KINDS[error.code], request=request, response=None) from error.__cause__
        if isinstance(answer, requests.Response):
            # A fallback's.
            return answer
        if not isinstance(answer, Response):
            raise TypeError(f"a fallback below requests answers with a requests.Response, not {type(answer).__name__}")
        return requests.adapters.HTTPAdapter.build_response(self, request, _raw(answer, request))  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing needs it: connections are the ambassador's."""
        self._proxies.clear()

    def _changes(self, url: Any, verify: Any, cert: Any, proxies: Any) -> dict[str, Any]:
        """Settings that this request asks for besides."""
        changes: dict[str, Any] = {}
        tls: dict[str, Any] = {}
        if verify is False:
            raise ValueError(
                "verify=False is refused: with it anybody on the way may read and change everything. Say whose certificates are"
                " good, by verify='ca.pem' or the setting tls; or name it there: dangerous_accept_invalid_certificates"
            )
        if isinstance(verify, str):
            tls["ca"] = verify
        if cert is not None:
            tls["cert"], tls["key"] = (cert, cert) if isinstance(cert, str) else cert
        if tls and url.scheme == "https":
            changes["tls"] = {**_fields(self._tls), **tls}
        through = [
            (proxies or {}).get(key)
            for key in (f"{url.scheme}://{url.hostname}", url.scheme, f"all://{url.hostname}", "all")
        ]
        chosen = next((one for one in through if one), None)
        if chosen is not None:
            if chosen not in urllib.request.getproxies().values():
                raise ValueError("proxies are those of the environment (HTTP_PROXY and its like), below the ambassador")
            changes["http"] = {**_fields(self._http), "proxy_from_environment": True}
        if changes and self._proxies.proxy is not None:
            raise ValueError(f"{' and '.join(changes)}: settings are those of the proxy that the adapter was given")
        return changes


def _fields(group: Tls | Http | Mapping[str, Any]) -> dict[str, Any]:
    given = group if isinstance(group, Mapping) else vars(group)
    return {name: value for name, value in given.items() if value is not None}


def _bound(timeout: Any) -> float | None:
    """Of what requests takes: a number, or one for the connection and one for the response."""
    if isinstance(timeout, urllib3.Timeout):
        timeout = timeout.total if timeout.total is not None else (timeout.connect_timeout, timeout.read_timeout)
    if isinstance(timeout, tuple):
        parts = [part for part in timeout if isinstance(part, (int, float))]
        return float(sum(parts)) if len(parts) == len(timeout) else None
    return float(timeout) if isinstance(timeout, (int, float)) else None


class _Piecewise(io.RawIOBase):
    """A body that arrives, as the file that urllib3 reads."""

    def __init__(self, response: Response, request: requests.PreparedRequest) -> None:
        self._response = response
        self._request = request
        self._pieces = response.iter_bytes()
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            try:
                self._rest = next(self._pieces, b"")
            except AmbassadorError as error:
                raise as_both(error, _BROKEN, request=self._request, response=None) from error.__cause__
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._response.close()
        super().close()


class _Raw(urllib3.HTTPResponse):
    """What urllib3 wraps of the ambassador's errors comes out as it went in."""

    def stream(self, amt: int | None = 2**16, decode_content: bool | None = None) -> Iterator[bytes]:  # type: ignore[override]
        try:
            yield from super().stream(amt, decode_content)
        except urllib3.exceptions.ProtocolError as wrapped:
            error = wrapped.__context__
            if isinstance(error, AmbassadorError):
                raise error from error.__cause__
            raise


class _Original:
    """Where requests looks for cookies."""

    def __init__(self, response: Response) -> None:
        self.msg = http.client.HTTPMessage()
        for value in response.headers.get_list("set-cookie"):
            self.msg["Set-Cookie"] = value

    def isclosed(self) -> bool:
        return True

    def close(self) -> None:
        """There is nothing to be closed."""


_BROKEN = both(BY_CODE["BODY"], requests.exceptions.ChunkedEncodingError)


def _raw(response: Response, request: requests.PreparedRequest) -> urllib3.HTTPResponse:
    body: Any = (
        io.BufferedReader(_Piecewise(response, request)) if response._is_stream else io.BytesIO(response.content)
    )
    original: Any = _Original(response)
    return _Raw(
        body=body,
        headers=urllib3.HTTPHeaderDict(response.headers.multi_items()),
        status=response.status_code,
        reason=response.reason_phrase,
        version=20 if response.http_version == "HTTP/2" else 11,
        preload_content=False,
        decode_content=False,
        original_response=original,
        request_method=request.method,
        request_url=request.url,
    )
