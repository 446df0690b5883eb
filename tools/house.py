"""The repository's own rules, checked over the files that git tracks; part of `make lint`.

No path of one machine, no registry's host in a lock file or a project file, one version for all packages, and no link in a
page that leads nowhere.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Spelled in parts, so that this file keeps its own rule.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:" + "|".join(["work", "root", "home", "Users", "tmp/amb"]) + r")/[\w.]")
CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        yield from enumerate(file.read_text("utf-8").splitlines(), 1)
    except UnicodeDecodeError:
        return


def machine_paths(files: list[Path]) -> Iterator[str]:
    for file in files:
        for number, line in lines(file):
            if found := MACHINE_PATH.search(line):
                yield f"{file.relative_to(ROOT)}:{number}: a path of one machine: {found.group()}…"


def registry_hosts(files: list[Path]) -> Iterator[str]:
    for file in files:
        name = file.relative_to(ROOT)
        if file.name in (".npmrc", "pip.conf", "settings.xml") or name.match(".cargo/config*"):
            yield f"{name}: registries are each machine's own matter"
        for number, line in lines(file):
            if file.name == "Cargo.lock" and line.startswith("source = ") and line != f'source = "{CRATES_IO}"':
                yield f"{name}:{number}: not crates.io: {line}"
            if file.name.startswith("package") and file.suffix == ".json" and '"resolved": "http' in line:
                yield f"{name}:{number}: a registry's host; npm install --omit-lockfile-registry-resolved leaves it out"
            if file.name == "pom.xml" and re.search(r"<(plugin)?[rR]epositor(y|ies)>", line):
                yield f"{name}:{number}: repositories are each machine's own matter"
            if re.search(r"--(extra-)?index-url|--find-links|--registry[ =]", line) and file != Path(__file__):
                yield f"{name}:{number}: an address of a registry"


def first(pattern: str, file: Path) -> str | None:
    found = re.search(pattern, file.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return found.group(1) if found else None


def versions(files: list[Path]) -> Iterator[str]:
    ours = first(r'^\[workspace\.package\]\nversion = "([^"]+)"', ROOT / "Cargo.toml")
    if ours is None:
        yield "Cargo.toml: no version in [workspace.package]"
    for file in files:
        found: str | None = ours
        if file.name == "Cargo.toml" and file.parent != ROOT:
            found = ours if re.search(r"^version\.workspace = true$", file.read_text(), re.MULTILINE) else "its own"
        elif file == ROOT / "Cargo.toml":
            found = first(r'^ambassador-core = .*?version = "([^"]+)"', file)
        elif file.name == "package.json":
            package = json.loads(file.read_text())
            found = package.get("version", ours) if not package.get("private") else ours
        elif file.name == "pom.xml":
            found = first(r"</parent>.*?<version>([^<]+)</version>|", file) or first(
                r"<version>([^<]+)</version>", file
            )
        elif file.name == "pyproject.toml" and file.parent.name == "bindings-python":
            # None: maturin takes it from Cargo.toml.
            found = first(r'^version = "([^"]+)"', file) or ours
        elif file.name == "CHANGELOG.md":
            found = ours if ours and ours in file.read_text() else "no word of it"
        if found != ours:
            yield f"{file.relative_to(ROOT)}: version {found}, where Cargo.toml has {ours}"


def links(files: list[Path]) -> Iterator[str]:
    for file in files:
        if file.suffix != ".md":
            continue
        in_code = False
        for number, line in lines(file):
            in_code ^= line.lstrip().startswith("```")
            for target in [] if in_code else LINK.findall(line):
                path = target.split("#")[0]
                if path and "://" not in path and not path.startswith("mailto:") and not (file.parent / path).exists():
                    yield f"{file.relative_to(ROOT)}:{number}: leads nowhere: {target}"


def main() -> int:
    files = tracked()
    faults = [fault for rule in (machine_paths, registry_hosts, versions, links) for fault in rule(files)]
    for fault in faults:
        print(fault)
    if not faults:
        print(f"{len(files)} files keep the house's rules")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
