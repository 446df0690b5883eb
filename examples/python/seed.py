# The seed's program, with its class replaced by an import, and not a line else changed. It may end with "All retries failed",
# and that is right: six attempts in ten fail, and a call has three.
#
#     build/venv/bin/python examples/python/seed.py
import time
import random
from typing import Callable, Any

from ambassador_proxy import AmbassadorProxy


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
