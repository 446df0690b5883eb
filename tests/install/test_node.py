"""The npm tarball, in an empty project, by both kinds of module."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from programs import ROOT, VERSION, run, the_one, the_seeds_program_behaves

IMPORT = 'import { AmbassadorProxy } from "ambassador-proxy";'
REQUIRE = 'const { AmbassadorProxy } = require("ambassador-proxy");'


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("node")
    (project / "package.json").write_text(json.dumps({"name": "shop", "version": "1.0.0", "private": True}))
    # Offline: the package depends on nothing.
    run(["npm", "install", "--offline", "--no-audit", "--no-fund", the_one("npm/*.tgz")], cwd=project)
    return project


def test_the_seeds_program_runs_as_an_es_module(project: Path) -> None:
    program = (ROOT / "examples/node/seed.mjs").read_text()
    (project / "seed.mjs").write_text(program)
    the_seeds_program_behaves(["node", "seed.mjs"], cwd=project)


def test_the_seeds_program_runs_as_a_commonjs_module(project: Path) -> None:
    program = (ROOT / "examples/node/seed.mjs").read_text()
    assert program.count(IMPORT) == 1
    (project / "seed.cjs").write_text(program.replace(IMPORT, REQUIRE))
    the_seeds_program_behaves(["node", "seed.cjs"], cwd=project)


def test_both_kinds_of_module_give_the_same_class(project: Path) -> None:
    (project / "same.mjs").write_text(
        'import { createRequire } from "node:module";\n'
        f"{IMPORT}\n"
        'console.log(createRequire(import.meta.url)("ambassador-proxy").AmbassadorProxy === AmbassadorProxy);\n'
    )
    assert run(["node", "same.mjs"], cwd=project).stdout == "true\n"


def test_what_is_installed_is_of_this_version_and_small(project: Path) -> None:
    installed = project / "node_modules/ambassador-proxy"
    assert json.loads((installed / "package.json").read_text())["version"] == VERSION
    assert not installed.is_symlink()
    assert not (installed / "__test__").exists()
