"""A server on loopback that does what a test says, and keeps what it was asked."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    #: For answers that are no plain ones: writes to the connection.
    write: Callable[[bytes], None]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    status: int = 200
    body: bytes | str = b""
    headers: dict[str, str] | list[tuple[str, str]] = field(default_factory=dict)


class Origin:
    """``answer(asked)`` gives an ``Answer``, or ``None`` when it has written one itself: then the connection is closed."""

    def __init__(self, answer: Callable[[Asked], Answer | None]) -> None:
        self.asked: list[Asked] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError):
                    super().handle_one_request()

            def answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                asked = Asked(self.command, self.path, headers, self.body(), self.write)
                origin.asked.append(asked)
                given = answer(asked)
                if given is None:
                    self.close_connection = True
                    return
                body = given.body.encode() if isinstance(given.body, str) else given.body
                self.send_response(given.status)
                pairs = given.headers.items() if isinstance(given.headers, dict) else given.headers
                for name, value in pairs:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def body(self) -> bytes:
                if self.headers.get("Transfer-Encoding") != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length") or 0))
                pieces = []
                while size := int(self.rfile.readline(), 16):
                    pieces.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(pieces)

            def write(self, piece: bytes) -> None:
                self.wfile.write(piece)
                self.wfile.flush()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: object) -> None:
                """A client that hangs up is no error here."""

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Origin:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def echo(asked: Asked) -> Answer:
    """What was asked, as JSON."""
    told = {"method": asked.method, "path": asked.path, "headers": asked.headers, "body": asked.body.decode("latin-1")}
    return Answer(body=json.dumps(told), headers={"Content-Type": "application/json"})


def script(*answers: Answer) -> Callable[[Asked], Answer]:
    """One after the other; the last one from then on."""
    left = list(answers)

    def answer(_: Asked) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


@contextlib.contextmanager
def nothing_there() -> Iterator[str]:
    """The URL of a port at which nobody answers: it is taken, but not listened at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def silence() -> Iterator[tuple[str, threading.Event]]:
    """The URL of a server that takes connections and says nothing; the event tells that a request has come."""
    arrived, open_ones = threading.Event(), []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                open_ones.append(connection)
                connection.recv(65536)
                arrived.set()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", arrived
        for connection in open_ones:
            connection.close()
