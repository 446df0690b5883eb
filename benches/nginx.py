"""The server that requests are measured against: nginx in a process of its own, which answers with 100 bytes."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port} backlog=1024; location / {{ default_type text/plain; return 200 "{body}"; }} }}
}}
"""


@contextlib.contextmanager
def server() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        settings = Path(folder) / "nginx.conf"
        settings.write_text(NGINX.format(folder=folder, port=port, body="x" * 100))
        running = subprocess.Popen(["nginx", "-c", settings, "-p", folder], stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 10
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                if time.monotonic() > until:
                    raise SystemExit("nginx does not answer")
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            running.terminate()
            running.wait()
