"""Keep within what a vendor, or a machine, allows: calls at once, and calls per minute."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable

from typing_extensions import override

from ..backends.base import AnyRequest, Backend
from ..errors import ConfigError, RateLimited, Timeout
from .base import Call, Flow, Policy, Sleep, Wait, remaining, within
from .dropped import later
from .streams import AsyncLive, Live

__all__ = ["Limit"]

LONGEST_WAIT = 60.0


class Limit(Policy):
    """Let only so many calls run at once, and start them only so fast; across threads, tasks and event loops.

    A stream counts as running until it ends or is left. When the vendor says to wait (`RateLimited` with
    `retry_after`, up to a minute), all callers wait. Waiting counts against the caller's total time limit.

    Args:
        inner: The backend.
        concurrency: Most calls at once.
        requests_per_minute: Most starts a minute, evenly spaced.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        inner: Backend,
        *,
        concurrency: int | None = None,
        requests_per_minute: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(inner)
        if concurrency is not None and concurrency < 1:
            raise ConfigError(f"concurrency={concurrency}: at least one call must be able to run")
        if requests_per_minute is not None and not requests_per_minute > 0:
            raise ConfigError(f"requests_per_minute={requests_per_minute}: must be above 0")
        self._gate = None if concurrency is None else _Gate(concurrency)
        self._gap = 0.0 if requests_per_minute is None else 60.0 / requests_per_minute
        self._clock = clock
        self._next = 0.0
        self._lock = threading.Lock()

    @override
    def flow(self, request: AnyRequest) -> Flow:
        started = time.monotonic()
        if self._gate is None:
            return (yield from self._paced(request, started))
        ticket = self._gate.enter()
        try:
            if not ticket.up and not (yield Wait(ticket, remaining(request, started))):
                raise _too_late(request, "a free place among the calls that run at once")
            answer = yield from self._paced(request, started)
        except GeneratorExit:
            # The task was dropped with its event loop: this runs in a finaliser.
            later(lambda: self._leave(ticket))
            raise
        except BaseException:
            self._gate.leave(ticket)
            raise
        if isinstance(answer, (Live, AsyncLive)):
            answer.on_end(lambda: self._leave(ticket))
        else:
            self._gate.leave(ticket)
        return answer

    def _leave(self, ticket: _Ticket) -> None:
        if self._gate is not None:
            self._gate.leave(ticket)

    def _paced(self, request: AnyRequest, started: float) -> Flow:
        wait = self._slot(remaining(request, started), request)
        if wait > 0:
            yield Sleep(wait)
        try:
            return (yield Call(self.inner, within(request, started)))
        except RateLimited as error:
            # A wait of hours is an exhausted quota: its own caller hears of it, the others try for themselves.
            if error.retry_after and error.retry_after <= LONGEST_WAIT:
                with self._lock:
                    self._next = max(self._next, self._clock() + error.retry_after)
            raise

    def _slot(self, left: float | None, request: AnyRequest) -> float:
        with self._lock:  # held for arithmetic only, never while waiting
            now = self._clock()
            start = max(now, self._next)
            if left is not None and start - now >= left:
                raise _too_late(request, "its turn under requests_per_minute, or under the vendor's Retry-After")
            self._next = start + self._gap
        return start - now


def _too_late(request: AnyRequest, what: str) -> Timeout:
    return Timeout(f"timeout={request.settings.timeout.total} s passed waiting for {what}", phase="total")


class _Ticket:
    """A place in the queue of a `_Gate`, waited for by a thread or by a task."""

    __slots__ = ("_event", "_future", "up")

    def __init__(self, *, up: bool) -> None:
        self.up = up
        self._event = threading.Event()
        self._future: tuple[asyncio.AbstractEventLoop, asyncio.Future[None]] | None = None

    def wait(self, timeout: float | None) -> bool:
        if not self.up:
            self._event.wait(timeout)
        return self.up

    def close(self) -> None:
        """Stop waiting, without a place."""
        self._event.set()

    async def await_(self, timeout: float | None) -> bool:  # noqa: ASYNC109  # a driver's effect, not an API
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._future = (loop, future)
        if not self.up:
            await asyncio.wait([future], timeout=timeout)
        return self.up

    def call(self) -> bool:
        """Give the place to the waiter; False when its event loop is closed, and with it the waiter."""
        self.up = True
        self._event.set()
        if self._future is not None:
            loop, future = self._future
            try:
                loop.call_soon_threadsafe(_resolve, future)
            except RuntimeError:
                return False
        return True


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Gate:
    """A counting semaphore, first come first served, for threads and tasks of any loop together."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._queue: deque[_Ticket] = deque()
        self._inside: set[_Ticket] = set()
        self._lock = threading.Lock()

    def enter(self) -> _Ticket:
        """Take a place, or a ticket for one."""
        with self._lock:
            ticket = _Ticket(up=self._free > 0)
            if ticket.up:
                self._free -= 1
                self._inside.add(ticket)
            else:
                self._queue.append(ticket)
            return ticket

    def leave(self, ticket: _Ticket) -> None:
        """Give the place, or the ticket, back; twice is fine."""
        with self._lock:
            if ticket not in self._inside:
                if ticket in self._queue:
                    self._queue.remove(ticket)
                return
            self._inside.remove(ticket)
            while self._queue:
                following = self._queue.popleft()
                if following.call():
                    self._inside.add(following)
                    return
            self._free += 1
