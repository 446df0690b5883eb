"""The admin server of a process whose Python is stuck: it answers from a thread that never asks for the interpreter's lock."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import textwrap
import urllib.request

PROGRAM = """
    import ctypes
    from ambassador_proxy import AmbassadorProxy

    ambassador = AmbassadorProxy("payments.example.com")
    # PyDLL keeps the lock while C runs, which says so from within, and goes on when its stdin is closed.
    ctypes.PyDLL(None).system(b"echo stuck; read line")
"""


def test_it_answers_while_the_interpreters_lock_is_held():
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "AMBASSADOR_ADMIN": address},
    ) as child:
        try:
            assert child.stdout.readline() == b"stuck\n"
            for path, part in [("/", "<!doctype html>"), ("/healthz", "alive"), ("/metrics", "payments.example.com")]:
                with urllib.request.urlopen(f"http://{address}{path}", timeout=60) as answer:
                    assert part in answer.read().decode()
            assert child.poll() is None
        finally:
            child.stdin.close()
            child.wait()
