"""The dashboard and the alerts in examples/ name metrics that there are, and Prometheus understands the alerts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "examples/prometheus/alerts.yaml"
NAME = re.compile(r"\bambassador_[a-z_]+")


@pytest.mark.parametrize("file", [ALERTS, ROOT / "examples/grafana/ambassador.json"], ids=lambda file: file.name)
def test_every_metric_that_is_named_is_told(file: Path) -> None:
    told = set(NAME.findall((ROOT / "docs/metrics.md").read_text()))
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(file.read_text())}
    assert len(named) > 5
    assert named <= told, f"no such metric: {named - told}"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not here: Debian's package prometheus has it")
def test_prometheus_understands_the_alerts() -> None:
    checked = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
