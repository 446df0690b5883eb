"""Runs ``bench.c``, built against ``build/prefix`` and libcurl, on a server that is nginx in a process of its own.

Where nginx, or what libcurl's programs are built with, is not there and cannot be installed, it says so and measures nothing.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
NEEDED = ["nginx", "curl-config=libcurl4-openssl-dev"]

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


def main() -> None:
    if subprocess.run([ROOT / "tools/system-packages", *NEEDED], stdout=sys.stderr).returncode != 0:
        print("C is left out: nginx, or libcurl to compile with, is missing", file=sys.stderr)
        raise SystemExit(77)
    program = ROOT / "build/benches/c"
    program.parent.mkdir(parents=True, exist_ok=True)
    prefix = ROOT / "build/prefix"
    flags = ["-std=c11", "-D_DEFAULT_SOURCE", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", f"-I{prefix}/include"]
    links = [f"-L{prefix}/lib", f"-Wl,-rpath,{prefix}/lib", "-lambassador", "-lcurl", "-lpthread"]
    subprocess.run(["cc", *flags, ROOT / "benches/c/bench.c", "-o", program, *links], check=True)
    with server() as url:
        subprocess.run([program, url], check=True)


if __name__ == "__main__":
    main()
