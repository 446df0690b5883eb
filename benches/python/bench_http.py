"""Requests for 100 bytes from a server on loopback, by the clients that Python people use and by ours: requests a second, and
what one costs this process in CPU, at 1 and at 64 concurrent. The server is nginx, in a process of its own; all rows run in one
process, one after the other, several times, and the best round of each counts.

``python bench_http.py requests ambassador`` measures these alone. Prints Markdown tables; ``make bench`` puts them into
``benches/README.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import aiohttp
import httpx
import requests
import requests.adapters
import urllib3
from ambassador_proxy import AmbassadorProxy

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nginx import server

ROUNDS = 3
SECONDS = 1.0
MANY = 64

#: Makes a request; raises when it was not answered as it should be.
Get = Callable[[], object]
GetAsync = Callable[[], Awaitable[object]]


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


#: Requests a second, and CPU seconds for each.
Figure = tuple[float, float]


def by_threads(get: Get, count: int) -> Figure:
    get()
    until, made = time.perf_counter() + SECONDS, [0] * count

    def loop(at: int) -> None:
        while time.perf_counter() < until:
            get()
            made[at] += 1

    begun, used = time.perf_counter(), cpu()
    if count == 1:
        loop(0)
    else:
        threads = [threading.Thread(target=loop, args=(at,)) for at in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return sum(made) / (time.perf_counter() - begun), (cpu() - used) / sum(made)


async def by_tasks(get: GetAsync, count: int) -> Figure:
    await get()
    until, made = time.perf_counter() + SECONDS, 0

    async def loop() -> None:
        nonlocal made
        while time.perf_counter() < until:
            await get()
            made += 1

    begun, used = time.perf_counter(), cpu()
    await asyncio.gather(*(loop() for _ in range(count)))
    return made / (time.perf_counter() - begun), (cpu() - used) / made


def sync_clients(url: str) -> dict[str, Get]:
    session = requests.Session()
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=MANY))
    client = httpx.Client(limits=httpx.Limits(max_connections=MANY), timeout=10)
    pool = urllib3.PoolManager(maxsize=MANY, retries=False)
    ours = AmbassadorProxy(url)

    def by_requests() -> None:
        assert len(session.get(f"{url}/", timeout=10).content) == 100

    def by_httpx() -> None:
        assert len(client.get(f"{url}/").content) == 100

    def by_urllib3() -> None:
        assert len(pool.request("GET", f"{url}/", timeout=10).data) == 100

    def by_ours() -> None:
        assert len(ours.get("/").content) == 100

    return {"requests": by_requests, "httpx": by_httpx, "urllib3": by_urllib3, "**Ambassador**": by_ours}


@contextlib.asynccontextmanager
async def async_clients(url: str) -> Iterator[dict[str, GetAsync]]:
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=MANY))
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=MANY), timeout=10)
    ours = AmbassadorProxy(url, name="asyncio")

    async def by_aiohttp() -> None:
        async with session.get(f"{url}/") as response:
            assert len(await response.read()) == 100

    async def by_httpx() -> None:
        assert len((await client.get(f"{url}/")).content) == 100

    async def by_ours() -> None:
        assert len((await ours.aget("/")).content) == 100

    try:
        yield {"httpx": by_httpx, "aiohttp": by_aiohttp, "**Ambassador**": by_ours}
    finally:
        await session.close()
        await client.aclose()


def is_asked_for(name: str) -> bool:
    return not sys.argv[1:] or name.strip("*").lower() in sys.argv[1:]


def best(figures: list[Figure]) -> Figure:
    return max(figures)


def table(title: str, peer: str, rows: dict[str, dict[int, list[Figure]]]) -> None:
    print(f"\n| {title} | 1 at once: req/s | CPU µs | {MANY} at once: req/s | CPU µs | {peer} = 1 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    base = best(rows[peer][MANY])[0] if peer in rows else None
    for name, figures in rows.items():
        (one, one_cpu), (many, many_cpu) = best(figures[1]), best(figures[MANY])
        ratio = f"{many / base:.1f}" if base else ""
        print(f"| {name} | {one:.0f} | {one_cpu * 1e6:.0f} | {many:.0f} | {many_cpu * 1e6:.0f} | {ratio} |")


async def measure_async(url: str) -> dict[str, dict[int, list[Figure]]]:
    rows: dict[str, dict[int, list[Figure]]] = {}
    async with async_clients(url) as clients:
        for _ in range(ROUNDS):
            for name, get in clients.items():
                if is_asked_for(name):
                    for count in (1, MANY):
                        rows.setdefault(name, {}).setdefault(count, []).append(await by_tasks(get, count))
    return rows


def main() -> None:
    with server() as url:
        rows: dict[str, dict[int, list[Figure]]] = {}
        clients = sync_clients(url)
        for _ in range(ROUNDS):
            for name, get in clients.items():
                if is_asked_for(name):
                    for count in (1, MANY):
                        rows.setdefault(name, {}).setdefault(count, []).append(by_threads(get, count))
        table("Python: GET of 100 bytes, by threads", "requests", rows)
        table("Python: GET of 100 bytes, on asyncio", "aiohttp", asyncio.run(measure_async(url)))


if __name__ == "__main__":
    main()
