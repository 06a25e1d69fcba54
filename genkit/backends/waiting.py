"""Blocking work behind the async twins: worker threads, and the caller's total time limit while it waits for one.

asyncio is loaded here when it is first needed: it is a third of the time that `import genkit` takes.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from typing import Any, TypeAlias, TypeVar, cast

from ..errors import Timeout
from ..types import EmbedRequest, Event, Request, ScoreRequest, Timeouts

__all__ = ["AnyRequest", "Pulled", "ends", "in_thread", "remaining", "rest", "unless", "within"]

AnyRequest: TypeAlias = Request | EmbedRequest | ScoreRequest

_LOOK_S = 0.05

R = TypeVar("R", bound=AnyRequest)
T = TypeVar("T")


# ------------------------------------------------------------ the total time limit


def remaining(request: AnyRequest, since: float) -> float | None:
    """Return the seconds left of the total time limit counted from `since` (`time.monotonic`); None without a limit."""
    total = request.settings.timeout.total
    return None if total is None else total - (time.monotonic() - since)


def within(request: R, since: float) -> R:
    """Return the request with the time that has passed since `since` taken off its total limit.

    Raises:
        Timeout: If nothing is left.
    """
    limits = request.settings.timeout
    timeouts = rest(limits, since)
    if timeouts is limits:
        return request
    settings = request.settings.model_copy(update={"timeout": timeouts})
    return cast("R", request.model_copy(update={"settings": settings}))


def rest(limits: Timeouts, since: float) -> Timeouts:
    """Return time limits without what has passed since `since` of the total one.

    Raises:
        Timeout: If nothing is left.
    """
    if limits.total is None:
        return limits
    left = limits.total - (time.monotonic() - since)
    if left <= 0:
        raise Timeout("the call was not done within its total time limit: timeout= can be raised", phase="total")
    return limits.model_copy(update={"total": left})


def ends(request: AnyRequest) -> float:
    """Return when a call that begins now has to be over, on the clock of `time.monotonic`."""
    total = request.settings.timeout.total
    return math.inf if total is None else time.monotonic() + total


# ------------------------------------------------------------ threads


async def in_thread(work: Callable[..., T], *arguments: Any, until: float = math.inf, backend: str | None = None) -> T:
    """Run blocking work in a worker thread.

    Args:
        work: Once it has begun, it minds its time itself.
        arguments: Its arguments.
        until: When to give up waiting for a free thread; the work is then never begun.
        backend: Name for the error.

    Raises:
        Timeout: If no thread was free in time.
    """
    asyncio: Any = import_module("asyncio")
    result: T
    if until == math.inf:
        result = await asyncio.to_thread(work, *arguments)
        return result
    # Whoever takes it decides: the thread that begins, or the limit that is over.
    decision = threading.Lock()

    def begin() -> Any:
        return work(*arguments) if decision.acquire(blocking=False) else None

    running = asyncio.ensure_future(asyncio.to_thread(begin))
    try:
        await asyncio.wait({running}, timeout=max(0.0, until - time.monotonic()))
    except asyncio.CancelledError:
        running.cancel()
        raise
    if not running.done() and decision.acquire(blocking=False):
        running.cancel()
        raise Timeout(
            "no worker thread was free within the call's total time limit: timeout= can be raised, or the running "
            "loop be given more threads by set_default_executor",
            phase="total",
            backend=backend,
        )
    result = await running
    return result


def unless(check: Callable[[], float | None], work: Callable[[], T]) -> T:
    """Run work that nothing can interrupt, in a thread; where `check` raises meanwhile, it is left to itself.

    Args:
        check: Returns the seconds until it wants to be asked again, None where any time will do.
        work: What is run. Its thread keeps the program from ending before it: foreign code must not be torn down.
    """
    found: list[tuple[T | None, BaseException | None]] = []
    done = threading.Event()

    def run() -> None:
        try:
            found.append((work(), None))
        except BaseException as error:  # noqa: BLE001  # handed to the caller, whatever it is
            found.append((None, error))
        finally:
            done.set()

    threading.Thread(target=run).start()
    left = check()
    while not done.wait(_LOOK_S if left is None else max(0.0, min(left, _LOOK_S))):
        left = check()
    result, error = found[0]
    if error is not None:
        raise error
    return cast("T", result)


async def _apart(work: Callable[[], object]) -> None:
    """Run `work` in a thread of its own: what closes a stream must not queue behind the streams."""
    asyncio: Any = import_module("asyncio")
    pool = import_module("concurrent.futures").ThreadPoolExecutor(1)
    try:
        await asyncio.get_running_loop().run_in_executor(pool, work)
    finally:
        pool.shutdown(wait=False)


_END = object()


class Pulled:
    """Reads a blocking stream in worker threads, one event at a time; closing it closes the stream at once."""

    def __init__(
        self, open_: Callable[[], Iterator[Event]], *, until: float = math.inf, backend: str | None = None
    ) -> None:
        """Prepare; `until` and `backend` are those of `in_thread`, for every event."""
        self._open = open_
        self._until = until
        self._backend = backend
        self._events: Iterator[Event] | None = None
        self._reading: Any = None
        self._over = False

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        if self._over:
            raise StopAsyncIteration
        asyncio: Any = import_module("asyncio")
        self._reading = asyncio.ensure_future(in_thread(self._next, until=self._until, backend=self._backend))
        try:
            # Shielded: a cancelled task must not leave a thread inside a generator that is about to be closed.
            event = await asyncio.shield(self._reading)
        except BaseException:
            await self.aclose()
            raise
        if event is _END:
            await self.aclose()
            raise StopAsyncIteration
        return event  # type: ignore[no-any-return]  # the sentinel is gone here

    def _next(self) -> Any:
        if self._events is None:
            if self._over:
                return _END
            self._events = self._open()
        return next(self._events, _END)

    async def aclose(self) -> None:
        """Close the stream, and wait until no thread is in it any more."""
        self._over = True
        # One that is being opened at this moment can be closed only when it is open.
        if self._events is None:
            await self._settled()
        close = getattr(self._events, "close", None)
        if close is not None:
            try:
                await _apart(close)
            except ValueError:  # a plain generator cannot be closed while a thread runs it
                await self._settled()
                await _apart(close)
        await self._settled()

    async def _settled(self) -> None:
        """Wait for the read that is running, whatever comes of it."""
        if self._reading is not None:
            await import_module("asyncio").gather(self._reading, return_exceptions=True)
