"""Waiting for what cannot be interrupted: a thread does it, and is left behind when the time is over."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Abandoned", "TooLate", "in_thread", "within"]

_Result = TypeVar("_Result")
# How often it is asked whether somebody has ended the wait.
_CHECK_S = 0.2


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

    def run() -> None:
        outcomes.put(_outcome(work))

    if not _start(run, name):
        return work()
    until = None if limit is None else time.monotonic() + limit
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
    raise Abandoned("closed on our side")


async def in_thread(work: Callable[[], _Result], *, name: str) -> _Result:
    """Do what `within` does, for a task; it is ended by cancelling the task.

    `asyncio.to_thread` has few threads, and the loop and the process wait for all of them at their ends.
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

    def run() -> None:
        outcome = _outcome(work)
        # The loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, *outcome)

    if not _start(run, name):
        return work()
    return await future


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
