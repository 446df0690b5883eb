"""The wheel, in a new virtual environment."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from programs import ROOT, VERSION, run, the_one, the_seeds_program_behaves


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("python")
    run([sys.executable, "-m", "venv", "venv"], cwd=place)
    python = place / "venv/bin/python"
    # No index: the wheel needs nothing else.
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    run([*pip, the_one("wheels/*.whl")], cwd=place)
    return python


def test_the_seeds_program_runs(python: Path, tmp_path: Path) -> None:
    program = tmp_path / "seed.py"
    program.write_text((ROOT / "examples/python/seed.py").read_text())
    the_seeds_program_behaves([python, program], cwd=tmp_path)


def test_the_module_is_the_installed_one_and_knows_its_version(python: Path, tmp_path: Path) -> None:
    program = "import ambassador_proxy as a; print(a.__version__, a.__file__)"
    version, file = run([python, "-c", program], cwd=tmp_path).stdout.split()
    assert version == VERSION
    assert Path(file).is_relative_to(python.parent.parent)


def test_it_is_typed(python: Path, tmp_path: Path) -> None:
    program = "import ambassador_proxy, pathlib as p; print(*p.Path(ambassador_proxy.__file__).parent.iterdir())"
    names = {Path(file).name for file in run([python, "-c", program], cwd=tmp_path).stdout.split()}
    assert "py.typed" in names
