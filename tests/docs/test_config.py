"""The configurations in docs/config.md are right, and come to what the page says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from blocks import blocks
from programs import ROOT

PAGE = [block for block in blocks() if block.page == ROOT / "docs/config.md"]
FILES = [block for block in PAGE if block.language == "yaml"]


def ambassador(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = ROOT / "target/release/ambassador"
    environment = {**os.environ, "PAYMENTS_TOKEN": "a token"}
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("block", FILES, ids=[block.name for block in FILES])
def test_a_file_of_the_page_is_right(block, tmp_path):
    (tmp_path / "ambassador.yaml").write_text(block.code)
    ran = ambassador(tmp_path, "check", "ambassador.yaml")
    assert (ran.returncode, ran.stdout) == (0, "ambassador.yaml is right\n"), ran.stderr


def test_the_first_file_comes_to_what_the_page_says(tmp_path):
    (tmp_path / "ambassador.yaml").write_text(FILES[0].code)
    (explained,) = [block for block in PAGE if block.code.startswith("payment-api.example.com\n")]
    assert ambassador(tmp_path, "explain", "ambassador.yaml", "payment-api.example.com").stdout == explained.code


def test_faults_are_told_as_the_page_shows_them(tmp_path):
    (tmp_path / "wrong.yaml").write_text(
        "version: 1\ndefaults: {timeut: 1s}\ntargets: {a.example.com: {max_retries: 0}}\n"
    )
    ran = ambassador(tmp_path, "check", "wrong.yaml")
    (shown,) = [block for block in PAGE if block.code.startswith("wrong.yaml")]
    assert ran.returncode == 1
    said = ran.stderr.splitlines()
    assert len(said) == len(shown.code.splitlines())
    for line, expected in zip(said, shown.code.splitlines(), strict=True):
        begins, _, ends = expected.partition("…")
        assert line.startswith(begins)
        assert line.endswith(ends)
