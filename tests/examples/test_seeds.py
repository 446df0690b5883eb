"""The seed's programs: with their class replaced by an import, and not a line else changed."""

from __future__ import annotations

import pytest
from programs import ROOT, the_seeds_program_behaves

# As the seed's document has them: without indentation, and without the class that they define for themselves.
PYTHON = """\
import time
import random
from typing import Callable, Any
# Main app — no networking logic
class PaymentService:
def __init__(self):
self.ambassador = AmbassadorProxy("payment-api.example.com")
def charge(self, amount: float):
return self.ambassador.call(self._do_charge, amount)
def _do_charge(self, amount: float):
if random.random() < 0.6:
raise ConnectionError("Payment API unreachable")
return {"status": "charged", "amount": amount}
# Usage
service = PaymentService()
try:
result = service.charge(99.99)
print(result)
except ConnectionError as e:
print(f"All retries failed: {e}")
"""
JAVASCRIPT = """\
// Main app
class PaymentService {
constructor() {
this.ambassador = new AmbassadorProxy("payment-api.example.com");
}
async charge(amount) {
return this.ambassador.call(this._doCharge.bind(this), amount);
}
async _doCharge(amount) {
if (Math.random() < 0.6) throw new Error("Payment API unreachable");
return { status: "charged", amount };
}
}
// Usage
const service = new PaymentService();
service.charge(99.99)
.then(console.log)
.catch(e => console.log("All retries failed:", e.message));
"""
IMPORTS = {
    "python/seed.py": (PYTHON, "from ambassador_proxy import AmbassadorProxy"),
    "node/seed.mjs": (JAVASCRIPT, 'import { AmbassadorProxy } from "ambassador-proxy";'),
}


@pytest.mark.parametrize("program", IMPORTS)
def test_the_program_is_the_seeds_but_for_its_import(program: str) -> None:
    seed, imported = IMPORTS[program]
    lines = [line.strip() for line in (ROOT / "examples" / program).read_text().splitlines()]
    lines.remove(imported)
    first = lines.index(seed.splitlines()[0])
    assert [line for line in lines[first:] if line] == seed.splitlines()
    assert all(not line or line.startswith(("#", "//")) for line in lines[:first])


COMMANDS = {
    "Python": ["build/venv/bin/python", "examples/python/seed.py"],
    "Node": ["node", "examples/node/seed.mjs"],
    "Java": ["java", "-cp", "build/java/ambassador-proxy.jar", "examples/java/Seed.java"],
    "C": ["build/examples/seed-c"],
    "C++": ["build/examples/seed-cpp"],
    "Rust": ["target/release/seed"],
}


@pytest.mark.parametrize("language", COMMANDS)
def test_the_program_charges_or_says_that_all_retries_failed(language: str) -> None:
    the_seeds_program_behaves(COMMANDS[language], cwd=ROOT)
