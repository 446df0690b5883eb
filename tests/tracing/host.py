"""A program that traces with OpenTelemetry's SDK, and calls through the ambassador: `host.py SERVER`."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from ambassador_proxy import AmbassadorProxy, Backoff, shutdown
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

trace.set_tracer_provider(TracerProvider())
tracer = trace.get_tracer("shop")
# A bound, so that plain functions run on a worker.
proxy = AmbassadorProxy(sys.argv[1], timeout=30, backoff=Backoff(base=0.001))


def tell(what: str, span: trace.Span, **more: Any) -> None:
    context = span.get_span_context()
    print(json.dumps({"what": what, "trace": f"{context.trace_id:032x}", "span": f"{context.span_id:016x}", **more}))


def call() -> None:
    onward = []

    def charge(attempt: Any) -> None:
        onward.append(attempt.headers["traceparent"])
        if attempt.attempt == 1:
            raise ConnectionError

    with tracer.start_as_current_span("order") as span:
        proxy.execute(charge)
    tell("call", span, onward=onward)


async def call_async() -> None:
    onward = []

    async def charge(attempt: Any) -> None:
        onward.append(attempt.headers["traceparent"])
        if attempt.attempt == 1:
            raise ConnectionError

    with tracer.start_as_current_span("order") as span:
        await proxy.execute(charge)
    tell("async", span, onward=onward)


def request() -> None:
    with tracer.start_as_current_span("order") as span:
        assert proxy.get("/request").status_code == 200
    tell("request", span)


async def request_async() -> None:
    with tracer.start_as_current_span("order") as span:
        assert (await proxy.aget("/async")).status_code == 200
    tell("async request", span)


call()
asyncio.run(call_async())
request()
asyncio.run(request_async())
proxy.call(lambda: None)
print(json.dumps({"what": "alone"}))
shutdown()
