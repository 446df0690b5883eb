"""A program written against java.net.http, behind the ambassador by its client alone."""

from __future__ import annotations

from programs import ROOT, run


def test_the_program_with_a_client_of_java_gets_every_answer() -> None:
    said = run(["java", "-cp", "build/java/ambassador-proxy.jar", "examples/java/Existing.java"], cwd=ROOT)
    assert said.stdout == "20 of 20 rates known, from a server that refused every third request\n"
    assert "[Ambassador] Retry 1 after" in said.stderr
