"""Requests that the core makes: what is sent, what comes back, and what becomes of failures. Each is made from a thread and
from a coroutine; the servers are real.
"""

from __future__ import annotations

import asyncio
import gzip
import inspect
import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from ambassador_proxy import (
    AmbassadorProxy,
    BodyError,
    CallTimeoutError,
    CircuitOpenError,
    ConnectError,
    DeadlineExceededError,
    Endpoint,
    Http,
    Response,
    StatusError,
    TransportError,
)
from conftest import new_target
from origin import Answer, Asked, Origin, echo, nothing_there, script, silence

VERBS = ["get", "head", "options", "post", "put", "patch", "delete"]

Ask = Callable[..., Any]


@pytest.fixture(params=["thread", "asyncio"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Makes a request either way: ``ask(proxy, "get", "/", …)``."""

    def from_a_thread(proxy: AmbassadorProxy, verb: str, *args: Any, **options: Any) -> Any:
        return getattr(proxy, verb)(*args, **options)

    def from_a_coroutine(proxy: AmbassadorProxy, verb: str, *args: Any, **options: Any) -> Any:
        async def main() -> Any:
            return await getattr(proxy, f"a{verb}")(*args, **options)

        return asyncio.run(main())

    return from_a_thread if request.param == "thread" else from_a_coroutine


@pytest.fixture(scope="module")
def echoing() -> Iterator[Origin]:
    with Origin(echo) as origin:
        yield origin


def proxy_of(url: str, **settings: Any) -> AmbassadorProxy:
    """For a state of its own; no waits, no breaker and no budget unless asked for."""
    return AmbassadorProxy(url, **{"backoff": None, "breaker": None, "budget": None, "name": new_target(), **settings})


def at(*urls: str, **settings: Any) -> AmbassadorProxy:
    return proxy_of("http://payments.internal", endpoints=list(urls), **settings)


class TestWhatIsSent:
    @pytest.mark.parametrize("verb", VERBS)
    def test_each_method_has_a_name(self, ask, echoing, verb):
        response = ask(proxy_of(echoing.url), verb, "/charges/42")
        assert response.status_code == 200
        assert response.is_success
        assert (echoing.asked[-1].method, echoing.asked[-1].path) == (verb.upper(), "/charges/42")
        assert response.content == b"" if verb == "head" else response.json()["method"] == verb.upper()

    def test_any_other_method_goes_too(self, ask, echoing):
        with Origin(lambda asked: Answer(204)) as origin:
            origin.server.RequestHandlerClass.do_PURGE = origin.server.RequestHandlerClass.do_GET
            assert ask(proxy_of(origin.url), "request", "PURGE", "/cache").status_code == 204

    @pytest.mark.parametrize(
        ("path", "params", "sent"),
        [
            ("/a", {"b": 1, "c": [2, "ü & ä"]}, "/a?b=1&c=2&c=%C3%BC+%26+%C3%A4"),
            ("/a?b=1", [("c", True), ("c", None), ("d", 2.5)], "/a?b=1&c=true&d=2.5"),
            ("/a#part", {"b": "1"}, "/a?b=1"),
            ("a b/ü%20", None, "/a%20b/%C3%BC%20"),
            ("/", {}, "/"),
            ("", None, "/"),
        ],
    )
    def test_a_path_and_its_query_are_encoded(self, ask, echoing, path, params, sent):
        assert ask(proxy_of(echoing.url), "get", path, params=params).json()["path"] == sent

    @pytest.mark.parametrize(
        ("body", "kind", "sent"),
        [
            ({"json": {"amount": 99.99, "to": "Zoë"}}, "application/json", '{"amount":99.99,"to":"Zoë"}'),
            ({"json": []}, "application/json", "[]"),
            ({"data": {"a": "1 2", "b": ["3", 4]}}, "application/x-www-form-urlencoded", "a=1+2&b=3&b=4"),
            ({"content": b"bytes"}, None, "bytes"),
            ({"content": "Zoë"}, None, "Zoë"),
            ({"content": bytearray(b"bytes")}, None, "bytes"),
            ({"content": memoryview(b"bytes")}, None, "bytes"),
            ({"content": io.BytesIO(b"a file")}, None, "a file"),
            ({"content": io.StringIO("a file")}, None, "a file"),
            ({"content": [b"a ", "list"]}, None, "a list"),
            ({"content": (piece for piece in ["a ", b"generator"])}, None, "a generator"),
            ({"json": {}, "headers": {"Content-Type": "application/vnd.api+json"}}, "application/vnd.api+json", "{}"),
        ],
    )
    def test_a_body_is_json_a_form_or_content(self, echoing, body, kind, sent):
        proxy_of(echoing.url).post("/charges", **body)
        asked = echoing.asked[-1]
        assert (asked.body.decode(), asked.headers.get("content-type")) == (sent, kind)

    def test_a_file_has_a_length(self, ask, echoing, tmp_path):
        path = tmp_path / "receipt"
        path.write_bytes(b"x" * 200_000)
        with path.open("rb") as file:
            file.seek(50_000)
            ask(proxy_of(echoing.url), "put", "/receipt", content=file)
        asked = echoing.asked[-1]
        assert (len(asked.body), asked.headers["content-length"]) == (150_000, "150000")

    def test_an_async_iterable_is_read_while_it_is_sent(self, echoing):
        async def pieces():
            for _ in range(20):
                await asyncio.sleep(0)
                yield b"x" * 100_000

        async def main() -> None:
            await proxy_of(echoing.url).apost("/", content=pieces())

        asyncio.run(main())
        assert len(echoing.asked[-1].body) == 2_000_000

    def test_headers_are_a_mapping_or_pairs(self, ask, echoing):
        proxy = proxy_of(echoing.url, headers={"x-shop": "7", "accept": "text/plain"})
        ask(proxy, "get", "/", headers={"Accept": "application/json"})
        assert (echoing.asked[-1].headers["x-shop"], echoing.asked[-1].headers["accept"]) == ("7", "application/json")
        ask(proxy, "get", "/", headers=[("x-a", "1"), ("x-b", "Zoë")])
        assert echoing.asked[-1].headers["x-a"] == "1"

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"json": 1, "content": b""}, "a request has one body: one of json, data and content"),
            ({"data": b"bytes"}, "data is a form, a mapping or pairs; a body as it is goes into content"),
            ({"data": [1]}, "data is a mapping or pairs of names and values; one of them is no pair"),
            ({"content": 5}, "content is bytes, str, a file or an iterable of these, not int"),
            ({"content": {"a": 1}}, "content is bytes, str, a file or an iterable of these, not dict"),
            ({"headers": "a: b"}, "headers are a mapping or pairs of names and values, not str"),
            ({"headers": {"x-a": 5}}, "the value of the header x-a is a str, not int"),
            ({"headers": {5: "a"}}, "the name of a header is a str, not int"),
            ({"params": "a=b"}, "params is a mapping or pairs of names and values, not str"),
            ({"idempotent": "yes"}, None),
        ],
    )
    def test_what_cannot_be_sent_is_a_type_error(self, ask, echoing, wrong, message):
        with pytest.raises(TypeError) as caught:
            ask(proxy_of(echoing.url), "post", "/", **wrong)
        assert message is None or str(caught.value) == message

    @pytest.mark.parametrize(
        ("path", "headers", "message"),
        [
            ("http://elsewhere/", None, "a path such as /charges/42 is expected, not a URL such as"),
            ("/", {"x a": "b"}, "x a is no name that a header can have"),
            ("/", {"x-key": "s3cret\r\nx: y"}, "the value of the header x-key has a line's end or the like in it"),
        ],
    )
    def test_a_wrong_value_is_told_without_what_is_secret(self, ask, echoing, path, headers, message):
        with pytest.raises(ValueError, match=message) as caught:
            ask(proxy_of(echoing.url), "get", path, headers=headers)
        assert "s3cret" not in str(caught.value)

    def test_a_path_that_is_no_text_is_a_type_error(self, ask, echoing):
        with pytest.raises(TypeError, match="a path is a str, such as /charges/42, not int"):
            ask(proxy_of(echoing.url), "get", 42)

    def test_an_async_iterable_needs_an_event_loop(self, echoing):
        async def pieces():
            yield b""

        with pytest.raises(TypeError, match=r"await proxy\.arequest"):
            proxy_of(echoing.url).post("/", content=pieces())


class TestWhatComesBack:
    def test_a_response_has_its_parts(self, ask):
        answer = Answer(
            201,
            '{"status": "charged"}',
            [
                ("Content-Type", "application/json"),
                ("Set-Cookie", "a=s3cret"),
                ("Set-Cookie", "b=2"),
                ("X-Name", "Zoë"),
            ],
        )
        with Origin(script(answer)) as origin:
            response = ask(proxy_of(origin.url), "get", "/charges/42")
        assert (response.status_code, response.reason_phrase, response.http_version) == (201, "Created", "HTTP/1.1")
        assert (response.attempts, response.target, repr(response)) == (1, origin.url, "<Response [201]>")
        assert response.json() == {"status": "charged"}
        assert response.json(parse_int=str) == json.loads(response.text)
        assert response.content is response.content
        assert 0 < response.elapsed < 60
        headers = response.headers
        assert headers["content-type"] == headers["Content-Type"] == headers.get("CONTENT-TYPE") == "application/json"
        assert (headers["set-cookie"], headers.get_list("Set-Cookie")) == ("a=s3cret, b=2", ["a=s3cret", "b=2"])
        assert headers["x-name"] == "Zoë"
        assert "X-Name" in headers
        assert "x-other" not in headers
        assert 5 not in headers
        assert headers.get("x-other") is None
        assert headers.get("x-other", "none") == "none"
        with pytest.raises(KeyError, match="x-other"):
            headers["x-other"]
        assert dict(headers) == {name: headers[name] for name in headers}
        assert len(headers) == len(list(headers)) == len(headers.items()) == len(headers.multi_items()) - 1
        assert "s3cret" not in repr(headers)

    @pytest.mark.parametrize(
        ("kind", "body", "text"),
        [
            ("text/plain", "Zoë".encode(), "Zoë"),
            ("text/plain; charset=iso-8859-1", "Zoë".encode("latin-1"), "Zoë"),
            ('text/plain; charset="UTF-16"', "Zoë".encode("utf-16"), "Zoë"),
            ("text/plain; charset=none", b"Zo\xff", "Zo�"),
        ],
    )
    def test_text_is_of_the_charset_that_the_response_names(self, ask, kind, body, text):
        with Origin(script(Answer(200, body, {"Content-Type": kind}))) as origin:
            assert ask(proxy_of(origin.url), "get", "/").text == text

    def test_a_compressed_body_is_unpacked(self, ask):
        answer = Answer(200, gzip.compress(b"x" * 100_000), {"Content-Encoding": "gzip"})
        with Origin(script(answer)) as origin:
            response = ask(proxy_of(origin.url), "get", "/")
        assert response.content == b"x" * 100_000
        assert "content-encoding" not in response.headers

    def test_a_status_is_no_error_unless_asked(self, ask):
        with Origin(script(Answer(404, "no such charge"))) as origin:
            response = ask(proxy_of(origin.url), "get", "/charges/42?token=s3cret")
        assert (response.status_code, response.is_success, response.text) == (404, False, "no such charge")
        with pytest.raises(StatusError) as caught:
            response.raise_for_status()
        assert str(caught.value) == f"{origin.url}: GET /charges/42 was answered by 404 Not Found"
        assert caught.value.response is response
        assert caught.value.status_code == 404
        with Origin(script(Answer(204))) as origin:
            response = ask(proxy_of(origin.url), "get", "/")
        assert response.raise_for_status() is response

    def test_headers_of_eight_kilobytes_arrive_and_those_of_a_megabyte_do_not(self, ask):
        for size, arrives in ((8_000, True), (1_000_000, False)):
            with Origin(
                lambda asked, size=size: asked.write(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-long: " + b"x" * size + b"\r\n\r\n"
                )
            ) as origin:
                proxy = proxy_of(origin.url, max_retries=1)
                if arrives:
                    assert len(ask(proxy, "get", "/").headers["x-long"]) == size
                else:
                    with pytest.raises(TransportError):
                        ask(proxy, "get", "/")

    def test_a_body_above_the_limit_is_not_read(self, ask):
        with Origin(script(Answer(200, b"x" * 2000))) as origin:
            proxy = proxy_of(origin.url, http=Http(max_body_bytes=1000), max_retries=1)
            with pytest.raises(BodyError):
                ask(proxy, "get", "/")


class TestFailures:
    def test_where_nothing_answers_it_is_a_connect_error(self, ask):
        with nothing_there() as url, pytest.raises(ConnectError) as caught:
            ask(proxy_of(url, max_retries=2), "get", "/")
        error = caught.value
        assert (error.code, error.target, error.attempts) == ("CONNECT", url, 2)
        assert error.elapsed > 0
        assert isinstance(error, ConnectionError)

    def test_a_retry_goes_to_another_endpoint(self, ask):
        with nothing_there() as dead, Origin(script(Answer(200, "charged"))) as origin:
            proxy = at(dead, Endpoint(origin.url), balance="round_robin", outlier=None)
            for _ in range(6):
                assert ask(proxy, "get", "/").text == "charged"
        assert len(origin.asked) == 6
        assert {asked.headers["host"] for asked in origin.asked} == {"payments.internal"}

    def test_a_retried_status_is_tried_again_and_the_last_response_comes_back(self, ask):
        with Origin(script(Answer(503), Answer(200, "charged"))) as origin:
            response = ask(proxy_of(origin.url), "get", "/")
            assert (response.text, response.attempts) == ("charged", 2)
        with Origin(script(Answer(503, "busy"))) as origin:
            response = ask(proxy_of(origin.url), "get", "/")
            assert (response.status_code, response.text, response.attempts) == (503, "busy", 3)

    def hang_up(self, asked: Asked) -> None:
        """What was asked has arrived; an answer does not."""

    def test_a_post_that_was_sent_is_made_once(self, ask):
        with Origin(self.hang_up) as origin:
            with pytest.raises(TransportError) as caught:
                ask(proxy_of(origin.url), "post", "/charges", json={"amount": 99.99})
            assert (len(origin.asked), caught.value.attempts) == (1, 1)

    def test_one_that_is_idempotent_is_made_again(self, ask):
        with Origin(self.hang_up) as origin:
            with pytest.raises(TransportError):
                ask(proxy_of(origin.url), "post", "/charges", json={}, idempotent=True)
            assert len(origin.asked) == 3

    def test_with_a_key_a_post_is_made_again_and_the_key_stays(self, ask):
        with Origin(self.hang_up) as origin:
            with pytest.raises(TransportError):
                ask(proxy_of(origin.url, idempotency_key="auto"), "post", "/charges", json={})
            keys = [asked.headers["idempotency-key"] for asked in origin.asked]
        assert (len(keys), len(set(keys))) == (3, 1)

    def test_what_takes_longer_than_the_bound_is_a_timeout(self, ask):
        with silence() as (url, arrived), pytest.raises(CallTimeoutError) as caught:
            ask(proxy_of(url, max_retries=1, timeout=0.05), "get", "/")
        assert arrived.is_set()
        assert isinstance(caught.value, TimeoutError)

    def test_a_request_has_bounds_of_its_own(self, ask):
        with silence() as (url, _):
            proxy = proxy_of(url, max_retries=2, timeout=3600)
            with pytest.raises(CallTimeoutError) as caught:
                ask(proxy, "get", "/", timeout=0.05)
            assert (caught.value.code, caught.value.attempts) == ("TIMEOUT", 2)
            with pytest.raises(DeadlineExceededError) as caught:
                ask(proxy, "get", "/", timeout=None, deadline=timedelta(milliseconds=50))
            assert caught.value.attempts == 1

    @pytest.mark.parametrize("wrong", [0, -1, float("nan"), "2s"])
    def test_a_bound_is_what_the_setting_may_be(self, ask, echoing, wrong):
        with pytest.raises(ValueError, match=r"^timeout: "):
            ask(proxy_of(echoing.url), "get", "/", timeout=wrong)

    def test_an_open_circuit_refuses(self, ask):
        with Origin(script(Answer(200))) as origin:
            proxy = proxy_of(origin.url, breaker={})
            proxy.isolate()
            with pytest.raises(CircuitOpenError):
                ask(proxy, "get", "/")
            assert origin.asked == []
            assert proxy.health()["circuit"]["state"] == "isolated"

    def test_retries_are_logged(self, ask, caplog):
        with Origin(script(Answer(503), Answer(200))) as origin, caplog.at_level(logging.WARNING, "ambassador"):
            ask(proxy_of(origin.url), "get", "/")
        assert [record.getMessage() for record in caplog.records if record.name == "ambassador"] == [
            "[Ambassador] Retry 1 after 0ms: HTTP 503 Service Unavailable"
        ]

    def test_listeners_hear_of_requests(self, ask):
        with Origin(script(Answer(503), Answer(200))) as origin:
            proxy, heard = proxy_of(origin.url), []
            proxy.on_event(heard.append)
            ask(proxy, "get", "/")
        assert [event["type"] for event in heard] == ["attempt", "retry", "attempt", "call"]

    def test_counters_add_up(self, ask):
        with Origin(script(Answer(503), Answer(200))) as origin:
            proxy = proxy_of(origin.url)
            ask(proxy, "get", "/")
        health = proxy.health()
        assert (health["calls"]["ok"], health["attempts"]["ok"], health["attempts"]["failure"]) == (1, 1, 1)
        assert health["in_flight"] == 0


class TestFallback:
    def test_a_fallback_answers_in_place_of_an_error(self, ask):
        with nothing_there() as url:
            proxy = proxy_of(url, fallback=lambda error: error.code)
            assert ask(proxy, "get", "/") == "CONNECT"
            assert proxy.health()["calls"]["fallback"] == 1
            assert ask(proxy_of(url, fallback="cached"), "get", "/") == "cached"

    def test_one_that_raises_is_chained_to_the_error(self, ask):
        def broken(error: Exception) -> None:
            raise LookupError("nothing cached")

        with nothing_there() as url, pytest.raises(LookupError) as caught:
            ask(proxy_of(url, fallback=broken), "get", "/")
        assert isinstance(caught.value.__cause__, ConnectError)

    def test_a_coroutine_function_may_be_one(self):
        async def answer(error: Exception) -> str:
            await asyncio.sleep(0)
            return "cached"

        async def main() -> object:
            with nothing_there() as url:
                return await proxy_of(url, fallback=answer).aget("/")

        assert asyncio.run(main()) == "cached"


def test_every_method_has_a_twin_of_the_same_parameters():
    for verb in ["request", *VERBS]:
        method, twin = (inspect.signature(getattr(AmbassadorProxy, name)) for name in (verb, f"a{verb}"))
        assert list(method.parameters) == list(twin.parameters)
        assert inspect.iscoroutinefunction(getattr(AmbassadorProxy, f"a{verb}"))


def test_a_response_cannot_be_made_by_hand():
    with pytest.raises(TypeError):
        Response()
