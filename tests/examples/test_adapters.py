"""Programs that were written for other clients, put behind the ambassador by an adapter alone: against an API that fails often,
they lose calls without it and none with it, and nothing is charged twice.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from programs import ROOT, run

PROGRAMS = ["orders_requests.py", "orders_httpx.py"]


@contextmanager
def failing_api() -> Iterator[tuple[str, Counter[str]]]:
    """Each key is charged once; every third request is answered by 503, after it was obeyed."""
    charged: Counter[str] = Counter()
    keys: set[str] = set()
    turn, lock = iter(range(1_000_000)), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            order = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with lock:
                if self.headers["idempotency-key"] not in keys:
                    keys.add(self.headers["idempotency-key"])
                    charged[order["order"]] += 1
            self.reply(json.dumps({"receipt": f"r{order['order']}"}).encode())

        def do_GET(self) -> None:
            self.reply(b"receipt " * 5000)

        def reply(self, body: bytes) -> None:
            assert self.headers["x-shop"] == "7"
            with lock:
                fails = next(turn) % 3 == 2
            self.send_response(503 if fails else 200)
            self.send_header("content-length", str(len(body)))
            self.send_header("set-cookie", "session=1; Path=/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", charged
        server.shutdown()


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_adapter_is_all_that_it_takes(program: str) -> None:
    command = [ROOT / "build/venv/bin/python", ROOT / "examples/python" / program]
    with failing_api() as (url, _):
        lost = run([*command, "--plain", url], cwd=ROOT).stdout
        assert "failed 0" not in lost
    with failing_api() as (url, charged):
        kept = run([*command, url], cwd=ROOT).stdout
    assert kept == "paid 20, failed 0, cookies {'session': '1'}\n"
    assert charged == {str(order): 1 for order in range(20)}


def test_a_module_that_is_imported_before_it_is_all_that_it_takes() -> None:
    program = "examples/node/orders_fetch.mjs"
    with failing_api() as (url, _):
        lost = run(["node", program, url], cwd=ROOT)
        assert "failed 0" not in lost.stdout
    with failing_api() as (url, charged):
        kept = run(["node", "--import", "./examples/node/behind.mjs", program, url], cwd=ROOT)
    assert kept.stdout == "paid 20, failed 0\n"
    assert "[Ambassador] Retry 1 after " in kept.stderr
    assert charged == {str(order): 1 for order in range(20)}
