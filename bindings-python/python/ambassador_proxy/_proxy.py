"""``AmbassadorProxy``: the front door, and what goes with it."""

from __future__ import annotations

import functools
import inspect
import json
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Literal, NoReturn, ParamSpec, TypeVar, overload

from ambassador_proxy import _drive, _drive_async, _events, _hedged, _hedged_async, _log, _native, _threads, _tracing
from ambassador_proxy._health import Health
from ambassador_proxy._network import (
    Auth,
    Balance,
    Discovery,
    Endpoint,
    Endpoints,
    HealthCheck,
    Http,
    IdempotencyKey,
    Outlier,
    Tls,
    plain_endpoints,
)
from ambassador_proxy._requests import Requests
from ambassador_proxy._settings import (
    GROUPS,
    Backoff,
    Breaker,
    Budget,
    Bulkhead,
    Classify,
    EffectiveSetting,
    Errors,
    Hedge,
    Jitter,
    Policy,
    RateLimit,
    RunIn,
    Seconds,
    group_edits,
    rules_of,
)
from ambassador_proxy.errors import BY_CODE

P = ParamSpec("P")
T = TypeVar("T")

_DEFAULT: Any = object()


def is_async(fn: object) -> bool:
    """Whether calling it gives a coroutine."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(type(fn).__call__)


_native.install(
    _drive.go_on,
    _drive.drive,
    _drive_async.drive_async,
    _hedged.race,
    _hedged_async.race_async,
    is_async,
    _threads.start_worker,
    threading.main_thread().ident or 0,
    _threads.prepare,
    _threads.Interrupted,
    BY_CODE,
    _drive.enter,
    _events.hear,
)


class AmbassadorProxy(Requests):
    """The ambassador for one target: retries, timeouts and deadlines for what an app calls there.

    ``target_host`` is a host, with a port if needed, or the URL of one. ``max_retries`` counts attempts in all, 1 to
    100. ``timeout`` bounds each attempt, in seconds or as a ``timedelta``; ``None`` is unbounded. ``deadline`` bounds
    the whole call, waits included.

    ``backoff`` is a ``Backoff``, a mapping of its fields, or ``None`` for no waits. ``retry_on`` and ``not_on`` are
    error types or a predicate; ``classify(error, value)`` sees either end of an attempt (``error`` is ``None`` after a
    success) and says ``"ok"``, ``"retry"``, ``"fail"``, or ``None`` to leave it to the others.

    ``run_in`` says where plain functions run: ``"worker"``, the default when there is a bound, is a thread of the
    ambassador's, so that the caller always gets control back; ``"caller"``, the default otherwise, is the caller's own
    thread, interrupted at the bound. Coroutine functions always run on the caller's event loop.

    ``budget``, ``breaker``, ``bulkhead`` and ``rate_limit`` are a ``Budget``, ``Breaker``, ``Bulkhead`` or ``RateLimit``, a
    mapping of its fields, or ``None`` for none; the first two are on by default. ``hedge`` is a ``Hedge``, a mapping or ``None``:
    another attempt beside one that takes long; it needs ``idempotent=True``. ``fallback`` answers in place of the
    final error: a function of the error (for coroutine functions, one too if you like), or else a value.

    ``endpoints`` are where the target can be reached: URLs, ``Endpoint`` objects or mappings; by default the target itself.
    ``discovery`` finds them: a ``Discovery`` or a mapping. ``balance`` chooses among them, with ``hash_on``, ``zone`` and
    ``slow_start``; ``outlier`` (on by default) and ``health_check`` leave out those that fail. ``tls``, ``auth``, ``headers``,
    ``idempotency_key`` and ``http`` are about the requests that the ambassador makes itself: ``proxy.get`` and its like.

    Two proxies for one target share its state; ``name`` sets one apart. Nothing needs to be closed.

    Raises ``ConfigError`` when a setting is wrong; it names the field, the value and what is allowed.
    """

    def __init__(
        self,
        target_host: str,
        max_retries: int = _DEFAULT,
        timeout: Seconds | None = _DEFAULT,
        *,
        deadline: Seconds | None = None,
        backoff: Backoff | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        retry_on: Errors | None = None,
        not_on: Errors | None = None,
        classify: Classify | None = None,
        budget: Budget | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        breaker: Breaker | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        bulkhead: Bulkhead | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        rate_limit: RateLimit | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        hedge: Hedge | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        idempotent: bool = _DEFAULT,
        fallback: Any = None,
        endpoints: Endpoints | None = _DEFAULT,
        discovery: Discovery | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        balance: Balance = _DEFAULT,
        hash_on: str | None = _DEFAULT,
        zone: str | None = _DEFAULT,
        slow_start: Seconds | None = _DEFAULT,
        outlier: Outlier | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        health_check: HealthCheck | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        tls: Tls | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        auth: Auth | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        headers: Mapping[str, str] | None = _DEFAULT,
        idempotency_key: IdempotencyKey = _DEFAULT,
        http: Http | Mapping[str, object] | Literal[False] | None = _DEFAULT,
        run_in: RunIn = _DEFAULT,
        name: str = _DEFAULT,
        **unknown: NoReturn,
    ) -> None:
        edits: dict[str, object] = {
            "max_retries": max_retries,
            "timeout": timeout,
            "deadline": deadline,
            "idempotent": idempotent,
            "run_in": run_in,
            "name": name,
            "retry_on": retry_on,
            "not_on": not_on,
            "classify": classify,
            "endpoints": plain_endpoints(endpoints),
            "balance": balance,
            "hash_on": hash_on,
            "zone": zone,
            "slow_start": slow_start,
            "headers": headers,
            "idempotency_key": idempotency_key,
            **unknown,
        }
        edits = {field: value for field, value in edits.items() if value is not _DEFAULT}
        groups = (
            *(backoff, budget, breaker, bulkhead, rate_limit, hedge),
            *(discovery, outlier, health_check, tls, auth, http),
        )
        for group, given in zip(GROUPS, groups, strict=True):
            if given is not _DEFAULT:
                edits |= group_edits(group, given)
        self._fallback = fallback
        self._listeners: list[_events.Listener] = []
        if fallback is not None:
            edits["fallback"] = True
        rules = rules_of(edits)
        self._edits = edits
        self._set_up(target_host, edits, rules, rules is not None and rules.classify is not None)
        _log.follow()
        _tracing.attend()
        if self._has_tasks():
            _events.attend()
        if self.is_heard:
            # C4: another proxy's settings held.
            _events.hear(self)

    def _with_timeout(self, timeout: float) -> AmbassadorProxy:
        """The same proxy with another bound for each attempt."""
        twin = AmbassadorProxy.__new__(AmbassadorProxy)
        twin._fallback, twin._listeners = self._fallback, self._listeners
        twin._edits = {**self._edits, "timeout": timeout, "name": self.name}
        rules = self._rules
        twin._set_up(self.target, twin._edits, rules, rules is not None and rules.classify is not None)
        return twin

    @overload
    def wrap(self, fn: Callable[P, Coroutine[Any, Any, T]], /) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def wrap(self, fn: Callable[P, T], /) -> Callable[P, T]: ...
    def wrap(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """A decorator: the function, called through this proxy. Keeps its name, docs and signature; methods stay
        methods.

        >>> from ambassador_proxy import AmbassadorProxy
        >>> @AmbassadorProxy("payment-api.example.com").wrap
        ... def charge(amount):
        ...     return f"charged: {amount}"
        >>> charge(99.99)
        'charged: 99.99'
        """
        if not callable(fn):
            return self.call(fn)
        if is_async(fn):

            @functools.wraps(fn)
            async def wrapped(*args: Any, **kwargs: Any) -> Any:
                drive = _hedged_async.race_async if self._hedges else _drive_async.drive_async
                return await drive(self, fn, args, kwargs or None)

            return wrapped
        return functools.update_wrapper(_native.wrap(self, fn), fn)

    @property
    def policy(self) -> Policy:
        """The settings in force."""
        settings = self._policy()
        for group, kind in GROUPS.items():
            if settings[group] is not None:
                settings[group] = kind(**settings[group])
        settings["endpoints"] = tuple(Endpoint(**endpoint) for endpoint in settings["endpoints"])
        return Policy(**settings)

    def effective_policy(self) -> list[EffectiveSetting]:
        """Every setting in force, and where its value comes from: ``default``, ``constructor``, ``config FILE:LINE`` or
        ``another proxy of the name``. Not among them is what only Python can hold: ``retry_on``, ``not_on``, ``classify``,
        ``fallback``.
        """
        return [EffectiveSetting(**setting) for setting in json.loads(self._effective_policy(True))]

    def policy_json(self) -> str:
        """The same as JSON, spelled as the configuration file does: byte for byte the same in every language."""
        return self._effective_policy(False)

    def set_endpoints(self, endpoints: Endpoints) -> None:
        """From now on these are the target's endpoints, for every proxy of its name: for code of your own that finds them.
        URLs, ``Endpoint`` objects or mappings, as for the setting.
        """
        self._set_endpoints(plain_endpoints(endpoints))

    def health(self) -> Health:
        """The state of this target: its circuit, budget and bulkhead, calls in flight, calls and attempts by outcome,
        retries, hedges, rejections, late results, and how long they took.
        """
        health: Health = json.loads(self._health())
        return health

    def isolate(self) -> None:
        """Opens the circuit by hand: every attempt is refused, whatever the time, until ``reset``."""
        self._isolate()
        if self.is_heard:
            _events.hear(self)

    def reset(self) -> None:
        """Closes the circuit by hand, with an empty window."""
        self._reset()
        if self.is_heard:
            _events.hear(self)

    def on_event(self, listener: _events.Listener) -> None:
        """From now on, and for as long as this proxy lives, ``listener(event)`` is told of everything that happens to the
        target: a ``dict`` with ``type`` (``attempt``, ``hedge``, ``retry``, ``call``, ``circuit``, ``settings``,
        ``internal``) and what belongs to it. Told on the thread that caused it, as a rule; one that raises changes
        nothing for the call.
        """
        _events.listen(self, listener)

    def __repr__(self) -> str:
        return f"<AmbassadorProxy {self.target}>"


def shutdown(timeout: float = 30.0) -> bool:
    """Refuses new calls from now on, and waits at most ``timeout`` seconds for those in flight. Whether all of them
    ended.

    Nothing needs this at the end of a program; it is for those who want to know that nothing is under way.
    """
    until = time.monotonic() + timeout
    while True:
        left = max(0.0, until - time.monotonic())
        # In slices, so that Ctrl-C is heard.
        if _native.drain(min(left, 0.05), left):
            return True
        if left == 0:
            return False


__all__ = ["AmbassadorProxy", "Backoff", "Jitter", "Policy", "shutdown"]
