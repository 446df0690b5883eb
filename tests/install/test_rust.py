"""The crate, in a new project."""

from __future__ import annotations

import shutil
from pathlib import Path

from programs import ROOT, run, the_seeds_program_behaves

MANIFEST = """\
[package]
name = "shop"
version = "1.0.0"
edition = "2024"

[dependencies]
ambassador-core = {{ path = "{core}" }}
fastrand = "2"
tokio = {{ version = "1", features = ["macros", "net", "rt-multi-thread", "time", "sync"] }}
tracing-subscriber = {{ version = "0.3", default-features = false, features = ["fmt", "std"] }}
"""


def test_the_seeds_program_runs(tmp_path: Path) -> None:
    (tmp_path / "Cargo.toml").write_text(MANIFEST.format(core=ROOT / "core"))
    (tmp_path / "src").mkdir()
    shutil.copy(ROOT / "examples/rust/src/bin/seed.rs", tmp_path / "src/main.rs")
    # The versions that are tested, which are on this machine already; a folder that outlives the test, to build them once.
    shutil.copy(ROOT / "Cargo.lock", tmp_path)
    target = ROOT / "build/tests/rust"
    run(["cargo", "build", "--offline", "--target-dir", target], cwd=tmp_path)
    the_seeds_program_behaves([target / "debug/shop"], cwd=tmp_path)
