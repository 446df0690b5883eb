"""`make test`: runs the suites one after the other, each by its own make target, and ends with one table of them all.

Each suite's runner says itself how it went; what is counted here is read from the reports it leaves. A suite that fails, or
leaves no report, or a report without tests, makes the whole red. So does a surface that did not run every conformance vector,
or said why not.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "build/reports"


@dataclass
class Count:
    tests: int = 0
    passed: int = 0
    skipped: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.tests + other.tests, self.passed + other.passed, self.skipped + other.skipped)


def cargo(log: Path) -> Count:
    """`test result: ok. 12 passed; 0 failed; 1 ignored; …`, once for each test program."""
    found = re.findall(r"^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored", log.read_text(), re.MULTILINE)
    return sum((Count(int(p) + int(f) + int(i), int(p), int(i)) for p, f, i in found), Count())


def junit(report: Path) -> Count:
    count = Count()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        failed = case.find("failure") is not None or case.find("error") is not None or case.get("status") == "fail"
        skipped = case.find("skipped") is not None or case.get("status") in ("notrun", "disabled")
        count += Count(1, int(not failed and not skipped), int(skipped and not failed))
    return count


def tap(report: Path) -> Count:
    """The totals at the end of node:test's TAP: `# tests 12`, `# pass 12`, `# skipped 0`."""
    totals = dict(re.findall(r"^# (tests|pass|skipped|todo) (\d+)$", report.read_text(), re.MULTILINE))
    return Count(int(totals["tests"]), int(totals["pass"]), int(totals["skipped"]) + int(totals["todo"]))


# What the table calls a suite, where its reports are, and who reads them.
SUITES = {
    "rust": ("Rust", [REPORTS / "rust.log"], cargo),
    "c": ("C and C++", [REPORTS / "c.xml"], junit),
    "python": ("Python", [REPORTS / "python.xml"], junit),
    "node": ("Node", [REPORTS / "node.tap"], tap),
    "java": ("Java", [ROOT / "bindings-java/target/surefire-reports/TEST-*.xml"], junit),
    "streams": ("streams of events", [REPORTS / "streams.xml"], junit),
    "network": ("endpoints that go away", [REPORTS / "network.xml"], junit),
    "tracing": ("the host's own tracer", [REPORTS / "tracing.xml"], junit),
    "browser": ("the live page", [REPORTS / "browser.tap"], tap),
    "examples": ("examples", [REPORTS / "examples.xml"], junit),
    "install": ("as installed", [REPORTS / "install.xml"], junit),
    "docs": ("README and docs", [REPORTS / "docs.xml"], junit),
}


# Who runs the conformance vectors, and in which suite.
SURFACES = {
    "Rust": "rust",
    "C": "c",
    "C (spawned)": "c",
    "C++": "c",
    "C++ (spawned)": "c",
    "Python sync": "python",
    "Python sync on the caller's thread": "python",
    "Python asyncio": "python",
    "Node": "node",
    "Java": "java",
    "Java on workers": "java",
    "Java stages": "java",
}
CONFORMANCE = re.compile(r"conformance: (.+?) ran (\d+) vectors, skipped (\d+)(?:: (.*))?")


def run(make: str, suite: str, ran: dict[str, tuple[int, int, str]]) -> int:
    """Runs a suite, shows what it says, and notes what it says of the vectors."""
    process = subprocess.Popen([make, f"test-{suite}"], cwd=ROOT, stdout=subprocess.PIPE, text=True, errors="replace")
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        if found := CONFORMANCE.search(line):
            ran[found[1]] = (int(found[2]), int(found[3]), (found[4] or "").strip())
    return process.wait()


def conformance(suites: list[str], ran: dict[str, tuple[int, int, str]]) -> bool:
    """The table of surfaces and vectors; whether all is well."""
    total = len(json.loads((ROOT / "conformance/vectors.json").read_text()))
    well = True
    print(f"\nconformance: {total} vectors")
    for surface, suite in SURFACES.items():
        if suite not in suites:
            continue
        did, skipped, reason = ran.get(surface, (0, 0, ""))
        fits = did + skipped == total and (skipped == 0 or bool(reason))
        well &= fits
        note = "" if fits else "  FAILED: not all of them, and not said why"
        print(f"  {surface:<34} ran {did:>3}, skipped {skipped}{': ' + reason if reason else ''}{note}")
    return well


def reports(suite: str) -> list[Path]:
    return [file for pattern in SUITES[suite][1] for file in sorted(pattern.parent.glob(pattern.name))]


def count(suite: str) -> Count:
    reader = SUITES[suite][2]
    return sum((reader(file) for file in reports(suite)), Count())


def main() -> int:
    make, *suites = sys.argv[1:]
    rows, red = [], False
    ran: dict[str, tuple[int, int, str]] = {}
    for suite in suites:
        for old in reports(suite):
            old.unlink()
        print(f"\n\033[1m==> make test-{suite}\033[0m", flush=True)
        begun = time.monotonic()
        status = run(make, suite, ran)
        seconds = time.monotonic() - begun
        counted = count(suite)
        note = ""
        if status != 0:
            note = f"FAILED (status {status})"
        elif counted.tests == 0:
            note = "FAILED (no test ran)"
        elif counted.passed + counted.skipped != counted.tests:
            note = "FAILED"
        elif counted.skipped:
            note = f"{counted.skipped} skipped"
        red |= note.startswith("FAILED")
        rows.append((SUITES[suite][0], str(counted.tests), str(counted.passed), f"{seconds:.0f} s", note))
    print()
    header = ("tests of", "tests", "passed", "time", "")
    widths = [max(len(row[at]) for row in [header, *rows]) for at in range(4)]
    for row in [header, *rows]:
        first = row[0].ljust(widths[0])
        print("  ".join([first, *(row[at].rjust(widths[at]) for at in (1, 2, 3)), row[4]]).rstrip())
    red |= not conformance(suites, ran)
    print("\nsomething failed; its own output is above" if red else "\nall passed")
    return int(red)


if __name__ == "__main__":
    sys.exit(main())
