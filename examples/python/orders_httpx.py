"""A program that was written for `httpx`: it pays for orders, many at once, and downloads their receipts. All that was changed to
put it behind the ambassador is the client's transport.

    build/venv/bin/python examples/python/orders_httpx.py [--plain] URL

where URL is a payment API; `--plain` leaves the ambassador out.
"""

from __future__ import annotations

import asyncio
import sys

import httpx


async def pay(client: httpx.AsyncClient, order: str, amount: float) -> bool:
    response = await client.post(
        "/charges", json={"order": order, "amount": amount}, headers={"idempotency-key": f"order-{order}"}
    )
    response.raise_for_status()
    async with client.stream("GET", f"/receipts/{response.json()['receipt']}") as receipt:
        receipt.raise_for_status()
        return sum([len(piece) async for piece in receipt.aiter_bytes()]) > 0


async def main(url: str, is_plain: bool) -> int:
    transport = None
    if not is_plain:
        from ambassador_proxy.httpx import AsyncAmbassadorTransport

        transport = AsyncAmbassadorTransport(max_retries=5, backoff={"base": 0.01})
    async with httpx.AsyncClient(base_url=url, transport=transport, headers={"x-shop": "7"}) as client:
        orders = [pay(client, str(order), 9.99) for order in range(20)]
        ended = await asyncio.gather(*orders, return_exceptions=True)
        paid, failed = ended.count(True), sum(isinstance(one, httpx.HTTPError) for one in ended)
        print(f"paid {paid}, failed {failed}, cookies {dict(client.cookies)}")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[-1], "--plain" in sys.argv)))
