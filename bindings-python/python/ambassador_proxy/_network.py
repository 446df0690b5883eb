"""Settings of networking as Python spells them: endpoints and how they are found and chosen, TLS, credentials, HTTP. What is
allowed, and what the defaults are, is the core's to say (C2). What is secret is in no ``repr`` (S3).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, fields
from datetime import timedelta
from typing import Literal, TypeAlias

#: The path of a file.
Path: TypeAlias = str | os.PathLike[str]
Balance: TypeAlias = Literal["p2c", "round_robin", "least_request", "random", "ring_hash", "maglev"]
IdempotencyKey: TypeAlias = Literal["off", "auto"]


@dataclass(frozen=True)
class Endpoint:
    """Where a target can be reached: ``url`` is a host, with a port if needed, or the URL of one, without a path.
    ``weight`` is its share of the calls beside the others' (1 to 1000, by default 1), ``zone`` where it stands;
    ``metadata`` is for whoever made it.
    """

    url: str
    weight: int | None = None
    zone: str | None = None
    metadata: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Discovery:
    """Where endpoints are looked for: every address of the host ``dns``, every SRV record of the name ``srv``, or a
    JSON or YAML ``file``, which is watched. ``servers`` are the DNS servers to ask (by default the system's); at most
    ``refresh`` lies between two looks (30 s by default).
    """

    dns: str | None = None
    srv: str | None = None
    file: Path | None = None
    servers: Sequence[str] | None = None
    refresh: float | timedelta | None = None


@dataclass(frozen=True)
class Outlier:
    """An endpoint is left out after ``consecutive_failures``, for ``base`` times how often that happened before, up to
    ``max``; never more than the share ``max_ejected`` of all endpoints at once, but always one of two or more. Below
    the share ``panic`` of healthy endpoints health is ignored. What is left out is the default: 5, 30 s, 300 s, 0.1,
    0.5.
    """

    consecutive_failures: int | None = None
    base: float | timedelta | None = None
    max: float | timedelta | None = None
    max_ejected: float | None = None
    panic: float | None = None


@dataclass(frozen=True)
class HealthCheck:
    """Each endpoint is asked every ``interval`` (10 s by default) by a GET of ``path``, or by a connection with
    ``tcp=True``, to be answered within ``timeout`` (1 s). It is left out after ``unhealthy`` failures in a row (3), and
    back after ``healthy`` successes (2).
    """

    path: str | None = None
    tcp: bool | None = None
    interval: float | timedelta | None = None
    timeout: float | timedelta | None = None
    unhealthy: int | None = None
    healthy: int | None = None


@dataclass(frozen=True)
class Tls:
    """How TLS is spoken. ``ca`` is a file of root certificates in PEM, in place of the system's; ``cert`` and ``key``
    are the client's own, read again when they change. ``server_name`` is whom the server's certificate has to be for,
    in place of the target's host; ``min_version`` is ``"1.2"`` (the default) or ``"1.3"``. Of ``pins``, the SHA-256 of
    public keys (SPKI) in Base64, the server has to show one.

    With ``dangerous_accept_invalid_certificates`` anybody on the way may read and change everything.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None
    min_version: Literal["1.2", "1.3"] | None = None
    pins: Sequence[str] | None = None
    dangerous_accept_invalid_certificates: bool | None = None


@dataclass(frozen=True)
class Auth:
    """Who sends the requests, said to the target and to no other origin. One of: a bearer's token, given (``bearer``),
    from an environment variable (``bearer_env``) or from a file that may change (``bearer_file``); ``username`` and
    ``password``; an ``api_key`` in the header ``api_key_header`` (``x-api-key`` by default); or OAuth 2 client
    credentials: ``token_url``, ``client_id``, ``client_secret`` and, if needed, ``scope``.
    """

    bearer: str | None = field(default=None, repr=False)
    bearer_env: str | None = None
    bearer_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    api_key_header: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    scope: str | None = None


@dataclass(frozen=True)
class Http:
    """How requests are made. What is left out is the default.

    ``version`` is ``"auto"`` (HTTP/2 where TLS agrees on it, else HTTP/1.1), ``"1"`` or ``"2"``. ``max_header_bytes``
    (64 KiB) and ``max_body_bytes`` (64 MiB, after decompression, unless streamed) bound what is read; ``replay_bytes``
    (1 MiB) is how much of a body that is a stream is kept for another attempt. ``follow_redirects`` is how many are
    followed (0); ``decompress`` (``True``) asks for compressed bodies and unpacks them; ``proxy_from_environment``
    (``False``) obeys ``HTTP_PROXY`` and its like; ``attempt_headers`` (``False``) sends the attempt's number and what
    time is left. There are at most ``max_connections`` (100) to an endpoint by HTTP/1.1, kept for ``idle_timeout`` (60
    s) when nothing uses them.
    """

    version: Literal["auto", "1", "2"] | None = None
    max_header_bytes: int | None = None
    max_body_bytes: int | None = None
    replay_bytes: int | None = None
    follow_redirects: int | None = None
    decompress: bool | None = None
    proxy_from_environment: bool | None = None
    attempt_headers: bool | None = None
    max_connections: int | None = None
    idle_timeout: float | timedelta | None = None


#: What may be given as a list of endpoints.
Endpoints: TypeAlias = Iterable[str | Endpoint | Mapping[str, object]]


def plain_endpoints(given: object) -> object:
    """A list of endpoints in the core's terms; what is none stays, for the core to say what is allowed."""
    if not isinstance(given, (Sequence, Set)) or isinstance(given, (str, bytes, bytearray)):
        return given
    return [_plain(endpoint) for endpoint in given]


def _plain(endpoint: object) -> object:
    if isinstance(endpoint, Endpoint):
        return {one.name: getattr(endpoint, one.name) for one in fields(endpoint)}
    return endpoint
