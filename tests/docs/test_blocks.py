"""Every block of code in README and docs does what it says: it is run as it stands, and prints what it says that it prints.

What cannot be run is checked another way: shell lines name what exists, project files name this version, and Rust is left to
the documentation tests of `examples/rust`, which must know the page.
"""

from __future__ import annotations

import json
import os
import re
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from blocks import Block, blocks
from programs import PREFIX, ROOT, STRICT_C, STRICT_CPP, VERSION, Ran, run, the_one

ALL = blocks()

#: What is shown, not run.
SHOWN = {"text", "yaml", ""}


def of(*languages: str) -> pytest.MarkDecorator:
    chosen = [block for block in ALL if block.language in languages]
    assert chosen, f"no block of {languages}"
    return pytest.mark.parametrize("block", chosen, ids=[block.name for block in chosen])


def prints_what_it_says(block: Block, ran: Ran) -> None:
    said = iter(ran.stdout.splitlines())
    for line in block.printed:
        assert line in said, f"{block.name}: never printed, or not in that order: {line}\n{ran.stdout}"


@of("python")
def test_python(block: Block, tmp_path: Path) -> None:
    program = tmp_path / "block.py"
    program.write_text(block.code)
    prints_what_it_says(block, run([ROOT / "build/venv/bin/python", program], cwd=tmp_path))


@pytest.fixture(scope="module")
def node_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("node")
    (project / "package.json").write_text('{"name": "shop", "version": "1.0.0", "private": true, "type": "module"}')
    run(["npm", "install", "--offline", "--no-audit", "--no-fund", the_one("npm/*.tgz")], cwd=project)
    return project


@of("js")
def test_node(block: Block, node_project: Path) -> None:
    program = node_project / "block.js"
    program.write_text(block.code)
    prints_what_it_says(block, run(["node", program], cwd=node_project))


@of("ts")
def test_typescript(block: Block, node_project: Path) -> None:
    (node_project / "typed.ts").write_text(block.code)
    tsc = ROOT / "bindings-node/node_modules/.bin/tsc"
    options = ["--strict", "--module", "nodenext", "--target", "es2022", "--outDir", "typed"]
    run([tsc, *options, "typed.ts"], cwd=node_project)
    prints_what_it_says(block, run(["node", "typed/typed.js"], cwd=node_project))


JAVA = """\
import io.ambassador.*;
import java.time.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.function.*;

class Block {{
    public static void main(String[] args) throws Throwable {{
{}
    }}
}}
"""


@of("java")
def test_java(block: Block, tmp_path: Path) -> None:
    program = tmp_path / "Block.java"
    program.write_text(block.code if "void main(" in block.code else JAVA.format(block.code))
    jar = ROOT / "build/java/ambassador-proxy.jar"
    prints_what_it_says(block, run(["java", "-cp", jar, program], cwd=tmp_path))


C_HEADERS = ("<ambassador.h>", "<assert.h>", "<stdio.h>", "<stdlib.h>", "<string.h>")
CPP_HEADERS = (
    "<ambassador.hpp>",
    "<cassert>",
    "<chrono>",
    "<cstdio>",
    "<cstdlib>",
    "<future>",
    "<iostream>",
    "<stdexcept>",
    "<string>",
)


class PaymentApi(BaseHTTPRequestHandler):
    """What the pages of C and C++, which bring no server along, send their requests to."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.answer(201, f"charged {json.loads(asked)['amount']}".encode() if asked else b"charged")

    def do_GET(self) -> None:
        self.answer(200, b"r" * 300_000 if self.path == "/report" else b"")

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def payments() -> Iterator[dict[str, str]]:
    """The environment of programs that call the payment API."""
    with ThreadingHTTPServer(("127.0.0.1", 0), PaymentApi) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"PAYMENTS_URL": f"http://127.0.0.1:{server.server_port}"}
        server.shutdown()


def compiled(
    block: Block, tmp_path: Path, compiler: list[str], suffix: str, headers: tuple[str, ...], env: dict[str, str]
) -> Ran:
    code = block.code
    if "int main" not in code:
        using = "using namespace std::chrono_literals;\n" if suffix == "cpp" else ""
        code = "".join(f"#include {header}\n" for header in headers) + f"{using}int main(void)\n{{\n{code}}}\n"
    source = tmp_path / f"block.{suffix}"
    source.write_text(code)
    library = ["-L", PREFIX / "lib", f"-Wl,-rpath,{PREFIX}/lib", "-lambassador", "-lpthread"]
    run([*compiler, "-I", PREFIX / "include", source, "-o", tmp_path / "block", *library], cwd=tmp_path)
    return run([tmp_path / "block"], cwd=tmp_path, env=env)


@of("c")
def test_c(block: Block, tmp_path: Path, payments: dict[str, str]) -> None:
    prints_what_it_says(block, compiled(block, tmp_path, STRICT_C, "c", C_HEADERS, payments))


@of("cpp")
def test_cpp(block: Block, tmp_path: Path, payments: dict[str, str]) -> None:
    prints_what_it_says(block, compiled(block, tmp_path, STRICT_CPP, "cpp", CPP_HEADERS, payments))


@of("cmake")
def test_cmake(block: Block, tmp_path: Path) -> None:
    """A project of that block and the seed's programs, under the names that the block calls for."""
    for name in re.findall(r"[\w-]+\.c(?:pp)?\b", block.code):
        seed = "examples/cpp/seed.cpp" if name.endswith("cpp") else "examples/c/seed.c"
        (tmp_path / name).write_text((ROOT / seed).read_text())
    head = "" if "project(" in block.code else "cmake_minimum_required(VERSION 3.16)\nproject(shop C CXX)\n"
    (tmp_path / "CMakeLists.txt").write_text(head + block.code)
    run(["cmake", "-S", ".", "-B", "build", f"-DCMAKE_PREFIX_PATH={PREFIX}"], cwd=tmp_path)
    run(["cmake", "--build", "build"], cwd=tmp_path)


@of("rust")
def test_rust_blocks_are_documentation_tests(block: Block) -> None:
    page = os.path.relpath(block.page, ROOT / "examples/rust/src")
    assert f'"{page}"' in (ROOT / "examples/rust/src/lib.rs").read_text(), f"{block.name}: a page that no test reads"
    assert "," not in block.info, f"{block.name}: {block.info}: left out by the tests"


#: Lines of shell that have a test of their own, or none because they do nothing of ours.
INSTALLS = {
    "pip install ambassador-proxy": "tests/install/test_python.py",
    "npm install ambassador-proxy": "tests/install/test_node.py",
    "mvn -f bindings-java/pom.xml install -DskipTests": "tests/install/test_java.py",
}


def is_make(command: list[str]) -> bool:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    return command[0] == "make" and len(command) > 1 and set(command[1:]) <= targets


def is_ours(command: list[str]) -> bool:
    """A program of the repository or of its builds, named by its path; what it runs exists, too."""
    known = ("target/", "build/", "bindings-c/", "tools/", "examples/", "benches/")
    paths = [part for part in command if part.startswith(known)]
    return bool(paths) and all((ROOT / path).exists() or path.startswith("build/prefix") for path in paths)


def is_tool(command: list[str]) -> bool:
    return command[0] in ("cargo", "cc", "c++", "git", "cd", "doxygen", "pkg-config", "cmake", "export")


@of("sh")
def test_shell_lines_name_what_there_is(block: Block) -> None:
    code = block.code.replace("\\\n", " ")
    for line in code.splitlines():
        line = line.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        checks: list[Callable[[list[str]], bool]] = [is_make, is_ours, is_tool]
        assert line in INSTALLS or any(check(line.split()) for check in checks), f"{block.name}: what is this? {line}"


@of("toml", "xml")
def test_project_files_are_right_and_name_this_version(block: Block) -> None:
    if block.language == "xml":
        ElementTree.fromstring(block.code)
    else:
        # From Python 3.11 on.
        pytest.importorskip("tomllib").loads(block.code)
    for version in re.findall(
        r"ambassador[\w-]*(?:</artifactId>\s*<version>|\s*=\s*\"|.*version = \")(\d[\d.]*)", block.code
    ):
        assert VERSION.startswith(version), f"{block.name}: {version}, where this is {VERSION}"


def test_every_language_is_known() -> None:
    known = SHOWN | {"python", "js", "ts", "java", "c", "cpp", "cmake", "rust", "sh", "toml", "xml"}
    assert not [block.name for block in ALL if block.language not in known]
