"""`make bench`: runs each language's benchmark, one after the other, and writes their tables into benches/README.md, between its
two marks; what stands around them is left as it is. `python3 tools/bench.py python node` runs these two, and leaves the
others' tables as they are.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "benches/README.md"
JAVA_PATH = os.pathsep.join(
    ["benches/java/target/classes", "benches/java/target/lib/*", "build/java/ambassador-proxy.jar"]
)

# Each language's commands; the last one prints the tables.
COMMANDS = {
    "python": [["build/venv/bin/python", "benches/python/bench.py"]],
    "python-http": [["build/venv/bin/python", "benches/python/bench_http.py"]],
    "node": [["node", "benches/node/bench.mjs"]],
    "node-http": [["node", "benches/node/bench_http.mjs"]],
    "java": [
        ["mvn", "-B", "-ntp", "-q", "-f", "benches/java/pom.xml", "process-classes"],
        ["java", "-cp", JAVA_PATH, "bench.Main"],
    ],
    "java-http": [
        ["mvn", "-B", "-ntp", "-q", "-f", "benches/java/pom.xml", "process-classes"],
        ["java", "-cp", JAVA_PATH, "bench.Http"],
    ],
    "c": [["make", "-s", "build/made/prefix"], ["python3", "benches/c/bench.py"]],
    "rust": [["cargo", "run", "--quiet", "--release", "-p", "ambassador-benches"]],
}


def first_line(*command: str) -> str:
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return (ran.stdout + ran.stderr).strip().splitlines()[0]


def machine() -> str:
    """What the figures were measured on: the processor and the versions, and no name of the machine."""
    cpus = Path("/proc/cpuinfo")
    model = re.search(r"^model name\s*:\s*(.+)$", cpus.read_text(), re.MULTILINE) if cpus.exists() else None
    versions = {
        "python": f"Python {platform.python_version()}",
        "node": f"Node {first_line('node', '--version')}",
        "java": first_line("java", "-version").replace('"', ""),
        "rust": first_line("rustc", "--version").split(" (")[0],
    }
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores; {', '.join(versions.values())}"


#: What a benchmark exits with that cannot be run here, having said why.
NOT_HERE = 77


def tables(language: str) -> str | None:
    print(f"\033[1m==> bench: {language}\033[0m", flush=True)
    *preparing, measuring = COMMANDS[language]
    for command in preparing:
        subprocess.run(command, cwd=ROOT, check=True)
    # What a program says on stderr is for who watches; the page gets stdout alone.
    ran = subprocess.run(measuring, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
    if ran.returncode == NOT_HERE:
        return None
    ran.check_returncode()
    found = "\n\n".join(re.findall(r"(?:^\|.*\n)+", ran.stdout, re.MULTILINE)).strip()
    if not found:
        raise SystemExit(f"{' '.join(measuring)} printed no table")
    print(found, flush=True)
    today = datetime.date.today().isoformat()
    return f"Measured on {today} by `{' '.join(measuring)}` on {machine()}.\n\n{found}"


def main() -> None:
    languages = sys.argv[1:] or list(COMMANDS)
    if unknown := set(languages) - set(COMMANDS):
        raise SystemExit(f"no benchmark for {', '.join(sorted(unknown))}; there are {', '.join(COMMANDS)}")
    for language in languages:
        measured = tables(language)
        if measured is None:
            continue
        page = PAGE.read_text()
        marked = re.compile(rf"(?s)(<!-- {language} -->\n).*?(<!-- /{language} -->)")
        if not marked.search(page):
            raise SystemExit(f"{PAGE.relative_to(ROOT)} has no place for {language}")
        # At once: a later benchmark that fails takes nothing from this one.
        PAGE.write_text(marked.sub(lambda around, text=measured: f"{around[1]}\n{text}\n\n{around[2]}", page))


if __name__ == "__main__":
    main()
