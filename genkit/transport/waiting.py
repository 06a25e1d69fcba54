"""Waiting for what cannot be interrupted: a thread does it, and is left behind when the time is over.

There are never many such threads: work that comes while all are busy waits for one of them, and work that is the same
for all who ask is done once, with `Shared`.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import os
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ..errors import ConnectionFailed

__all__ = ["HUNG_S", "MOST_THREADS", "Abandoned", "Shared", "TooLate", "in_thread", "within"]

MOST_THREADS = 64
# Work that takes longer hangs for good, as on a connection that nobody answers any more: the next caller begins anew.
HUNG_S = 120.0

_Result = TypeVar("_Result")
# How often it is asked whether somebody has ended the wait.
_CHECK_S = 0.2
# How long a task tries to get a thread, where the process can have no more.
_STARTING_S = 1.0
# Whether nobody waits any more for what the current thread does.
_left: contextvars.ContextVar[Callable[[], bool]] = contextvars.ContextVar("_left", default=lambda: False)


class TooLate(TimeoutError):
    """The time was over."""


class Abandoned(ConnectionAbortedError):
    """Somebody ended the wait."""


def within(limit: float | None, work: Callable[[], _Result], *, ended: Callable[[], bool], name: str) -> _Result:
    """Return what `work` returns, or raise what it raises, if that happens within `limit` seconds.

    Args:
        limit: None for no limit.
        work: It runs in a thread, which goes on to the end in any case, and keeps no process alive.
        ended: Whether somebody has ended the wait.
        name: The thread's.

    Raises:
        TooLate: If it takes longer.
        Abandoned: If the wait was ended.
    """
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()
    job = _Job(work, lambda *outcome: outcomes.put(outcome))
    if not _threads.run(job, name):
        return work()
    until = None if limit is None else time.monotonic() + limit
    try:
        while not ended():
            left = _CHECK_S if until is None else until - time.monotonic()
            if left <= 0:
                raise TooLate("timed out")
            try:
                result, error = outcomes.get(timeout=min(left, _CHECK_S))
            except queue.Empty:
                continue
            if error is not None:
                raise error
            value: _Result = result
            return value
    finally:
        job.left = True
    raise Abandoned("closed on our side")


async def in_thread(work: Callable[[], _Result], *, name: str) -> _Result:
    """Do what `within` does, for a task; it is ended by cancelling the task.

    `asyncio.to_thread` has few threads, and the loop and the process wait for all of them at their ends.

    Raises:
        ConnectionFailed: If there can be no more threads; on the event loop, `work` would hold up everything else.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_Result] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    def told(result: Any, error: BaseException | None) -> None:
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, result, error)

    job = _Job(work, told)
    await _begun(lambda: _threads.run(job, name))
    try:
        return await future
    finally:
        job.left = True


class Shared(Generic[_Result]):
    """Work that is done once at a time: who comes while it is under way waits for the same result.

    Everybody may stop waiting; the work goes on, and whoever comes then waits for it.

    Args:
        work: What is done, in a thread of its own.
        name: The thread's.
    """

    def __init__(self, work: Callable[[], _Result], *, name: str) -> None:
        self._work = work
        self._name = name
        self._lock = threading.Lock()
        self._running: concurrent.futures.Future[_Result] | None = None
        self._began = 0.0
        self._process = 0

    def begin(self) -> concurrent.futures.Future[_Result] | None:
        """Return the work that is under way, beginning it where it is not; None where there can be no more threads."""
        with self._lock:
            # A thread does not come along into a forked process.
            mine = self._process == os.getpid() and time.monotonic() - self._began < HUNG_S
            if self._running is not None and mine:
                return self._running
            future: concurrent.futures.Future[_Result] = concurrent.futures.Future()
            # From now on nobody who leaves can cancel it for the others.
            future.set_running_or_notify_cancel()
            if not _start(lambda: self._run(future), self._name):
                return None
            self._running, self._began, self._process = future, time.monotonic(), os.getpid()
            return future

    def wait(self) -> _Result:
        """Return the result; where there can be no more threads, the caller does the work."""
        future = self.begin()
        if future is None:
            return self._work()
        left = _left.get()
        while not future.done():
            if left():
                raise Abandoned("nobody waits any more")
            concurrent.futures.wait((future,), timeout=_CHECK_S)
        return future.result()

    async def awaited(self) -> _Result:
        """Async twin of `wait`.

        Raises:
            ConnectionFailed: If there can be no more threads.
        """
        return await asyncio.wrap_future(await _begun(self.begin))

    def _run(self, future: concurrent.futures.Future[_Result]) -> None:
        result, error = _outcome(self._work)
        with self._lock:
            if self._running is future:
                self._running = None
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # there is one where there is no error


class _Job:
    """Work for a thread, in the context of its caller.

    Attributes:
        left: Nobody waits for it any more; it is not begun then.
    """

    __slots__ = ("_context", "_told", "_work", "left")

    def __init__(self, work: Callable[[], Any], told: Callable[[Any, BaseException | None], None]) -> None:
        self._work = work
        self._told = told
        self._context = contextvars.copy_context()
        self.left = False

    def run(self) -> None:
        if not self.left:
            self._context.run(_left.set, lambda: self.left)
            self._told(*_outcome(lambda: self._context.run(self._work)))


class _Threads:
    """At most so many threads at once, which end when there is nothing to do.

    Args:
        most: So many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.forget()

    def forget(self) -> None:
        """Begin without threads and work, as in a forked process."""
        self._lock = threading.Lock()
        self._waiting: deque[_Job] = deque()
        self._running = 0

    def run(self, job: _Job, name: str) -> bool:
        """Have a thread do it, now or when one is free; return False where there is none and can be none."""
        with self._lock:
            if self._running < self._most and _start(lambda: self._serve(job), name):
                self._running += 1
                return True
            if not self._running:
                return False
            self._waiting.append(job)
            return True

    def _serve(self, job: _Job) -> None:
        while True:
            job.run()
            with self._lock:
                if not self._waiting:
                    self._running -= 1
                    return
                job = self._waiting.popleft()


_threads = _Threads(MOST_THREADS)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_threads.forget)


async def _begun(begin: Callable[[], _Result | None]) -> _Result:
    """Return what `begin` returns, once that is true; threads may become free."""
    until = time.monotonic() + _STARTING_S
    while not (begun := begin()):
        if time.monotonic() >= until:
            raise ConnectionFailed(
                "no thread can be started to ask for a credential: the process has as many as it may have", sent=False
            )
        await asyncio.sleep(_STARTING_S / 20)
    return begun


def _start(run: Callable[[], None], name: str) -> bool:
    """Start a thread in the caller's context; return False where there can be no more, as while Python ends."""
    context = contextvars.copy_context()
    try:
        threading.Thread(target=context.run, args=(run,), name=name, daemon=True).start()
    except RuntimeError:
        return False
    return True


def _outcome(work: Callable[[], _Result]) -> tuple[_Result | None, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001  # raised where it is waited for
        return None, error
