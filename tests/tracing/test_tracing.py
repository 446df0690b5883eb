"""The host's own tracer, OpenTelemetry's real SDK in each language: the ambassador's spans, as a collector gets them, are below
the host's, and what goes onward is the ambassador's; where it exports nothing, the host's span goes onward as it is.

Each host prints, a line of JSON each, the span that was its own around a call, and what the call's function or the server saw.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from programs import ROOT, run

HERE = Path(__file__).resolve().parent
PEERS = ROOT / "build/java/peers"

HOSTS = {
    "Python": [ROOT / "build/venv/bin/python", HERE / "host.py"],
    "Node": ["node", HERE / "host.mjs"],
    "Java": ["java", "-cp", f"{ROOT}/build/java/ambassador-proxy.jar:{PEERS}/*", HERE / "Host.java"],
}
#: What a host's calls are, in the order in which it prints them.
CALLS = ("call", "async", "request", "async request", "alone")


@dataclass
class Network:
    """A collector, and beside it a server that tells what it is sent: 503 first, so that there is a retry."""

    url: str
    spans: list[Span] = field(default_factory=list)
    seen: dict[str, list[str | None]] = field(default_factory=dict)


@pytest.fixture
def network() -> Iterator[Network]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    there.spans.extend(scope.spans)
            self.answer(200)

        def do_GET(self) -> None:
            before = there.seen.setdefault(self.path, [])
            before.append(self.headers["traceparent"])
            self.answer(503 if len(before) == 1 else 200)

        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there = Network(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield there
    server.shutdown()
    thread.join()
    server.server_close()


def told(language: str, network: Network, tmp_path: Path, env: dict[str, str]) -> dict[str, dict[str, object]]:
    ran = run([*HOSTS[language], network.url], cwd=tmp_path, env={**env, "AMBASSADOR_LOG": "off"})
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert tuple(line["what"] for line in lines) == CALLS, ran
    return {line["what"]: line for line in lines}


def sampled(headers: object) -> list[str]:
    """The spans of these headers, each of which says that it is sampled; flags beyond that are the tracers' own."""
    assert isinstance(headers, list)
    assert all(int(header[53:], 16) & 1 for header in headers), headers
    return [header[:52] for header in headers]


@pytest.mark.parametrize("language", HOSTS)
def test_spans_are_below_the_hosts_own(language: str, network: Network, tmp_path: Path) -> None:
    exporting = {"AMBASSADOR_OTLP": "traces", "OTEL_EXPORTER_OTLP_ENDPOINT": network.url}
    calls = told(language, network, tmp_path, exporting)
    below = {span.parent_span_id.hex(): span for span in network.spans}
    assert len(network.spans) == len(CALLS), network.spans

    for what in ("call", "async"):
        host = calls[what]
        span = below[host["span"]]
        assert (span.trace_id.hex(), span.kind) == (host["trace"], Span.SPAN_KIND_INTERNAL)
        assert len(span.events) == 2, "an event for each attempt"
        # Both attempts send the call's span onward, on whatever thread they run.
        onward = f"00-{host['trace']}-{span.span_id.hex()}"
        assert sampled(host["onward"]) == [onward, onward]

    for what, path in (("request", "/request"), ("async request", "/async")):
        host = calls[what]
        span = below[host["span"]]
        assert (span.trace_id.hex(), span.kind) == (host["trace"], Span.SPAN_KIND_CLIENT)
        onward = f"00-{host['trace']}-{span.span_id.hex()}"
        assert sampled(network.seen[path]) == [onward, onward]

    # Where the host has no span, a trace begins.
    [alone] = [span for span in network.spans if not span.parent_span_id]
    assert alone.trace_id.hex() not in {str(host.get("trace")) for host in calls.values()}


@pytest.mark.parametrize("language", HOSTS)
def test_without_an_export_the_hosts_span_goes_onward(language: str, network: Network, tmp_path: Path) -> None:
    calls = told(language, network, tmp_path, {})
    assert network.spans == []
    for what in ("call", "async"):
        onward = f"00-{calls[what]['trace']}-{calls[what]['span']}"
        assert sampled(calls[what]["onward"]) == [onward, onward]
    for what, path in (("request", "/request"), ("async request", "/async")):
        onward = f"00-{calls[what]['trace']}-{calls[what]['span']}"
        assert sampled(network.seen[path]) == [onward, onward]
