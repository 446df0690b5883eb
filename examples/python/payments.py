"""A payment service over real HTTP: urllib inside ``execute``. Each call sends one idempotency key with all its attempts,
so that an answer lost on the way never charges twice. The ambassador decides whether, when and how often to try again.

    build/venv/bin/python examples/python/payments.py [--calls N] URL

where URL is a payment API as ``ambassador demo`` starts one. Retry lines go to stderr; the last line on stdout is a
report in JSON. Functions run on the ambassador's workers, the default, so that a socket that hangs costs its caller no
more than the bound.
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from urllib.error import HTTPError

from ambassador_proxy import AmbassadorError, AmbassadorProxy, Attempt, Backoff, Breaker

#: Calls in flight at once.
AT_ONCE = 4


@dataclass(frozen=True)
class Order:
    order: str
    amount: float


class PaymentService:
    """Charges orders. It knows the API, not how to reach it in bad times."""

    def __init__(self, url: str) -> None:
        api = url.rstrip("/")
        self.charges = f"{api}/charges"
        self.ambassador = AmbassadorProxy(
            api.split("://")[-1],
            max_retries=6,
            timeout=0.4,
            backoff=Backoff(base=0.05, max=0.5, jitter="full"),
            # This API fails often, and is not down for that: only when nearly all fails.
            breaker=Breaker(failure_rate=0.9),
            not_on=is_final,
        )

    def charge(self, order: Order) -> str:
        """The order that the receipt is for."""
        return self.ambassador.execute(self._do_charge, order)

    def _do_charge(self, attempt: Attempt, order: Order) -> str:
        request = urllib.request.Request(
            self.charges,
            data=json.dumps(asdict(order)).encode(),
            headers={"content-type": "application/json", **attempt.headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=attempt.remaining) as response:
                return str(json.load(response)["order"])
        except HTTPError as error:
            with error:
                wait = error.headers["retry-after"]
            if wait is not None and wait.isdecimal():
                attempt.retry_after = int(wait)
            raise


def is_final(error: Exception) -> bool:
    """An order that the API calls wrong stays wrong."""
    return isinstance(error, HTTPError) and 400 <= error.code < 500 and error.code != 429


def charge_all(url: str, calls: int) -> dict[str, object]:
    """Charges that many orders; the report's counts are the ambassador's own."""
    service = PaymentService(url)
    run = secrets.token_hex(4)

    def charge_one(number: int) -> bool:
        order = Order(f"python-{number}-{run}", 99.99)
        try:
            receipt = service.charge(order)
        except (OSError, AmbassadorError) as error:
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
    parser.add_argument("url", metavar="URL", help="where the payment API is, as `ambassador demo` prints it")
    parser.add_argument("--calls", metavar="N", type=int, default=40, help="how many orders to charge (default: 40)")
    asked = parser.parse_args()
    # Retry lines are warnings of the logger `ambassador`.
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    print(json.dumps(charge_all(asked.url, asked.calls)))


if __name__ == "__main__":
    main()
