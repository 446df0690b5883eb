"""The payment services of all languages, as `make demo` runs them, against an API whose faults are chosen one by one."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from programs import ROOT

# Each language's name and command, from the very file that the demo reads; its commands have no quotes within.
CLIENTS = {
    language: re.findall(r'"([^"]+)"', command)
    for language, command in re.findall(
        r'^language = "(.+)"$(?:\n.*?)*?\ncommand = \[(.+)\]$',
        (ROOT / "examples/clients.toml").read_text(),
        re.MULTILINE,
    )
}
every_language = pytest.mark.parametrize("language", CLIENTS)


def test_all_six_languages_have_one() -> None:
    assert list(CLIENTS) == ["Python", "Node", "Java", "C", "C++", "Rust"]


@dataclass
class Api:
    url: str
    #: The idempotency keys that each order was asked for with, one after the other.
    keys: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


@contextmanager
def api(first: int, **headers: str) -> Iterator[Api]:
    """A payment API that answers the first request for an order by ``first``, and later ones well if that was its own
    fault.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            order = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked = served.keys[order["order"]]
            asked.append(self.headers["idempotency-key"])
            is_well = len(asked) > 1 and first >= 500
            answer = json.dumps(order, separators=(",", ":")).encode()
            self.send_response(200 if is_well else first)
            for name, value in {} if is_well else headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = Api(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def run(language: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLIENTS[language], *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


def report(ended: subprocess.CompletedProcess[str]) -> dict[str, float]:
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@every_language
def test_an_order_keeps_its_idempotency_key_through_all_its_attempts(language: str) -> None:
    with api(503) as served:
        ended = run(language, "--calls", "8", served.url)
    said = report(ended)
    assert (said["language"], said["calls"], said["charged"], said["failed"]) == (language, 8, 8, 0)
    assert said["attempts"] == 8 + said["retries"] == sum(map(len, served.keys.values()))
    assert all(len(asked) >= 2 and len(set(asked)) == 1 for asked in served.keys.values())
    assert len({asked[0] for asked in served.keys.values()}) == 8
    assert ended.stderr.count("[Ambassador] Retry 1 after ") == 8


@every_language
def test_an_order_that_the_api_calls_wrong_is_not_tried_again(language: str) -> None:
    with api(422) as served:
        said = report(run(language, "--calls", "2", served.url))
    assert (said["charged"], said["failed"]) == (0, 2)
    assert [len(asked) for asked in served.keys.values()] == [1, 1]


@every_language
def test_a_server_that_asks_for_a_wait_is_given_it(language: str) -> None:
    with api(503, retry_after="1") as served:
        said = report(run(language, "--calls", "1", served.url))
    assert said["charged"] == 1
    assert said["seconds"] >= 1.0


@every_language
def test_wrong_arguments_are_answered_with_the_usage(language: str) -> None:
    ended = run(language)
    assert ended.returncode == 2
    assert "usage: " in ended.stderr
