"""A configuration file that changes under load: calls go on, a broken file changes nothing, and the mended one is seen."""

from __future__ import annotations

import os
import threading
import time
import urllib.request
from pathlib import Path
from queue import Queue
from typing import Any

from ambassador_proxy import AmbassadorProxy, configure, serve_admin

CALLS = 100_000
PATIENCE = 60.0


def rename_over(path: Path, text: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(text)
    os.replace(beside, path)


def test_no_call_fails_because_the_file_changes_and_a_broken_one_changes_nothing(tmp_path: Path) -> None:
    proxy = AmbassadorProxy("reloaded-under-load.example.com", max_retries=3)
    told: Queue[dict[str, Any]] = Queue()
    proxy.on_event(lambda event: told.put(event) if event["type"] == "config" else None)
    path = tmp_path / "ambassador.yaml"

    def said(attempts: int) -> str:
        return f"version: 1\ntargets: {{{proxy.target}: {{max_retries: {attempts}}}}}\n"

    path.write_text(said(4))
    configure(path)
    assert told.get(timeout=PATIENCE)["changed"] == ["max_retries 3, now 4"]
    calls, is_over = [0], threading.Event()
    wrong: list[BaseException] = []

    def load() -> None:
        try:
            while not is_over.is_set() or calls[0] < CALLS:
                assert proxy.call(lambda: 7) == 7
                calls[0] += 1
        except BaseException as error:
            wrong.append(error)

    loading = threading.Thread(target=load)
    loading.start()
    slowest = 0.0
    try:
        with serve_admin("127.0.0.1:0") as admin:

            def ready() -> str:
                with urllib.request.urlopen(admin.url + "readyz") as answer:
                    text: str = answer.read().decode()
                return text

            for change in range(50):
                attempts = 5 + change % 2
                if change % 5 == 4:
                    before = proxy.max_retries
                    rename_over(path, "version: 1\ntargets: {x: {max_retries: many}}\n")
                    why = told.get(timeout=PATIENCE)["why"]
                    assert "ambassador.yaml:2:28: targets.x.max_retries" in why
                    assert proxy.max_retries == before
                    assert why in ready()
                began = time.monotonic()
                rename_over(path, said(attempts))
                # After a fault the first event tells that there is none any more, or what has changed.
                while proxy.max_retries != attempts:
                    told.get(timeout=PATIENCE)
                slowest = max(slowest, time.monotonic() - began)
                while ready() != "ready\n":
                    told.get(timeout=PATIENCE)
                while not told.empty():
                    told.get()
    finally:
        is_over.set()
        loading.join()
        configure({"version": 1})
    assert wrong == []
    print(f"{calls[0]} calls, 50 changes, the slowest seen after {slowest * 1000:.0f} ms")
