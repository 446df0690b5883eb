"""Runs ``bench.c``, built against ``build/prefix`` and libcurl, on a server that is nginx in a process of its own.

Where nginx, or what libcurl's programs are built with, is not there and cannot be installed, it says so and measures nothing.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "benches"))

from nginx import server  # noqa: E402

NEEDED = ["nginx", "curl-config=libcurl4-openssl-dev"]


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
