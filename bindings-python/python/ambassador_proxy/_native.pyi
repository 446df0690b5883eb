"""The native part, as the Python side sees it. Users get it through ``ambassador_proxy``."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, final, overload

from ambassador_proxy.errors import AmbassadorError

P = ParamSpec("P")
T = TypeVar("T")

RUN: int
WAIT: int
VALUE: int
LAST_ERROR: int
ERROR: int
OK: int
RETRY: int
FAIL: int
TIMEOUT: int
BY_SIGNAL: int
TIMED_OUT: object
NO_THREAD: object

@final
class Attempt:
    """One attempt of a call, as its function sees it: ``proxy.execute(fn)`` calls ``fn(attempt)``."""

    @property
    def attempt(self) -> int:
        """The number of this attempt: 1, 2, 3 …"""
    @property
    def endpoint(self) -> str:
        """The endpoint that this attempt goes to; the target itself."""
    @property
    def remaining(self) -> float | None:
        """Seconds until this attempt's bound, down to 0; ``None`` when it is not bounded. Fit to be the timeout of a
        socket.
        """
    @property
    def cancelled(self) -> bool:
        """Whether the caller no longer waits for this attempt. Long work looks at it from time to time."""
    @property
    def headers(self) -> dict[str, str]:
        """What to send along: ``idempotency-key`` (the same for all attempts of a call), ``traceparent``,
        ``x-ambassador-attempt`` and, when bounded, ``x-ambassador-remaining-ms``. A new dict at each read.
        """
    @property
    def retry_after(self) -> float | None:
        """Set by the function before it raises: how long to wait at least before the next attempt, in seconds or as a
        ``timedelta``. ``None`` takes it back.
        """
    @retry_after.setter
    def retry_after(self, length: float | timedelta | None) -> None: ...
    def _give_up(self) -> None: ...

@final
class Call:
    @property
    def is_direct(self) -> bool: ...
    @property
    def attempt(self) -> int: ...
    @property
    def remaining(self) -> float | None: ...
    @property
    def left(self) -> float: ...
    @property
    def wait(self) -> float: ...
    @property
    def timed_out(self) -> bool: ...
    @property
    def stop(self) -> str: ...
    def context(self) -> Attempt: ...
    def settle(self, outcome: int, context: Attempt | None = None, hint: object = None) -> int: ...
    def resume(self) -> int: ...
    def cancel(self) -> None: ...
    def retry_line(self, error: str) -> str: ...
    def timeout_text(self) -> str: ...
    def note_late(self) -> None: ...
    def note_abandoned(self, begins: bool) -> None: ...
    def end_note(self) -> str: ...
    def error(self) -> BaseException: ...

class Proxy:
    @property
    def target(self) -> str:
        """The target, as it was given."""
    @property
    def name(self) -> str:
        """The name that state is shared by: the target, unless one was set."""
    @property
    def max_retries(self) -> int:
        """Attempts in all, the first one included."""
    @property
    def timeout(self) -> float | None:
        """The bound of each attempt in seconds, or ``None``."""
    @overload
    def call(
        self, fn: Callable[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        """Calls ``fn(*args, **kwargs)`` until it succeeds, may not be tried again, or no attempt is left."""
    @overload
    def call(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def _set_up(self, target: object, edits: dict[str, object], rules: object, sees_values: bool) -> None: ...
    def _policy(self) -> dict[str, Any]: ...
    def _health(self) -> str: ...
    @property
    def _rules(self) -> Any: ...
    @property
    def _on_caller(self) -> bool: ...
    def _begin(self) -> Call: ...
    def _seed_jitter(self, seed: int) -> None: ...

def install(
    go_on: Callable[..., Any],
    drive: Callable[..., Any],
    drive_async: Callable[..., Any],
    is_async: Callable[[object], bool],
    start_worker: Callable[[], bool],
    main_thread: int,
    prepare: Callable[[], int],
    interrupted: type[BaseException],
    by_code: dict[str, type[AmbassadorError]],
) -> None: ...
def run_here(call: Call, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any] | None, /) -> Any: ...
def first_step(attempt: Any, loop: object, caller: object, task: object, steps: Any, spares: list[Any], /) -> Any: ...
def run_on_worker(
    call: Call,
    attempt: Attempt | None,
    run: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None,
    /,
) -> Any: ...
def wrap(proxy: Proxy, function: Callable[..., Any]) -> Callable[..., Any]: ...
def work() -> None: ...
def worker_threads() -> int: ...
def watch() -> int: ...
def interrupt_thread(ident: int) -> None: ...
def due() -> bool: ...
def is_nested() -> bool: ...
def forked() -> None: ...
def drain(seconds: float, /) -> bool: ...
def inject_panic(at: str) -> None: ...
def settings_json() -> str: ...
def version() -> str: ...
