"""A payment service: the service posts its orders, and the ambassador does the networking. It chooses one of the API's
endpoints, sends one idempotency key with all attempts of a call, so that an answer lost on the way never charges twice, and
decides whether, when and where to try again.

    build/venv/bin/python examples/python/payments.py [--calls N] URL...

where the URLs are the endpoints of a payment API as ``ambassador demo`` starts one. Retry lines go to stderr; the last line on
stdout is a report in JSON.
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from ambassador_proxy import AmbassadorError, AmbassadorProxy, Backoff, Breaker

#: Calls in flight at once.
AT_ONCE = 4


@dataclass(frozen=True)
class Order:
    order: str
    amount: float


class Refused(Exception):
    """The API answered with anything but a receipt."""


class PaymentService:
    """Charges orders. It knows the API, not how to reach it."""

    def __init__(self, urls: list[str]) -> None:
        self.ambassador = AmbassadorProxy(
            "http://payment-api.example.com",
            endpoints=urls,
            idempotency_key="auto",
            max_retries=6,
            timeout=0.4,
            backoff=Backoff(base=0.05, max=0.5),
            # This API fails often, and is not down for that: only when nearly all fails.
            breaker=Breaker(failure_rate=0.9),
        )

    def charge(self, order: Order) -> str:
        """The order that the receipt is for."""
        response = self.ambassador.post("/charges", json=asdict(order))
        if not response.is_success:
            raise Refused(f"the payment API answered {response.status_code}")
        return str(response.json()["order"])


def charge_all(urls: list[str], calls: int) -> dict[str, object]:
    """Charges that many orders; the report's counts are the ambassador's own."""
    service = PaymentService(urls)
    run = secrets.token_hex(4)

    def charge_one(number: int) -> bool:
        order = Order(f"python-{number}-{run}", 99.99)
        try:
            receipt = service.charge(order)
        except (Refused, AmbassadorError) as error:
            print(f"{order.order}: {error}", file=sys.stderr)
            return False
        if receipt != order.order:
            print(f"{order.order}: the receipt is for {receipt}", file=sys.stderr)
        return receipt == order.order

    begun = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as tills:
        charged = sum(tills.map(charge_one, range(1, calls + 1)))
    seconds = time.monotonic() - begun
    health = service.ambassador.health()
    return {
        "language": "Python",
        "calls": calls,
        "attempts": sum(health["attempts"].values()),
        "retries": health["retries"],
        "timeouts": health["attempts"]["timeout"],
        "charged": charged,
        "failed": calls - charged,
        "seconds": round(seconds, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="payments.py", description="Charges orders at a payment API.")
    parser.add_argument(
        "urls", metavar="URL", nargs="+", help="the payment API's endpoints, as `ambassador demo` prints them"
    )
    parser.add_argument("--calls", metavar="N", type=int, default=40, help="how many orders to charge (default: 40)")
    asked = parser.parse_args()
    # Retry lines are warnings of the logger `ambassador`.
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    print(json.dumps(charge_all(asked.urls, asked.calls)))


if __name__ == "__main__":
    main()
