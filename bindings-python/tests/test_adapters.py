"""The ambassador below requests and httpx: what their users send and expect, and what is refused."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator

import ambassador_proxy
import httpx
import pytest
from ambassador_proxy import AmbassadorError, AmbassadorProxy, ConfigError
from ambassador_proxy.httpx import AmbassadorTransport, AsyncAmbassadorTransport
from ambassador_proxy.requests import AmbassadorAdapter
from conftest import output_of
from origin import Answer, Asked, Origin, echo, nothing_there, script, silence
from test_requests import proxy_of

import requests

FAST = {"backoff": None, "breaker": None, "budget": None}


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", AmbassadorAdapter(**FAST))
        session.mount("https://", AmbassadorAdapter(**FAST))
        yield session


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(transport=AmbassadorTransport(**FAST)) as client:
        yield client


def test_the_package_itself_needs_neither():
    assert output_of("import sys, ambassador_proxy; print({'requests', 'httpx'} & set(sys.modules))") == "set()\n"


class TestRequests:
    def test_a_session_sends_as_it_always_did(self, session):
        with Origin(echo) as origin:
            response = session.post(
                f"{origin.url}/charges",
                params={"a": "ü"},
                json={"amount": 99.99},
                headers={"x-shop": "7"},
                auth=("shop", "s3cret"),
                cookies={"a": "1"},
            )
        told = response.json()
        assert (response.status_code, response.reason, response.url) == (200, "OK", f"{origin.url}/charges?a=%C3%BC")
        assert (told["method"], told["path"], told["body"]) == ("POST", "/charges?a=%C3%BC", '{"amount": 99.99}')
        assert told["headers"]["x-shop"] == "7"
        assert told["headers"]["cookie"] == "a=1"
        assert told["headers"]["authorization"].startswith("Basic ")
        assert told["headers"]["user-agent"].startswith("python-requests")

    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            ({"data": {"a": "1"}}, "a=1"),
            ({"data": b"bytes"}, "bytes"),
            ({"data": io.BytesIO(b"a file")}, "a file"),
            ({"data": (piece for piece in [b"a ", b"generator"])}, "a generator"),
        ],
    )
    def test_bodies_of_every_kind(self, session, body, sent):
        with Origin(echo) as origin:
            assert session.put(origin.url, **body).json()["body"] == sent

    def test_files_are_multipart(self, session):
        with Origin(echo) as origin:
            assert "receipt" in session.post(origin.url, files={"file": ("receipt", b"x")}).json()["body"]

    def test_a_body_is_read_as_it_comes(self, session):
        with Origin(script(Answer(200, b"x" * 100_000))) as origin:
            with session.get(origin.url, stream=True) as response:
                assert b"".join(response.iter_content(1000)) == b"x" * 100_000
            with session.get(origin.url, stream=True) as response:
                assert len(response.raw.read(10)) == 10
            assert session.get(origin.url).content == b"x" * 100_000

    def test_cookies_and_redirects_are_the_sessions(self, session):
        def answer(asked: Asked) -> Answer:
            if asked.path == "/old":
                return Answer(302, "", {"Location": "/new", "Set-Cookie": "a=1; Path=/"})
            return echo(asked)

        with Origin(answer) as origin:
            response = session.get(f"{origin.url}/old")
        assert (response.json()["path"], response.json()["headers"]["cookie"]) == ("/new", "a=1")
        assert session.cookies["a"] == "1"

    def test_retries_and_the_last_response(self, session):
        with Origin(script(Answer(503), Answer(200, "charged"))) as origin:
            assert session.get(origin.url).text == "charged"
        with Origin(script(Answer(503))) as origin:
            with pytest.raises(requests.HTTPError):
                session.get(origin.url).raise_for_status()
            assert len(origin.asked) == 3

    def test_errors_are_both(self, session):
        with nothing_there() as url, pytest.raises(requests.ConnectionError) as caught:
            session.get(url)
        error = caught.value
        assert isinstance(error, ambassador_proxy.ConnectError)
        assert (error.code, error.target, error.attempts, error.request.url) == ("CONNECT", url, 3, f"{url}/")
        assert str(error).startswith(f"{url}: ")
        with silence() as (url, _), pytest.raises(requests.Timeout) as caught:
            session.get(url, timeout=0.05)
        assert isinstance(caught.value, ambassador_proxy.CallTimeoutError)

    def test_a_body_that_breaks_off_is_what_requests_says_of_it(self, session):
        def answer(asked: Asked) -> None:
            asked.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this")

        with Origin(answer) as origin:
            response = session.get(origin.url, stream=True)
            with pytest.raises(requests.exceptions.ChunkedEncodingError) as caught:
                _ = response.content
        assert isinstance(caught.value, AmbassadorError)

    @pytest.mark.parametrize("timeout", [0.05, (0.02, 0.03)])
    def test_a_timeout_is_the_bound_of_each_attempt(self, session, timeout):
        with silence() as (url, _), pytest.raises(requests.Timeout, match="within 50ms"):
            session.get(url, timeout=timeout)

    def test_verification_is_not_turned_off_by_one_word(self, session):
        with pytest.raises(ValueError, match="verify=False is refused"):
            session.get("https://localhost:1/", verify=False)

    def test_proxies_are_the_environments_alone(self, session):
        with pytest.raises(ValueError, match="proxies are those of the environment"):
            session.get("http://localhost:1/", proxies={"http": "http://localhost:2"})

    def test_one_proxy_may_take_all(self):
        with Origin(echo) as origin, requests.Session() as session:
            proxy = proxy_of("http://payments.internal", endpoints=[origin.url])
            session.mount("http://payments/", AmbassadorAdapter(proxy))
            assert session.get("http://payments/charges").json()["headers"]["host"] == "payments.internal"
            assert proxy.health()["calls"]["ok"] == 1

    def test_a_fallback_answers_with_a_response(self):
        cached = requests.Response()
        cached.status_code, cached._content = 200, b"cached"
        with nothing_there() as url, requests.Session() as session:
            session.mount("http://", AmbassadorAdapter(fallback=lambda error: cached, **FAST))
            assert session.get(url).text == "cached"
            session.mount("http://", AmbassadorAdapter(fallback="cached", **FAST))
            with pytest.raises(TypeError, match=r"answers with a requests\.Response, not str"):
                session.get(url)


class TestHttpx:
    def test_a_client_sends_as_it_always_did(self, client):
        with Origin(echo) as origin:
            response = client.post(f"{origin.url}/charges", params={"a": "ü"}, json={"amount": 1}, auth=("shop", "x"))
        told = response.json()
        assert (response.status_code, response.reason_phrase, response.http_version) == (200, "OK", "HTTP/1.1")
        assert (told["method"], told["path"], told["body"]) == ("POST", "/charges?a=%C3%BC", '{"amount":1}')
        assert told["headers"]["authorization"].startswith("Basic ")
        assert told["headers"]["host"] == origin.url.removeprefix("http://")

    @pytest.mark.parametrize(
        ("body", "sent"),
        [
            ({"data": {"a": "1"}}, "a=1"),
            ({"content": b"bytes"}, "bytes"),
            ({"content": iter([b"an ", b"iterator"])}, "an iterator"),
        ],
    )
    def test_bodies_of_every_kind(self, client, body, sent):
        with Origin(echo) as origin:
            assert client.put(origin.url, **body).json()["body"] == sent

    def test_files_are_multipart(self, client):
        with Origin(echo) as origin:
            assert "receipt" in client.post(origin.url, files={"file": ("receipt", b"x")}).json()["body"]

    def test_a_body_is_read_as_it_comes(self, client):
        with Origin(script(Answer(200, b"x" * 100_000))) as origin, client.stream("GET", origin.url) as response:
            assert b"".join(response.iter_bytes()) == b"x" * 100_000

    def test_errors_are_both(self, client):
        with nothing_there() as url, pytest.raises(httpx.ConnectError) as caught:
            client.get(url)
        error = caught.value
        assert isinstance(error, ambassador_proxy.ConnectError)
        assert (error.code, error.attempts, str(error.request.url)) == ("CONNECT", 3, url)
        with silence() as (url, _), pytest.raises(httpx.ReadTimeout):
            client.get(url, timeout=0.05)

    def test_retries(self, client):
        with Origin(script(Answer(503), Answer(200, "charged"))) as origin:
            assert client.get(origin.url).text == "charged"

    def test_a_coroutine_sends_and_reads(self):
        async def pieces():
            yield b"an async "
            yield b"iterator"

        async def main(url: str) -> None:
            async with httpx.AsyncClient(transport=AsyncAmbassadorTransport(**FAST)) as client:
                assert (await client.post(url, content=pieces())).json()["body"] == "an async iterator"
                assert (await client.post(url, files={"f": ("receipt", b"x")})).is_success
                async with client.stream("GET", url) as response:
                    assert b"GET" in b"".join([piece async for piece in response.aiter_bytes()])
                with nothing_there() as nowhere, pytest.raises(httpx.ConnectError):
                    await client.get(nowhere)

        with Origin(echo) as origin:
            asyncio.run(main(origin.url))


def test_settings_are_checked_when_an_adapter_is_made():
    with pytest.raises(ConfigError):
        AmbassadorAdapter(max_retries=0)
    with pytest.raises(TypeError, match="max_retries: settings are those of the proxy"):
        AmbassadorTransport(AmbassadorProxy("localhost"), max_retries=3)
    with pytest.raises(TypeError, match="proxy is an AmbassadorProxy, not str"):
        AmbassadorTransport("localhost")


def test_origins_are_kept_up_to_a_number():
    adapter = AmbassadorAdapter(max_origins=3, **FAST)
    made = [adapter._proxies.of(f"http://host-{number}") for number in range(5)]
    assert adapter._proxies.of("http://host-4") is made[4]
    assert adapter._proxies.of("http://host-0") is not made[0]
    assert len(adapter._proxies._kept._kept) == 3
