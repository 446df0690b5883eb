"""A program that was written for `requests`: it pays for orders, and downloads their receipts. All that was changed to put it
behind the ambassador is the line that mounts the adapter.

    build/venv/bin/python examples/python/orders_requests.py [--plain] URL

where URL is a payment API; `--plain` leaves the ambassador out.
"""

from __future__ import annotations

import sys

import requests


class Payments:
    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self.session = session
        self.session.headers["x-shop"] = "7"

    def pay(self, order: str, amount: float) -> str:
        response = self.session.post(
            f"{self.url}/charges",
            json={"order": order, "amount": amount},
            headers={"idempotency-key": f"order-{order}"},
            timeout=5,
        )
        response.raise_for_status()
        return str(response.json()["receipt"])

    def receipt(self, receipt: str) -> int:
        """Its length, read piece by piece."""
        with self.session.get(f"{self.url}/receipts/{receipt}", stream=True, timeout=5) as response:
            response.raise_for_status()
            return sum(len(piece) for piece in response.iter_content(8192))


def main(url: str, is_plain: bool) -> int:
    session = requests.Session()
    if not is_plain:
        from ambassador_proxy.requests import AmbassadorAdapter

        session.mount("http://", AmbassadorAdapter(max_retries=5, backoff={"base": 0.01}))
    payments = Payments(url, session)
    paid = failed = 0
    for order in range(20):
        try:
            receipt = payments.pay(str(order), 9.99)
            paid += payments.receipt(receipt) > 0
        except requests.RequestException as error:
            print(f"order {order}: {error}", file=sys.stderr)
            failed += 1
    print(f"paid {paid}, failed {failed}, cookies {dict(session.cookies)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[-1], "--plain" in sys.argv))
