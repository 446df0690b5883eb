"""The host's own tracer (P6): OpenTelemetry's present span, where the program has ``opentelemetry-api``. It is looked for once,
when the first proxy is made; a program without it has nothing of this on the way of its calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ambassador_proxy import _native

if TYPE_CHECKING:
    from collections.abc import Callable

#: Tells the present span as the two headers' values, a line each; ``None`` where there is none. Itself ``None`` without a tracer.
ask: Callable[[], str | None] | None = None

_has_looked = False


def attend() -> None:
    """A proxy is made: from the first one on, the tracer is asked, if there is one."""
    global ask, _has_looked
    if _has_looked:
        return
    _has_looked = True
    ask = _open_telemetry()
    if ask is not None:
        _native.install_tracer(ask)


def _open_telemetry() -> Callable[[], str | None] | None:
    try:
        from opentelemetry.trace import get_current_span
    except Exception:
        # Not there, or not in a state to be asked.
        return None

    def present() -> str | None:
        try:
            context = get_current_span().get_span_context()
            if not context.is_valid:
                return None
            parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags & 0xFF:02x}"
            return f"{parent}\n{context.trace_state.to_header()}"
        except Exception:
            # F5
            return None

    return present
